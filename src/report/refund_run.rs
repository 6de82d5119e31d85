//! A run of refunds, item by item, and how what the ledger owes in refunds is explained.
//!
//! It is made of the rows of items, refunds and payments: it says how they stand now, and
//! cannot be drawn as of an earlier entry. What is explained is counted from those rows
//! and what is owed from the ledger, so that a difference would show.

use sqlx::PgConnection;

use super::{
    Basis, Head, Page, ReportError, Reports, balances_of, head, known, not_found, one_more, plus,
};
use crate::{
    domain::{refund::RefundState, run::RunItemState},
    id::{CampaignId, MemberId, PaymentId, RefundId, RunId},
    ledger::Code,
    money::Amount,
};

/// A page of a run of refunds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRun {
    /// The head: the last entry.
    pub head: Head,
    /// The items, by position.
    pub page: Page<RefundRunRow, i64>,
    /// The totals by state, and what explains the ledger; with the first page alone.
    pub sums: Option<(Vec<RefundRunTotal>, RefundTie)>,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRunRow {
    /// Its place in the list, from 1.
    pub position: i64,
    /// To whom, where known.
    pub member: Option<MemberId>,
    /// The payment that is refunded.
    pub payment: PaymentId,
    /// How much.
    pub amount: Amount,
    /// What the member bears of the fees.
    pub borne: Amount,
    /// True from a bank account, false through the provider.
    pub by_bank: bool,
    /// Where the item is.
    pub state: RunItemState,
    /// Why it could not be done.
    pub problem: String,
    /// The refund that it made.
    pub refund: Option<RunRefund>,
}

/// The refund of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRefund {
    /// Its id.
    pub id: RefundId,
    /// From 1: how often it was to be sent.
    pub attempt: i32,
    /// Where it is in its life.
    pub state: RefundState,
    /// The provider's or bank's id of the movement, once it is sent.
    pub object_id: String,
    /// Why it came back.
    pub failure_code: String,
}

/// The items in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundRunTotal {
    /// Where the items are.
    pub item: RunItemState,
    /// Where their refunds are.
    pub refund: Option<RefundState>,
    /// How many.
    pub items: i64,
    /// How much.
    pub amount: Amount,
}

/// What the campaign owes members in refunds, and what explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundTie {
    /// 2200.
    pub payable: Amount,
    /// 2210.
    pub returned_balance: Amount,
    /// Of 2200: refunds that are asked for or approved, and not sent yet.
    pub unsent: Amount,
    /// Of 2210: refunds that came back.
    pub returned: Amount,
    /// Of 2200: what no refund asks for.
    pub unrequested: Amount,
    /// What is not explained.
    pub difference: Amount,
}

impl Reports {
    /// A page of a run of refunds after a position (0 for the first page).
    ///
    /// # Errors
    /// [`ReportError`] when the campaign or the run does not exist, or is not of refunds.
    pub async fn refund_run(
        &self,
        campaign: CampaignId,
        run: RunId,
        after: i64,
        limit: usize,
    ) -> Result<RefundRun, ReportError> {
        let mut snapshot = self.snapshot().await?;
        let head = head::read(&mut snapshot, campaign, None, Basis::Recorded).await?;
        let found = sqlx::query_file_scalar!("src/report/refund_run_found.sql", campaign.0, run.0);
        if found.fetch_optional(&mut *snapshot).await? != Some(true) {
            let what = format_args!("campaigns/{campaign}/runs/{run} as a run of refunds");
            return Err(not_found(what));
        }
        let rows = items(&mut snapshot, campaign, run, after, limit).await?;
        let sums = match after {
            0 => {
                let totals = totals(&mut snapshot, campaign, run).await?;
                Some((totals, tie(&mut snapshot, &head).await?))
            }
            _ => None,
        };
        snapshot.commit().await?;
        let page = Page::of(rows, limit, |last| last.position);
        Ok(RefundRun { head, page, sums })
    }
}

fn refund_state(word: &str) -> Result<RefundState, ReportError> {
    known(RefundState::of_word(word), word)
}

fn item_state(word: &str) -> Result<RunItemState, ReportError> {
    known(RunItemState::of_word(word), word)
}

async fn items(
    snapshot: &mut PgConnection,
    campaign: CampaignId,
    run: RunId,
    after: i64,
    limit: usize,
) -> Result<Vec<RefundRunRow>, ReportError> {
    let items = sqlx::query_file!(
        "src/report/refund_run.sql",
        campaign.0,
        run.0,
        after,
        one_more(limit),
    );
    let items = items.fetch_all(snapshot).await?.into_iter();
    let item = items.map(|row| {
        let refund = match (row.refund_id, row.attempt, row.refund_state) {
            (Some(id), Some(attempt), Some(state)) => Some(RunRefund {
                id: RefundId(id),
                attempt,
                state: refund_state(&state)?,
                object_id: row.object_id.unwrap_or_default(),
                failure_code: row.failure_code.unwrap_or_default(),
            }),
            _ => None,
        };
        Ok(RefundRunRow {
            position: row.position,
            member: row.member_id.map(MemberId),
            payment: PaymentId(row.payment_id),
            amount: Amount::of_units(row.amount),
            borne: Amount::of_units(row.released),
            by_bank: row.kind == "bank",
            state: item_state(&row.state)?,
            problem: row.problem,
            refund,
        })
    });
    item.collect()
}

async fn totals(
    snapshot: &mut PgConnection,
    campaign: CampaignId,
    run: RunId,
) -> Result<Vec<RefundRunTotal>, ReportError> {
    let totals = sqlx::query_file!("src/report/refund_run_totals.sql", campaign.0, run.0);
    let totals = totals.fetch_all(snapshot).await?.into_iter();
    let total = totals.map(|row| {
        Ok(RefundRunTotal {
            item: item_state(&row.item_state)?,
            refund: row.refund_state.as_deref().map(refund_state).transpose()?,
            items: row.items,
            amount: Amount::of_units(row.amount),
        })
    });
    total.collect()
}

async fn tie(snapshot: &mut PgConnection, head: &Head) -> Result<RefundTie, ReportError> {
    let row = sqlx::query_file!("src/report/refund_run_tie.sql", head.campaign.0);
    let row = row.fetch_one(&mut *snapshot).await?;
    let codes = [Code::RefundsPayable, Code::RefundsReturned];
    let [payable, returned_balance] = balances_of(snapshot, head, codes)
        .await?
        .map(Amount::negated);
    let [unsent, returned, unrequested] =
        [row.unsent, row.returned, row.unrequested].map(Amount::of_units);
    let explained = plus(plus(unsent, returned)?, unrequested)?;
    let difference = plus(plus(payable, returned_balance)?, explained.negated())?;
    Ok(RefundTie {
        payable,
        returned_balance,
        unsent,
        returned,
        unrequested,
        difference,
    })
}
