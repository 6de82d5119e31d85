//! Servers that write to one campaign take turns.

use std::time::Duration;

use tokio::time::Instant;

use super::{Book, FORGOTTEN, Item};
use crate::{
    book::peers::Way,
    id::CampaignId,
    store::{StoreError, Tx, world},
};

/// How long a server works on a campaign before it makes room for others that wait. A tenth
/// of it goes by until the next one has begun.
const TURN: Duration = Duration::from_secs(1);

/// This server's turn at a campaign that others write to as well.
pub(super) struct Turn {
    /// Holds the lock that the others wait for.
    tx: Tx<'static>,
    since: Instant,
}

impl Turn {
    /// Whether it is not over yet, or nobody waits for its end.
    async fn goes_on(&mut self, campaign: CampaignId) -> bool {
        if self.since.elapsed() >= TURN
            && let Ok(false) = world::is_turn_awaited_in_tx(&mut self.tx, campaign).await
        {
            self.since = Instant::now();
        }
        self.since.elapsed() < TURN
    }
}

/// Turns: servers that go ahead on one campaign at once would refuse each other's batches.
/// They ask for a turn as soon as they have noticed each other. It is a courtesy: the fence
/// holds without it.
impl Book {
    /// Takes the turn, unless nobody else writes or all connections are in use. Whoever has
    /// it is waited for; if that server can be reached and this one may hand over, here is
    /// the way to it instead.
    pub(super) async fn take_turn(&mut self, may_hand_over: bool) -> Option<Way> {
        if self.others.is_none() || self.turn.is_some() {
            return None;
        }
        let campaign = self.campaign;
        let peers = self.shared.peers.clone();
        let in_vain = self
            .handed_in_vain
            .is_some_and(|when| when.elapsed() < FORGOTTEN);
        let may_hand_over = may_hand_over && !in_vain;
        let taken = async {
            // Who waits for a turn has what a batch needs, or all could wait for each other.
            let held = self.connection().await?;
            self.connections.clear();
            self.connections.push(held);
            if !self.shared.store.has_more() {
                return Ok(None);
            }
            let mut tx = self.shared.store.begin().await?;
            let name = peers.as_ref().map(|peers| peers.name());
            if let Some(peers) = &peers
                && !world::turn_if_free_in_tx(&mut tx, campaign, peers.name()).await?
                && let Some(whose) = world::whose_turn_in_tx(&mut tx, campaign).await?
            {
                if whose == peers.name() {
                    // On a connection that this server has lost: nobody works in that turn.
                    tx.rollback().await?;
                    return Ok(None);
                }
                if may_hand_over && let Some(way) = peers.way(&whose, campaign) {
                    tx.rollback().await?;
                    return Ok(Some(way));
                }
            }
            // If it was free it is this server's already, and there is nothing to wait for.
            world::turn_in_tx(&mut tx, campaign, name).await?;
            let since = Instant::now();
            let head = world::head_in_tx(&mut tx, campaign).await?;
            if let Some(head) = head {
                let kept = self.world.take();
                self.world = Some(self.caught_up(&mut tx, kept, head).await?);
                self.turn = Some(Turn { tx, since });
            }
            Ok::<_, StoreError>(None)
        };
        taken.await.unwrap_or_else(|error| {
            tracing::info!(%campaign, ?error, "goes on without its turn");
            None
        })
    }

    /// Ends the turn when its time is up, nobody else writes or there is nothing to do.
    pub(super) async fn end_turn_in_time(&mut self) {
        let Some(turn) = &mut self.turn else { return };
        self.others = self.others.filter(|seen| seen.elapsed() < FORGOTTEN);
        if self.others.is_some() && turn.goes_on(self.campaign).await {
            self.let_callers_ask(self.shared.settings.batch_cap).await;
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

    /// Carries out under the lock, in order, what the database refused: others may have written
    /// in between.
    pub(super) async fn decide_again(&mut self, refused: Vec<Vec<Item>>) {
        self.others = Some(Instant::now());
        // What is carried out again is not handed over again.
        let _waited = self.take_turn(false).await;
        for items in refused {
            self.under_the_lock(items, false).await;
        }
    }
}
