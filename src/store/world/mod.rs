//! Reading the rows that a batch of commands needs.
//!
//! At most twelve statements a batch of payments and pledges, whatever its size, and a
//! handful more for what ends a campaign, and each only when the
//! batch needs something of the kind that the world does not know yet. They run
//! after the head's lock, so they see everything that was committed before it; or without
//! it, and then what is written says on which batch it was decided, so that nobody came between.
//!
//! What is asked for is joined row by row, by its key: `LATERAL`, with an `OFFSET 0` that keeps
//! the planner from merging it. A connection keeps the plan that it made when the tables were
//! small or not yet analysed, and the natural join's plan reads the whole campaign then.

mod campaign;
mod ending;
mod journal;
mod payment;
mod person;
mod pledge;

pub(super) use campaign::campaign_of;
pub(super) use ending::{payouts_where, refunds_where, run_items_where, runs_where};
pub(super) use journal::account_key;
pub(crate) use journal::changed_between;
pub(super) use payment::{PAYMENT, PaymentRow, payments_of_members, payments_where};
pub(super) use pledge::pledges_where;

use sqlx::PgConnection;

use super::{Store, StoreError};
use crate::{
    domain::{Head, Needs, World},
    id::CampaignId,
};

type Read<T> = Result<T, StoreError>;

impl Store {
    /// Makes sure that a campaign's head row is there, so that its first command
    /// has something to lock. A head without a campaign means nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn head_ensure(&self, campaign: CampaignId) -> Read<()> {
        let insert = sqlx::query!(
            "INSERT INTO campaign_head (campaign_id) VALUES ($1) ON CONFLICT DO NOTHING",
            campaign.0
        );
        insert.execute(&self.pool).await?;
        Ok(())
    }
}

/// A campaign's head row. Nothing when there is no such campaign.
macro_rules! head {
    ($connection:ident, $from:literal, $lock:literal, $campaign:ident $(, $more:expr)*) => {{
        let row = sqlx::query!(
            r#"SELECT change_no, entry_no, account_no, digest, batch,
                      NULLIF(recorded_at, '-infinity') AS "recorded_at?"
               FROM "#
                + $from
                + " WHERE campaign_id = $1"
                + $lock,
            $campaign.0
            $(, $more)*
        );
        let row = row.fetch_optional(&mut *$connection).await?;
        row.map(|row| {
            Ok(Head {
                change: row.change_no,
                entry: row.entry_no,
                account: row.account_no,
                recorded_at: row.recorded_at,
                digest: digest(row.digest)?,
                batch: row.batch,
            })
        })
        .transpose()
    }};
}

/// Locks a campaign and its head row: from here to the commit nobody else changes the
/// campaign. The campaign's lock comes before the row's, since a batch that was written
/// ahead has rows of its own in the tables before it asks for the head.
pub(crate) async fn lock_in_tx(tx: &mut PgConnection, campaign: CampaignId) -> Read<Option<Head>> {
    head!(
        tx,
        "(SELECT pg_advisory_xact_lock($2)) AS alone, campaign_head",
        " FOR NO KEY UPDATE OF campaign_head",
        campaign,
        campaign_lock(campaign)
    )
}

/// Waits for this server's turn at a campaign that others write to as well. The turn ends
/// with the database transaction, which may be idle for as long as a turn and what is under way
/// at its end take. It is a lock of its own: who has the turn still takes the
/// campaign's, batch after batch. Meanwhile the connection has the name by which other servers
/// reach this one.
pub(crate) async fn turn_in_tx(
    tx: &mut PgConnection,
    campaign: CampaignId,
    name: Option<&str>,
) -> Read<()> {
    sqlx::query!(
        "SELECT pg_advisory_xact_lock($1), set_config('application_name', $2, true) AS name,
             set_config('idle_in_transaction_session_timeout', '5s', true) AS patience",
        turn_lock(campaign),
        name.unwrap_or("pledgebook")
    )
    .fetch_one(tx)
    .await?;
    Ok(())
}

