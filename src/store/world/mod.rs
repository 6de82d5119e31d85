//! Reading the rows that a batch of commands needs.
//!
//! At most twelve statements a batch of payments and pledges, whatever its size, and a
//! handful more for what ends a campaign, and each only when the
//! batch needs something of the kind that the world does not know yet. They run
//! after the head's lock, so they see everything that was committed before it.

mod campaign;
mod ending;
mod journal;
mod payment;
mod person;
mod pledge;

pub(super) use campaign::campaign_of;
pub(super) use ending::{payouts_where, refunds_where, run_items_where, runs_where};
pub(super) use journal::account_key;
pub(super) use payment::{PAYMENT, PaymentRow, payments_where};
pub(super) use pledge::pledges_where;

use super::{Store, StoreError, Tx};
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
    ($tx:ident, $campaign:ident, $lock:literal) => {{
        let row = sqlx::query!(
            r#"SELECT change_no, entry_no, account_no, digest,
                      NULLIF(recorded_at, '-infinity') AS "recorded_at?"
               FROM campaign_head WHERE campaign_id = $1"#
                + $lock,
            $campaign.0
        );
        let row = row.fetch_optional(&mut **$tx).await?;
        row.map(|row| {
            Ok(Head {
                change: row.change_no,
                entry: row.entry_no,
                account: row.account_no,
                recorded_at: row.recorded_at,
                digest: digest(row.digest)?,
            })
        })
        .transpose()
    }};
}

/// Locks a campaign's head row: from here to the commit nobody else changes the
/// campaign.
pub(crate) async fn lock_in_tx(tx: &mut Tx<'_>, campaign: CampaignId) -> Read<Option<Head>> {
    head!(tx, campaign, " FOR NO KEY UPDATE")
}

/// Reads a campaign's head row without locking it, for a preview.
pub(crate) async fn head_in_tx(tx: &mut Tx<'_>, campaign: CampaignId) -> Read<Option<Head>> {
    head!(tx, campaign, "")
}

/// Reads what `needs` asks for and the world does not know yet. What it knows has
/// to be as of its head: nobody has changed the campaign since.
pub(crate) async fn read_in_tx(
    tx: &mut Tx<'_>,
    world: &mut World,
    needs: &Needs,
    now: time::OffsetDateTime,
) -> Read<()> {
    journal::requests(tx, world, &needs.requests).await?;
    if world.campaign.is_none() {
        campaign::campaign(tx, world).await?;
    }
    if world.campaign.is_none() {
        return Ok(());
    }
    journal::entries(tx, world, needs).await?;
    ending::refunds(tx, world, needs).await?;
    ending::payouts(tx, world, needs).await?;
    ending::runs(tx, world, needs).await?;
    payment::effects(tx, world, needs).await?;
    payment::payments(tx, world, needs).await?;
    ending::what_hangs_on_payments(tx, world).await?;
    ending::cleared(tx, world, needs, now).await?;
    let pledges = pledge::pledges(tx, world, needs, now).await?;
    let members = person::members(tx, world, needs, &pledges).await?;
    person::signatures(tx, world, needs).await?;
    campaign::registrations(tx, world, needs).await?;
    journal::accounts(tx, world, &members).await
}

pub(in crate::store) fn digest(bytes: Vec<u8>) -> Read<[u8; 32]> {
    let length = bytes.len();
    bytes
        .try_into()
        .map_err(|_| StoreError::unreadable("hash", length))
}
