//! What one member did, and who holds which shares.

use tonic::{Request, Status};

use super::{as_of, head_of};
use crate::{
    grpc::{
        Api, ApiError, Call,
        fields::{money_of, name, name_or_none, timestamp_of},
        journal,
        page::Pages,
        pb,
    },
    id::{CampaignId, MemberId},
    money::Currency,
    report::{BackerStatementRow, RegisterClass, RegisterLot},
};

fn statement_row(
    campaign: CampaignId,
    currency: Currency,
    row: &BackerStatementRow,
) -> pb::BackerStatementRow {
    let money = |amount| Some(money_of(amount, currency));
    let pledge = || name_or_none(campaign, "pledges", row.pledge);
    let payment = row
        .payment
        .map(|payment| name(campaign, "payments", payment));
    pb::BackerStatementRow {
        entry_number: row.entry_number,
        occurred_at: Some(timestamp_of(row.occurred_at)),
        value_date: row.value_date.to_string(),
        event: journal::event(row.event),
        reference: payment.unwrap_or_else(pledge),
        object_id: row.object_id.clone().unwrap_or_default(),
        promised: money(row.promised),
        held_change: money(row.held_change),
        refundable_change: money(row.refundable_change),
        outstanding_after: money(row.outstanding_after),
        held_after: money(row.held_after),
        refundable_after: money(row.refundable_after),
    }
}

pub(super) async fn backer_statement(
    api: &Api,
    request: Request<pb::GetBackerStatementRequest>,
) -> Result<pb::GetBackerStatementResponse, Status> {
    let (call, message) = Call::of(request)?;
    let (campaign, member): (_, MemberId) =
        call.of_campaign("member", &message.member, "members")?;
    let list = format!("GetBackerStatement {member} {}", message.entry_number);
    let pages = Pages::of(&api.app.secrets, list);
    let size = Pages::rows(message.page_size)?;
    let place = pages.read(&message.page_token, |place| {
        let (after, upto) = place.split_once(' ')?;
        Some((after.parse().ok()?, upto.parse().ok()?))
    })?;
    let (after, upto) = match place {
        Some((after, upto)) => (after, Some(upto)),
        None => (0, as_of(message.entry_number)?),
    };
    let report = api
        .reports
        .backer_statement(campaign, member, upto, after, size)
        .await;
    let report = report.map_err(ApiError::from)?;
    let currency = report.head.currency;
    let upto = report.head.entry_number;
    let next = report.page.next.map(|next| format!("{next} {upto}"));
    let rows = report
        .page
        .rows
        .iter()
        .map(|row| statement_row(campaign, currency, row));
    let shares = report.shares.iter().map(|held| pb::HeldShares {
        share_class: name(campaign, "shareClasses", held.share_class),
        units: held.units,
    });
    Ok(pb::GetBackerStatementResponse {
        head: Some(head_of(api, &report.head)),
        member: message.member,
        display_name: report.display_name.unwrap_or_default(),
        rows: rows.collect(),
        outstanding: Some(money_of(report.outstanding, currency)),
        held: Some(money_of(report.held, currency)),
        refundable: Some(money_of(report.refundable, currency)),
        shares: shares.collect(),
        next_page_token: pages.next(next),
    })
}

fn register_row(
    campaign: CampaignId,
    currency: Currency,
    lot: &RegisterLot,
) -> pb::ShareRegisterRow {
    pb::ShareRegisterRow {
        member_number: lot.member_number,
        member: name(campaign, "members", lot.member),
        display_name: lot.display_name.clone().unwrap_or_default(),
        admitted_on: lot.admitted_on.to_string(),
        left_on: lot.left_on.map_or_else(String::new, |day| day.to_string()),
        certificate: lot.certificate,
        share_class: name(campaign, "shareClasses", lot.share_class),
        units: lot.units,
        cancelled: lot.cancelled,
        nominal_value: Some(money_of(lot.nominal_value, currency)),
        entry: name(campaign, "entries", lot.entry),
    }
}

fn register_total(
    campaign: CampaignId,
    currency: Currency,
    class: &RegisterClass,
) -> pb::ShareRegisterTotal {
    pb::ShareRegisterTotal {
        share_class: name(campaign, "shareClasses", class.id),
        display_name: class.display_name.clone(),
        authorised: class.authorised,
        issued: class.issued(),
        held: class.held,
        cancelled: class.cancelled,
        unissued: class.unissued,
        nominal: Some(money_of(class.nominal, currency)),
        nominal_capital: Some(money_of(class.nominal_capital, currency)),
        liability: class.liability,
    }
}

pub(super) async fn share_register(
    api: &Api,
    request: Request<pb::GetShareRegisterRequest>,
) -> Result<pb::GetShareRegisterResponse, Status> {
    let (call, message) = Call::of(request)?;
    let campaign = call.campaign("campaign", &message.campaign)?;
    let list = format!("GetShareRegister {campaign} {}", message.entry_number);
    let pages = Pages::of(&api.app.secrets, list);
    let size = Pages::rows(message.page_size)?;
    // The first page fixes the last entry, so that the pages are of one moment.
    let place = pages.read(&message.page_token, |place| {
        let (after, upto) = place.split_once(' ')?;
        Some((after.parse().ok()?, upto.parse().ok()?))
    })?;
    let (after, upto) = match place {
        Some((after, upto)) => (after, Some(upto)),
        None => (0, as_of(message.entry_number)?),
    };
    let report = api
        .reports
        .share_register(campaign, upto, after, size)
        .await;
    let report = report.map_err(ApiError::from)?;
    let currency = report.head.currency;
    let upto = report.head.entry_number;
    let next = report.page.next.map(|next| format!("{next} {upto}"));
    let lots = report.page.rows.iter();
    let capital = report.capital.as_ref();
    let classes = capital.map_or(&[][..], |capital| &capital.classes).iter();
    Ok(pb::GetShareRegisterResponse {
        head: Some(head_of(api, &report.head)),
        rows: lots
            .map(|lot| register_row(campaign, currency, lot))
            .collect(),
        totals: classes
            .map(|class| register_total(campaign, currency, class))
            .collect(),
        share_capital: capital.map(|capital| money_of(capital.share_capital, currency)),
        liability_shares: capital.map(|capital| money_of(capital.liability_shares, currency)),
        next_page_token: pages.next(next),
    })
}
