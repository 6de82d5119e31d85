//! One campaign's task: batch after batch.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use time::OffsetDateTime;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{BookError, Item, Lane, Settings, Shared, measure::Step, not_before, without_outcome};
use crate::{
    domain::{Head, Needs, Outcome, World},
    id::CampaignId,
    store::{Held, StoreError, Tx, batch, world},
};

/// How long a book that has nothing to do holds its connection.
const HELD: Duration = Duration::from_millis(20);

/// A campaign's two queues.
pub(super) struct Receivers {
    pub(super) live: mpsc::Receiver<Item>,
    pub(super) bulk: mpsc::Receiver<Item>,
}

impl Receivers {
    /// Waits for something to do, the first of its batch; nothing when both queues are
    /// closed and empty. What has queued beside it is taken once the head is locked.
    async fn receive(&mut self) -> Option<Item> {
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
}

/// What a book keeps between batches, while nothing goes wrong.
#[derive(Default)]
struct Kept {
    world: Option<World>,
    connection: Option<Held>,
}

/// One campaign's task: batch after batch until there is nothing to do.
pub(super) async fn work(shared: Arc<Shared>, campaign: CampaignId, mut queues: Receivers) {
    let mut kept = Kept::default();
    loop {
        let mut taken = timeout(HELD, queues.receive()).await;
        if taken.is_err() {
            kept.connection = None;
            taken = timeout(shared.settings.idle, queues.receive()).await;
        }
        match taken {
            Ok(None) => return,
            Ok(Some(first)) => run(&shared, campaign, &mut kept, &mut queues, vec![first]).await,
            Err(_idle) => {
                let mut open = shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
                if queues.live.is_empty() && queues.bulk.is_empty() {
                    open.remove(&campaign);
                    return;
                }
            }
        }
    }
}

/// Runs a batch, and singly what a refused batch held.
async fn run(
    shared: &Shared,
    campaign: CampaignId,
    kept: &mut Kept,
    queue: &mut Receivers,
    batch: Vec<Item>,
) {
    let Some(batch) = attempt(shared, campaign, kept, batch, Some(queue)).await else {
        return;
    };
    tracing::warn!(%campaign, commands = batch.len(), "the database refused a batch: its commands run singly");
    for item in batch {
        if let Some(poison) = attempt(shared, campaign, kept, vec![item], None).await {
            let incident = Uuid::from_u128(rand::random());
            for item in &poison {
                tracing::error!(%campaign, method = item.command.method, %incident, "poison command");
            }
            answer(shared, poison, |_| Err(BookError::Fault { incident }));
        }
    }
}

/// Runs a batch once. Gives it back when the database refused it.
async fn attempt(
    shared: &Shared,
    campaign: CampaignId,
    kept: &mut Kept,
    mut batch: Vec<Item>,
    queue: Option<&mut Receivers>,
) -> Option<Vec<Item>> {
    match commit(shared, campaign, kept, &mut batch, queue).await {
        Ok(mut outcomes) => {
            answer(shared, batch, |index| {
                let outcome = outcomes.get_mut(index).and_then(Option::take);
                outcome.unwrap_or(Err(BookError::Unavailable))
            });
            None
        }
        Err(error @ StoreError::Unavailable(_)) => {
            tracing::warn!(%campaign, error = ?error, "the database is not available");
            answer(shared, batch, |_| Err(BookError::Unavailable));
            None
        }
        Err(error) => {
            tracing::error!(%campaign, error = ?error, "a batch failed");
            Some(batch)
        }
    }
}

type Outcomes = Vec<Option<Result<Outcome, BookError>>>;

/// Lock, take in what has queued meanwhile, read, decide, write, commit.
async fn commit(
    shared: &Shared,
    campaign: CampaignId,
    kept: &mut Kept,
    items: &mut Vec<Item>,
    queue: Option<&mut Receivers>,
) -> Result<Outcomes, StoreError> {
    // Kept again only after a commit: whatever goes wrong, the next batch begins anew.
    let Kept {
        world,
        mut connection,
    } = std::mem::take(kept);
    let mut watch = shared.measures.watch();
    let locked = lock(shared, &mut connection, campaign).await;
    watch.lap(Step::Lock);
    if let Some(queue) = queue {
        take(shared, items, queue);
    }
    let (mut tx, head) = locked?;
    let Some(head) = head else {
        tx.rollback().await?;
        let unknown = |_: &Item| Some(Err(BookError::CampaignNotFound));
        return Ok(items.iter().map(unknown).collect());
    };
    let now = not_before(shared.clock.now(), head.recorded_at);
    let needs = Needs::of(items.iter().map(|item| &item.command));
    // Nobody has changed the campaign since: each change moves the head.
    let world = world.filter(|world| world.head == head);
    let mut world = world.unwrap_or_else(|| World::new(campaign, head));
    world::read_in_tx(&mut tx, &mut world, &needs, now).await?;
    watch.lap(Step::Read);
    let outcomes = decide(&mut world, campaign, items, now);
    watch.lap(Step::Decide);
    if world.written.changes.is_empty() {
        tx.rollback().await?;
    } else {
        batch::write_in_tx(&mut tx, &world).await?;
        watch.lap(Step::Write);
        tx.commit().await?;
        watch.lap(Step::Commit);
        shared.commits.notify_one();
    }
    let keep = world.rows() <= shared.settings.kept_rows;
    *kept = Kept {
        world: keep.then(|| world.carried_on()),
        connection: connection.filter(|_| shared.store.has_more()),
    };
    Ok(outcomes)
}

/// Begins a database transaction with the campaign's head locked.
async fn lock<'c>(
    shared: &Shared,
    connection: &'c mut Option<Held>,
    campaign: CampaignId,
) -> Result<(Tx<'c>, Option<Head>), StoreError> {
    let held = match connection {
        Some(held) => held,
        none => none.insert(shared.store.hold().await?),
    };
    let mut tx = held.begin().await?;
    let head = world::lock_in_tx(&mut tx, campaign).await?;
    Ok((tx, head))
}

/// Fills the batch up from the queue, and leaves out whom nobody waits for any more.
fn take(shared: &Shared, batch: &mut Vec<Item>, queues: &mut Receivers) {
    let Settings {
        batch_cap, bulk, ..
    } = shared.settings;
    while batch.len() < batch_cap
        && let Ok(item) = queues.live.try_recv()
    {
        batch.push(item);
    }
    let mut room = bulk.saturating_sub(batch.iter().filter(|item| item.lane == Lane::Bulk).count());
    while room > 0
        && batch.len() < batch_cap
        && let Ok(item) = queues.bulk.try_recv()
    {
        batch.push(item);
        room -= 1;
    }
    let now = Instant::now();
    let waited = batch.iter().map(|item| now.duration_since(item.queued_at));
    shared.measures.taken(waited);
    let late = |item: &mut Item| item.deadline.is_some_and(|deadline| deadline <= now);
    let late: Vec<Item> = batch.extract_if(.., late).collect();
    answer(shared, late, |_| Err(BookError::DeadlineExceeded));
    // What was cancelled before it began was not promised either.
    batch.retain(|item| !item.reply.is_closed());
}

fn decide(
    world: &mut World,
    campaign: CampaignId,
    items: &[Item],
    now: OffsetDateTime,
) -> Outcomes {
    let commands = items.iter().map(|item| &item.command);
    commands
        .map(|command| {
            let outcome = world.execute(command, now);
            Some(outcome.map_err(|rejection| without_outcome(campaign, command.method, &rejection)))
        })
        .collect()
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
