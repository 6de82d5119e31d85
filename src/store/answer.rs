//! An outcome as it was given: rebuilt from rows that never change, so that a
//! request id, a webhook that comes twice and an auditor all get the same.

use sqlx::PgConnection;

use super::{Store, StoreError, Tx, world};
use crate::{
    domain::{Answer, Refusal, Snapshot},
    id::{CampaignId, PaymentId, PledgeId},
    ledger::{Balance, Event, JournalEntry, Line, PostedEntry, PostedLine},
    money::Amount,
};

type Read<T> = Result<T, StoreError>;

/// What a request was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// It was done.
    Done {
        /// The answer.
        answer: Answer,
        /// Whether it is the answer of an earlier change that recorded the same movement.
        recorded_before: bool,
    },
    /// It was refused.
    Refused(Refusal),
}

impl Store {
    /// What the change of this number was answered with; an answer that repeats
    /// another's is that one's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn answer(&self, campaign: CampaignId, change: i64) -> Read<Given> {
        let mut tx = self.begin().await?;
        let answer = answer_in_tx(&mut tx, campaign, change).await?;
        // This answer relies on rows that another call committed. With a synchronous
        // standby those can be visible here and still be lost in a failover; a commit
        // of our own behind them waits until they are safe.
        sqlx::query_scalar!("SELECT pg_logical_emit_message(true, 'barrier', '')::text")
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(answer)
    }
}

async fn answer_in_tx(tx: &mut Tx<'_>, campaign: CampaignId, mut change: i64) -> Read<Given> {
    let asked = change;
    let row = loop {
        let row = sqlx::query!(
            r#"SELECT recorded_at, first_entry_no, last_entry_no, same_as_change_no,
                      refusal::text AS "refusal?"
               FROM change WHERE campaign_id = $1 AND change_no = $2"#,
            campaign.0,
            change
        );
        let row = row.fetch_one(&mut **tx).await?;
        match row.same_as_change_no {
            Some(same_as) => change = same_as,
            None => break row,
        }
    };
    if let Some(json) = row.refusal {
        return Ok(Given::Refused(refusal(&json)?));
    }
    let mut entries = Vec::new();
    if let (Some(first), Some(last)) = (row.first_entry_no, row.last_entry_no) {
        for number in first..=last {
            entries.extend(entry(tx, campaign, number).await?);
        }
    }
    let answer = Answer {
        change,
        recorded_at: row.recorded_at,
        entries,
        snapshots: snapshots(tx, campaign, change).await?,
    };
    Ok(Given::Done {
        recorded_before: change != asked,
        answer,
    })
}

async fn snapshots(tx: &mut Tx<'_>, campaign: CampaignId, change: i64) -> Read<Vec<Snapshot>> {
    let rows = sqlx::query_scalar!(
        r#"SELECT snapshot::text AS "snapshot!" FROM history
           WHERE campaign_id = $1 AND change_no = $2 ORDER BY ordinal"#,
        campaign.0,
        change
    );
    let rows = rows.fetch_all(&mut **tx).await?;
    let read = |json: &String| {
        serde_json::from_str(json).map_err(|error| StoreError::unreadable("snapshot", error))
    };
    rows.iter().map(read).collect()
}

pub(super) fn refusal(json: &str) -> Read<Refusal> {
    serde_json::from_str(json).map_err(|error| StoreError::unreadable("refusal", error))
}

/// An entry with its lines, found by the accounts that its header names.
pub(super) async fn entry(
    connection: &mut PgConnection,
    campaign: CampaignId,
    number: i64,
) -> Read<Option<PostedEntry>> {
    let head = sqlx::query!(
        "SELECT change_no, event, occurred_at, value_date, recorded_at, reverses, digest
         FROM journal_entry WHERE campaign_id = $1 AND entry_no = $2",
        campaign.0,
        number
    );
    let Some(head) = head.fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    let rows = sqlx::query!(
        r#"SELECT account_no AS "account_no!", line.amount, line.balance, line.debits,
                  line.payment_id, line.pledge_id, code, commodity, owner
           FROM journal_entry
           CROSS JOIN LATERAL unnest(accounts) WITH ORDINALITY AS of (account_no, line_no)
           JOIN line USING (campaign_id, entry_no, account_no, line_no)
           JOIN account USING (campaign_id, account_no)
           WHERE campaign_id = $1 AND entry_no = $2
           ORDER BY line_no"#,
        campaign.0,
        number
    );
    let mut lines = Vec::new();
    for row in rows.fetch_all(&mut *connection).await? {
        let line = Line {
            account: world::account_key(row.code, &row.commodity, row.owner)?,
            amount: Amount::of_units(row.amount),
            payment: row.payment_id.map(PaymentId),
            pledge: row.pledge_id.map(PledgeId),
        };
        lines.push(PostedLine {
            line,
            account_no: row.account_no,
            balance: Balance {
                net: Amount::of_units(row.balance),
                debits: Amount::of_units(row.debits),
            },
        });
    }
    let event =
        Event::of_word(&head.event).ok_or_else(|| StoreError::unreadable("event", &head.event))?;
    let entry = JournalEntry::stored(
        event,
        head.occurred_at,
        head.value_date,
        head.reverses,
        lines.iter().map(|posted| posted.line).collect(),
    );
    Ok(Some(PostedEntry {
        number,
        change: head.change_no,
        recorded_at: head.recorded_at,
        digest: world::digest(head.digest)?,
        entry,
        lines,
    }))
}
