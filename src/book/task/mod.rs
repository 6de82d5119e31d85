//! One campaign's task: batch after batch, ahead of the head's lock or under it.
//!
//! | file | is about |
//! |---|---|
//! | `ahead` | deciding a batch without a lock |
//! | `flight` | writing it, beside the one before |
//! | `locked` | deciding under the head's lock |
//! | `turn` | making room for other servers |
//! | `handing` | handing over to the one that has the turn |

mod ahead;
mod flight;
mod handing;
mod locked;
mod turn;

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};

use self::{flight::Landing, turn::Turn};
use super::{
    BookError, Item, Settings, Shared,
    batch::{Outcomes, Receivers, leave_out, take},
    measure::{Step, Watch},
};
use crate::{
    domain::{Head, World},
    id::CampaignId,
    store::{Held, StoreError, Tx, batch, world},
};

/// How long a book that has nothing to do holds its connections.
const HELD: Duration = Duration::from_millis(20);

/// The most batches that are written and not committed yet.
const ALOFT: usize = 2;

/// How long nobody else may have written for a server to believe that it is alone.
const FORGOTTEN: Duration = Duration::from_secs(2);

/// After how many changes of others nothing is kept, as asking what they were takes longer.
const CAUGHT_UP: i64 = 20_000;

/// A campaign's book: what it knows between batches, and what is under way.
struct Book {
    shared: Arc<Shared>,
    campaign: CampaignId,
    queues: Receivers,
    /// As of the last batch, committed or not; nothing when something went wrong.
    world: Option<World>,
    /// When others were last thought to write to the campaign too; nothing once they have
    /// not for a while.
    others: Option<Instant>,
    /// Held while others write too: they wait, and this server goes ahead.
    turn: Option<Turn>,
    /// When a server that had the turn was last found not to answer.
    handed_in_vain: Option<Instant>,
    /// Connections that wait for the next batch.
    connections: Vec<Held>,
    /// Batches that are being written, in order.
    aloft: VecDeque<Aloft>,
    /// Told when the last of them is committed; dropped when it is not.
    committed: Option<oneshot::Receiver<()>>,
}

/// A batch that is being written.
struct Aloft {
    commands: usize,
    landing: JoinHandle<Landing>,
}

/// Batch after batch until there is nothing to do.
pub(super) async fn work(shared: Arc<Shared>, campaign: CampaignId, queues: Receivers) {
    let mut book = Book {
        shared,
        campaign,
        queues,
        world: None,
        others: None,
        turn: None,
        handed_in_vain: None,
        connections: Vec::new(),
        aloft: VecDeque::new(),
        committed: None,
    };
    while let Some(first) = book.next().await {
        book.carry_out(first).await;
    }
}

impl Book {
    /// The first command of the next batch; nothing when the book is at its end.
    async fn next(&mut self) -> Option<Item> {
        while !self.aloft.is_empty() && !self.may_go_ahead() {
            self.land_or_go_ahead().await;
        }
        self.end_turn_in_time().await;
        loop {
            if let Ok(first) = timeout(HELD, self.queues.receive()).await {
                return first;
            }
            self.connections.clear();
            if let Ok(first) = timeout(self.shared.settings.idle, self.queues.receive()).await {
                return first;
            }
            let open = self.shared.queues.lock();
            let mut open = open.unwrap_or_else(PoisonError::into_inner);
            if self.queues.waiting() == 0 {
                open.remove(&self.campaign);
                return None;
            }
        }
    }

    /// Whether a second batch may begin beside the first, once enough waits for it.
    fn has_room(&self) -> bool {
        self.aloft.len() < ALOFT && (!self.connections.is_empty() || self.shared.store.has_more())
    }

    /// A second batch is begun beside the first when it will be worth its statement: a smaller
    /// one does better to wait and to grow.
    fn may_go_ahead(&self) -> bool {
        self.queues.waiting() >= self.shared.settings.ahead.max(1) && self.has_room()
    }

    /// Waits until the oldest batch under way has landed, or enough waits for another one.
    async fn land_or_go_ahead(&mut self) {
        let has_room = self.has_room();
        let Some(oldest) = self.aloft.front_mut() else {
            return;
        };
        tokio::select! {
            biased;
            landing = &mut oldest.landing => {
                self.aloft.pop_front();
                self.landed(landing).await;
            }
            () = self.queues.enough(), if has_room => {}
        }
    }

