//! Servers that write to one campaign take turns.

use std::time::Duration;

use tokio::time::Instant;

use super::{Book, Item};
use crate::store::{StoreError, Tx, world};

/// How long a server works on a campaign before it makes room for others that wait. A tenth
/// of it goes by until the next one has begun.
const TURN: Duration = Duration::from_secs(1);

/// This server's turn at a campaign that others write to as well.
pub(super) struct Turn {
    /// Holds the lock that the others wait for.
    tx: Tx<'static>,
    since: Instant,
}

/// Turns: servers that go ahead on one campaign at once would refuse each other's batches.
/// They ask for a turn as soon as they have noticed each other. It is a courtesy: the fence
/// holds without it.
impl Book {
    /// Waits for a turn, unless nobody else writes or all connections are in use.
    pub(super) async fn take_turn(&mut self) {
        if self.others.is_none() || self.turn.is_some() {
            return;
        }
        let campaign = self.campaign;
        let taken = async {
            // Who waits for a turn has what a batch needs, or all could wait for each other.
            let held = self.connection().await?;
            self.connections.clear();
            self.connections.push(held);
            if !self.shared.store.has_more() {
                return Ok(());
            }
            let mut tx = self.shared.store.begin().await?;
            world::turn_in_tx(&mut tx, campaign).await?;
            let since = Instant::now();
            let head = world::head_in_tx(&mut tx, campaign).await?;
            if let Some(head) = head {
                let kept = self.world.take();
                self.world = Some(self.caught_up(&mut tx, kept, head).await?);
                self.turn = Some(Turn { tx, since });
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = taken.await {
            tracing::info!(%campaign, ?error, "goes on without its turn");
        }
    }

    /// Ends the turn when its time is up, nobody else writes or there is nothing to do.
    pub(super) async fn end_turn_in_time(&mut self) {
        let Some(turn) = &self.turn else { return };
        if self.others.is_some() && turn.since.elapsed() < TURN {
            self.let_callers_ask().await;
            if self.queues.waiting() > 0 {
                return;
            }
        }
        self.land_all().await;
        self.end_turn().await;
    }

    async fn end_turn(&mut self) {
        if let Some(turn) = self.turn.take()
            && let Err(error) = turn.tx.commit().await
        {
            tracing::info!(campaign = %self.campaign, ?error, "its turn had ended before");
        }
    }

    /// Carries out under the lock, in order, what the database refused: as far as is known,
    /// others have written in between.
    pub(super) async fn decide_again(&mut self, refused: Vec<Vec<Item>>) {
        self.others = Some(Instant::now());
        self.take_turn().await;
        for items in refused {
            self.under_the_lock(items, false).await;
        }
    }
}
