//! Payments, and the effects that are claimed for movements of money.

use std::collections::HashSet;

use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Read, StoreError};
use crate::{
    domain::{
        EffectKey, EffectRow, Needs, World,
        payment::{Method, Payment, PaymentState},
    },
    id::{CampaignId, MemberId, MoneyAccountId, PaymentId, PledgeId},
    money::Amount,
};

/// The columns of `payment`.
#[derive(sqlx::FromRow)]
pub(in crate::store) struct PaymentRow {
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
    allotted: i64,
    refunded: i64,
    returned: i64,
    charged: i64,
    lost: i64,
    reserved: i64,
    flagged: bool,
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
            allotted: Amount::of_units(row.allotted),
            refunded: Amount::of_units(row.refunded),
            returned: Amount::of_units(row.returned),
            charged: Amount::of_units(row.charged),
            lost: Amount::of_units(row.lost),
            reserved: Amount::of_units(row.reserved),
            flagged: row.flagged,
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

pub(in crate::store) const PAYMENT: &str = "SELECT payment_id, money_account_id, object_id, state, method, gross, held,
    refundable, unallocated, fee, fee_known, fee_deferred, allotted, refunded, returned, charged,
    lost, reserved, flagged, member_id, pledge_id, occurred_at, value_date, available_on, failure_code, entry_no FROM payment WHERE campaign_id = ";

/// Payments that the rest of a statement picks.
pub(in crate::store) async fn payments_where(
    connection: &mut PgConnection,
    id: CampaignId,
    rest: impl FnOnce(&mut QueryBuilder<Postgres>),
) -> Read<Vec<Payment>> {
    let mut query = QueryBuilder::new(PAYMENT);
    query.push_bind(id.0);
    rest(&mut query);
    let rows: Vec<PaymentRow> = query.build_query_as().fetch_all(&mut *connection).await?;
    rows.into_iter().map(Payment::try_from).collect()
}

/// What the payments of members $2 of campaign $1 are found by: the lines on the accounts where a
/// payment's money arrives, and charges that failed at once, which have no entry. An account's lines
/// are a range of their table's key, so no payment needs an entry in an index by member. A line may
/// be of somebody else's payment by now: one that was matched to the wrong member.
const OF_MEMBERS: &str = ") AND payment_id = ANY(ARRAY(
    SELECT named.payment_id FROM account
    CROSS JOIN LATERAL (
        SELECT payment_id FROM line
        WHERE campaign_id = $1 AND account_no = account.account_no AND payment_id IS NOT NULL
        OFFSET 0
    ) AS named
    WHERE campaign_id = $1 AND owner = ANY($2) AND code IN (2100, 2200)
    UNION ALL
    SELECT payment_id FROM payment
    WHERE campaign_id = $1 AND member_id = ANY($2) AND entry_no = 0
))";

/// Those of these members' payments that the rest of a statement picks.
pub(in crate::store) async fn payments_of_members(
    connection: &mut PgConnection,
    id: CampaignId,
    members: Vec<Uuid>,
    rest: impl FnOnce(&mut QueryBuilder<Postgres>),
) -> Read<Vec<Payment>> {
    payments_where(connection, id, |query| {
        query
            .push(" AND member_id = ANY(")
            .push_bind(members)
            .push(OF_MEMBERS);
        rest(query);
    })
    .await
}

/// The payments that the batch names, and those of its movements: a movement that was
/// recorded has claimed an effect, whoever recorded it.
pub(super) async fn payments(
    connection: &mut PgConnection,
    world: &mut World,
    needs: &Needs,
) -> Read<()> {
    let named = world.entries.values().flat_map(|row| row.entry.lines());
    let named = named.filter_map(|line| line.payment);
    let moved = world.effects.values().filter_map(|effect| effect.payment);
    let refunded = world.refunds.values().map(|refund| refund.payment);
    let worked = world.run_items.values().filter_map(|item| item.payment);
    let needed = needs.payments.iter().copied().chain(named).chain(moved);
    let needed = needed.chain(refunded).chain(worked);
    let unknown = needed.filter(|id| !world.payments.contains_key(id));
    let needed: HashSet<Uuid> = unknown.map(|id| id.0).collect();
    if !needed.is_empty() {
        let needed: Vec<Uuid> = needed.into_iter().collect();
        let found = payments_where(connection, world.id, |query| {
            query
                .push(" AND payment_id = ANY(")
                .push_bind(needed)
                .push(")");
        });
        for payment in found.await? {
            world.put_payment(payment);
        }
    }
    // A refund names its payment; whoever is allotted shares pays with all that is held.
    let allotted = world
        .run_items
        .values()
        .filter(|item| item.payment.is_none());
    let allotted = allotted.filter_map(|item| item.member);
    let holding: HashSet<MemberId> = needs.holding.iter().copied().chain(allotted).collect();
    if !holding.is_empty() {
        let holding: Vec<Uuid> = holding.into_iter().map(|id| id.0).collect();
        let found = payments_of_members(connection, world.id, holding, |query| {
            query.push(" AND held > 0");
        });
        for payment in found.await? {
            world.put_payment(payment);
        }
    }
    Ok(())
}

