//! The daily series: what happened on each day, by the UTC day on which it was recorded.
//!
//! Changes and entries are only ever added, and a campaign's time does not run backwards;
//! so a day that is over says the same for ever, and the report is drawn again by asking
//! for the same last day rather than for an entry.

use time::Date;

use super::{Basis, Head, Page, ReportError, Reports, head, one_more};
use crate::{id::CampaignId, money::Amount};

/// Which days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// From this one; the campaign's first for none.
    pub first: Option<Date>,
    /// To this one; the day of the last change for none, or where it is later.
    pub last: Option<Date>,
    /// After this one, where the page before ended.
    pub after: Option<Date>,
}

/// A page of the daily series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailySeries {
    /// The head: the last entry.
    pub head: Head,
    /// The days, without gaps.
    pub page: Page<Day, Date>,
}

/// One day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Which.
    pub date: Date,
    /// Signatures given.
    pub signatures: i64,
    /// Promises made.
    pub pledges: i64,
    /// How much was promised by them.
    pub pledged: Amount,
    /// Payments that arrived, less those that were taken back as mistakes.
    pub payments: i64,
    /// Their gross amount.
    pub paid: Amount,
    /// Promises that were cancelled, ran out or lapsed with something unpaid.
    pub pledges_ended: i64,
    /// Refunds sent.
    pub refunds: i64,
    /// How much was sent back.
    pub refunded: Amount,
    /// At its end: promised and not taken back, run out or lapsed, paid or not.
    pub cumulative_pledged: Amount,
    /// At its end: 2100.
    pub cumulative_held: Amount,
}

impl Reports {
    /// A page of the daily series.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign does not exist, or the last day is before the first.
    pub async fn daily_series(
        &self,
        campaign: CampaignId,
        days: Days,
        limit: usize,
    ) -> Result<DailySeries, ReportError> {
        if let (Some(first), Some(last)) = (days.first, days.last)
            && last < first
        {
            return Err(ReportError::PeriodIsBackwards);
        }
        let mut snapshot = self.snapshot().await?;
        let head = head::read(&mut snapshot, campaign, None, Basis::Recorded).await?;
        let rows = sqlx::query_file!(
            "src/report/daily_series.sql",
            campaign.0,
            days.first,
            days.last,
            days.after,
            head.currency.code(),
            one_more(limit),
        );
        let rows = rows.fetch_all(&mut *snapshot).await?.into_iter();
        snapshot.commit().await?;
        let day = rows.map(|row| Day {
            date: row.day,
            signatures: row.signatures,
            pledges: row.pledges,
            pledged: Amount::of_units(row.pledged),
            payments: row.payments,
            paid: Amount::of_units(row.paid),
            pledges_ended: row.pledges_ended,
            refunds: row.refunds,
            refunded: Amount::of_units(row.refunded),
            cumulative_pledged: Amount::of_units(row.cumulative_pledged),
            cumulative_held: Amount::of_units(row.cumulative_held),
        });
        let page = Page::of(day.collect(), limit, |last: &Day| last.date);
        Ok(DailySeries { head, page })
    }
}
