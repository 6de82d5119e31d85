//! The trial balance: every account with its opening balance, its movements and
//! its closing balance.
//!
//! By entries, a row is the difference of two probes of the lines' primary key,
//! whatever the length of the journal. By value dates, back-dated entries count
//! on their day: the totals by day, less what was recorded after the entry that
//! the report is as of, so that later back-dating cannot change what was drawn.

use sqlx::PgConnection;
use time::Date;

use super::{Basis, Head, ReportError, Reports, account_key, code, head, known, plus};
use crate::{
    id::CampaignId,
    ledger::{AccountKey, Book, Code},
    money::{Amount, Commodity},
};

/// What to draw a trial balance of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialBalanceQuery {
    /// The campaign.
    pub campaign: CampaignId,
    /// The period, on its date basis.
    pub period: Period,
    /// Only what was recorded up to this entry; the last one for none or 0.
    pub as_of: Option<i64>,
    /// One row an account rather than one a code and commodity.
    pub by_sub_account: bool,
}

/// A period on one date basis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// After this entry, 0 for the first, up to the one that the report is as of.
    Entries {
        /// The last entry before the period.
        after: i64,
    },
    /// Days on which money counts.
    ValueDates {
        /// The last day before the period; none for everything.
        after: Option<Date>,
        /// The last day of the period.
        until: Date,
    },
}

/// Two columns of a report; neither is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// Left.
    pub debit: Amount,
    /// Right.
    pub credit: Amount,
}

impl Sides {
    /// A balance in the column of its side.
    #[must_use]
    pub fn of_balance(net: Amount) -> Self {
        if net.is_positive() {
            Self {
                debit: net,
                credit: Amount::ZERO,
            }
        } else {
            Self {
                debit: Amount::ZERO,
                credit: net.negated(),
            }
        }
    }

    fn plus(self, other: Self) -> Result<Self, ReportError> {
        Ok(Self {
            debit: plus(self.debit, other.debit)?,
            credit: plus(self.credit, other.credit)?,
        })
    }
}

/// A trial balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialBalance {
    /// The head.
    pub head: Head,
    /// The rows, by code, commodity and owner.
    pub rows: Vec<TrialBalanceRow>,
    /// The totals, by book and commodity.
    pub totals: Vec<TrialBalanceTotal>,
}

/// One row: a code in a commodity, or one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialBalanceRow {
    /// The code in the chart, which tells name, book and kind.
    pub code: Code,
    /// What the account holds.
    pub commodity: Commodity,
    /// The account, where the rows are by sub-account.
    pub account: Option<AccountKey>,
    /// The number of accounts that the row sums.
    pub sub_accounts: i64,
    /// The balance before the period, over all of the row's accounts.
    pub opening: Sides,
    /// The movements of the period.
    pub period: Sides,
    /// The balance after the period, over all of the row's accounts.
    pub closing: Sides,
}

/// The total of a book and commodity; debits equal credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialBalanceTotal {
    /// The book.
    pub book: Book,
    /// The commodity.
    pub commodity: Commodity,
    /// The opening balances.
    pub opening: Sides,
    /// The movements.
    pub period: Sides,
    /// The closing balances.
    pub closing: Sides,
}

struct Row {
    code: i16,
    commodity: String,
    owner: Option<uuid::Uuid>,
    sub_accounts: i64,
    opening: i64,
    period_debit: i64,
    period_credit: i64,
    closing: i64,
}

impl Row {
    fn view(self) -> Result<TrialBalanceRow, ReportError> {
        let account = self
            .owner
            .map(|owner| account_key(self.code, &self.commodity, owner));
        Ok(TrialBalanceRow {
            code: code(self.code)?,
            commodity: known(self.commodity.parse().ok(), &self.commodity)?,
            account: account.transpose()?,
            sub_accounts: self.sub_accounts,
            opening: Sides::of_balance(Amount::of_units(self.opening)),
            period: Sides {
                debit: Amount::of_units(self.period_debit),
                credit: Amount::of_units(self.period_credit),
            },
            closing: Sides::of_balance(Amount::of_units(self.closing)),
        })
    }
}

impl Reports {
    /// Draws a trial balance.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign or an entry does not exist, or the
    /// period ends before it begins.
    pub async fn trial_balance(
        &self,
        query: TrialBalanceQuery,
    ) -> Result<TrialBalance, ReportError> {
        let basis = match query.period {
            Period::Entries { .. } => Basis::Recorded,
            Period::ValueDates { until, .. } => Basis::ValueDate(until),
        };
        let mut snapshot = self.snapshot().await?;
        let head = head::read(&mut snapshot, query.campaign, query.as_of, basis).await?;
        let rows = read(&mut snapshot, &query, head.entry_number).await?;
        snapshot.commit().await?;
        let rows: Vec<TrialBalanceRow> =
            rows.into_iter().map(Row::view).collect::<Result<_, _>>()?;
        let totals = totals(&rows)?;
        Ok(TrialBalance { head, rows, totals })
    }
}

async fn read(
    snapshot: &mut PgConnection,
    query: &TrialBalanceQuery,
    as_of: i64,
) -> Result<Vec<Row>, ReportError> {
    let campaign = query.campaign.0;
    let by_sub_account = query.by_sub_account;
    Ok(match query.period {
        Period::Entries { after } if after > as_of => return Err(ReportError::PeriodIsBackwards),
        Period::ValueDates { after, until } if after > Some(until) => {
            return Err(ReportError::PeriodIsBackwards);
        }
        Period::Entries { after } => {
            let by_entry = sqlx::query_file_as!(
                Row,
                "src/report/trial_balance_by_entry.sql",
                campaign,
                as_of,
                by_sub_account,
                after,
            );
            by_entry.fetch_all(snapshot).await?
        }
        Period::ValueDates { after, until } => {
            let by_value_date = sqlx::query_file_as!(
                Row,
                "src/report/trial_balance_by_value_date.sql",
                campaign,
                as_of,
                by_sub_account,
                after,
                until,
            );
            by_value_date.fetch_all(snapshot).await?
        }
    })
}

fn totals(rows: &[TrialBalanceRow]) -> Result<Vec<TrialBalanceTotal>, ReportError> {
    let mut totals: Vec<TrialBalanceTotal> = Vec::new();
    for row in rows {
        let (book, commodity) = (row.code.book(), row.commodity);
        let same =
            |total: &&mut TrialBalanceTotal| total.book == book && total.commodity == commodity;
        match totals.iter_mut().find(same) {
            Some(total) => {
                total.opening = total.opening.plus(row.opening)?;
                total.period = total.period.plus(row.period)?;
                total.closing = total.closing.plus(row.closing)?;
            }
            None => totals.push(TrialBalanceTotal {
                book,
                commodity,
                opening: row.opening,
                period: row.period,
                closing: row.closing,
            }),
        }
    }
    totals.sort_by_key(|total| (total.book, total.commodity.to_string()));
    Ok(totals)
}
