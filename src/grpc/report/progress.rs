//! How far a campaign is: the ladder of certainty, coverage and the daily series.

use tonic::{Request, Status};

use super::{as_of, head_of};
use crate::{
    grpc::{
        Api, ApiError, Call,
        fields::{date, money_of},
        page::Pages,
        pb,
    },
    money::Currency,
    report::{CoverageRow, Day, Days, ProgressRow, Rung},
};

fn progress_row(currency: Currency, row: &ProgressRow) -> pb::ProgressRow {
    let rung = match row.rung {
        Rung::Signed => pb::CertaintyRung::Signed,
        Rung::Pledged => pb::CertaintyRung::Pledged,
        Rung::Authorised => pb::CertaintyRung::Authorised,
        Rung::Captured => pb::CertaintyRung::Captured,
        Rung::Available => pb::CertaintyRung::Available,
        Rung::Cleared => pb::CertaintyRung::Cleared,
        Rung::Allotted => pb::CertaintyRung::Allotted,
    };
    pb::ProgressRow {
        rung: rung.into(),
        members: row.members,
        amount: row.amount.map(|amount| money_of(amount, currency)),
        minimum_basis_points: row.minimum_basis_points.unwrap_or(0),
        target_basis_points: row.target_basis_points.unwrap_or(0),
        expected_haircut_basis_points: row.expected_haircut_basis_points.unwrap_or(-1),
    }
}

fn coverage_row(currency: Currency, row: &CoverageRow) -> pb::CoverageRow {
    pb::CoverageRow {
        code: row.code.number().to_string(),
        display_name: row.code.name().to_owned(),
        counts_as_held: row.counts_as_held,
        amount: Some(money_of(row.amount, currency)),
    }
}

pub(super) async fn campaign_progress(
    api: &Api,
    request: Request<pb::GetCampaignProgressRequest>,
) -> Result<pb::GetCampaignProgressResponse, Status> {
    let (call, message) = Call::of(request)?;
    let campaign = call.campaign("campaign", &message.campaign)?;
    let report = api.reports.progress(campaign, api.app.clock.now()).await;
    let report = report.map_err(ApiError::from)?;
    let currency = report.head.currency;
    let money = |amount| Some(money_of(amount, currency));
    Ok(pb::GetCampaignProgressResponse {
        head: Some(head_of(api, &report.head)),
        rows: report
            .rows
            .iter()
            .map(|row| progress_row(currency, row))
            .collect(),
        target: money(report.target),
        minimum: money(report.minimum),
        maximum: money(report.maximum),
        minimum_members: report.minimum_members,
        fees: money(report.fees),
        unallocated: money(report.unallocated),
        refundable: money(report.refundable),
    })
}

pub(super) async fn coverage(
    api: &Api,
    request: Request<pb::GetCoverageRequest>,
) -> Result<pb::GetCoverageResponse, Status> {
    let (call, message) = Call::of(request)?;
    let campaign = call.campaign("campaign", &message.campaign)?;
    let report = api
        .reports
        .coverage(campaign, as_of(message.entry_number)?)
        .await;
    let report = report.map_err(ApiError::from)?;
    let currency = report.head.currency;
    let money = |amount| Some(money_of(amount, currency));
    Ok(pb::GetCoverageResponse {
        head: Some(head_of(api, &report.head)),
        rows: report
            .rows
            .iter()
            .map(|row| coverage_row(currency, row))
            .collect(),
        held: money(report.held),
        owed: money(report.owed),
        coverage_basis_points: report.basis_points.unwrap_or(-1),
        estimated_missing_fees: money(report.estimated_missing_fees),
        payments_without_fee: report.payments_without_fee,
    })
}

fn day(currency: Currency, day: &Day) -> pb::DailySeriesRow {
    let money = |amount| Some(money_of(amount, currency));
    pb::DailySeriesRow {
        date: day.date.to_string(),
        signatures: day.signatures,
        pledges: day.pledges,
        pledged: money(day.pledged),
        payments: day.payments,
        paid: money(day.paid),
        pledges_ended: day.pledges_ended,
        refunds: day.refunds,
        refunded: money(day.refunded),
        cumulative_pledged: money(day.cumulative_pledged),
        cumulative_held: money(day.cumulative_held),
    }
}

pub(super) async fn daily_series(
    api: &Api,
    request: Request<pb::GetDailySeriesRequest>,
) -> Result<pb::GetDailySeriesResponse, Status> {
    let (call, message) = Call::of(request)?;
    let campaign = call.campaign("campaign", &message.campaign)?;
    let (first, last) = (&message.first_date, &message.last_date);
    let pages = Pages::of(
        &api.app.secrets,
        format!("GetDailySeries {campaign} {first} {last}"),
    );
    let size = Pages::rows(message.page_size)?;
    let after = pages.read(&message.page_token, |place| {
        date("page_token", place).ok().flatten()
    })?;
    let days = Days {
        first: date("first_date", first)?,
        last: date("last_date", last)?,
        after,
    };
    let report = api.reports.daily_series(campaign, days, size).await;
    let report = report.map_err(ApiError::from)?;
    let currency = report.head.currency;
    let rows = report.page.rows.iter();
    Ok(pb::GetDailySeriesResponse {
        head: Some(head_of(api, &report.head)),
        rows: rows.map(|row| day(currency, row)).collect(),
        next_page_token: pages.next(report.page.next),
    })
}
