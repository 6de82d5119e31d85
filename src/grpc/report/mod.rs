//! `ReportService`.
//!
//! | file | reports |
//! |---|---|
//! | `books` | trial balance, general ledger, cash flow |
//! | `members` | backer statement, share register |
//! | `progress` | the ladder of certainty, coverage, daily series |
//! | `costs` | fees, refund runs |

mod books;
mod costs;
mod members;
mod progress;

use tonic::{Request, Response, Status};

use super::{
    Api, ApiError,
    fields::{campaign_name, timestamp_of},
    pb::{self, report_service_server::ReportService},
};
use crate::report::{Basis, Head};

/// The entry that a report is as of; nothing for the last one.
fn as_of(number: i64) -> Result<Option<i64>, ApiError> {
    match number {
        0 => Ok(None),
        1.. => Ok(Some(number)),
        _ => Err(ApiError::field(
            "entry_number",
            "from 1, or 0 for the last one",
        )),
    }
}

fn head_of(api: &Api, head: &Head) -> pb::ReportHead {
    let (basis, value_date) = match head.basis {
        Basis::Recorded => (pb::DateBasis::Recorded, String::new()),
        Basis::ValueDate(day) => (pb::DateBasis::ValueDate, day.to_string()),
    };
    pb::ReportHead {
        campaign: campaign_name(head.campaign),
        display_name: head.display_name.clone(),
        currency_code: head.currency.code().to_owned(),
        date_basis: basis.into(),
        entry_number: head.entry_number,
        entry_recorded_at: head.entry_recorded_at.map(timestamp_of),
        digest: hex::encode(head.digest),
        value_date,
        drawn_at: Some(timestamp_of(api.app.clock.now())),
    }
}

#[tonic::async_trait]
impl ReportService for Api {
    async fn get_trial_balance(
        &self,
        request: Request<pb::GetTrialBalanceRequest>,
    ) -> Result<Response<pb::GetTrialBalanceResponse>, Status> {
        books::trial_balance(self, request).await.map(Response::new)
    }

    async fn get_general_ledger(
        &self,
        request: Request<pb::GetGeneralLedgerRequest>,
    ) -> Result<Response<pb::GetGeneralLedgerResponse>, Status> {
        books::general_ledger(self, request)
            .await
            .map(Response::new)
    }

    async fn get_backer_statement(
        &self,
        request: Request<pb::GetBackerStatementRequest>,
    ) -> Result<Response<pb::GetBackerStatementResponse>, Status> {
        members::backer_statement(self, request)
            .await
            .map(Response::new)
    }

    async fn get_campaign_progress(
        &self,
        request: Request<pb::GetCampaignProgressRequest>,
    ) -> Result<Response<pb::GetCampaignProgressResponse>, Status> {
        progress::campaign_progress(self, request)
            .await
            .map(Response::new)
    }

    async fn get_coverage(
        &self,
        request: Request<pb::GetCoverageRequest>,
    ) -> Result<Response<pb::GetCoverageResponse>, Status> {
        progress::coverage(self, request).await.map(Response::new)
    }

    async fn get_share_register(
        &self,
        request: Request<pb::GetShareRegisterRequest>,
    ) -> Result<Response<pb::GetShareRegisterResponse>, Status> {
        members::share_register(self, request)
            .await
            .map(Response::new)
    }

    async fn get_refund_run(
        &self,
        request: Request<pb::GetRefundRunRequest>,
    ) -> Result<Response<pb::GetRefundRunResponse>, Status> {
        costs::refund_run(self, request).await.map(Response::new)
    }

    async fn get_fees(
        &self,
        request: Request<pb::GetFeesRequest>,
    ) -> Result<Response<pb::GetFeesResponse>, Status> {
        costs::fees(self, request).await.map(Response::new)
    }

    async fn get_daily_series(
        &self,
        request: Request<pb::GetDailySeriesRequest>,
    ) -> Result<Response<pb::GetDailySeriesResponse>, Status> {
        progress::daily_series(self, request)
            .await
            .map(Response::new)
    }

    async fn get_cash_flow(
        &self,
        request: Request<pb::GetCashFlowRequest>,
    ) -> Result<Response<pb::GetCashFlowResponse>, Status> {
        books::cash_flow(self, request).await.map(Response::new)
    }
}
