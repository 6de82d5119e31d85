//! Trial balance, general ledger and cash flow.

use tonic::{Request, Status};

use super::{as_of, head_of};
use crate::{
    grpc::{
        Api, ApiError, Call,
        fields::{amount_of, date, money_of, name_or_none, timestamp_of},
        journal,
        page::Pages,
        pb,
    },
    id::CampaignId,
    ledger::AccountKey,
    money::{Amount, Commodity, Currency},
    report::{
        CashFlowQuery, Flow, GeneralLedgerRow, LineCursor, Period, TrialBalanceQuery,
        TrialBalanceRow, TrialBalanceTotal,
    },
};

/// A period as a request asks for it.
pub(super) struct Asked<'a> {
    pub(super) basis: pb::DateBasis,
    pub(super) after_entry: i64,
    pub(super) after_value_date: &'a str,
    pub(super) value_date: &'a str,
}

pub(super) fn period(asked: &Asked<'_>) -> Result<Period, ApiError> {
    match asked.basis {
        pb::DateBasis::Unspecified | pb::DateBasis::Recorded => {
            if !asked.value_date.is_empty() || !asked.after_value_date.is_empty() {
                let problem = "only on a value date basis";
                return Err(ApiError::field("value_date", problem));
            }
            Ok(Period::Entries {
                after: asked.after_entry,
            })
        }
        pb::DateBasis::ValueDate => {
            if asked.after_entry != 0 {
                let problem = "only on a basis of entry numbers";
                return Err(ApiError::field("after_entry_number", problem));
            }
            let last = date("value_date", asked.value_date)?;
            Ok(Period::ValueDates {
                after: date("after_value_date", asked.after_value_date)?,
                until: last.ok_or_else(|| ApiError::field("value_date", "missing"))?,
            })
        }
    }
}

/// An amount in a column, or an empty column.
fn column(amount: Amount, commodity: Commodity) -> Option<pb::Money> {
    (!amount.is_zero()).then(|| amount_of(amount, commodity))
}

fn trial_balance_row(campaign: CampaignId, row: &TrialBalanceRow) -> pb::TrialBalanceRow {
    let column = |amount| column(amount, row.commodity);
    pb::TrialBalanceRow {
        code: row.code.number().to_string(),
        display_name: row.code.name().to_owned(),
        book: journal::book(row.code.book()),
        account: name_or_none(campaign, "accounts", row.account),
        opening_debit: column(row.opening.debit),
        opening_credit: column(row.opening.credit),
        period_debit: column(row.period.debit),
        period_credit: column(row.period.credit),
        closing_debit: column(row.closing.debit),
        closing_credit: column(row.closing.credit),
        sub_accounts: row.sub_accounts,
        share_class: journal::share_class_of(campaign, row.commodity),
        account_type: row.code.kind().word().to_owned(),
    }
}

fn trial_balance_total(campaign: CampaignId, total: &TrialBalanceTotal) -> pb::TrialBalanceTotal {
    let amount = |amount| Some(amount_of(amount, total.commodity));
    pb::TrialBalanceTotal {
        book: journal::book(total.book),
        closing_debit: amount(total.closing.debit),
        closing_credit: amount(total.closing.credit),
        period_debit: amount(total.period.debit),
        period_credit: amount(total.period.credit),
        share_class: journal::share_class_of(campaign, total.commodity),
    }
}

fn general_ledger_row(campaign: CampaignId, row: &GeneralLedgerRow) -> pb::GeneralLedgerRow {
    pb::GeneralLedgerRow {
        entry_number: row.entry_number,
        event: journal::event(row.event),
        occurred_at: Some(timestamp_of(row.occurred_at)),
        value_date: row.value_date.to_string(),
        recorded_at: Some(timestamp_of(row.recorded_at)),
        line: Some(journal::line(campaign, &row.line)),
    }
}

