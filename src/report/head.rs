//! What every report prints at its head, so that it can be drawn again.

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};

use super::{ReportError, Reports, known, not_found};
use crate::{id::CampaignId, ledger::Digest, money::Currency};

/// Which of an entry's dates a report goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The order in which entries were recorded.
    Recorded,
    /// The day on which the money counts, up to and including this one.
    ValueDate(Date),
}

/// The head of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The campaign.
    pub campaign: CampaignId,
    /// What it is called in public, now.
    pub display_name: String,
    /// Its currency.
    pub currency: Currency,
    /// The one date basis of the report.
    pub basis: Basis,
    /// The last entry that the report takes in; 0 before the first.
    pub entry_number: i64,
    /// When that entry was recorded.
    pub entry_recorded_at: Option<OffsetDateTime>,
    /// The ledger's digest up to that entry; all zero before the first.
    pub digest: Digest,
    /// True when no later entry stands in the report's snapshot.
    pub is_last: bool,
}

impl Reports {
    /// The head of a report as of an entry; the last one for none or 0.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign or the entry does not exist.
    pub async fn head(
        &self,
        campaign: CampaignId,
        as_of: Option<i64>,
    ) -> Result<Head, ReportError> {
        let mut snapshot = self.snapshot().await?;
        let head = read(&mut snapshot, campaign, as_of, Basis::Recorded).await?;
        snapshot.commit().await?;
        Ok(head)
    }
}

pub(super) async fn read(
    snapshot: &mut PgConnection,
    campaign: CampaignId,
    as_of: Option<i64>,
    basis: Basis,
) -> Result<Head, ReportError> {
    let as_of = as_of.filter(|&entry| entry != 0);
    let row = sqlx::query_file!("src/report/head.sql", campaign.0, as_of)
        .fetch_optional(snapshot)
        .await?
        .ok_or(ReportError::CampaignNotFound)?;
    let entry_number = as_of.unwrap_or(row.last_entry_no);
    if entry_number > row.last_entry_no {
        return Err(ReportError::AsOfInFuture {
            entry: entry_number,
        });
    }
    if entry_number != 0 && row.digest.is_none() {
        let entry = format_args!("campaigns/{campaign}/entries/{entry_number}");
        return Err(not_found(entry));
    }
    let digest = row.digest.map_or(Ok([0; 32]), Digest::try_from).ok();
    Ok(Head {
        campaign,
        currency: known(row.currency.parse().ok(), &row.currency)?,
        display_name: row.display_name,
        basis,
        entry_number,
        entry_recorded_at: row.recorded_at,
        digest: known(digest, "a digest that is no SHA-256")?,
        is_last: entry_number == row.last_entry_no,
    })
}
