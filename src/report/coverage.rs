//! Coverage: what is held against what is owed (domain.md §5, invariant 10), in
//! the campaign's currency and as of an entry.
//!
//! Fees that providers have not told yet are no posting; an estimate stands
//! beside the ratio, never in it: the mean of the fees known so far, for every
//! provider payment that stands without one, rounded up. Funds under dispute
//! (1200) do not count: no dispute can be posted yet, and what of them counts
//! depends on the disputed payment.

use sqlx::PgConnection;

use super::{Basis, Head, ReportError, Reports, code, head, plus};
use crate::{id::CampaignId, ledger::Code, money::Amount};

/// What the campaign has that can go back to members, debit; and what others have on it, credit.
const HELD: [Code; 9] = [
    Code::ProviderBalance,
    Code::ProviderReserve,
    Code::PayoutsInTransit,
    Code::EscrowBank,
    Code::OutgoingClearing,
    Code::TipsOwed,
    Code::OtherCreditors,
    Code::BonusPool,
    Code::ShareInterestPayable,
];

/// What is owed to members and payers, credit.
const OWED: [Code; 7] = [
    Code::CurrencyClearing,
    Code::ApplicationMoney,
    Code::ConditionalDonations,
    Code::RefundsPayable,
    Code::RefundsReturned,
    Code::CapitalPayable,
    Code::UnallocatedReceipts,
];

/// What is held against what is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The head.
    pub head: Head,
    /// The accounts that count, by code.
    pub rows: Vec<CoverageRow>,
    /// The sum of what is held.
    pub held: Amount,
    /// The sum of what is owed.
    pub owed: Amount,
    /// Held in hundredths of a per cent of owed, rounded down; nothing when nothing is owed.
    pub basis_points: Option<i64>,
    /// An estimate of the fees that are not known.
    pub estimated_missing_fees: Amount,
    /// Provider payments that stand and whose fee is not known.
    pub payments_without_fee: i64,
}

/// One code of a coverage report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoverageRow {
    /// The code in the chart.
    pub code: Code,
    /// True when it counts to what is held, false when to what is owed.
    pub counts_as_held: bool,
    /// How much it counts, signed.
    pub amount: Amount,
}

impl Reports {
    /// Coverage as of an entry; the last one for none or 0.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign or the entry does not exist.
    pub async fn coverage(
        &self,
        campaign: CampaignId,
        as_of: Option<i64>,
    ) -> Result<Coverage, ReportError> {
        let mut snapshot = self.snapshot().await?;
        let head = head::read(&mut snapshot, campaign, as_of, Basis::Recorded).await?;
        let rows = rows(&mut snapshot, &head).await?;
        let fees = fees(&mut snapshot, &head).await?;
        snapshot.commit().await?;
        let (mut held, mut owed) = (Amount::ZERO, Amount::ZERO);
        for row in &rows {
            let sum = if row.counts_as_held {
                &mut held
            } else {
                &mut owed
            };
            *sum = plus(*sum, row.amount)?;
        }
        Ok(Coverage {
            head,
            rows,
            held,
            owed,
            basis_points: held.basis_points_of(owed),
            estimated_missing_fees: fees.estimate()?,
            payments_without_fee: fees.unknown,
        })
    }
}

async fn rows(snapshot: &mut PgConnection, head: &Head) -> Result<Vec<CoverageRow>, ReportError> {
    let rows = sqlx::query_file!(
        "src/report/coverage.sql",
        head.campaign.0,
        head.entry_number,
        head.currency.code(),
        &HELD.map(Code::number)[..],
        &OWED.map(Code::number)[..],
    );
    let rows = rows.fetch_all(snapshot).await?.into_iter();
    let row = rows.map(|row| {
        Ok(CoverageRow {
            code: code(row.code)?,
            counts_as_held: row.counts_as_held,
            amount: Amount::of_units(row.amount),
        })
    });
    row.collect()
}

/// Provider payments by whether their fee is known.
struct Fees {
    unknown: i64,
    known: i64,
    sum: i64,
}

impl Fees {
    fn estimate(&self) -> Result<Amount, ReportError> {
        if self.known == 0 {
            return Ok(Amount::ZERO);
        }
        let known = i128::from(self.known);
        let all = i128::from(self.sum) * i128::from(self.unknown);
        let estimate = (all + known - 1).div_euclid(known);
        super::known(i64::try_from(estimate).ok(), "a fee of that size").map(Amount::of_units)
    }
}

/// The payments' rows say how it is now; how it was, the provider's lines do.
async fn fees(snapshot: &mut PgConnection, head: &Head) -> Result<Fees, ReportError> {
    let campaign = head.campaign.0;
    Ok(if head.is_last {
        let now = sqlx::query_file_as!(Fees, "src/report/coverage_fees.sql", campaign);
        now.fetch_one(snapshot).await?
    } else {
        let then = sqlx::query_file_as!(
            Fees,
            "src/report/coverage_fees_as_of.sql",
            campaign,
            head.entry_number,
        );
        then.fetch_one(snapshot).await?
    })
}
