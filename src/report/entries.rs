//! Entries as they stand in the journal.

use time::OffsetDateTime;

use super::{
    Basis, Page, ReportError, Reports, accounts, event, general_ledger::LineRow, head, known,
    not_found, one_more,
};
use crate::{
    id::CampaignId,
    ledger::{AccountKey, Digest, Event, JournalEntry, PostedEntry, PostedLine},
};

/// An entry, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryView {
    /// The entry as it was posted.
    pub posted: PostedEntry,
    /// The entry that takes it back, where there is one.
    pub reversed_by: Option<i64>,
}

struct HeaderRow {
    entry_no: i64,
    change_no: i64,
    event: String,
    occurred_at: OffsetDateTime,
    value_date: time::Date,
    recorded_at: OffsetDateTime,
    reverses: Option<i64>,
    digest: Vec<u8>,
    reversed_by: Option<i64>,
}

impl HeaderRow {
    fn view(self, lines: Vec<PostedLine>) -> Result<EntryView, ReportError> {
        let event: Event = event(&self.event)?;
        let digest = Digest::try_from(self.digest).ok();
        let entry = JournalEntry::stored(
            event,
            self.occurred_at,
            self.value_date,
            self.reverses,
            lines.iter().map(|posted| posted.line).collect(),
        );
        Ok(EntryView {
            posted: PostedEntry {
                number: self.entry_no,
                change: self.change_no,
                recorded_at: self.recorded_at,
                digest: known(digest, "a digest that is no SHA-256")?,
                entry,
                lines,
            },
            reversed_by: self.reversed_by,
        })
    }
}

impl Reports {
    /// The number of the campaign's last entry; 0 before the first.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign does not exist.
    pub async fn last_entry(&self, campaign: CampaignId) -> Result<i64, ReportError> {
        Ok(self.head(campaign, None).await?.entry_number)
    }

    /// One entry.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign or the entry does not exist.
    pub async fn entry(&self, campaign: CampaignId, number: i64) -> Result<EntryView, ReportError> {
        let missing = || not_found(format_args!("campaigns/{campaign}/entries/{number}"));
        if number < 1 {
            return Err(missing());
        }
        let before = number - 1;
        let mut snapshot = self.snapshot().await?;
        let upto = head::read(&mut snapshot, campaign, None, Basis::Recorded).await?;
        let read = read(&mut snapshot, campaign, None, before, 1, upto.entry_number).await?;
        snapshot.commit().await?;
        let found = read.into_iter().next();
        found
            .filter(|entry| entry.posted.number == number)
            .ok_or_else(missing)
    }

    /// A page of entries in the order of their numbers: after one, up to one
    /// (the last one for none or 0), of one account or of all. What is reversed
    /// after `upto` reads as not reversed, so a stream of pages is of one moment.
    ///
    /// # Errors
    /// [`ReportError`] when the campaign, the account or the entry does not exist.
    pub async fn entries(
        &self,
        campaign: CampaignId,
        account: Option<AccountKey>,
        after: i64,
        limit: usize,
        upto: Option<i64>,
    ) -> Result<Page<EntryView, i64>, ReportError> {
        let mut snapshot = self.snapshot().await?;
        let head = head::read(&mut snapshot, campaign, upto, Basis::Recorded).await?;
        let account = match account {
            None => None,
            Some(account) => Some(accounts::number(&mut snapshot, campaign, account).await?),
        };
        let upto = head.entry_number;
        let count = one_more(limit);
        let read = read(&mut snapshot, campaign, account, after, count, upto).await?;
        snapshot.commit().await?;
        Ok(Page::of(read, limit, |last| last.posted.number))
    }
}

async fn read(
    snapshot: &mut sqlx::PgConnection,
    campaign: CampaignId,
    account: Option<i32>,
    after: i64,
    count: i64,
    upto: i64,
) -> Result<Vec<EntryView>, ReportError> {
    let numbers: Vec<i64> = match account {
        None => (after.saturating_add(1)..=upto)
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .collect(),
        Some(account) => {
            let touching = sqlx::query_file_scalar!(
                "src/report/entries_of_account.sql",
                campaign.0,
                account,
                after,
                upto,
                count,
            );
            touching.fetch_all(&mut *snapshot).await?
        }
    };
    let headers = sqlx::query_file_as!(
        HeaderRow,
        "src/report/entries.sql",
        campaign.0,
        &numbers,
        upto,
    );
    let headers = headers.fetch_all(&mut *snapshot).await?;
    let lines = sqlx::query_file_as!(
        LineRow,
        "src/report/entries_lines.sql",
        campaign.0,
        &numbers,
    );
    let lines = lines.fetch_all(snapshot).await?;
    let mut lines = lines.iter().peekable();
    let mut views = Vec::with_capacity(headers.len());
    for header in headers {
        let mut own = Vec::new();
        while let Some(line) = lines.next_if(|line| line.entry_no == header.entry_no) {
            own.push(line.posted()?);
        }
        views.push(header.view(own)?);
    }
    Ok(views)
}
