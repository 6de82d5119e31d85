//! Accounts, outcomes, history, entries and lines.

use uuid::Uuid;

use super::{Tx, Write, json};
use crate::{
    domain::{ChangeRow, World},
    ledger::Line,
};

pub(super) async fn accounts(tx: &mut Tx, world: &World) -> Write {
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

pub(super) async fn changes(tx: &mut Tx, world: &World) -> Write {
    let changes = &world.written.changes;
    if changes.is_empty() {
        return Ok(());
    }
    let each = |f: fn(&ChangeRow) -> Option<i64>| changes.iter().map(f).collect::<Vec<_>>();
    let refusals: Vec<Option<String>> = changes
        .iter()
        .map(|change| change.refusal.as_ref().map(json).transpose())
        .collect::<Result<_, _>>()?;
    sqlx::query!(
        "INSERT INTO change (campaign_id, change_no, request_id, method, principal, fields,
            recorded_at, first_entry_no, last_entry_no, same_as_change_no, refusal, reason)
         SELECT $1, change_no, request_id, method, principal, fields, recorded_at,
            first_entry_no, last_entry_no, same_as_change_no, refusal::json, reason
         FROM unnest($2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::bytea[],
            $7::timestamptz[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[])
            AS of (change_no, request_id, method, principal, fields, recorded_at,
                first_entry_no, last_entry_no, same_as_change_no, refusal, reason)",
        world.id.0,
        &changes.iter().map(|c| c.number).collect::<Vec<_>>(),
        &changes.iter().map(|c| c.request_id.0).collect::<Vec<_>>(),
        &changes.iter().map(|c| c.method.clone()).collect::<Vec<_>>(),
        &changes
            .iter()
            .map(|c| c.principal.clone())
            .collect::<Vec<_>>(),
        &changes.iter().map(|c| c.fields.clone()).collect::<Vec<_>>(),
        &changes.iter().map(|c| c.recorded_at).collect::<Vec<_>>(),
        &each(|c| c.entries.map(|(first, _)| first)) as &[Option<i64>],
        &each(|c| c.entries.map(|(_, last)| last)) as &[Option<i64>],
        &each(|c| c.same_as) as &[Option<i64>],
        &refusals as &[Option<String>],
        &changes.iter().map(|c| c.reason.clone()).collect::<Vec<_>>()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn history(tx: &mut Tx, world: &World) -> Write {
    let history = &world.written.history;
    if history.is_empty() {
        return Ok(());
    }
    let snapshots: Vec<String> = history
        .iter()
        .map(|row| json(&row.snapshot))
        .collect::<Result<_, _>>()?;
    sqlx::query!(
        "INSERT INTO history (campaign_id, change_no, ordinal, subject_id, snapshot)
         SELECT $1, change_no, ordinal, subject_id, snapshot::json
         FROM unnest($2::bigint[], $3::smallint[], $4::uuid[], $5::text[])
            AS of (change_no, ordinal, subject_id, snapshot)",
        world.id.0,
        &history.iter().map(|row| row.change).collect::<Vec<_>>(),
        &history.iter().map(|row| row.ordinal).collect::<Vec<_>>(),
        &history.iter().map(|row| row.subject).collect::<Vec<_>>(),
        &snapshots
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn entries(tx: &mut Tx, world: &World) -> Write {
    let entries = &world.written.entries;
    if entries.is_empty() {
        return Ok(());
    }
    // An array of arrays of different lengths is none in SQL: each goes as its text.
    let accounts: Vec<String> = entries
        .iter()
        .map(|entry| {
            let numbers = entry.lines.iter().map(|line| line.account_no.to_string());
            format!("{{{}}}", numbers.collect::<Vec<_>>().join(","))
        })
        .collect();
    sqlx::query!(
        "INSERT INTO journal_entry (campaign_id, entry_no, change_no, event, occurred_at,
            value_date, recorded_at, reverses, accounts, digest)
         SELECT $1, entry_no, change_no, event, occurred_at, value_date, recorded_at, reverses,
            accounts::int[], digest
         FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::timestamptz[], $6::date[],
            $7::timestamptz[], $8::bigint[], $9::text[], $10::bytea[])
            AS of (entry_no, change_no, event, occurred_at, value_date, recorded_at, reverses,
                accounts, digest)",
        world.id.0,
        &entries.iter().map(|e| e.number).collect::<Vec<_>>(),
        &entries.iter().map(|e| e.change).collect::<Vec<_>>(),
        &entries
            .iter()
            .map(|e| e.entry.event().word().to_owned())
            .collect::<Vec<_>>(),
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
        &accounts,
        &entries
            .iter()
            .map(|e| e.digest.to_vec())
            .collect::<Vec<_>>()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn lines(tx: &mut Tx, world: &World) -> Write {
    let entries = world.written.entries.iter();
    let lines: Vec<_> = entries
        .flat_map(|entry| {
            (1_i16..)
                .zip(&entry.lines)
                .map(|(n, line)| (entry.number, n, line))
        })
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    let payment = |line: &Line| line.payment.map(|id| id.0);
    let pledge = |line: &Line| line.pledge.map(|id| id.0);
    sqlx::query!(
        "INSERT INTO line (campaign_id, account_no, entry_no, line_no, amount, balance, debits,
            payment_id, pledge_id)
         SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::bigint[],
            $6::bigint[], $7::bigint[], $8::uuid[], $9::uuid[])",
        world.id.0,
        &lines
            .iter()
            .map(|(_, _, l)| l.account_no)
            .collect::<Vec<_>>(),
        &lines.iter().map(|(entry, _, _)| *entry).collect::<Vec<_>>(),
        &lines
            .iter()
            .map(|(_, number, _)| *number)
            .collect::<Vec<_>>(),
        &lines
            .iter()
            .map(|(_, _, l)| l.line.amount.units())
            .collect::<Vec<_>>(),
        &lines
            .iter()
            .map(|(_, _, l)| l.balance.net.units())
            .collect::<Vec<_>>(),
        &lines
            .iter()
            .map(|(_, _, l)| l.balance.debits.units())
            .collect::<Vec<_>>(),
        &lines
            .iter()
            .map(|(_, _, l)| payment(&l.line))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &lines
            .iter()
            .map(|(_, _, l)| pledge(&l.line))
            .collect::<Vec<_>>() as &[Option<Uuid>]
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
