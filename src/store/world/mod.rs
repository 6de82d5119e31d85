//! Reading the rows that a batch of commands needs.
//!
//! At most twelve statements a batch, whatever its size, and each only when the
//! batch needs something of the kind. They run after the head's lock, so they
//! see everything that was committed before it.

mod campaign;
mod journal;
mod payment;
mod person;
mod pledge;

pub(super) use campaign::campaign_of;
pub(super) use journal::account_key;
pub(super) use payment::payments_where;
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

/// Locks a campaign's head row: from here to the commit nobody else changes the
/// campaign. Nothing when there is no such campaign.
pub(crate) async fn lock_in_tx(tx: &mut Tx, campaign: CampaignId) -> Read<Option<Head>> {
    let row = sqlx::query!(
        r#"SELECT change_no, entry_no, account_no, digest,
                  NULLIF(recorded_at, '-infinity') AS "recorded_at?"
           FROM campaign_head WHERE campaign_id = $1 FOR NO KEY UPDATE"#,
        campaign.0
    );
    let Some(row) = row.fetch_optional(&mut **tx).await? else {
        return Ok(None);
    };
    Ok(Some(Head {
        change: row.change_no,
        entry: row.entry_no,
        account: row.account_no,
        recorded_at: row.recorded_at,
        digest: digest(row.digest)?,
    }))
}

/// Reads a campaign's head row without locking it, for a preview.
pub(crate) async fn head_in_tx(tx: &mut Tx, campaign: CampaignId) -> Read<Option<Head>> {
    let row = sqlx::query!(
        r#"SELECT change_no, entry_no, account_no, digest,
                  NULLIF(recorded_at, '-infinity') AS "recorded_at?"
           FROM campaign_head WHERE campaign_id = $1"#,
        campaign.0
    );
    let Some(row) = row.fetch_optional(&mut **tx).await? else {
        return Ok(None);
    };
    Ok(Some(Head {
        change: row.change_no,
        entry: row.entry_no,
        account: row.account_no,
        recorded_at: row.recorded_at,
        digest: digest(row.digest)?,
    }))
}

/// Reads what `needs` asks for.
pub(crate) async fn read_in_tx(
    tx: &mut Tx,
    id: CampaignId,
    head: Head,
    needs: &Needs,
    now: time::OffsetDateTime,
) -> Read<World> {
    let mut world = World::new(id, head);
    journal::requests(tx, &mut world, &needs.requests).await?;
    campaign::campaign(tx, &mut world).await?;
    if world.campaign.is_none() {
        return Ok(world);
    }
    journal::entries(tx, &mut world, needs).await?;
    payment::payments(tx, &mut world, needs).await?;
    pledge::pledges(tx, &mut world, needs, now).await?;
    person::members(tx, &mut world, needs).await?;
    person::signatures(tx, &mut world, needs).await?;
    payment::effects(tx, &mut world, needs).await?;
    campaign::registrations(tx, &mut world, needs).await?;
    journal::accounts(tx, &mut world).await?;
    Ok(world)
}

pub(in crate::store) fn digest(bytes: Vec<u8>) -> Read<[u8; 32]> {
    let length = bytes.len();
    bytes
        .try_into()
        .map_err(|_| StoreError::unreadable("hash", length))
}
