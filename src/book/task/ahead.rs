//! Deciding a batch ahead of the head's lock: what is decided on the world in memory is
//! written without it, and says on which batch it was decided.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    Aloft, Book,
    flight::{Flight, not_accepted},
    not_available, write,
};
use crate::{
    book::{
        Item,
        batch::{Outcomes, decide},
        measure::Step,
        not_before,
    },
    domain::{Needs, World},
    store::{Held, StoreError, batch, world},
};

/// A batch that is decided.
enum Prepared {
    /// One statement is all of it.
    Statement(batch::Statement),
    /// It is to be written with nothing else under way.
    World(Box<World>),
    /// A command was taken for new and came to a fault: the database, which would have told
    /// that it was carried out before, is not to record it.
    Doubtful,
}

impl Book {
    /// Decides a batch on the world as the last one left it, and begins to write it.
    pub(super) async fn ahead(&mut self, items: Vec<Item>) {
        let needs = Needs::of(items.iter().map(|item| &item.command));
        if !needs.are_by_key() {
            self.land_all().await;
        }
        // It is lost when a batch before did not come through.
        let Some(world) = self.world.take() else {
            return self.under_the_lock(items, false).await;
        };
        match self.prepare(world, needs, &items).await {
            Ok((held, Prepared::Statement(statement), outcomes)) => {
                let (tell, committed) = oneshot::channel();
                let behind = self.committed.replace(committed);
                let flight = Flight {
                    shared: Arc::clone(&self.shared),
                    campaign: self.campaign,
                    behind: behind.filter(|_| !self.aloft.is_empty()),
                    committed: tell,
                    items,
                    outcomes,
                };
                self.aloft.push_back(Aloft {
                    commands: flight.items.len(),
                    landing: tokio::spawn(flight.written(held, statement)),
                });
            }
            Ok((held, Prepared::World(world), outcomes)) => {
                // It repeats answers that have to be committed first, or changes what is
                // not found by key.
                self.keep_connection(held);
                let came_through = self.land_all().await;
                // Without a change there is no fence: only answers that are given again
                // do not depend on what others have done meanwhile.
                let is_fenced = !world.written.changes.is_empty() || outcomes.are_all_known();
                if !came_through || !is_fenced {
                    return self.under_the_lock(items, false).await;
                }
                self.write_alone(world, items, outcomes).await;
            }
            Ok((held, Prepared::Doubtful, _)) => {
                self.keep_connection(held);
                self.land_all().await;
                self.under_the_lock(items, false).await;
            }
            Err(error @ StoreError::Unavailable(_)) => {
                not_available(&self.shared, self.campaign, &error, items);
            }
            Err(error) => {
                tracing::error!(campaign = %self.campaign, ?error, "a batch was not read");
                self.land_all().await;
                self.under_the_lock(items, false).await;
            }
        }
    }

    /// Reads what is unknown, decides, and keeps what the next batch goes on with.
    async fn prepare(
        &mut self,
        mut world: World,
        mut needs: Needs,
        items: &[Item],
    ) -> Result<(Held, Prepared, Outcomes), StoreError> {
        let mut held = self.connection().await?;
        let shared = Arc::clone(&self.shared);
        let mut watch = shared.measures.watch();
        let now = not_before(self.shared.clock.now(), world.head.recorded_at);
        // Should one of them have an outcome after all, the database refuses the batch.
        needs.requests.retain(|&id| !world.recent.is_new(id, now));
        world::read(held.connection(), &mut world, &needs, now).await?;
        watch.lap(Step::Read);
        let outcomes = decide(&mut world, self.campaign, items, now);
        let took_for_new = needs.requests.len() < items.len();
        let prepared = if took_for_new && !outcomes.are_all_known() {
            Prepared::Doubtful
        } else if world.written.changes.is_empty() || !world.written.is_by_key() {
            Prepared::World(Box::new(world))
        } else {
            let statement = batch::statement(&world)?;
            self.keep_world(world);
            Prepared::Statement(statement)
        };
        watch.lap(Step::Decide);
        Ok((held, prepared, outcomes))
    }

    /// Writes a batch with nothing else under way.
    async fn write_alone(&mut self, world: Box<World>, items: Vec<Item>, outcomes: Outcomes) {
        let written = async {
            if world.written.changes.is_empty() {
                return Ok(());
            }
            let mut held = self.connection().await?;
            let mut watch = self.shared.measures.watch();
            write(&self.shared, held.begin().await?, &world, &mut watch).await?;
            self.keep_connection(held);
            Ok::<_, StoreError>(())
        };
        match written.await {
            Ok(()) => {
                self.keep_world(*world);
                outcomes.tell(&self.shared, items);
            }
            Err(error @ StoreError::Unavailable(_)) if !error.gave_way() => {
                not_available(&self.shared, self.campaign, &error, items);
            }
            Err(error) => {
                not_accepted(self.campaign, &error, &items);
                self.decide_again(vec![items]).await;
            }
        }
    }
}
