//! Fees: what providers and banks charged, where it stands, and who bore it. All of it is
//! made of journal lines, as of an entry.

use sqlx::PgConnection;

use super::{Basis, Head, ReportError, Reports, balances_of, head, known, plus, unreadable};
use crate::{domain::payment::Method, id::CampaignId, ledger::Code, money::Amount};

/// Where a fee can stand, each a debit balance.
const STAND: [Code; 5] = [
    Code::DeferredIssueCosts,
    Code::IssueCosts,
    Code::ProviderFees,
    Code::DisputeFees,
    Code::AbandonedIssueCosts,
];

/// What a fee was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeeKind {
    /// A provider's, for payments made so.
    Payment(Method),
    /// A bank's charges, and whatever else stands in 5000.
    Bank,
    /// For disputes and charge-backs: 5100.
    Dispute,
}

/// Fees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fees {
    /// The head.
    pub head: Head,
    /// By kind; what there is nothing of is left out.
    pub rows: Vec<FeeRow>,
    /// Where fees stand, by code.
    pub balances: Vec<(Code, Amount)>,
    /// What members bore of a failure's fees, as disclosed.
    pub borne_by_members: Amount,
    /// What stands in 4000: an underwriter's cover, and donations.
    pub cover: Amount,
}

/// The fees of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeRow {
    /// The kind.
    pub kind: FeeKind,
    /// Payments for which a fee stands, or charges of the other kinds.
    pub count: i64,
    /// The gross amount of those payments.
    pub volume: Option<Amount>,
    /// What was charged.
    pub fee: Amount,
    /// What of it was given back, or was a mistake and reversed.
    pub returned: Amount,
}

impl FeeRow {
    /// The fee less what was returned, in hundredths of a per cent of the volume, rounded
    /// half up; nothing without a volume.
    #[must_use]
    pub fn effective_basis_points(&self) -> Option<i64> {
        let volume = self.volume.filter(|volume| volume.is_positive())?;
        let volume = i128::from(volume.units());
        let net = i128::from(self.fee.units()) - i128::from(self.returned.units());
        let twice = net * 20_000 + volume;
        i64::try_from(twice.div_euclid(2 * volume)).ok()
    }
}

impl Reports {
    /// Fees as of an entry; the last one for none or 0.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign or the entry does not exist.
    pub async fn fees(
        &self,
        campaign: CampaignId,
        as_of: Option<i64>,
    ) -> Result<Fees, ReportError> {
        let mut snapshot = self.snapshot().await?;
        let head = head::read(&mut snapshot, campaign, as_of, Basis::Recorded).await?;
        let mut rows = of_payments(&mut snapshot, &head).await?;
        let (expenses, borne_by_members) = of_expenses(&mut snapshot, &head).await?;
        rows.extend(expenses);
        let stands = balances_of(&mut snapshot, &head, STAND).await?;
        let [cover] = balances_of(&mut snapshot, &head, [Code::Donations]).await?;
        snapshot.commit().await?;
        Ok(Fees {
            head,
            rows,
            balances: STAND.into_iter().zip(stands).collect(),
            borne_by_members,
            cover: cover.negated(),
        })
    }
}

async fn of_payments(snapshot: &mut PgConnection, head: &Head) -> Result<Vec<FeeRow>, ReportError> {
    let rows = sqlx::query_file!(
        "src/report/fees_of_payments.sql",
        head.campaign.0,
        head.entry_number,
    );
    let rows = rows.fetch_all(snapshot).await?.into_iter();
    let row = rows.map(|row| {
        let method = known(Method::of_word(&row.method), &row.method)?;
        Ok(FeeRow {
            kind: FeeKind::Payment(method),
            count: row.count,
            volume: Some(Amount::of_units(row.volume)),
            fee: Amount::of_units(row.charged),
            returned: Amount::of_units(row.returned),
        })
    });
    row.collect()
}

/// The other kinds, and what members bore.
async fn of_expenses(
    snapshot: &mut PgConnection,
    head: &Head,
) -> Result<(Vec<FeeRow>, Amount), ReportError> {
    let rows = sqlx::query_file!(
        "src/report/fees_of_expenses.sql",
        head.campaign.0,
        head.entry_number,
        head.currency.code(),
    );
    let mut others = Vec::new();
    let mut borne = Amount::ZERO;
    for row in rows.fetch_all(snapshot).await? {
        let (debits, credits) = (Amount::of_units(row.debits), Amount::of_units(row.credits));
        let kind = if row.code == Code::DeferredIssueCosts.number() {
            borne = plus(credits, debits.negated())?;
            continue;
        } else if row.code == Code::ProviderFees.number() {
            FeeKind::Bank
        } else if row.code == Code::DisputeFees.number() {
            FeeKind::Dispute
        } else {
            return Err(unreadable(format!("code {} of fees", row.code)));
        };
        others.push(FeeRow {
            kind,
            count: row.count,
            volume: None,
            fee: debits,
            returned: credits,
        });
    }
    Ok((others, borne))
}
