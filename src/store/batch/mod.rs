//! Writing what a batch changed: one statement a table, whatever the batch's size.
//!
//! The order matters to the database's own checks: accounts before their lines,
//! changes before the entries that belong to them, headers before lines. A
//! statement with nothing to write is skipped.

mod campaign;
mod journal;
mod noun;

use super::{StoreError, Tx};
use crate::domain::World;

type Write = Result<(), StoreError>;

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::unreadable("json", error))
}

/// Writes everything that the world's commands changed.
pub(crate) async fn write_in_tx(tx: &mut Tx, world: &World) -> Write {
    journal::accounts(tx, world).await?;
    journal::changes(tx, world).await?;
    campaign::campaign(tx, world).await?;
    journal::history(tx, world).await?;
    journal::entries(tx, world).await?;
    journal::lines(tx, world).await?;
    campaign::share_classes(tx, world).await?;
    campaign::money_accounts(tx, world).await?;
    noun::members(tx, world).await?;
    noun::signatures(tx, world).await?;
    noun::persons(tx, world).await?;
    noun::pledges(tx, world).await?;
    noun::payments(tx, world).await?;
    noun::effects(tx, world).await?;
    campaign::tally(tx, world).await
}
