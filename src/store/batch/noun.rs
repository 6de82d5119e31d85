//! Members, signatures, pledges, payments and their effects.

use uuid::Uuid;

use super::{Tx, Write};
use crate::domain::{World, payment::Payment, pledge::Pledge};

pub(super) async fn members(tx: &mut Tx, world: &World) -> Write {
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

pub(super) async fn signatures(tx: &mut Tx, world: &World) -> Write {
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

pub(super) async fn persons(tx: &mut Tx, world: &World) -> Write {
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

pub(super) async fn pledges(tx: &mut Tx, world: &World) -> Write {
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

pub(super) async fn payments(tx: &mut Tx, world: &World) -> Write {
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

pub(super) async fn effects(tx: &mut Tx, world: &World) -> Write {
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
