//! Refunds, payouts, lots and runs, and what has cleared.

use std::collections::HashSet;

use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Read, StoreError, digest};
use crate::{
    domain::{
        Needs, World,
        campaign::Cleared,
        payout::{Payout, PayoutState},
        refund::{Refund, RefundState},
        run::{Run, RunItem, RunItemState, RunKind, RunState},
        share::{Lot, Method},
    },
    id::{
        CampaignId, MemberId, MoneyAccountId, PaymentId, PayoutId, RefundId, RunId, ShareClassId,
    },
    money::Amount,
};

#[derive(sqlx::FromRow)]
struct RefundRow {
    refund_id: Uuid,
    payment_id: Uuid,
    member_id: Option<Uuid>,
    amount: i64,
    state: String,
    money_account_id: Uuid,
    attempt: i32,
    object_id: String,
    failure_code: String,
    run_id: Option<Uuid>,
    requested_by: String,
    requested_at: time::OffsetDateTime,
}

impl TryFrom<RefundRow> for Refund {
    type Error = StoreError;

    fn try_from(row: RefundRow) -> Read<Self> {
        let unreadable = || StoreError::unreadable("refund", row.refund_id);
        Ok(Self {
            id: RefundId(row.refund_id),
            payment: PaymentId(row.payment_id),
            member: row.member_id.map(MemberId),
            amount: Amount::of_units(row.amount),
            state: RefundState::of_word(&row.state).ok_or_else(unreadable)?,
            account: MoneyAccountId(row.money_account_id),
            attempt: row.attempt,
            object_id: row.object_id,
            failure_code: row.failure_code,
            run: row.run_id.map(RunId),
            requested_by: row.requested_by,
            requested_at: row.requested_at,
        })
    }
}

const REFUND: &str = "SELECT refund_id, payment_id, member_id, amount, state, money_account_id,
    attempt, object_id, failure_code, run_id, requested_by, requested_at
    FROM refund WHERE campaign_id = ";

/// Refunds that the rest of a statement picks.
pub(in crate::store) async fn refunds_where(
    connection: &mut PgConnection,
    id: CampaignId,
    rest: impl FnOnce(&mut QueryBuilder<Postgres>),
) -> Read<Vec<Refund>> {
    let mut query = QueryBuilder::new(REFUND);
    query.push_bind(id.0);
    rest(&mut query);
    let rows: Vec<RefundRow> = query.build_query_as().fetch_all(&mut *connection).await?;
    rows.into_iter().map(Refund::try_from).collect()
}

/// Reads the refunds that the batch names.
pub(super) async fn refunds(
    connection: &mut PgConnection,
    world: &mut World,
    needs: &Needs,
) -> Read<()> {
    if needs.refunds.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = needs.refunds.iter().map(|id| id.0).collect();
    let found = refunds_where(connection, world.id, |query| {
        query.push(" AND refund_id = ANY(").push_bind(ids).push(")");
    });
    let found = found.await?.into_iter();
    world
        .refunds
        .extend(found.map(|refund| (refund.id, refund)));
    Ok(())
}

