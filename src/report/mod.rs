//! What the ledger tells: read-only answers, one `.rs` and one `.sql` a report.
//!
//! Every answer comes from one `REPEATABLE READ READ ONLY` database transaction,
//! so its head and its rows are of the same moment. Where a report is *as of an
//! entry*, it is made of what can never change: lines carry their running
//! balance, so an account's balance after entry N is one probe of the lines'
//! primary key, and the same report drawn years later is the same to the cent.
//! Nothing here sums a hot account's lines; only `check` reads everything, since
//! that is its work.
//!
//! | file | tells |
//! |---|---|
//! | `head` | what a report must print to be drawn again |
//! | `trial_balance` | every account: opening, movements, closing |
//! | `general_ledger` | lines in order, with running balances |
//! | `entries` | entries as they stand in the journal |
//! | `accounts` | accounts and their balances |
//! | `backer_statement` | what one member promised, paid and is owed |
//! | `progress`, `public_progress` | the ladder of certainty; what everybody may see |
//! | `changes` | what was recorded after a change, and the progress that it came to |
//! | `watch` | the same as it happens, to everybody who watches |
//! | `coverage` | what is held against what is owed |
//! | `share_register` | who holds which shares, lot by lot |
//! | `refund_run` | a run of refunds, tied to what the ledger owes |
//! | `fees` | what was charged, where it stands and who bore it |
//! | `daily_series` | what happened on each day |
//! | `cash_flow` | what came in and went out on each account of money |
//! | `check` | every stored number recomputed |
//!
//! Amounts are sums of `bigint`, which PostgreSQL makes `numeric`; the cast back
//! fails where it does not fit, and a failed report is better than a wrong one.

mod accounts;
mod backer_statement;
mod cash_flow;
mod changes;
mod check;
mod coverage;
mod daily_series;
mod entries;
mod fees;
mod general_ledger;
mod head;
mod progress;
mod public_progress;
mod refund_run;
mod share_register;
mod trial_balance;
mod watch;

use std::fmt;

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

pub use accounts::{AccountView, AsOf, BalanceAsOf};
pub use backer_statement::{BackerStatement, BackerStatementRow, HeldShares};
pub use cash_flow::{CashFlow, CashFlowQuery, CashFlowRow, Flow};
pub use changes::{Change, Changes};
pub use check::{CheckResult, Difference};
pub use coverage::{Coverage, CoverageRow};
pub use daily_series::{DailySeries, Day, Days};
pub use entries::EntryView;
pub use fees::{FeeKind, FeeRow, Fees};
pub use general_ledger::{GeneralLedger, GeneralLedgerRow, LineCursor};
pub use head::{Basis, Head};
pub use progress::{Progress, ProgressRow, Rung};
pub use public_progress::PublicProgress;
pub use refund_run::{RefundRun, RefundRunRow, RefundRunTotal, RefundTie, RunRefund};
pub use share_register::{RegisterCapital, RegisterClass, RegisterLot, ShareRegister};
pub use trial_balance::{
    Period, Sides, TrialBalance, TrialBalanceQuery, TrialBalanceRow, TrialBalanceTotal,
};
pub use watch::{Watched, Watches};

use crate::{
    ledger::{AccountKey, Code, Event},
    money::Amount,
};

/// The reports, on a pool of the role that may only read.
#[derive(Clone, Debug)]
pub struct Reports {
    pool: PgPool,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is no such campaign.
    #[error("the campaign does not exist")]
    CampaignNotFound,
    /// What is asked about does not exist.
    #[error("{what} does not exist")]
    NotFound {
        /// What, as a resource name.
        what: String,
    },
    /// The ledger has not come to this entry yet.
    #[error("the ledger has no entry {entry} yet")]
    AsOfInFuture {
        /// The entry that was asked for.
        entry: i64,
    },
    /// The campaign has not come to this change yet.
    #[error("the campaign has no change {change} yet")]
    ChangeInFuture {
        /// The change that was asked for.
        change: i64,
    },
    /// A period that ends before it begins.
    #[error("the period ends before it begins")]
    PeriodIsBackwards,
    /// The database failed, or holds what this version does not know.
    #[error("the database gave no answer")]
    Database(#[from] sqlx::Error),
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The rows, in order.
    pub rows: Vec<T>,
    /// After what the next page begins; nothing on the last page.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// A page of what was read with one row more than asked for: the row more
    /// tells whether there is a next page, without a count.
    fn of(mut rows: Vec<T>, limit: usize, cursor: impl FnOnce(&T) -> C) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(cursor);
        Self { rows, next }
    }
}

impl Reports {
    /// Reports on this pool.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// A database transaction that sees one moment and can write nothing.
    async fn snapshot(&self) -> Result<Transaction<'static, Postgres>, ReportError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        Ok(self.pool.begin_with(begin).await?)
    }
}

/// One row more than the page holds; see [`Page::of`].
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

fn not_found(what: impl fmt::Display) -> ReportError {
    ReportError::NotFound {
        what: what.to_string(),
    }
}

/// What the database holds, where this program knows it. A newer program may
/// have written what an older one cannot read.
fn known<T>(value: Option<T>, what: impl fmt::Display) -> Result<T, ReportError> {
    value.ok_or_else(|| unreadable(format!("{what} is not known to this version")))
}

fn unreadable(problem: String) -> ReportError {
    ReportError::Database(sqlx::Error::Decode(problem.into()))
}

fn code(number: i16) -> Result<Code, ReportError> {
    known(Code::of_number(number), format_args!("code {number}"))
}

fn event(word: &str) -> Result<Event, ReportError> {
    known(Event::of_word(word), format_args!("event {word}"))
}

fn account_key(number: i16, commodity: &str, owner: Uuid) -> Result<AccountKey, ReportError> {
    let commodity_known = known(commodity.parse().ok(), commodity)?;
    let key = AccountKey::of_owner_id(code(number)?, commodity_known, owner);
    known(key, format_args!("account {number}.{commodity}.{owner}"))
}

/// A sum that may not leave the range: a wrong total is worse than none.
fn plus(sum: Amount, amount: Amount) -> Result<Amount, ReportError> {
    let too_much = || unreadable("a sum leaves the range of an amount".to_owned());
    sum.checked_add(amount).ok_or_else(too_much)
}

/// What the accounts of a code in the campaign's currency stood at together as of the
/// report's entry, debit positive; nothing for codes that were not used.
async fn balances_of<const CODES: usize>(
    snapshot: &mut PgConnection,
    head: &Head,
    codes: [Code; CODES],
) -> Result<[Amount; CODES], ReportError> {
    let rows = sqlx::query_file!(
        "src/report/balances_of_codes.sql",
        head.campaign.0,
        head.entry_number,
        head.currency.code(),
        &codes.map(Code::number)[..],
    );
    let rows = rows.fetch_all(snapshot).await?;
    Ok(codes.map(|code| {
        let row = rows.iter().find(|row| row.code == code.number());
        row.map_or(Amount::ZERO, |row| Amount::of_units(row.balance))
    }))
}
