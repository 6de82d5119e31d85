//! What every batch consists of: commands from the queue, decisions, answers.

use std::sync::Arc;

use time::OffsetDateTime;
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use super::{BookError, Item, Lane, Shared, without_outcome};
use crate::{
    domain::{Outcome, World},
    id::CampaignId,
};

/// A campaign's two queues.
pub(super) struct Receivers {
    live: mpsc::Receiver<Item>,
    bulk: mpsc::Receiver<Item>,
    enough: Arc<Notify>,
}

impl Receivers {
    pub(super) const fn new(
        live: mpsc::Receiver<Item>,
        bulk: mpsc::Receiver<Item>,
        enough: Arc<Notify>,
    ) -> Self {
        Self { live, bulk, enough }
    }

    /// Waits for something to do, the first of its batch; nothing when both queues are
    /// closed and empty.
    pub(super) async fn receive(&mut self) -> Option<Item> {
        let first = tokio::select! {
            biased;
            live = self.live.recv() => live,
            bulk = self.bulk.recv() => bulk,
        };
        if first.is_some() {
            return first;
        }
        // One of them is closed, and so is the other: what is left in it comes out.
        match self.live.recv().await {
            None => self.bulk.recv().await,
            live => live,
        }
    }

    /// Waits until enough waits for a batch beside another one; it may have been taken since.
    pub(super) async fn enough(&self) {
        self.enough.notified().await;
    }

    /// Whether items of a run wait.
    pub(super) fn has_items(&self) -> bool {
        !self.bulk.is_empty()
    }

    /// Commands that wait.
    pub(super) fn waiting(&self) -> usize {
        self.live.len() + self.bulk.len()
    }
}

/// Fills the batch up from the queue, to so many commands at the most.
pub(super) fn take(shared: &Shared, batch: &mut Vec<Item>, queues: &mut Receivers, most: usize) {
    let bulk = shared.settings.bulk;
    while batch.len() < most
        && let Ok(item) = queues.live.try_recv()
    {
        batch.push(item);
    }
    let mut room = bulk.saturating_sub(batch.iter().filter(|item| item.lane == Lane::Bulk).count());
    while room > 0
        && batch.len() < most
        && let Ok(item) = queues.bulk.try_recv()
    {
        batch.push(item);
        room -= 1;
    }
    let now = Instant::now();
    let waited = batch.iter().map(|item| now.duration_since(item.queued_at));
    shared.measures.taken(waited);
}

/// Leaves out of a batch what nobody waits for any more.
pub(super) fn leave_out(shared: &Shared, batch: &mut Vec<Item>) {
    let now = Instant::now();
    let late = |item: &mut Item| item.deadline.is_some_and(|deadline| deadline <= now);
    let late: Vec<Item> = batch.extract_if(.., late).collect();
    answer(shared, late, |_| Err(BookError::DeadlineExceeded));
    // What was cancelled before it was recorded was not promised either. Of what another server
    // handed over nothing is left out, or what came behind it would be decided before it when
    // that server carries all of it out.
    batch.retain(|item| item.is_handed || !item.reply.is_closed());
}

/// What each command of a batch comes to.
pub(super) struct Outcomes(Vec<Option<Result<Outcome, BookError>>>);

impl Outcomes {
    /// One for each command of a batch.
    pub(super) fn of(outcomes: Vec<Result<Outcome, BookError>>) -> Self {
        Self(outcomes.into_iter().map(Some).collect())
    }

    /// The same for everybody.
    pub(super) fn all(items: &[Item], error: &BookError) -> Self {
        Self(items.iter().map(|_| Some(Err(error.clone()))).collect())
    }

    /// Whether each command was carried out, refused or answered before: no fault among them.
    pub(super) fn are_all_known(&self) -> bool {
        self.0.iter().flatten().all(Result::is_ok)
    }

    /// Tells everybody.
    pub(super) fn tell(mut self, shared: &Shared, items: Vec<Item>) {
        answer(shared, items, |index| {
            let outcome = self.0.get_mut(index).and_then(Option::take);
            outcome.unwrap_or(Err(BookError::Unavailable))
        });
    }
}

pub(super) fn decide(
    world: &mut World,
    campaign: CampaignId,
    items: &[Item],
    now: OffsetDateTime,
) -> Outcomes {
    let commands = items.iter().map(|item| &item.command);
    let outcomes = commands.map(|command| {
        let outcome = world.execute(command, now);
        Some(outcome.map_err(|rejection| without_outcome(campaign, &command.method, &rejection)))
    });
    let outcomes = Outcomes(outcomes.collect());
    world.end_batch(rand::random());
    outcomes
}

fn answer(
    shared: &Shared,
    items: Vec<Item>,
    mut outcome: impl FnMut(usize) -> Result<Outcome, BookError>,
) {
    for (index, item) in items.into_iter().enumerate() {
        let outcome = outcome(index);
        shared.measures.outcome(&outcome);
        // A caller that went away has its outcome under its request id.
        let _ = item.reply.send(outcome);
    }
}
