//! `ShareService`.

use tonic::{Request, Response, Status};

use super::{
    Api, ApiError, Call, envelope,
    fields::{name, timestamp_of},
    journal::outcome,
    page::Pages,
    pb::{self, share_service_server::ShareService},
    run::method,
};
use crate::{
    domain::{
        Action, Snapshot,
        share::{Lot, Method, fill},
    },
    id::{CampaignId, MemberId},
};

/// More requests than anybody draws by hand.
const SIMULATED: usize = 10_000;

fn lot_of(campaign: CampaignId, lot: &Lot) -> pb::Lot {
    pb::Lot {
        certificate: lot.certificate,
        member: name(campaign, "members", lot.member),
        share_class: name(campaign, "shareClasses", lot.share_class),
        units: lot.units,
        cancelled: lot.cancelled,
        entry: name(campaign, "entries", lot.entry),
        allot_time: Some(timestamp_of(lot.allotted_at)),
    }
}

#[tonic::async_trait]
impl ShareService for Api {
    async fn purchase_shares(
        &self,
        request: Request<pb::PurchaseSharesRequest>,
    ) -> Result<Response<pb::PurchaseSharesResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, member) = call.of_campaign("member", &message.member, "members")?;
        let class = call.of_this(
            campaign,
            "share_class",
            &message.share_class,
            "shareClasses",
        )?;
        let action = Action::PurchaseShares {
            member,
            share_class: class.ok_or_else(|| ApiError::field("share_class", "missing"))?,
            units: message.units,
        };
        let envelope = envelope!("PurchaseShares", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        let mut snapshots = written.answer.snapshots.iter();
        let lot = snapshots.find_map(|snapshot| match snapshot {
            Snapshot::Lot(lot) => Some(lot_of(campaign, lot)),
            _ => None,
        });
        Ok(Response::new(pb::PurchaseSharesResponse {
            outcome: Some(outcome(campaign, &written, message.validate_only)),
            lot,
        }))
    }

    async fn simulate_allotment(
        &self,
        request: Request<pb::SimulateAllotmentRequest>,
    ) -> Result<Response<pb::SimulateAllotmentResponse>, Status> {
        let (_, message) = Call::of(request)?;
        let requests = &message.requests;
        if requests.len() > SIMULATED {
            return Err(ApiError::field("requests", "at most 10000").into());
        }
        if requests.iter().any(|&units| units < 0) {
            return Err(ApiError::field("requests", "not less than nothing").into());
        }
        if message.supply < 0 || message.minimum < 0 {
            let field = if message.supply < 0 {
                "supply"
            } else {
                "minimum"
            };
            return Err(ApiError::field(field, "not less than nothing").into());
        }
        let method = method(message.method)?.unwrap_or(Method::WaterFilling);
        let units = fill(method, message.supply, message.minimum, requests);
        let given: i64 = units.iter().sum();
        Ok(Response::new(pb::SimulateAllotmentResponse {
            units,
            left: message.supply - given,
        }))
    }

    async fn list_lots(
        &self,
        request: Request<pb::ListLotsRequest>,
    ) -> Result<Response<pb::ListLotsResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        self.app.currency(campaign).await.map_err(ApiError::from)?;
        let member: Option<MemberId> =
            call.of_this(campaign, "member", &message.member, "members")?;
        let pages = Pages::of(&self.app.secrets, format!("ListLots {campaign} {member:?}"));
        let size = Pages::size(message.page_size)?;
        let after = pages.read(&message.page_token, |place| place.parse::<i64>().ok())?;
        let store = &self.app.store;
        let rows = store.lots(campaign, member, after.unwrap_or(0), size + 1);
        let rows = rows.await.map_err(ApiError::from)?;
        let (rows, next_page_token) = pages.cut(rows, size, |last| last.certificate.to_string());
        Ok(Response::new(pb::ListLotsResponse {
            lots: rows.iter().map(|lot| lot_of(campaign, lot)).collect(),
            next_page_token,
        }))
    }
}
