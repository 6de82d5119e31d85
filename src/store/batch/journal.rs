//! Accounts, outcomes, history, entries and lines.

use uuid::Uuid;

use super::{Tx, Write, json};
use crate::{
    domain::{ChangeRow, World},
    ledger::PostedEntry,
};

pub(super) async fn accounts(tx: &mut Tx<'_>, world: &World) -> Write {
    let opened = &world.written.accounts;
    if opened.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i32> = opened.iter().map(|(number, _)| *number).collect();
    let codes: Vec<i16> = opened.iter().map(|(_, key)| key.code.number()).collect();
    let commodities: Vec<String> = opened
        .iter()
        .map(|(_, key)| key.commodity.to_string())
        .collect();
    let owners: Vec<Uuid> = opened.iter().map(|(_, key)| key.owner.uuid()).collect();
    sqlx::query!(
        "INSERT INTO account (campaign_id, account_no, code, commodity, owner)
         SELECT $1, * FROM unnest($2::int[], $3::smallint[], $4::text[], $5::uuid[])",
        world.id.0,
        &numbers,
        &codes,
        &commodities,
        &owners
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes the batch's outcomes, history, entries and lines.
pub(super) async fn journal(tx: &mut Tx<'_>, world: &World) -> Write {
    let changes = &world.written.changes;
    if changes.is_empty() {
        return Ok(());
    }
    let each = |f: fn(&ChangeRow) -> Option<i64>| changes.iter().map(f).collect::<Vec<_>>();
    let refusals: Vec<Option<String>> = changes
        .iter()
        .map(|change| change.refusal.as_ref().map(json).transpose())
        .collect::<Result<_, _>>()?;
    let history = &world.written.history;
    let snapshots: Vec<String> = history
        .iter()
        .map(|row| json(&row.snapshot))
        .collect::<Result<_, _>>()?;
    let entries = &world.written.entries;
    let lines = entries.iter();
    let lines: Vec<_> = lines
        .flat_map(|entry| {
            (1_i16..)
                .zip(&entry.lines)
                .map(|(n, line)| (entry.number, n, line))
        })
        .collect();
    sqlx::query_file!(
        "src/store/batch/journal.sql",
        world.id.0,
        &lines.iter().map(|(.., l)| l.account_no).collect::<Vec<_>>(),
        &lines.iter().map(|(entry, ..)| *entry).collect::<Vec<_>>(),
        &lines.iter().map(|(_, n, _)| *n).collect::<Vec<_>>(),
        &lines
            .iter()
            .map(|(.., l)| l.line.amount.units())
            .collect::<Vec<_>>(),
        &lines
            .iter()
            .map(|(.., l)| l.balance.net.units())
            .collect::<Vec<_>>(),
        &lines
            .iter()
            .map(|(.., l)| l.balance.debits.units())
            .collect::<Vec<_>>(),
        &lines
            .iter()
            .map(|(.., l)| l.line.payment.map(|id| id.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &lines
            .iter()
            .map(|(.., l)| l.line.pledge.map(|id| id.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &entries.iter().map(|e| e.number).collect::<Vec<_>>(),
        &entries.iter().map(|e| e.change).collect::<Vec<_>>(),
        &entries
            .iter()
            .map(|e| e.entry.event().word())
            .collect::<Vec<_>>() as &[&str],
        &entries
            .iter()
            .map(|e| e.entry.occurred_at())
            .collect::<Vec<_>>(),
        &entries
            .iter()
            .map(|e| e.entry.value_date())
            .collect::<Vec<_>>(),
        &entries.iter().map(|e| e.recorded_at).collect::<Vec<_>>(),
        &entries
            .iter()
            .map(|e| e.entry.reverses())
            .collect::<Vec<_>>() as &[Option<i64>],
        &entries.iter().map(accounts_of).collect::<Vec<_>>(),
        &entries
            .iter()
            .map(|e| e.digest.as_slice())
            .collect::<Vec<_>>() as &[&[u8]],
        &history.iter().map(|row| row.change).collect::<Vec<_>>(),
        &history.iter().map(|row| row.ordinal).collect::<Vec<_>>(),
        &history.iter().map(|row| row.subject).collect::<Vec<_>>(),
        &snapshots,
        &changes.iter().map(|c| c.number).collect::<Vec<_>>(),
        &changes.iter().map(|c| c.request_id.0).collect::<Vec<_>>(),
        &changes
            .iter()
            .map(|c| c.method.as_str())
            .collect::<Vec<_>>() as &[&str],
        &changes
            .iter()
            .map(|c| c.principal.as_str())
            .collect::<Vec<_>>() as &[&str],
        &changes
            .iter()
            .map(|c| c.fields.as_slice())
            .collect::<Vec<_>>() as &[&[u8]],
        &changes.iter().map(|c| c.recorded_at).collect::<Vec<_>>(),
        &each(|c| c.entries.map(|(first, _)| first)) as &[Option<i64>],
        &each(|c| c.entries.map(|(_, last)| last)) as &[Option<i64>],
        &each(|c| c.same_as) as &[Option<i64>],
        &refusals as &[Option<String>],
        &changes
            .iter()
            .map(|c| c.reason.as_str())
            .collect::<Vec<_>>() as &[&str]
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The accounts of an entry's lines, as the text of an array.
fn accounts_of(entry: &PostedEntry) -> String {
    let numbers = entry.lines.iter().map(|line| line.account_no.to_string());
    format!("{{{}}}", numbers.collect::<Vec<_>>().join(","))
}