/// What a movement of money elsewhere can have done here.
const EFFECTS: [&str; 17] = [
    "capture",
    "fee",
    "failure",
    "late_failure",
    "refund",
    "refund_debited",
    "refund_failed",
    "payout",
    "payout_arrived",
    "payout_failed",
    "purchase",
    "seller_deposit",
    "seller_deposit_returned",
    "underwriters_advance",
    "outgoing_payment",
    "bank_charge",
    "interest",
];

/// Accounts and ids elsewhere, side by side.
#[derive(Default)]
pub(super) struct Movements {
    accounts: Vec<Uuid>,
    objects: Vec<String>,
}

impl Movements {
    /// The movements that a batch is about.
    pub(super) fn of(world: &World, needs: &Needs) -> Self {
        let mut movements = Self::default();
        // A fee is asked for before its payment's account is known: then any of the
        // campaign's provider accounts may be meant.
        let known = world.campaign.iter().flat_map(|c| &c.money_accounts);
        let known: Vec<Uuid> = known.map(|account| account.id.0).collect();
        for (account, object) in &needs.movements {
            let named = [account.0];
            let of = if account.0.is_nil() {
                known.as_slice()
            } else {
                named.as_slice()
            };
            for account in of {
                movements.accounts.push(*account);
                movements.objects.push(object.clone());
            }
        }
        for payout in world.payouts.values() {
            movements.accounts.push(payout.account.0);
            movements.objects.push(payout.object_id.clone());
        }
        movements
    }
}

/// Of the batch's request ids those that have an outcome, and of its movements' ids those
/// that have claimed an effect: mostly none, and one look for both of them.
pub(super) async fn recorded(
    connection: &mut PgConnection,
    world: &World,
    needs: &Needs,
    movements: &Movements,
) -> Read<(Vec<Uuid>, HashSet<String>)> {
    let requests: Vec<Uuid> = needs.requests.iter().map(|id| id.0).collect();
    if requests.is_empty() && movements.objects.is_empty() {
        return Ok(Default::default());
    }
    let row = sqlx::query!(
        r#"SELECT
            ARRAY(
                SELECT request_id FROM change WHERE campaign_id = $1 AND request_id = ANY($2)
            ) AS "requests!",
            ARRAY(
                SELECT claimed.object_id
                FROM unnest($3::uuid[], $4::text[]) AS moved (account, object)
                CROSS JOIN LATERAL (
                    SELECT object_id FROM effect WHERE campaign_id = $1
                        AND money_account_id = moved.account AND object_id = moved.object
                    OFFSET 0
                ) AS claimed
            ) AS "objects!""#,
        world.id.0,
        &requests,
        &movements.accounts,
        &movements.objects
    );
    let row = row.fetch_one(connection).await?;
    Ok((row.requests, row.objects.into_iter().collect()))
}

/// Reads the effects that were claimed for the movements of these ids.
pub(super) async fn effects(
    connection: &mut PgConnection,
    world: &mut World,
    movements: Movements,
    claimed: &HashSet<String>,
) -> Read<()> {
    let movements = movements.accounts.into_iter().zip(movements.objects);
    let claimed = movements.filter(|(_, object)| claimed.contains(object));
    let (accounts, objects): (Vec<Uuid>, Vec<String>) = claimed.unzip();
    if objects.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        "SELECT claimed.money_account_id, claimed.object_id, claimed.effect, claimed.seq,
             claimed.amount, claimed.payment_id, claimed.change_no
         FROM unnest($2::uuid[], $3::text[]) AS moved (account, object)
         CROSS JOIN LATERAL (
             SELECT * FROM effect WHERE campaign_id = $1
                 AND money_account_id = moved.account AND object_id = moved.object
             OFFSET 0
         ) AS claimed",
        world.id.0,
        &accounts,
        &objects
    );
    for row in rows.fetch_all(&mut *connection).await? {
        let effect = EFFECTS.into_iter().find(|effect| *effect == row.effect);
        let key = EffectKey {
            account: MoneyAccountId(row.money_account_id),
            object: row.object_id,
            effect: effect.ok_or_else(|| StoreError::unreadable("effect", row.effect))?,
            seq: row.seq,
        };
        let claimed = EffectRow {
            amount: Amount::of_units(row.amount),
            payment: row.payment_id.map(PaymentId),
            change: row.change_no,
        };
        world.effects.insert(key, claimed);
    }
    Ok(())
}
