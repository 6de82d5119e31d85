//! What it costs, and what goes back.

use tonic::{Request, Status};

use super::{as_of, head_of};
use crate::{
    domain::{refund::RefundState, run::RunItemState},
    grpc::{
        Api, ApiError, Call,
        fields::{money_of, name, name_or_none, wire},
        page::Pages,
        pb,
    },
    id::CampaignId,
    money::{Amount, Currency},
    report::{FeeKind, FeeRow, RefundRunRow, RefundTie},
};

fn fee_row(currency: Currency, row: &FeeRow) -> pb::FeeRow {
    let (kind, method) = match row.kind {
        FeeKind::Payment(method) => {
            let of_name = pb::PaymentMethod::from_str_name;
            let method = wire(of_name, "PAYMENT_METHOD_", method.word());
            (pb::FeeKind::Payment, method)
        }
        FeeKind::Bank => (pb::FeeKind::Bank, 0),
        FeeKind::Dispute => (pb::FeeKind::Dispute, 0),
    };
    pb::FeeRow {
        kind: kind.into(),
        method,
        count: row.count,
        volume: row.volume.map(|volume| money_of(volume, currency)),
        fee: Some(money_of(row.fee, currency)),
        returned: Some(money_of(row.returned, currency)),
        effective_basis_points: row.effective_basis_points().unwrap_or(-1),
    }
}

pub(super) async fn fees(
    api: &Api,
    request: Request<pb::GetFeesRequest>,
) -> Result<pb::GetFeesResponse, Status> {
    let (call, message) = Call::of(request)?;
    let campaign = call.campaign("campaign", &message.campaign)?;
    let as_of = as_of(message.entry_number)?;
    let report = api
        .reports
        .fees(campaign, as_of)
        .await
        .map_err(ApiError::from)?;
    let currency = report.head.currency;
    let rows = report.rows.iter().map(|row| fee_row(currency, row));
    let balances = report.balances.iter().map(|(code, amount)| pb::FeeBalance {
        code: code.number().to_string(),
        display_name: code.name().to_owned(),
        amount: Some(money_of(*amount, currency)),
    });
    Ok(pb::GetFeesResponse {
        head: Some(head_of(api, &report.head)),
        rows: rows.collect(),
        balances: balances.collect(),
        borne_by_members: Some(money_of(report.borne_by_members, currency)),
        cover: Some(money_of(report.cover, currency)),
    })
}

fn item_state(state: RunItemState) -> i32 {
    wire(
        pb::RunItemState::from_str_name,
        "RUN_ITEM_STATE_",
        state.word(),
    )
}

fn refund_state(state: RefundState) -> i32 {
    wire(
        pb::RefundState::from_str_name,
        "REFUND_STATE_",
        state.word(),
    )
}

fn refund_row(campaign: CampaignId, currency: Currency, row: &RefundRunRow) -> pb::RefundRunRow {
    let refund = row.refund.as_ref();
    let rail = if row.by_bank {
        pb::RefundRail::Bank
    } else {
        pb::RefundRail::Provider
    };
    pb::RefundRunRow {
        position: row.position,
        member: name_or_none(campaign, "members", row.member),
        payment: name(campaign, "payments", row.payment),
        refund: name_or_none(campaign, "refunds", refund.map(|refund| refund.id)),
        amount: Some(money_of(row.amount, currency)),
        borne: Some(money_of(row.borne, currency)),
        rail: rail.into(),
        attempt: refund.map_or(0, |refund| refund.attempt),
        item_state: item_state(row.state),
        refund_state: refund.map_or(0, |refund| refund_state(refund.state)),
        object_id: refund.map_or_else(String::new, |refund| refund.object_id.clone()),
        failure_code: refund.map_or_else(String::new, |refund| refund.failure_code.clone()),
        problem: row.problem.clone(),
    }
}

fn tie_of(currency: Currency, tie: &RefundTie) -> pb::RefundTie {
    let money = |amount: Amount| Some(money_of(amount, currency));
    pb::RefundTie {
        refunds_payable: money(tie.payable),
        refunds_returned: money(tie.returned_balance),
        unsent: money(tie.unsent),
        returned: money(tie.returned),
        refundable_unrequested: money(tie.unrequested),
        difference: money(tie.difference),
    }
}

pub(super) async fn refund_run(
    api: &Api,
    request: Request<pb::GetRefundRunRequest>,
) -> Result<pb::GetRefundRunResponse, Status> {
    let (call, message) = Call::of(request)?;
    let (campaign, run) = call.of_campaign("run", &message.run, "runs")?;
    let pages = Pages::of(&api.app.secrets, format!("GetRefundRun {campaign} {run}"));
    let size = Pages::rows(message.page_size)?;
    let after = pages.read(&message.page_token, |place| place.parse::<i64>().ok())?;
    let report = api
        .reports
        .refund_run(campaign, run, after.unwrap_or(0), size)
        .await;
    let report = report.map_err(ApiError::from)?;
    let currency = report.head.currency;
    let (totals, tie) = report.sums.unzip();
    let totals = totals.unwrap_or_default().into_iter();
    let totals = totals.map(|total| pb::RefundRunTotal {
        item_state: item_state(total.item),
        refund_state: total.refund.map_or(0, refund_state),
        items: total.items,
        amount: Some(money_of(total.amount, currency)),
    });
    let rows = report.page.rows.iter();
    Ok(pb::GetRefundRunResponse {
        head: Some(head_of(api, &report.head)),
        rows: rows
            .map(|row| refund_row(campaign, currency, row))
            .collect(),
        totals: totals.collect(),
        tie: tie.map(|tie| tie_of(currency, &tie)),
        next_page_token: pages.next(report.page.next),
    })
}
