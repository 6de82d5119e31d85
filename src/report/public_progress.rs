//! What everybody may see of a campaign: counts and sums, no member's data.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{ReportError, Reports, known};
use crate::{
    domain::campaign::Stage,
    id::CampaignId,
    money::{Amount, Currency},
};

/// Public progress; what is promised and what is paid are never added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicProgress {
    /// What the campaign is called.
    pub display_name: String,
    /// Where it is in its life.
    pub stage: Stage,
    /// Its currency.
    pub currency: Currency,
    /// The change up to which the counts hold.
    pub change_number: i64,
    /// People who signed and did not withdraw, converted ones included.
    pub signatures: i64,
    /// Members with an open or fulfilled pledge.
    pub pledging_members: i64,
    /// What was promised and not cancelled, paid or not.
    pub pledged: Amount,
    /// Members whose money the campaign holds.
    pub paying_members: i64,
    /// What was paid and is held for shares, or has become shares.
    pub collected: Amount,
    /// The target.
    pub target: Amount,
    /// The minimum.
    pub minimum: Amount,
    /// When pledging and paying end.
    pub deadline: OffsetDateTime,
}

impl PublicProgress {
    /// What is collected, in hundredths of a per cent of the minimum, rounded down.
    #[must_use]
    pub fn collected_basis_points(&self) -> Option<i64> {
        self.collected.basis_points_of(self.minimum)
    }
}

impl Reports {
    /// Public progress: one statement, so that one moment answers.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign does not exist.
    pub async fn public_progress(
        &self,
        campaign: CampaignId,
    ) -> Result<PublicProgress, ReportError> {
        let mut connection = self.pool.acquire().await?;
        read(&mut connection, campaign).await
    }
}

pub(super) async fn read(
    connection: &mut PgConnection,
    campaign: CampaignId,
) -> Result<PublicProgress, ReportError> {
    let row = sqlx::query_file!("src/report/public_progress.sql", campaign.0)
        .fetch_optional(connection)
        .await?
        .ok_or(ReportError::CampaignNotFound)?;
    Ok(PublicProgress {
        stage: known(Stage::of_word(&row.stage), &row.stage)?,
        currency: known(row.currency.parse().ok(), &row.currency)?,
        display_name: row.display_name,
        change_number: row.change_no,
        signatures: row.signatures,
        pledging_members: row.pledging_members,
        pledged: Amount::of_units(row.pledged),
        paying_members: row.paying_members,
        collected: Amount::of_units(row.collected),
        target: Amount::of_units(row.target),
        minimum: Amount::of_units(row.minimum),
        deadline: row.deadline,
    })
}
