//! Payouts, refunds, lots, runs and their items.

use uuid::Uuid;

use super::{Tx, Write, of};
use crate::domain::World;

pub(super) async fn payouts(tx: &mut Tx<'_>, world: &World) -> Write {
    for payout in of(&world.written.payouts, |id| world.payouts.get(id)) {
        sqlx::query!(
            "INSERT INTO payout (campaign_id, payout_id, money_account_id, object_id,
                bank_account_id, is_top_up, state, amount, failure_code, occurred_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (campaign_id, payout_id) DO UPDATE SET state = excluded.state,
                failure_code = excluded.failure_code",
            world.id.0,
            payout.id.0,
            payout.account.0,
            payout.object_id,
            payout.bank.0,
            payout.is_top_up,
            payout.state.word(),
            payout.amount.units(),
            payout.failure_code,
            payout.occurred_at
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

pub(super) async fn refunds(tx: &mut Tx<'_>, world: &World) -> Write {
    let refunds: Vec<_> = of(&world.written.refunds, |id| world.refunds.get(id));
    if refunds.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO refund (campaign_id, refund_id, payment_id, member_id, amount, state,
            money_account_id, attempt, object_id, failure_code, run_id, requested_by, requested_at)
         SELECT $1, unnest($2::uuid[]), unnest($3::uuid[]), unnest($4::uuid[]),
            unnest($5::bigint[]), unnest($6::text[]), unnest($7::uuid[]), unnest($8::int[]),
            unnest($9::text[]), unnest($10::text[]), unnest($11::uuid[]), unnest($12::text[]),
            unnest($13::timestamptz[])
         ON CONFLICT (campaign_id, refund_id) DO UPDATE SET state = excluded.state,
            money_account_id = excluded.money_account_id, attempt = excluded.attempt,
            object_id = excluded.object_id, failure_code = excluded.failure_code",
        world.id.0,
        &refunds.iter().map(|r| r.id.0).collect::<Vec<_>>(),
        &refunds.iter().map(|r| r.payment.0).collect::<Vec<_>>(),
        &refunds
            .iter()
            .map(|r| r.member.map(|m| m.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &refunds.iter().map(|r| r.amount.units()).collect::<Vec<_>>(),
        &refunds.iter().map(|r| r.state.word()).collect::<Vec<_>>() as &[&str],
        &refunds.iter().map(|r| r.account.0).collect::<Vec<_>>(),
        &refunds.iter().map(|r| r.attempt).collect::<Vec<_>>(),
        &refunds
            .iter()
            .map(|r| r.object_id.as_str())
            .collect::<Vec<_>>() as &[&str],
        &refunds
            .iter()
            .map(|r| r.failure_code.as_str())
            .collect::<Vec<_>>() as &[&str],
        &refunds
            .iter()
            .map(|r| r.run.map(|run| run.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &refunds
            .iter()
            .map(|r| r.requested_by.as_str())
            .collect::<Vec<_>>() as &[&str],
        &refunds.iter().map(|r| r.requested_at).collect::<Vec<_>>()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn lots(tx: &mut Tx<'_>, world: &World) -> Write {
    let lots: Vec<_> = of(&world.written.lots, |certificate| {
        world.lots.get(certificate)
    });
    if lots.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO lot (campaign_id, certificate, member_id, share_class_id, units, cancelled,
            entry_no, allotted_at)
         SELECT $1, unnest($2::bigint[]), unnest($3::uuid[]), unnest($4::uuid[]),
            unnest($5::bigint[]), unnest($6::bigint[]), unnest($7::bigint[]),
            unnest($8::timestamptz[])
         ON CONFLICT (campaign_id, certificate) DO UPDATE SET cancelled = excluded.cancelled",
        world.id.0,
        &lots.iter().map(|l| l.certificate).collect::<Vec<_>>(),
        &lots.iter().map(|l| l.member.0).collect::<Vec<_>>(),
        &lots.iter().map(|l| l.share_class.0).collect::<Vec<_>>(),
        &lots.iter().map(|l| l.units).collect::<Vec<_>>(),
        &lots.iter().map(|l| l.cancelled).collect::<Vec<_>>(),
        &lots.iter().map(|l| l.entry).collect::<Vec<_>>(),
        &lots.iter().map(|l| l.allotted_at).collect::<Vec<_>>()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn runs(tx: &mut Tx<'_>, world: &World) -> Write {
    for run in of(&world.written.runs, |id| world.runs.get(id)) {
        sqlx::query!(
            "INSERT INTO run (campaign_id, run_id, kind, method, state, items, units, amount,
                released, hash, as_of_change, approved_by, starts, done, exceptions, planned_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
             ON CONFLICT (campaign_id, run_id) DO UPDATE SET state = excluded.state,
                approved_by = excluded.approved_by, starts = excluded.starts,
                done = excluded.done, exceptions = excluded.exceptions",
            world.id.0,
            run.id.0,
            run.kind.word(),
            run.method.map(|method| method.word()),
            run.state.word(),
            run.items,
            run.units,
            run.amount.units(),
            run.released.units(),
            run.hash.as_slice(),
            run.as_of_change,
            &run.approved_by,
            run.starts,
            run.done,
            run.exceptions,
            run.planned_at
        )
        .execute(&mut **tx)
        .await?;
    }
    let items: Vec<_> = of(&world.written.run_items, |key| world.run_items.get(key));
    if items.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE run_item SET state = worked.state, problem = worked.problem,
            change_no = worked.change_no
         FROM (
            SELECT unnest($2::uuid[]) AS run_id, unnest($3::bigint[]) AS position,
                unnest($4::text[]) AS state, unnest($5::text[]) AS problem,
                unnest($6::bigint[]) AS change_no
         ) AS worked
         WHERE run_item.campaign_id = $1 AND run_item.run_id = worked.run_id
            AND run_item.position = worked.position",
        world.id.0,
        &items.iter().map(|item| item.run.0).collect::<Vec<_>>(),
        &items.iter().map(|item| item.position).collect::<Vec<_>>(),
        &items
            .iter()
            .map(|item| item.state.word())
            .collect::<Vec<_>>() as &[&str],
        &items
            .iter()
            .map(|item| item.problem.as_str())
            .collect::<Vec<_>>() as &[&str],
        &items.iter().map(|item| item.change).collect::<Vec<_>>() as &[Option<i64>]
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