    /// The most commands of the next batch. Two that are written beside each other had better be
    /// of one size, since a large one is not done sooner for a small one beside it. So each takes
    /// half of what waits and is under way, when that is enough for two. Whoever comes back from
    /// the first is taken up while the second is being written. Not while items of a run wait: a
    /// batch with some of them is written alone, and had better take everybody.
    fn share(&self) -> usize {
        let Settings {
            batch_cap, ahead, ..
        } = self.shared.settings;
        let aloft: usize = self.aloft.iter().map(|batch| batch.commands).sum();
        let all = aloft + self.queues.waiting() + 1;
        if all >= 2 * ahead && (aloft > 0 || self.has_room()) && !self.queues.has_items() {
            batch_cap.min(all.div_ceil(2))
        } else {
            batch_cap
        }
    }

    /// Carries out a batch that begins with this command.
    async fn carry_out(&mut self, first: Item) {
        if self.others.is_some() && self.turn.is_none() {
            self.land_all().await;
            if let Some(way) = self.take_turn(!first.is_handed).await {
                return self.hand_over(way, first).await;
            }
        }
        let mut items = vec![first];
        if (self.others.is_none() || self.turn.is_some()) && self.world.is_some() {
            let most = self.share();
            take(&self.shared, &mut items, &mut self.queues, most);
            leave_out(&self.shared, &mut items);
            if items.iter().any(|item| item.is_handed) {
                self.others = Some(Instant::now());
            }
            if !items.is_empty() {
                self.ahead(items).await;
            }
        } else {
            self.land_all().await;
            self.under_the_lock(items, true).await;
        }
    }

    /// Whoever was just answered may have more to ask: they run first, until as many have asked
    /// or nobody asks any more. Twice, since some of them run on another thread.
    async fn let_callers_ask(&self, answered: usize) {
        let mut waiting = self.queues.waiting();
        let all = self
            .shared
            .settings
            .batch_cap
            .min(waiting.saturating_add(answered));
        let mut quiet = 0;
        while quiet < 2 && waiting < all {
            tokio::task::yield_now().await;
            let asked = self.queues.waiting();
            quiet = if asked > waiting { 0 } else { quiet + 1 };
            waiting = asked;
        }
    }

    /// A connection for the next batch.
    async fn connection(&mut self) -> Result<Held, StoreError> {
        match self.connections.pop() {
            Some(held) => Ok(held),
            None => self.shared.store.hold().await,
        }
    }

    fn keep_connection(&mut self, held: Held) {
        // While others wait for this server's turn to end, it does not wait for a connection.
        if self.shared.store.has_more() || self.turn.is_some() && self.connections.is_empty() {
            self.connections.push(held);
        }
    }

    /// The world that was kept, as of this head. If it was as of another, somebody else has
    /// written, since each change moves the head: only accounts are kept that they did not touch.
    async fn caught_up(
        &mut self,
        tx: &mut Tx<'_>,
        kept: Option<World>,
        head: Head,
    ) -> Result<World, StoreError> {
        let Some(kept) = kept else {
            return Ok(World::new(self.campaign, head));
        };
        if kept.head == head {
            self.others = self.others.filter(|seen| seen.elapsed() < FORGOTTEN);
            return Ok(kept);
        }
        self.others = Some(Instant::now());
        if (1..=CAUGHT_UP).contains(&(head.change - kept.head.change)) {
            let changed = world::changed_between(tx, self.campaign, &kept.head, &head);
            if let Some(changed) = changed.await? {
                return Ok(kept.without(&changed, head));
            }
        }
        Ok(World::new(self.campaign, head))
    }

    /// Goes on with the world as a batch left it.
    fn keep_world(&mut self, world: World) {
        let keep = world.rows() < self.shared.settings.kept_rows;
        self.world = keep.then(|| world.carried_on());
    }
}

/// Nobody knows whether anything was recorded.
fn not_available(shared: &Shared, campaign: CampaignId, error: &StoreError, items: Vec<Item>) {
    tracing::warn!(%campaign, ?error, "the database is not available");
    Outcomes::all(&items, &BookError::Unavailable).tell(shared, items);
}

/// Writes a batch that is decided, and commits it.
async fn write(
    shared: &Shared,
    mut tx: Tx<'_>,
    world: &World,
    watch: &mut Watch<'_>,
) -> Result<(), StoreError> {
    batch::write_in_tx(&mut tx, world).await?;
    watch.lap(Step::Write);
    tx.commit().await?;
    watch.lap(Step::Commit);
    shared.commits.notify_one();
    Ok(())
}
