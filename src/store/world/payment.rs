//! Payments, and the effects that are claimed for movements of money.

use std::collections::HashSet;

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Read, StoreError, Tx};
use crate::{
    domain::{
        EffectKey, EffectRow, Needs, World,
        payment::{Method, Payment, PaymentState},
    },
    id::{CampaignId, MemberId, MoneyAccountId, PaymentId, PledgeId},
    money::Amount,
};

/// The columns of `payment`, in the order in which [`PaymentRow`] has them.
#[derive(sqlx::FromRow)]
struct PaymentRow {
    payment_id: Uuid,
    money_account_id: Uuid,
    object_id: String,
    state: String,
    method: String,
    gross: i64,
    held: i64,
    refundable: i64,
    unallocated: i64,
    fee: i64,
    fee_known: bool,
    fee_deferred: i64,
    member_id: Option<Uuid>,
    pledge_id: Option<Uuid>,
    occurred_at: time::OffsetDateTime,
    value_date: time::Date,
    available_on: time::Date,
    failure_code: String,
    entry_no: i64,
}

impl TryFrom<PaymentRow> for Payment {
    type Error = StoreError;

    fn try_from(row: PaymentRow) -> Read<Self> {
        let unreadable = || StoreError::unreadable("payment", row.payment_id);
        Ok(Self {
            id: PaymentId(row.payment_id),
            account: MoneyAccountId(row.money_account_id),
            object_id: row.object_id,
            state: PaymentState::of_word(&row.state).ok_or_else(unreadable)?,
            method: Method::of_word(&row.method).ok_or_else(unreadable)?,
            gross: Amount::of_units(row.gross),
            held: Amount::of_units(row.held),
            refundable: Amount::of_units(row.refundable),
            unallocated: Amount::of_units(row.unallocated),
            fee: Amount::of_units(row.fee),
            fee_known: row.fee_known,
            fee_deferred: Amount::of_units(row.fee_deferred),
            member: row.member_id.map(MemberId),
            pledge: row.pledge_id.map(PledgeId),
            occurred_at: row.occurred_at,
            value_date: row.value_date,
            available_on: row.available_on,
            failure_code: row.failure_code,
            entry: row.entry_no,
        })
    }
}

const PAYMENT: &str = "SELECT payment_id, money_account_id, object_id, state, method, gross, held,
    refundable, unallocated, fee, fee_known, fee_deferred, member_id, pledge_id, occurred_at,
    value_date, available_on, failure_code, entry_no FROM payment WHERE campaign_id = ";

/// Payments that the rest of a statement picks.
pub(in crate::store) async fn payments_where(
    tx: &mut Tx<'_>,
    id: CampaignId,
    rest: impl FnOnce(&mut QueryBuilder<Postgres>),
) -> Read<Vec<Payment>> {
    let mut query = QueryBuilder::new(PAYMENT);
    query.push_bind(id.0);
    rest(&mut query);
    let rows: Vec<PaymentRow> = query.build_query_as().fetch_all(&mut **tx).await?;
    rows.into_iter().map(Payment::try_from).collect()
}

/// The payments that the batch names, and those of its movements: a movement that was
/// recorded has claimed an effect, whoever recorded it.
pub(super) async fn payments(tx: &mut Tx<'_>, world: &mut World, needs: &Needs) -> Read<()> {
    let named = world.entries.values().flat_map(|row| row.entry.lines());
    let named = named.filter_map(|line| line.payment);
    let moved = world.effects.values().map(|effect| effect.payment);
    let needed = needs.payments.iter().copied().chain(named).chain(moved);
    let needed: HashSet<Uuid> = needed.map(|id| id.0).collect();
    if needed.is_empty() {
        return Ok(());
    }
    let needed: Vec<Uuid> = needed.into_iter().collect();
    let found = payments_where(tx, world.id, |query| {
        query
            .push(" AND payment_id = ANY(")
            .push_bind(needed)
            .push(")");
    });
    for payment in found.await? {
        world.put_payment(payment);
    }
    Ok(())
}

const EFFECTS: [&str; 4] = ["capture", "fee", "failure", "late_failure"];

pub(super) async fn effects(tx: &mut Tx<'_>, world: &mut World, needs: &Needs) -> Read<()> {
    if needs.movements.is_empty() {
        return Ok(());
    }
    // A fee is asked for before its payment's account is known: then any of the
    // campaign's provider accounts may be meant.
    let (mut accounts, mut objects) = (Vec::new(), Vec::new());
    let known: Vec<Uuid> = world
        .campaign
        .iter()
        .flat_map(|c| &c.money_accounts)
        .map(|a| a.id.0)
        .collect();
    for (account, object) in &needs.movements {
        let of = if account.0.is_nil() {
            known.clone()
        } else {
            vec![account.0]
        };
        for account in of {
            accounts.push(account);
            objects.push(object.clone());
        }
    }
    let rows = sqlx::query!(
        "SELECT money_account_id, object_id, effect, seq, amount, payment_id, change_no
         FROM effect WHERE campaign_id = $1
            AND (money_account_id, object_id) IN (SELECT * FROM unnest($2::uuid[], $3::text[]))",
        world.id.0,
        &accounts,
        &objects
    );
    for row in rows.fetch_all(&mut **tx).await? {
        let effect = EFFECTS.into_iter().find(|effect| *effect == row.effect);
        let key = EffectKey {
            account: MoneyAccountId(row.money_account_id),
            object: row.object_id,
            effect: effect.ok_or_else(|| StoreError::unreadable("effect", row.effect))?,
            seq: row.seq,
        };
        let claimed = EffectRow {
            amount: Amount::of_units(row.amount),
            payment: PaymentId(row.payment_id),
            change: row.change_no,
        };
        world.effects.insert(key, claimed);
    }
    Ok(())
}
