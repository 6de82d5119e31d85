//! Writing what a batch changed, set by set: a handful of statements, whatever the
//! batch's size.
//!
//! | statement | writes |
//! |---|---|
//! | accounts | what the batch opened, with their zero balances by trigger |
//! | `journal.sql` | outcomes, history, entries and lines; balances by trigger |
//! | `noun.sql` | members, signatures, pledges, payments and effects |
//! | payouts, refunds, lots, runs | what ends a campaign, each where there is some |
//! | tally | the campaign's progress |
//! | campaign, terms, share class, money account | one each, and rarely |
//!
//! A round trip costs as much as ten rows, so what always comes together shares one
//! statement. A statement with nothing to write is skipped.

mod campaign;
mod ending;
mod journal;
mod noun;

use super::{StoreError, Tx};
use crate::domain::World;

type Write = Result<(), StoreError>;

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::unreadable("json", error))
}

/// Writes everything that the world's commands changed.
pub(crate) async fn write_in_tx(tx: &mut Tx<'_>, world: &World) -> Write {
    journal::accounts(tx, world).await?;
    journal::journal(tx, world).await?;
    campaign::campaign(tx, world).await?;
    campaign::share_classes(tx, world).await?;
    campaign::money_accounts(tx, world).await?;
    noun::nouns(tx, world).await?;
    ending::payouts(tx, world).await?;
    ending::refunds(tx, world).await?;
    ending::lots(tx, world).await?;
    ending::runs(tx, world).await?;
    campaign::tally(tx, world).await
}
