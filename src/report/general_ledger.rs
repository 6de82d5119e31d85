//! The general ledger: the lines of one account or of all, each with the
//! account's running balance.

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::{
    Basis, Head, Page, ReportError, Reports, account_key, accounts, event, head, one_more,
};
use crate::{
    id::{CampaignId, PaymentId, PledgeId},
    ledger::{AccountKey, Balance, Event, Line, PostedLine},
    money::Amount,
};

/// A place in the journal, between two lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineCursor {
    /// The entry of the line before.
    pub entry: i64,
    /// The line before, within its entry.
    pub line: i16,
}

/// A page of the general ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneralLedger {
    /// The head.
    pub head: Head,
    /// The rows, in the order of entry and line.
    pub page: Page<GeneralLedgerRow, LineCursor>,
}

/// One line, with its entry's dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneralLedgerRow {
    /// The entry's number.
    pub entry_number: i64,
    /// The change that the entry belongs to.
    pub change_number: i64,
    /// Why it was made.
    pub event: Event,
    /// When it happened.
    pub occurred_at: OffsetDateTime,
    /// The day on which the money counts.
    pub value_date: Date,
    /// When it was recorded.
    pub recorded_at: OffsetDateTime,
    /// 1, 2, … within the entry.
    pub line_number: i16,
    /// The line, with its account after it.
    pub line: PostedLine,
}

/// A line as it is read, with what its account and its entry say.
pub(super) struct LineRow {
    pub(super) entry_no: i64,
    pub(super) change_no: i64,
    pub(super) event: String,
    pub(super) occurred_at: OffsetDateTime,
    pub(super) value_date: Date,
    pub(super) recorded_at: OffsetDateTime,
    pub(super) line_no: i16,
    pub(super) account_no: i32,
    pub(super) code: i16,
    pub(super) commodity: String,
    pub(super) owner: Uuid,
    pub(super) amount: i64,
    pub(super) balance: i64,
    pub(super) debits: i64,
    pub(super) payment_id: Option<Uuid>,
    pub(super) pledge_id: Option<Uuid>,
}

impl LineRow {
    pub(super) fn posted(&self) -> Result<PostedLine, ReportError> {
        Ok(PostedLine {
            line: Line {
                account: account_key(self.code, &self.commodity, self.owner)?,
                amount: Amount::of_units(self.amount),
                payment: self.payment_id.map(PaymentId),
                pledge: self.pledge_id.map(PledgeId),
            },
            account_no: self.account_no,
            balance: Balance {
                net: Amount::of_units(self.balance),
                debits: Amount::of_units(self.debits),
            },
        })
    }

    fn view(&self) -> Result<GeneralLedgerRow, ReportError> {
        Ok(GeneralLedgerRow {
            entry_number: self.entry_no,
            change_number: self.change_no,
            event: event(&self.event)?,
            occurred_at: self.occurred_at,
            value_date: self.value_date,
            recorded_at: self.recorded_at,
            line_number: self.line_no,
            line: self.posted()?,
        })
    }
}

impl Reports {
    /// A page of the lines of one account, or of all, as of an entry (the last
    /// one for none or 0) and after a cursor.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign, the account or the entry does not exist.
    pub async fn general_ledger(
        &self,
        campaign: CampaignId,
        account: Option<AccountKey>,
        as_of: Option<i64>,
        after: LineCursor,
        limit: usize,
    ) -> Result<GeneralLedger, ReportError> {
        let mut snapshot = self.snapshot().await?;
        let head = head::read(&mut snapshot, campaign, as_of, Basis::Recorded).await?;
        let upto = head.entry_number;
        let rows = match account {
            None => of_all(&mut snapshot, campaign, after, upto, limit).await?,
            Some(account) => {
                let number = accounts::number(&mut snapshot, campaign, account).await?;
                of_one(&mut snapshot, campaign, number, after, upto, limit).await?
            }
        };
        snapshot.commit().await?;
        let rows = rows.iter().map(LineRow::view).collect::<Result<_, _>>()?;
        let page = Page::of(rows, limit, |last: &GeneralLedgerRow| LineCursor {
            entry: last.entry_number,
            line: last.line_number,
        });
        Ok(GeneralLedger { head, page })
    }
}

async fn of_all(
    snapshot: &mut PgConnection,
    campaign: CampaignId,
    after: LineCursor,
    upto: i64,
    limit: usize,
) -> Result<Vec<LineRow>, ReportError> {
    let lines = sqlx::query_file_as!(
        LineRow,
        "src/report/general_ledger.sql",
        campaign.0,
        after.entry,
        after.line,
        upto,
        one_more(limit),
    );
    Ok(lines.fetch_all(snapshot).await?)
}

async fn of_one(
    snapshot: &mut PgConnection,
    campaign: CampaignId,
    account_no: i32,
    after: LineCursor,
    upto: i64,
    limit: usize,
) -> Result<Vec<LineRow>, ReportError> {
    let lines = sqlx::query_file_as!(
        LineRow,
        "src/report/general_ledger_of_account.sql",
        campaign.0,
        after.entry,
        after.line,
        upto,
        one_more(limit),
        account_no,
    );
    Ok(lines.fetch_all(snapshot).await?)
}
