//! Deciding a batch under the head's lock: the first batch, what was refused, and while others
//! write too and there is no connection to wait for a turn with.

use std::sync::Arc;

use uuid::Uuid;

use super::{Book, not_available, write};
use crate::{
    book::{
        BookError, Item,
        batch::{Outcomes, decide, leave_out, take},
        measure::Step,
        not_before,
    },
    domain::{Head, Needs},
    id::CampaignId,
    store::{Held, StoreError, Tx, world},
};

impl Book {
    /// Runs a batch, and singly what a refused batch held. Takes in what has queued
    /// while the lock was taken, if it is to.
    pub(super) async fn under_the_lock(&mut self, batch: Vec<Item>, fill: bool) {
        let Some(batch) = self.attempt(batch, fill).await else {
            return;
        };
        let campaign = self.campaign;
        tracing::warn!(%campaign, commands = batch.len(), "the database refused a batch: its commands run singly");
        for item in batch {
            if let Some(poison) = self.attempt(vec![item], false).await {
                let incident = Uuid::from_u128(rand::random());
                for item in &poison {
                    tracing::error!(%campaign, method = %item.command.method, %incident, "poison command");
                }
                Outcomes::all(&poison, &BookError::Fault { incident }).tell(&self.shared, poison);
            }
        }
    }

    /// Runs a batch once. Gives it back when the database refused it.
    async fn attempt(&mut self, mut batch: Vec<Item>, fill: bool) -> Option<Vec<Item>> {
        let campaign = self.campaign;
        match self.commit(&mut batch, fill).await {
            Ok(outcomes) => {
                outcomes.tell(&self.shared, batch);
                None
            }
            Err(error @ StoreError::Unavailable(_)) => {
                not_available(&self.shared, campaign, &error, batch);
                None
            }
            Err(error) => {
                tracing::error!(%campaign, error = ?error, "a batch failed");
                Some(batch)
            }
        }
    }

    /// Lock, take in what has queued meanwhile, read, decide, write, commit.
    async fn commit(&mut self, items: &mut Vec<Item>, fill: bool) -> Result<Outcomes, StoreError> {
        // Kept again only after a commit: whatever goes wrong, the next batch begins anew.
        let kept = self.world.take();
        let shared = Arc::clone(&self.shared);
        let mut watch = shared.measures.watch();
        let connection = self.connection().await;
        let mut held = None;
        let locked = match connection {
            Ok(connection) => lock(held.insert(connection), self.campaign).await,
            Err(error) => Err(error),
        };
        watch.lap(Step::Lock);
        if fill {
            let most = self.shared.settings.batch_cap;
            take(&self.shared, items, &mut self.queues, most);
        }
        leave_out(&self.shared, items);
        let (mut tx, head) = locked?;
        let Some(head) = head else {
            tx.rollback().await?;
            return Ok(Outcomes::all(items, &BookError::CampaignNotFound));
        };
        let now = not_before(self.shared.clock.now(), head.recorded_at);
        let needs = Needs::of(items.iter().map(|item| &item.command));
        let mut world = self.caught_up(&mut tx, kept, head).await?;
        world::read(&mut tx, &mut world, &needs, now).await?;
        watch.lap(Step::Read);
        let outcomes = decide(&mut world, self.campaign, items, now);
        watch.lap(Step::Decide);
        if world.written.changes.is_empty() {
            tx.rollback().await?;
        } else {
            write(&shared, tx, &world, &mut watch).await?;
        }
        held.into_iter().for_each(|held| self.keep_connection(held));
        self.keep_world(world);
        Ok(outcomes)
    }
}

/// Begins a database transaction with the campaign's head locked.
async fn lock(held: &mut Held, campaign: CampaignId) -> Result<(Tx<'_>, Option<Head>), StoreError> {
    let mut tx = held.begin().await?;
    let head = world::lock_in_tx(&mut tx, campaign).await?;
    Ok((tx, head))
}
