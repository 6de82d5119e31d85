//! Writing what a batch changed, set by set: a handful of statements, whatever the
//! batch's size, and mostly one.
//!
//! | statement | writes |
//! |---|---|
//! | campaign, terms, share class, money account | one each, and rarely |
//! | `statement` | every batch's rows: outcomes, history, accounts, entries, lines, members, signatures, pledges, payments, effects; balances and the head, with the tally, by trigger |
//! | payouts, refunds, lots, runs | what ends a campaign, each where there is some |
//!
//! A round trip costs as much as ten rows, so what most batches write shares one
//! statement, and a batch that writes nothing else is a database transaction of its own.

mod campaign;
mod ending;
mod parts;
mod statement;

pub(crate) use parts::Statement;
pub(crate) use statement::statement;

use super::{StoreError, Tx};
use crate::domain::World;

type Write = Result<(), StoreError>;

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::unreadable("json", error))
}

/// The rows of these ids.
fn of<'a, Id: 'a, Row>(
    ids: impl IntoIterator<Item = &'a Id>,
    row: impl FnMut(&'a Id) -> Option<Row>,
) -> Vec<Row> {
    ids.into_iter().filter_map(row).collect()
}

/// Writes everything that the world's commands changed.
pub(crate) async fn write_in_tx(tx: &mut Tx<'_>, world: &World) -> Write {
    campaign::campaign(tx, world).await?;
    campaign::share_classes(tx, world).await?;
    campaign::money_accounts(tx, world).await?;
    statement(world)?.execute(tx).await?;
    ending::payouts(tx, world).await?;
    ending::refunds(tx, world).await?;
    ending::lots(tx, world).await?;
    ending::runs(tx, world).await
}
