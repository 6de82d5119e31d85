//! Writing what a batch changed: one statement a table, whatever the batch's size.
//!
//! The order matters to the database's own checks: accounts before their lines,
//! changes before the entries that belong to them, headers before lines. A
//! statement with nothing to write is skipped.

use serde_json::to_string;
use uuid::Uuid;

use super::{StoreError, Tx};
use crate::domain::{ChangeRow, World, campaign::Campaign, payment::Payment, pledge::Pledge};

type Write = Result<(), StoreError>;

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    to_string(value).map_err(|error| StoreError::unreadable("json", error))
}

/// Writes everything that the world's commands changed.
pub(crate) async fn write_in_tx(tx: &mut Tx, world: &World) -> Write {
    accounts(tx, world).await?;
    changes(tx, world).await?;
    campaign(tx, world).await?;
    history(tx, world).await?;
    entries(tx, world).await?;
    lines(tx, world).await?;
    share_classes(tx, world).await?;
    money_accounts(tx, world).await?;
    members(tx, world).await?;
    signatures(tx, world).await?;
    persons(tx, world).await?;
    pledges(tx, world).await?;
    payments(tx, world).await?;
    effects(tx, world).await?;
    tally(tx, world).await
}

async fn accounts(tx: &mut Tx, world: &World) -> Write {
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

async fn changes(tx: &mut Tx, world: &World) -> Write {
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
            recorded_at, first_entry_no, last_entry_no, same_as_change_no, refusal)
         SELECT $1, change_no, request_id, method, principal, fields, recorded_at,
            first_entry_no, last_entry_no, same_as_change_no, refusal::json
         FROM unnest($2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::bytea[],
            $7::timestamptz[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[])
            AS of (change_no, request_id, method, principal, fields, recorded_at,
                first_entry_no, last_entry_no, same_as_change_no, refusal)",
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
        &refusals as &[Option<String>]
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn history(tx: &mut Tx, world: &World) -> Write {
    let history = &world.written.history;
    if history.is_empty() {
        return Ok(());
    }
    let snapshots: Vec<String> = history
        .iter()
        .map(|row| json(&row.snapshot))
        .collect::<Result<_, _>>()?;
    sqlx::query!(
        "INSERT INTO history (campaign_id, change_no, ordinal, subject_id, snapshot, reason)
         SELECT $1, change_no, ordinal, subject_id, snapshot::json, reason
         FROM unnest($2::bigint[], $3::smallint[], $4::uuid[], $5::text[], $6::text[])
            AS of (change_no, ordinal, subject_id, snapshot, reason)",
        world.id.0,
        &history.iter().map(|row| row.change).collect::<Vec<_>>(),
        &history.iter().map(|row| row.ordinal).collect::<Vec<_>>(),
        &history.iter().map(|row| row.subject).collect::<Vec<_>>(),
        &snapshots,
        &history
            .iter()
            .map(|row| row.reason.clone())
            .collect::<Vec<_>>()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn entries(tx: &mut Tx, world: &World) -> Write {
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

async fn lines(tx: &mut Tx, world: &World) -> Write {
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
    let payment = |line: &crate::ledger::Line| line.payment.map(|id| id.0);
    let pledge = |line: &crate::ledger::Line| line.pledge.map(|id| id.0);
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

async fn campaign(tx: &mut Tx, world: &World) -> Write {
    let Some(campaign) = world.campaign.as_ref().filter(|_| world.written.campaign) else {
        return Ok(());
    };
    campaign_row(tx, campaign).await?;
    for terms in &world.written.terms {
        sqlx::query!(
            "INSERT INTO terms (campaign_id, version, target, minimum, maximum, deadline,
                minimum_members, fee_bearer, fee_bearer_note, card_clearing_days,
                direct_debit_clearing_days, bank_transfer_clearing_days)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            world.id.0,
            terms.version,
            terms.target.units(),
            terms.minimum.units(),
            terms.maximum.units(),
            terms.deadline,
            terms.minimum_members,
            terms.fee_bearer.word(),
            terms.fee_bearer_note,
            terms.card_clearing_days,
            terms.direct_debit_clearing_days,
            terms.bank_transfer_clearing_days
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

async fn campaign_row(tx: &mut Tx, campaign: &Campaign) -> Write {
    sqlx::query!(
        "INSERT INTO campaign (campaign_id, display_name, description, currency, stage,
            terms_version, created_at, opened_at, changed_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (campaign_id) DO UPDATE SET display_name = excluded.display_name,
            description = excluded.description, stage = excluded.stage,
            terms_version = excluded.terms_version, opened_at = excluded.opened_at,
            changed_by = excluded.changed_by",
        campaign.id.0,
        campaign.display_name,
        campaign.description,
        campaign.currency.code(),
        campaign.stage.word(),
        campaign.terms.version,
        campaign.created_at,
        campaign.opened_at,
        campaign.changed_by
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn share_classes(tx: &mut Tx, world: &World) -> Write {
    for class in &world.written.share_classes {
        sqlx::query!(
            "INSERT INTO share_class (campaign_id, share_class_id, display_name, price, nominal,
                authorised, minimum_per_member, maximum_per_member, liability)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            world.id.0,
            class.id.0,
            class.display_name,
            class.price.units(),
            class.nominal.units(),
            class.authorised,
            class.minimum_per_member,
            class.maximum_per_member,
            class.liability
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

async fn money_accounts(tx: &mut Tx, world: &World) -> Write {
    for account in &world.written.money_accounts {
        sqlx::query!(
            "INSERT INTO money_account (campaign_id, money_account_id, kind, institution,
                external_id, currency, livemode)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            world.id.0,
            account.id.0,
            account.channel.word(),
            account.institution,
            account.external_id,
            account.currency.code(),
            account.livemode
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

async fn members(tx: &mut Tx, world: &World) -> Write {
    let ids = world.written.members.iter();
    let members: Vec<_> = ids.filter_map(|id| world.members.get(id)).collect();
    if members.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO member (campaign_id, member_id, email_hash, created_at, live_pledges)
         SELECT $1, * FROM unnest($2::uuid[], $3::bytea[], $4::timestamptz[], $5::int[])
         ON CONFLICT (campaign_id, member_id) DO UPDATE SET live_pledges = excluded.live_pledges",
        world.id.0,
        &members.iter().map(|m| m.id.0).collect::<Vec<_>>(),
        &members
            .iter()
            .map(|m| m.email_hash.to_vec())
            .collect::<Vec<_>>(),
        &members.iter().map(|m| m.created_at).collect::<Vec<_>>(),
        &members.iter().map(|m| m.live_pledges).collect::<Vec<_>>()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn signatures(tx: &mut Tx, world: &World) -> Write {
    let ids = world.written.signatures.iter();
    let signatures: Vec<_> = ids.filter_map(|id| world.signatures.get(id)).collect();
    if signatures.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO signature (campaign_id, signature_id, email_hash, state, created_at)
         SELECT $1, * FROM unnest($2::uuid[], $3::bytea[], $4::text[], $5::timestamptz[])
         ON CONFLICT (campaign_id, signature_id) DO UPDATE SET state = excluded.state",
        world.id.0,
        &signatures.iter().map(|s| s.id.0).collect::<Vec<_>>(),
        &signatures
            .iter()
            .map(|s| s.email_hash.to_vec())
            .collect::<Vec<_>>(),
        &signatures
            .iter()
            .map(|s| s.state.word().to_owned())
            .collect::<Vec<_>>(),
        &signatures.iter().map(|s| s.created_at).collect::<Vec<_>>()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn persons(tx: &mut Tx, world: &World) -> Write {
    let persons = &world.written.persons;
    if persons.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO person (campaign_id, subject_id, display_name, email)
         SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[])",
        world.id.0,
        &persons.iter().map(|p| p.subject).collect::<Vec<_>>(),
        &persons
            .iter()
            .map(|p| p.display_name.clone())
            .collect::<Vec<_>>(),
        &persons.iter().map(|p| p.email.clone()).collect::<Vec<_>>()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn pledges(tx: &mut Tx, world: &World) -> Write {
    let ids = world.written.pledges.iter();
    let pledges: Vec<&Pledge> = ids.filter_map(|id| world.pledges.get(id)).collect();
    if pledges.is_empty() {
        return Ok(());
    }
    let classes: Vec<Option<Uuid>> = pledges.iter().map(|p| p.share_class.map(|c| c.0)).collect();
    let errored: Vec<Option<time::OffsetDateTime>> = pledges.iter().map(|p| p.errored_at).collect();
    sqlx::query!(
        "INSERT INTO pledge (campaign_id, pledge_id, member_id, state, amount, paid,
            share_class_id, units, created_at, expires_at, errored_at, terms_version)
         SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[],
            $7::uuid[], $8::bigint[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[],
            $12::int[])
         ON CONFLICT (campaign_id, pledge_id) DO UPDATE SET state = excluded.state,
            amount = excluded.amount, paid = excluded.paid, units = excluded.units,
            errored_at = excluded.errored_at",
        world.id.0,
        &pledges.iter().map(|p| p.id.0).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.member.0).collect::<Vec<_>>(),
        &pledges
            .iter()
            .map(|p| p.state.word().to_owned())
            .collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.amount.units()).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.paid.units()).collect::<Vec<_>>(),
        &classes as &[Option<Uuid>],
        &pledges.iter().map(|p| p.units).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.created_at).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.expires_at).collect::<Vec<_>>(),
        &errored as &[Option<time::OffsetDateTime>],
        &pledges.iter().map(|p| p.terms_version).collect::<Vec<_>>()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn payments(tx: &mut Tx, world: &World) -> Write {
    let ids = world.written.payments.iter();
    let payments: Vec<&Payment> = ids.filter_map(|id| world.payments.get(id)).collect();
    if payments.is_empty() {
        return Ok(());
    }
    let members: Vec<Option<Uuid>> = payments.iter().map(|p| p.member.map(|m| m.0)).collect();
    let pledges: Vec<Option<Uuid>> = payments.iter().map(|p| p.pledge.map(|p| p.0)).collect();
    sqlx::query!(
        "INSERT INTO payment (campaign_id, payment_id, money_account_id, object_id, state, method,
            gross, held, refundable, unallocated, fee, fee_known, fee_deferred, member_id,
            pledge_id, occurred_at, value_date, available_on, failure_code, entry_no)
         SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[],
            $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bool[],
            $13::bigint[], $14::uuid[], $15::uuid[], $16::timestamptz[], $17::date[], $18::date[],
            $19::text[], $20::bigint[])
         ON CONFLICT (campaign_id, payment_id) DO UPDATE SET state = excluded.state,
            method = excluded.method, gross = excluded.gross, held = excluded.held,
            refundable = excluded.refundable, unallocated = excluded.unallocated,
            fee = excluded.fee, fee_known = excluded.fee_known,
            fee_deferred = excluded.fee_deferred, member_id = excluded.member_id,
            pledge_id = excluded.pledge_id, occurred_at = excluded.occurred_at,
            value_date = excluded.value_date, available_on = excluded.available_on,
            failure_code = excluded.failure_code, entry_no = excluded.entry_no",
        world.id.0,
        &payments.iter().map(|p| p.id.0).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.account.0).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.object_id.clone())
            .collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.state.word().to_owned())
            .collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.method.word().to_owned())
            .collect::<Vec<_>>(),
        &payments.iter().map(|p| p.gross.units()).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.held.units()).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.refundable.units())
            .collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.unallocated.units())
            .collect::<Vec<_>>(),
        &payments.iter().map(|p| p.fee.units()).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.fee_known).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.fee_deferred.units())
            .collect::<Vec<_>>(),
        &members as &[Option<Uuid>],
        &pledges as &[Option<Uuid>],
        &payments.iter().map(|p| p.occurred_at).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.value_date).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.available_on).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.failure_code.clone())
            .collect::<Vec<_>>(),
        &payments.iter().map(|p| p.entry).collect::<Vec<_>>()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn effects(tx: &mut Tx, world: &World) -> Write {
    let keys = world.written.effects.iter();
    let effects: Vec<_> = keys
        .filter_map(|key| world.effects.get(key).map(|row| (key, row)))
        .collect();
    if effects.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO effect (campaign_id, money_account_id, object_id, effect, seq, amount,
            payment_id, change_no)
         SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[],
            $7::uuid[], $8::bigint[])",
        world.id.0,
        &effects
            .iter()
            .map(|(key, _)| key.account.0)
            .collect::<Vec<_>>(),
        &effects
            .iter()
            .map(|(key, _)| key.object.clone())
            .collect::<Vec<_>>(),
        &effects
            .iter()
            .map(|(key, _)| key.effect.to_owned())
            .collect::<Vec<_>>(),
        &effects
            .iter()
            .map(|(key, _)| key.seq.clone())
            .collect::<Vec<_>>(),
        &effects
            .iter()
            .map(|(_, row)| row.amount.units())
            .collect::<Vec<_>>(),
        &effects
            .iter()
            .map(|(_, row)| row.payment.0)
            .collect::<Vec<_>>(),
        &effects
            .iter()
            .map(|(_, row)| row.change)
            .collect::<Vec<_>>()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn tally(tx: &mut Tx, world: &World) -> Write {
    if !world.written.tally {
        return Ok(());
    }
    let tally = &world.tally;
    sqlx::query!(
        "INSERT INTO tally (campaign_id, signed, withdrawn, converted, pledging_members, pledged,
            paying_members, held, payments, failures)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (campaign_id) DO UPDATE SET signed = excluded.signed,
            withdrawn = excluded.withdrawn, converted = excluded.converted,
            pledging_members = excluded.pledging_members, pledged = excluded.pledged,
            paying_members = excluded.paying_members, held = excluded.held,
            payments = excluded.payments, failures = excluded.failures",
        world.id.0,
        tally.signed,
        tally.withdrawn,
        tally.converted,
        tally.pledging_members,
        tally.pledged.units(),
        tally.paying_members,
        tally.held.units(),
        tally.payments,
        tally.failures
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
