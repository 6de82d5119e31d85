//! What was recorded after a change, in order, and the progress that it came to.

use time::OffsetDateTime;

use super::{PublicProgress, ReportError, Reports, public_progress};
use crate::id::CampaignId;

/// The most changes that are told at once.
const MOST: i64 = 1_000;

/// One recorded outcome, without who asked for it or for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number, dense and in commit order.
    pub number: i64,
    /// The method that was called.
    pub method: String,
    /// When it was recorded.
    pub recorded_at: OffsetDateTime,
    /// The first and the last of the entries that it posted.
    pub entries: Option<(i64, i64)>,
    /// Whether it was refused.
    pub refused: bool,
    /// Whether its movement of money had been recorded before.
    pub already_recorded: bool,
}

/// Changes in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// After this change they begin.
    pub after: i64,
    /// With this one they end; the same as `after` when there are none.
    pub upto: i64,
    /// The changes, in order and without a gap.
    pub changes: Vec<Change>,
    /// The progress as of `upto`; nothing when the campaign had come further, since
    /// the tally knows the newest alone.
    pub progress: Option<PublicProgress>,
}

impl Changes {
    /// Those after a change.
    #[must_use]
    pub fn since(&self, after: i64) -> &[Change] {
        let first = self
            .changes
            .partition_point(|change| change.number <= after);
        self.changes.get(first..).unwrap_or_default()
    }
}

struct Row {
    change_no: i64,
    method: String,
    recorded_at: OffsetDateTime,
    first_entry_no: Option<i64>,
    last_entry_no: Option<i64>,
    refused: bool,
    already_recorded: bool,
}

impl From<Row> for Change {
    fn from(row: Row) -> Self {
        Self {
            number: row.change_no,
            method: row.method,
            recorded_at: row.recorded_at,
            entries: row.first_entry_no.zip(row.last_entry_no),
            refused: row.refused,
            already_recorded: row.already_recorded,
        }
    }
}

impl Reports {
    /// The changes after one, the first thousand of them where there are more, and the
    /// progress of the same moment.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign does not exist or has not come to `after` yet.
    pub async fn changes(&self, campaign: CampaignId, after: i64) -> Result<Changes, ReportError> {
        let mut snapshot = self.snapshot().await?;
        let progress = public_progress::read(&mut snapshot, campaign).await?;
        let newest = progress.change_number;
        if after > newest {
            return Err(ReportError::ChangeInFuture { change: after });
        }
        let upto = newest.min(after.saturating_add(MOST));
        let rows = sqlx::query_file_as!(Row, "src/report/changes.sql", campaign.0, after, upto);
        let rows = rows.fetch_all(&mut *snapshot).await?;
        snapshot.commit().await?;
        Ok(Changes {
            after,
            upto,
            changes: rows.into_iter().map(Change::from).collect(),
            progress: (upto == newest).then_some(progress),
        })
    }
}
