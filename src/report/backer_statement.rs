//! What one member promised, paid and is owed: a row for every entry that
//! touches the promise (9000), the application money (2100) or the refunds
//! (2200) of the member.

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};

use super::{Basis, Head, Page, ReportError, Reports, event, head, known, not_found, one_more};
use crate::{
    id::{CampaignId, MemberId, PaymentId, PledgeId, ShareClassId},
    ledger::Event,
    money::Amount,
};

/// A member's statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackerStatement {
    /// The head.
    pub head: Head,
    /// The member.
    pub member: MemberId,
    /// The member's name, now; not for every caller.
    pub display_name: Option<String>,
    /// The rows, oldest first; a page goes on after an entry's number.
    pub page: Page<BackerStatementRow, i64>,
    /// Promised and unpaid.
    pub outstanding: Amount,
    /// Held for shares.
    pub held: Amount,
    /// Due back.
    pub refundable: Amount,
    /// Shares held, by class.
    pub shares: Vec<HeldShares>,
}

/// Shares that a member holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldShares {
    /// The class.
    pub share_class: ShareClassId,
    /// How many.
    pub units: i64,
}

/// One event of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackerStatementRow {
    /// The entry's number.
    pub entry_number: i64,
    /// When it happened.
    pub occurred_at: OffsetDateTime,
    /// The day on which the money counts.
    pub value_date: Date,
    /// What happened.
    pub event: Event,
    /// The payment that it is about.
    pub payment: Option<PaymentId>,
    /// The pledge that it is about.
    pub pledge: Option<PledgeId>,
    /// The provider's or bank's id of the payment's movement.
    pub object_id: Option<String>,
    /// By how much the promise changed.
    pub promised: Amount,
    /// By how much the held money changed.
    pub held_change: Amount,
    /// By how much the refundable money changed.
    pub refundable_change: Amount,
    /// Promised and unpaid after it.
    pub outstanding_after: Amount,
    /// Held after it.
    pub held_after: Amount,
    /// Refundable after it.
    pub refundable_after: Amount,
}

impl Reports {
    /// A page of a member's statement as of an entry (the last one for none or
    /// 0), after the entry of a number.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign, the member or the entry does not exist.
    pub async fn backer_statement(
        &self,
        campaign: CampaignId,
        member: MemberId,
        as_of: Option<i64>,
        after: i64,
        limit: usize,
    ) -> Result<BackerStatement, ReportError> {
        let mut snapshot = self.snapshot().await?;
        let head = head::read(&mut snapshot, campaign, as_of, Basis::Recorded).await?;
        let upto = head.entry_number;
        let totals = sqlx::query_file!(
            "src/report/backer_statement_totals.sql",
            campaign.0,
            member.0,
            upto
        );
        let totals = totals
            .fetch_optional(&mut *snapshot)
            .await?
            .ok_or_else(|| not_found(format_args!("campaigns/{campaign}/members/{member}")))?;
        let rows = rows(&mut snapshot, campaign, member, after, upto, limit).await?;
        let shares = shares(&mut snapshot, campaign, member, upto).await?;
        snapshot.commit().await?;
        Ok(BackerStatement {
            head,
            member,
            display_name: totals.display_name,
            page: Page::of(rows, limit, |last| last.entry_number),
            outstanding: Amount::of_units(totals.outstanding),
            held: Amount::of_units(totals.held),
            refundable: Amount::of_units(totals.refundable),
            shares,
        })
    }
}

async fn rows(
    snapshot: &mut PgConnection,
    campaign: CampaignId,
    member: MemberId,
    after: i64,
    upto: i64,
    limit: usize,
) -> Result<Vec<BackerStatementRow>, ReportError> {
    let rows = sqlx::query_file!(
        "src/report/backer_statement.sql",
        campaign.0,
        member.0,
        after,
        upto,
        one_more(limit),
    );
    let rows = rows.fetch_all(snapshot).await?.into_iter();
    let row = rows.map(|row| {
        Ok(BackerStatementRow {
            entry_number: row.entry_no,
            occurred_at: row.occurred_at,
            value_date: row.value_date,
            event: event(&row.event)?,
            payment: row.payment_id.map(PaymentId),
            pledge: row.pledge_id.map(PledgeId),
            object_id: row.object_id,
            promised: Amount::of_units(row.promised),
            held_change: Amount::of_units(row.held_change),
            refundable_change: Amount::of_units(row.refundable_change),
            outstanding_after: Amount::of_units(row.outstanding_after),
            held_after: Amount::of_units(row.held_after),
            refundable_after: Amount::of_units(row.refundable_after),
        })
    });
    row.collect()
}

async fn shares(
    snapshot: &mut PgConnection,
    campaign: CampaignId,
    member: MemberId,
    upto: i64,
) -> Result<Vec<HeldShares>, ReportError> {
    let rows = sqlx::query_file!(
        "src/report/backer_statement_shares.sql",
        campaign.0,
        member.0,
        upto
    );
    let rows = rows.fetch_all(snapshot).await?.into_iter();
    let held = rows.map(|row| {
        Ok(HeldShares {
            share_class: known(row.commodity.parse().ok(), &row.commodity)?,
            units: row.units,
        })
    });
    held.collect()
}
