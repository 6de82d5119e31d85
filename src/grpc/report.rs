//! `ReportService`.

use tonic::{Request, Response, Status};

use super::{
    Api, ApiError, Call,
    fields::{amount_of, campaign_name, date, money_of, name, name_or_none, timestamp_of},
    journal,
    page::Pages,
    pb::{self, report_service_server::ReportService},
};
use crate::{
    id::{CampaignId, MemberId},
    ledger::AccountKey,
    money::{Amount, Commodity, Currency},
    report::{
        BackerStatementRow, Basis, CoverageRow, GeneralLedgerRow, Head, LineCursor, Period,
        ProgressRow, Rung, TrialBalanceQuery, TrialBalanceRow, TrialBalanceTotal,
    },
};

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

fn period(message: &pb::GetTrialBalanceRequest) -> Result<Period, ApiError> {
    match message.date_basis() {
        pb::DateBasis::Unspecified | pb::DateBasis::Recorded => {
            if !message.value_date.is_empty() || !message.after_value_date.is_empty() {
                let problem = "only on a value date basis";
                return Err(ApiError::field("value_date", problem));
            }
            Ok(Period::Entries {
                after: message.after_entry_number,
            })
        }
        pb::DateBasis::ValueDate => {
            if message.after_entry_number != 0 {
                let problem = "only on a basis of entry numbers";
                return Err(ApiError::field("after_entry_number", problem));
            }
            let last = date("value_date", &message.value_date)?;
            Ok(Period::ValueDates {
                after: date("after_value_date", &message.after_value_date)?,
                until: last.ok_or_else(|| ApiError::field("value_date", "missing"))?,
            })
        }
    }
}

impl Api {
    fn head_of(&self, head: &Head) -> pb::ReportHead {
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
            drawn_at: Some(timestamp_of(self.app.clock.now())),
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

fn progress_row(currency: Currency, row: &ProgressRow) -> pb::ProgressRow {
    let rung = match row.rung {
        Rung::Signed => pb::CertaintyRung::Signed,
        Rung::Pledged => pb::CertaintyRung::Pledged,
        Rung::Captured => pb::CertaintyRung::Captured,
        Rung::Available => pb::CertaintyRung::Available,
        Rung::Cleared => pb::CertaintyRung::Cleared,
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

#[tonic::async_trait]
impl ReportService for Api {
    async fn get_trial_balance(
        &self,
        request: Request<pb::GetTrialBalanceRequest>,
    ) -> Result<Response<pb::GetTrialBalanceResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let query = TrialBalanceQuery {
            campaign,
            period: period(&message)?,
            as_of: as_of(message.entry_number)?,
            by_sub_account: message.by_sub_account,
        };
        let report = self
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
        Ok(Response::new(pb::GetTrialBalanceResponse {
            head: Some(self.head_of(&report.head)),
            rows: rows.collect(),
            totals: totals.collect(),
        }))
    }

    async fn get_general_ledger(
        &self,
        request: Request<pb::GetGeneralLedgerRequest>,
    ) -> Result<Response<pb::GetGeneralLedgerResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let account: Option<AccountKey> =
            call.of_this(campaign, "account", &message.account, "accounts")?;
        let list = format!(
            "GetGeneralLedger {campaign} {} {}",
            message.account, message.entry_number
        );
        let pages = Pages::of(&self.app.secrets, list);
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
        let report = self
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
        Ok(Response::new(pb::GetGeneralLedgerResponse {
            head: Some(self.head_of(&report.head)),
            rows: rows.collect(),
            next_page_token: pages.next(next),
        }))
    }

    async fn get_backer_statement(
        &self,
        request: Request<pb::GetBackerStatementRequest>,
    ) -> Result<Response<pb::GetBackerStatementResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, member): (_, MemberId) =
            call.of_campaign("member", &message.member, "members")?;
        let list = format!("GetBackerStatement {member} {}", message.entry_number);
        let pages = Pages::of(&self.app.secrets, list);
        let size = Pages::rows(message.page_size)?;
        let place = pages.read(&message.page_token, |place| {
            let (after, upto) = place.split_once(' ')?;
            Some((after.parse().ok()?, upto.parse().ok()?))
        })?;
        let (after, upto) = match place {
            Some((after, upto)) => (after, Some(upto)),
            None => (0, as_of(message.entry_number)?),
        };
        let report = self
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
        Ok(Response::new(pb::GetBackerStatementResponse {
            head: Some(self.head_of(&report.head)),
            member: message.member,
            display_name: report.display_name.unwrap_or_default(),
            rows: rows.collect(),
            outstanding: Some(money_of(report.outstanding, currency)),
            held: Some(money_of(report.held, currency)),
            refundable: Some(money_of(report.refundable, currency)),
            shares: shares.collect(),
            next_page_token: pages.next(next),
        }))
    }

    async fn get_campaign_progress(
        &self,
        request: Request<pb::GetCampaignProgressRequest>,
    ) -> Result<Response<pb::GetCampaignProgressResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let report = self.reports.progress(campaign, self.app.clock.now()).await;
        let report = report.map_err(ApiError::from)?;
        let currency = report.head.currency;
        let money = |amount| Some(money_of(amount, currency));
        Ok(Response::new(pb::GetCampaignProgressResponse {
            head: Some(self.head_of(&report.head)),
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
        }))
    }

    async fn get_coverage(
        &self,
        request: Request<pb::GetCoverageRequest>,
    ) -> Result<Response<pb::GetCoverageResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let report = self
            .reports
            .coverage(campaign, as_of(message.entry_number)?)
            .await;
        let report = report.map_err(ApiError::from)?;
        let currency = report.head.currency;
        let money = |amount| Some(money_of(amount, currency));
        Ok(Response::new(pb::GetCoverageResponse {
            head: Some(self.head_of(&report.head)),
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
        }))
    }
}