/// Takes the turn if nobody has it. True when this server has it now.
pub(crate) async fn turn_if_free_in_tx(
    tx: &mut PgConnection,
    campaign: CampaignId,
    name: &str,
) -> Read<bool> {
    let turn = sqlx::query!(
        r#"SELECT set_config('application_name', $2, true) AS name,
               pg_try_advisory_xact_lock($1) AS "is_taken!""#,
        turn_lock(campaign),
        name
    );
    Ok(turn.fetch_one(tx).await?.is_taken)
}

/// What the connection is called that has the turn. Of a connection of this role only: any
/// role of the database may take the lock and call itself anything.
pub(crate) async fn whose_turn_in_tx(
    tx: &mut PgConnection,
    campaign: CampaignId,
) -> Read<Option<String>> {
    let names = sqlx::query_scalar!(
        r#"SELECT application_name AS "name!" FROM pg_locks JOIN pg_stat_activity USING (pid)
           WHERE usename = current_user AND granted
               AND locktype = 'advisory' AND mode = 'ExclusiveLock' AND objsubid = 1
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND classid = (($1::bigint >> 32) & 4294967295)::oid
               AND objid = ($1 & 4294967295)::oid"#,
        turn_lock(campaign)
    );
    Ok(names.fetch_optional(tx).await?)
}

/// Whether another server waits for this one's turn to end.
pub(crate) async fn is_turn_awaited_in_tx(
    tx: &mut PgConnection,
    campaign: CampaignId,
) -> Read<bool> {
    let awaited = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM pg_locks
               WHERE locktype = 'advisory' AND NOT granted AND objsubid = 1
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                   AND classid = (($1::bigint >> 32) & 4294967295)::oid
                   AND objid = ($1 & 4294967295)::oid
           ) AS "awaited!""#,
        turn_lock(campaign)
    );
    Ok(awaited.fetch_one(tx).await?)
}

/// What the lock of the turn is called.
fn turn_lock(campaign: CampaignId) -> i64 {
    !campaign_lock(campaign)
}

/// What a campaign's lock is called: writers under the head's lock hold it alone, those
/// that write ahead share it. The random half of the id; two campaigns that should share
/// it wait for each other and come to no harm.
pub(super) fn campaign_lock(campaign: CampaignId) -> i64 {
    let (_, random) = campaign.0.as_u64_pair();
    i64::from_be_bytes(random.to_be_bytes())
}

/// What the lock of the batch is called whose last change has this number.
pub(super) fn batch_lock(campaign: CampaignId, last: i64) -> i64 {
    campaign_lock(campaign).wrapping_add(last)
}

/// Reads a campaign's head row without locking it, for a preview.
pub(crate) async fn head_in_tx(tx: &mut PgConnection, campaign: CampaignId) -> Read<Option<Head>> {
    head!(tx, "campaign_head", "", campaign)
}

/// Reads what `needs` asks for and the world does not know yet. What it knows has
/// to be as of its head: nobody else has changed the campaign since, or the database will refuse
/// what is decided on it.
pub(crate) async fn read(
    connection: &mut PgConnection,
    world: &mut World,
    needs: &Needs,
    now: time::OffsetDateTime,
) -> Read<()> {
    if world.campaign.is_none() {
        campaign::campaign(connection, world).await?;
    }
    ending::payouts(connection, world, needs).await?;
    let movements = payment::Movements::of(world, needs);
    let (requests, claimed) = payment::recorded(connection, world, needs, &movements).await?;
    journal::requests(connection, world, &requests).await?;
    if world.campaign.is_none() {
        return Ok(());
    }
    payment::effects(connection, world, movements, &claimed).await?;
    journal::entries(connection, world, needs).await?;
    ending::refunds(connection, world, needs).await?;
    ending::runs(connection, world, needs).await?;
    payment::payments(connection, world, needs).await?;
    ending::what_hangs_on_payments(connection, world).await?;
    ending::cleared(connection, world, needs, now).await?;
    let pledges = pledge::pledges(connection, world, needs, now).await?;
    let members = person::members(connection, world, needs, &pledges).await?;
    person::signatures(connection, world, needs).await?;
    campaign::registrations(connection, world, needs).await?;
    journal::accounts(connection, world, &members).await
}

pub(in crate::store) fn digest(bytes: Vec<u8>) -> Read<[u8; 32]> {
    let length = bytes.len();
    bytes
        .try_into()
        .map_err(|_| StoreError::unreadable("hash", length))
}
