//! The ladder of certainty: signed, pledged, authorised, captured, available, cleared,
//! allotted. Money climbs it once: what has become shares still counts as captured.
//!
//! What is expected to fall away is this campaign's own experience, and a rung
//! says nothing while there is none:
//!
//! | rung | expected haircut |
//! |---|---|
//! | signed | none: a signature promises no money |
//! | pledged | what was promised on pledges that closed and never paid ÷ all that was ever promised |
//! | authorised | none: no hold has been seen to fail yet |
//! | captured, available | gross of late failures ÷ gross of late failures and of payments that stand |
//! | cleared, allotted | 0: that is what cleared means |

use time::{Date, OffsetDateTime};

use super::{Basis, Head, ReportError, Reports, head};
use crate::{id::CampaignId, money::Amount};

/// A rung of the ladder, least certain first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// Signed, without money.
    Signed,
    /// Pledged, paid or not.
    Pledged,
    /// Held on cards and not taken yet: 9100.
    Authorised,
    /// Taken by a provider or credited by a bank: held, or turned into shares.
    Captured,
    /// Of that, what the provider has made available.
    Available,
    /// Of that, what can no longer be taken back in the ordinary course.
    Cleared,
    /// Turned into shares; its members are those who hold shares.
    Allotted,
}

/// The ladder of certainty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The head.
    pub head: Head,
    /// The rungs, least certain first. They overlap and are never to be added up.
    pub rows: Vec<ProgressRow>,
    /// The target.
    pub target: Amount,
    /// The minimum.
    pub minimum: Amount,
    /// The maximum.
    pub maximum: Amount,
    /// The minimum headcount; 0 when there is none.
    pub minimum_members: i32,
    /// Fees known so far.
    pub fees: Amount,
    /// Received and not yet allocated to anybody: 2900.
    pub unallocated: Amount,
    /// Due back to members: 2200.
    pub refundable: Amount,
}

/// One rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgressRow {
    /// Which.
    pub rung: Rung,
    /// How many members, or people who signed.
    pub members: i64,
    /// How much; nothing for signatures.
    pub amount: Option<Amount>,
    /// Hundredths of a per cent of the minimum, rounded down.
    pub minimum_basis_points: Option<i64>,
    /// Hundredths of a per cent of the target, rounded down.
    pub target_basis_points: Option<i64>,
    /// What is expected to fall away, in hundredths of a per cent, rounded up;
    /// nothing while there is nothing to estimate from.
    pub expected_haircut_basis_points: Option<i64>,
}

impl Reports {
    /// The ladder at `now`, which decides what is available and cleared.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign does not exist.
    pub async fn progress(
        &self,
        campaign: CampaignId,
        now: OffsetDateTime,
    ) -> Result<Progress, ReportError> {
        let today: Date = now.to_offset(time::UtcOffset::UTC).date();
        let mut snapshot = self.snapshot().await?;
        let head = head::read(&mut snapshot, campaign, None, Basis::Recorded).await?;
        let row = sqlx::query_file!("src/report/progress.sql", campaign.0, today)
            .fetch_optional(&mut *snapshot)
            .await?
            .ok_or(ReportError::CampaignNotFound)?;
        snapshot.commit().await?;
        let minimum = Amount::of_units(row.minimum);
        let target = Amount::of_units(row.target);
        let closed = share_rounded_up(row.closed_unpaid, row.ever_promised);
        let failed = share_rounded_up(row.late_failed, row.late_failed_or_standing);
        let rung = |rung, members, amount, haircut| {
            let amount = Amount::of_units(amount);
            ProgressRow {
                rung,
                members,
                amount: Some(amount),
                minimum_basis_points: amount.basis_points_of(minimum),
                target_basis_points: amount.basis_points_of(target),
                expected_haircut_basis_points: haircut,
            }
        };
        let signed = ProgressRow {
            rung: Rung::Signed,
            members: row.signatures,
            amount: None,
            minimum_basis_points: None,
            target_basis_points: None,
            expected_haircut_basis_points: None,
        };
        Ok(Progress {
            head,
            rows: vec![
                signed,
                rung(Rung::Pledged, row.pledging_members, row.pledged, closed),
                rung(
                    Rung::Authorised,
                    row.authorised_members,
                    row.authorised,
                    None,
                ),
                rung(Rung::Captured, row.captured_members, row.captured, failed),
                rung(
                    Rung::Available,
                    row.available_members,
                    row.available,
                    failed,
                ),
                rung(Rung::Cleared, row.cleared_members, row.cleared, Some(0)),
                rung(Rung::Allotted, row.allotted_members, row.allotted, Some(0)),
            ],
            target,
            minimum,
            maximum: Amount::of_units(row.maximum),
            minimum_members: row.minimum_members,
            fees: Amount::of_units(row.fees),
            unallocated: Amount::of_units(row.unallocated),
            refundable: Amount::of_units(row.refundable),
        })
    }
}

/// A share in hundredths of a per cent, rounded up: an expected loss is never
/// shown smaller than it is.
fn share_rounded_up(part: i64, whole: i64) -> Option<i64> {
    if whole <= 0 {
        return None;
    }
    let (part, whole) = (i128::from(part), i128::from(whole));
    i64::try_from((part * 10_000 + whole - 1).div_euclid(whole)).ok()
}