pub(super) async fn trial_balance(
    api: &Api,
    request: Request<pb::GetTrialBalanceRequest>,
) -> Result<pb::GetTrialBalanceResponse, Status> {
    let (call, message) = Call::of(request)?;
    let campaign = call.campaign("campaign", &message.campaign)?;
    let query = TrialBalanceQuery {
        campaign,
        period: period(&Asked {
            basis: message.date_basis(),
            after_entry: message.after_entry_number,
            after_value_date: &message.after_value_date,
            value_date: &message.value_date,
        })?,
        as_of: as_of(message.entry_number)?,
        by_sub_account: message.by_sub_account,
    };
    let report = api
        .reports
        .trial_balance(query)
        .await
        .map_err(ApiError::from)?;
    let rows = report
        .rows
        .iter()
        .map(|row| trial_balance_row(campaign, row));
    let totals = report
        .totals
        .iter()
        .map(|total| trial_balance_total(campaign, total));
    Ok(pb::GetTrialBalanceResponse {
        head: Some(head_of(api, &report.head)),
        rows: rows.collect(),
        totals: totals.collect(),
    })
}

pub(super) async fn general_ledger(
    api: &Api,
    request: Request<pb::GetGeneralLedgerRequest>,
) -> Result<pb::GetGeneralLedgerResponse, Status> {
    let (call, message) = Call::of(request)?;
    let campaign = call.campaign("campaign", &message.campaign)?;
    let account: Option<AccountKey> =
        call.of_this(campaign, "account", &message.account, "accounts")?;
    let list = format!(
        "GetGeneralLedger {campaign} {} {}",
        message.account, message.entry_number
    );
    let pages = Pages::of(&api.app.secrets, list);
    let size = Pages::rows(message.page_size)?;
    // The first page fixes the last entry, so that the pages are of one moment.
    let place = pages.read(&message.page_token, |place| {
        let mut parts = place.split(' ').map(|part| part.parse::<i64>().ok());
        let cursor = LineCursor {
            entry: parts.next()??,
            line: i16::try_from(parts.next()??).ok()?,
        };
        Some((cursor, parts.next()??))
    })?;
    let (after, upto) = match place {
        Some((after, upto)) => (after, Some(upto)),
        None => (
            LineCursor { entry: 0, line: 0 },
            as_of(message.entry_number)?,
        ),
    };
    let report = api
        .reports
        .general_ledger(campaign, account, upto, after, size)
        .await;
    let report = report.map_err(ApiError::from)?;
    let upto = report.head.entry_number;
    let next = report
        .page
        .next
        .map(|next| format!("{} {} {upto}", next.entry, next.line));
    let rows = report
        .page
        .rows
        .iter()
        .map(|row| general_ledger_row(campaign, row));
    Ok(pb::GetGeneralLedgerResponse {
        head: Some(head_of(api, &report.head)),
        rows: rows.collect(),
        next_page_token: pages.next(next),
    })
}

fn flow(account: String, display_name: String, flow: &Flow, currency: Currency) -> pb::CashFlowRow {
    let money = |amount| Some(money_of(amount, currency));
    pb::CashFlowRow {
        money_account: account,
        display_name,
        opening: money(flow.opening),
        receipts: money(flow.receipts),
        failures: money(flow.failures),
        fees: money(flow.fees),
        refunds: money(flow.refunds),
        transfers: money(flow.transfers),
        seller: money(flow.seller),
        other: money(flow.other),
        closing: money(flow.closing),
    }
}

pub(super) async fn cash_flow(
    api: &Api,
    request: Request<pb::GetCashFlowRequest>,
) -> Result<pb::GetCashFlowResponse, Status> {
    let (call, message) = Call::of(request)?;
    let campaign = call.campaign("campaign", &message.campaign)?;
    let query = CashFlowQuery {
        campaign,
        period: period(&Asked {
            basis: message.date_basis(),
            after_entry: message.after_entry_number,
            after_value_date: &message.after_value_date,
            value_date: &message.value_date,
        })?,
        as_of: as_of(message.entry_number)?,
    };
    let report = api.reports.cash_flow(query).await.map_err(ApiError::from)?;
    let currency = report.head.currency;
    let row = report.rows.iter().map(|row| {
        let account = name_or_none(campaign, "moneyAccounts", row.account);
        flow(account, row.display_name.clone(), &row.flow, currency)
    });
    Ok(pb::GetCashFlowResponse {
        head: Some(head_of(api, &report.head)),
        rows: row.collect(),
        total: Some(flow(String::new(), String::new(), &report.total, currency)),
    })
}