/// Reads all refunds of the payments on which some lay claim or came back, and the lots of
/// the members whose payments are shares.
pub(super) async fn what_hangs_on_payments(
    connection: &mut PgConnection,
    world: &mut World,
) -> Read<()> {
    let payments = world.payments.values();
    let claimed =
        payments.filter(|payment| payment.reserved.is_positive() || payment.returned.is_positive());
    let claimed: Vec<Uuid> = claimed.map(|payment| payment.id.0).collect();
    if !claimed.is_empty() {
        let found = refunds_where(connection, world.id, |query| {
            query
                .push(" AND payment_id = ANY(")
                .push_bind(claimed)
                .push(")");
        });
        for refund in found.await? {
            world.refunds.insert(refund.id, refund);
        }
    }
    let payments = world.payments.values();
    let holders = payments.filter(|payment| payment.allotted.is_positive());
    let holders: HashSet<Uuid> = holders.filter_map(|p| p.member).map(|id| id.0).collect();
    if !holders.is_empty() {
        let holders: Vec<Uuid> = holders.into_iter().collect();
        let rows = sqlx::query!(
            "SELECT certificate, member_id, share_class_id, units, cancelled, entry_no, allotted_at
             FROM lot WHERE campaign_id = $1 AND member_id = ANY($2)",
            world.id.0,
            &holders
        );
        for row in rows.fetch_all(&mut *connection).await? {
            let lot = Lot {
                certificate: row.certificate,
                member: MemberId(row.member_id),
                share_class: ShareClassId(row.share_class_id),
                units: row.units,
                cancelled: row.cancelled,
                entry: row.entry_no,
                allotted_at: row.allotted_at,
            };
            world.lots.insert(lot.certificate, lot);
        }
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct PayoutRow {
    payout_id: Uuid,
    money_account_id: Uuid,
    object_id: String,
    bank_account_id: Uuid,
    is_top_up: bool,
    state: String,
    amount: i64,
    failure_code: String,
    occurred_at: time::OffsetDateTime,
}

impl TryFrom<PayoutRow> for Payout {
    type Error = StoreError;

    fn try_from(row: PayoutRow) -> Read<Self> {
        let unreadable = || StoreError::unreadable("payout", row.payout_id);
        Ok(Self {
            id: PayoutId(row.payout_id),
            account: MoneyAccountId(row.money_account_id),
            object_id: row.object_id,
            bank: MoneyAccountId(row.bank_account_id),
            is_top_up: row.is_top_up,
            state: PayoutState::of_word(&row.state).ok_or_else(unreadable)?,
            amount: Amount::of_units(row.amount),
            failure_code: row.failure_code,
            occurred_at: row.occurred_at,
        })
    }
}

const PAYOUT: &str = "SELECT payout_id, money_account_id, object_id, bank_account_id, is_top_up,
    state, amount, failure_code, occurred_at FROM payout WHERE campaign_id = ";

/// Payouts that the rest of a statement picks.
pub(in crate::store) async fn payouts_where(
    connection: &mut PgConnection,
    id: CampaignId,
    rest: impl FnOnce(&mut QueryBuilder<Postgres>),
) -> Read<Vec<Payout>> {
    let mut query = QueryBuilder::new(PAYOUT);
    query.push_bind(id.0);
    rest(&mut query);
    let rows: Vec<PayoutRow> = query.build_query_as().fetch_all(&mut *connection).await?;
    rows.into_iter().map(Payout::try_from).collect()
}

pub(super) async fn payouts(
    connection: &mut PgConnection,
    world: &mut World,
    needs: &Needs,
) -> Read<()> {
    if needs.payouts.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = needs.payouts.iter().map(|id| id.0).collect();
    let found = payouts_where(connection, world.id, |query| {
        query.push(" AND payout_id = ANY(").push_bind(ids).push(")");
    });
    let found = found.await?.into_iter();
    world
        .payouts
        .extend(found.map(|payout| (payout.id, payout)));
    Ok(())
}

#[derive(sqlx::FromRow)]
struct RunRow {
    run_id: Uuid,
    kind: String,
    method: Option<String>,
    state: String,
    items: i64,
    units: i64,
    amount: i64,
    released: i64,
    hash: Vec<u8>,
    as_of_change: i64,
    approved_by: Vec<String>,
    starts: i32,
    done: i64,
    exceptions: i64,
    planned_at: time::OffsetDateTime,
}

impl TryFrom<RunRow> for Run {
    type Error = StoreError;

    fn try_from(row: RunRow) -> Read<Self> {
        let unreadable = || StoreError::unreadable("run", row.run_id);
        let method = row.method.as_deref();
        Ok(Self {
            id: RunId(row.run_id),
            kind: RunKind::of_word(&row.kind).ok_or_else(unreadable)?,
            method: method
                .map(|word| Method::of_word(word).ok_or_else(unreadable))
                .transpose()?,
            state: RunState::of_word(&row.state).ok_or_else(unreadable)?,
            items: row.items,
            units: row.units,
            amount: Amount::of_units(row.amount),
            released: Amount::of_units(row.released),
            hash: digest(row.hash)?,
            as_of_change: row.as_of_change,
            approved_by: row.approved_by,
            starts: row.starts,
            done: row.done,
            exceptions: row.exceptions,
            planned_at: row.planned_at,
        })
    }
}

const RUN: &str = "SELECT run_id, kind, method, state, items, units, amount, released, hash,
    as_of_change, approved_by, starts, done, exceptions, planned_at FROM run WHERE campaign_id = ";

/// Runs that the rest of a statement picks.
pub(in crate::store) async fn runs_where(
    connection: &mut PgConnection,
    id: CampaignId,
    rest: impl FnOnce(&mut QueryBuilder<Postgres>),
) -> Read<Vec<Run>> {
    let mut query = QueryBuilder::new(RUN);
    query.push_bind(id.0);
    rest(&mut query);
    let rows: Vec<RunRow> = query.build_query_as().fetch_all(&mut *connection).await?;
    rows.into_iter().map(Run::try_from).collect()
}

#[derive(sqlx::FromRow)]
struct RunItemRow {
    run_id: Uuid,
    position: i64,
    member_id: Option<Uuid>,
    payment_id: Option<Uuid>,
    share_class_id: Option<Uuid>,
    units: i64,
    amount: i64,
    released: i64,
    hash: Vec<u8>,
    state: String,
    problem: String,
    change_no: Option<i64>,
}

impl TryFrom<RunItemRow> for RunItem {
    type Error = StoreError;

    fn try_from(row: RunItemRow) -> Read<Self> {
        let unreadable = || StoreError::unreadable("run item", row.position);
        Ok(Self {
            run: RunId(row.run_id),
            position: row.position,
            member: row.member_id.map(MemberId),
            payment: row.payment_id.map(PaymentId),
            share_class: row.share_class_id.map(ShareClassId),
            units: row.units,
            amount: Amount::of_units(row.amount),
            released: Amount::of_units(row.released),
            hash: digest(row.hash)?,
            state: RunItemState::of_word(&row.state).ok_or_else(unreadable)?,
            problem: row.problem,
            change: row.change_no,
        })
    }
}

const RUN_ITEM: &str = "SELECT run_id, position, member_id, payment_id, share_class_id, units,
    amount, released, hash, state, problem, change_no FROM run_item WHERE campaign_id = ";

/// Items of runs that the rest of a statement picks.
pub(in crate::store) async fn run_items_where(
    connection: &mut PgConnection,
    id: CampaignId,
    rest: impl FnOnce(&mut QueryBuilder<Postgres>),
) -> Read<Vec<RunItem>> {
    let mut query = QueryBuilder::new(RUN_ITEM);
    query.push_bind(id.0);
    rest(&mut query);
    let rows: Vec<RunItemRow> = query.build_query_as().fetch_all(&mut *connection).await?;
    rows.into_iter().map(RunItem::try_from).collect()
}

/// Reads the runs and items that the batch works, and whether an allotment is under way.
pub(super) async fn runs(
    connection: &mut PgConnection,
    world: &mut World,
    needs: &Needs,
) -> Read<()> {
    if !needs.runs.is_empty() {
        let ids: Vec<Uuid> = needs.runs.iter().map(|id| id.0).collect();
        let found = runs_where(connection, world.id, |query| {
            query.push(" AND run_id = ANY(").push_bind(ids).push(")");
        });
        let found = found.await?.into_iter();
        world.runs.extend(found.map(|run| (run.id, run)));
    }
    for run in &needs.runs {
        let of_run = needs.run_items.iter().filter(|(of, _)| of == run);
        let positions: Vec<i64> = of_run.map(|(_, position)| *position).collect();
        if positions.is_empty() {
            continue;
        }
        let found = run_items_where(connection, world.id, |query| {
            query
                .push(" AND run_id = ")
                .push_bind(run.0)
                .push(" AND position = ANY(")
                .push_bind(positions)
                .push(")");
        });
        let found = found.await?.into_iter();
        let found = found.map(|item| ((item.run, item.position), item));
        world.run_items.extend(found);
    }
    if needs.open_allotment {
        let open = sqlx::query_scalar!(
            "SELECT run_id FROM run WHERE campaign_id = $1 AND kind = 'allotment'
                AND state IN ('planned', 'approved', 'running', 'paused') LIMIT 1",
            world.id.0
        );
        world.open_allotment = open.fetch_optional(&mut *connection).await?.is_some();
    }
    Ok(())
}

/// Reads what has cleared by now: a sum over all payments, asked once in a campaign's life.
pub(super) async fn cleared(
    connection: &mut PgConnection,
    world: &mut World,
    needs: &Needs,
    now: time::OffsetDateTime,
) -> Read<()> {
    if !needs.cleared {
        return Ok(());
    }
    let row = sqlx::query!(
        r#"WITH in_force AS (
            SELECT terms.* FROM campaign
            JOIN terms ON terms.campaign_id = $1 AND terms.version = campaign.terms_version
            WHERE campaign.campaign_id = $1
        ), cleared AS (
            SELECT payment.member_id, sum(payment.held) AS held
            FROM payment CROSS JOIN in_force
            WHERE payment.campaign_id = $1 AND payment.held > 0
                AND payment.available_on + CASE payment.method
                    WHEN 'card' THEN in_force.card_clearing_days
                    WHEN 'direct_debit' THEN in_force.direct_debit_clearing_days
                    ELSE in_force.bank_transfer_clearing_days
                END <= $2
            GROUP BY payment.member_id
        )
        SELECT coalesce(sum(held), 0)::bigint AS "amount!", count(*) AS "members!" FROM cleared"#,
        world.id.0,
        now.date()
    );
    let row = row.fetch_one(&mut *connection).await?;
    world.cleared = Some(Cleared {
        amount: Amount::of_units(row.amount),
        members: row.members,
    });
    Ok(())
}
