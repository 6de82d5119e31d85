//! The book: one campaign, one queue, one lock, one batch, one commit.
//!
//! Every change of a campaign is a [`Command`] that goes through here, whether
//! it comes by gRPC, by webhook or from a file. A process has one bounded queue
//! and one task a campaign that is in use.
//!
//! | step | what happens | round trips |
//! |---|---|---|
//! | collect | take what has queued, up to the cap; never wait for more | 0 |
//! | read | the rows that the batch needs and nobody has kept, into a [`World`] | 0 to 12 |
//! | decide | each command in order, in memory; encode what is to be written | 0 |
//! | write | one statement, a database transaction of its own | 1 |
//!
//! An entry by hand on known accounts under a new request id takes one round trip and a payment of
//! a known member two, however many of them share the batch.
//!
//! **What is kept.** After a batch the world stays in memory: the campaign, its tally, and
//! the members, pledges and accounts that were read. What is kept is bounded, and anything
//! that goes wrong throws it away. The connections stay with the book too, while there is
//! work for it and nobody else waits for one.
//!
//! **New requests.** The ids of what was recorded of late are kept as well, and one of version 7
//! says when it was made. So one that was made since and is not among them is new, and the database
//! is not asked for it. Where a caller's clock was fast and it is not new, the database refuses the
//! batch, since a request has one outcome, and under the lock it is asked for all.
//!
//! **The fence.** A batch is decided without a lock, on the world as the last batch left it.
//! Changes are numbered without a gap, and the database refuses a batch whose first change
//! is not the campaign's next one, or that was decided on another batch than the last; so what is
//! accepted was decided on what was so. A refused batch has recorded nothing, and is decided
//! again under the head's lock.
//!
//! **Ahead.** As soon as enough has queued, the next batch is read, decided and inserted while the
//! one before it is being committed, and the database asks it what its rows say of each other; and
//! what waits and is under way they share in halves: two of 32 beside each other are done before
//! one of 64. Before it is asked what stands, and before rows that both change, it waits for that
//! one's lock, since it may be inserted sooner. It says which batch it was decided on, and the
//! database refuses it on any other: had that one failed, another server's could have taken the
//! same numbers. If it was there before that one had begun, it is written once more. Not ahead go
//! batches that ask for a sum or a search, which would miss what is not committed yet, and answers
//! that repeat another one.
//!
//! **Turns.** Servers that went ahead on one campaign at once would refuse each other's
//! batches. Once they have noticed each other one of them takes the turn and goes ahead. The
//! turn is an advisory lock, held by a database transaction that does nothing else. It is a
//! courtesy: whose turn the database has ended meets the fence, and who has no connection to
//! wait with works under the lock.
//!
//! **Handing over.** Who finds the turn taken hands its commands over to the server that has
//! it, whose address is the name of the connection that holds the lock. They go through that
//! one's book as if they had been asked there, and are not handed on. A stream of batches
//! leads there, answered in the same order; when it ends, or nothing is answered for some
//! seconds, what is left is carried out here, under the lock and in order: a command that had been
//! carried out there is found by its request id. So a campaign is hot on one server only, and
//! each member is read once.
//!
//! **Waiting for the turn** does who cannot reach the other one, or could not a moment ago. As
//! long as somebody waits the turn ends after a second, and in any case when there is nothing
//! to do. The next one begins with what is committed then: of what it knew it keeps the
//! accounts that the others did not post to. A command waits for a second of each other server
//! at the most before its batch begins, and for what that one has under way.
//!
//! **Under the lock** (begin and lock, read, decide, write, commit) work the first batch and
//! any other whose world was not kept, what was refused, and a batch that came to nothing but
//! faults, which no fence has seen. What was kept is used when the head that was locked is
//! the one that was left behind, number for number and by name, or follows it. Who
//! works under the lock holds the campaign's advisory lock alone, and who goes ahead shares
//! it: otherwise rows that were inserted ahead and the head's lock could wait for each other.
//!
//! **What bounds a batch** is the cap, and that enough for two becomes two: while one batch is
//! written the next one queues, whoever it answers may ask again before that begins, and what
//! comes while a lock is taken still joins it. So batches grow with the load by themselves, and
//! a command that finds the queue empty waits for nothing. A batch of one runs the same code.
//!
//! **What a posting costs** is nearly all the database's. Of the time of a full batch
//! of two-line postings under the lock three quarters go into its statement, two fifths of
//! that into the trigger that checks the lines and moves the balances; reading and deciding
//! take a seventh, the lock and the commit the rest. Of a batch of 64, reading, the lock and
//! the commit take three tenths. Ahead, the lock and the commit are part of the statement,
//! and of full batches reading, deciding, inserting and asking overlap the one before. `measure`
//! tells the split of a server as it runs, and `cargo bench --bench posting` prints it
//! beside raw COPY of the same rows.
//!
//! **Two lanes.** The items of a run wait in a queue of their own. What somebody waits for
//! comes first, and a bounded number of items joins each batch, so a run over everybody
//! makes a live command wait for that many more at the most.
//!
//! **Order.** Commands of one campaign are decided in the order in which their
//! batches take the head, and within a batch in the order in which they were
//! queued; that is also the order of their change numbers. Several processes may
//! serve one campaign: the head puts their batches in a line.
//!
//! **What can go wrong.** A refusal refuses its command alone. A batch that the
//! database refuses is rolled back and its commands run singly through the same
//! code; the one that is refused again is answered with a fault. When the
//! database does not answer, nobody knows whether the commit was made: the
//! answer is "unavailable", and the same request id tells later.
//!
//! **What is deliberately absent.** No timer that waits for a fuller batch; no
//! second path for single commands; no database transaction that outlives its
//! batch, but for the turn's, which changes nothing; no network, the way to other servers
//! is given to it; no knowledge of any noun: what a command means is `domain`'s.

mod batch;
mod measure;
mod peers;
mod task;
mod waiting;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use time::OffsetDateTime;
use tokio::{
    sync::{
        Notify,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::Instant,
};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::{batch::Receivers, measure::Measures, task::work};

pub use peers::{Handed, Peers, Way};
pub use waiting::Queued;

use crate::{
    clock::Clock,
    domain::{Command, Needs, Outcome, Rejection, World},
    id::CampaignId,
    store::{Store, StoreError, world},
};

/// How a book works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most commands of one batch.
    pub batch_cap: usize,
    /// The most commands that wait for one campaign.
    pub queue: usize,
    /// How many commands have to wait for a second batch to begin while one is written, at least
    /// 1. When twice as many wait or are being written, two batches share them.
    pub ahead: usize,
    /// How long a campaign's task waits for more before it ends.
    pub idle: Duration,
    /// The most commands of a run in one batch: what a live command may have to wait for.
    pub bulk: usize,
    /// The most rows of a campaign that are kept in memory between batches; 0 keeps none.
    pub kept_rows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_cap: 1_000,
            queue: 8_192,
            ahead: 24,
            idle: Duration::from_secs(60),
            bulk: 64,
            // Some 30 MB for a campaign that is in use; the request ids of late are 5 MB more.
            kept_rows: 100_000,
        }
    }
}

/// Why a command has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// There is no such campaign.
    #[error("the campaign does not exist")]
    CampaignNotFound,
    /// Too many commands wait for this campaign.
    #[error("too many commands wait for this campaign")]
    Overloaded,
    /// Its deadline passed before its turn came; nothing was recorded.
    #[error("the deadline passed before the command's turn came")]
    DeadlineExceeded,
    /// The server is shutting down; nothing was recorded.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The database did not answer: the outcome may be recorded or not.
    #[error("the database did not answer; the same request id tells what became of the command")]
    Unavailable,
    /// A fault of ours, logged under this id; nothing was recorded.
    #[error("a fault of this service, incident {incident}")]
    Fault {
        /// What to look for in the log.
        incident: Uuid,
    },
}

struct Item {
    command: Command,
    queued_at: Instant,
    deadline: Option<Instant>,
    lane: Lane,
    /// Another server handed it over.
    is_handed: bool,
    reply: oneshot::Sender<Result<Outcome, BookError>>,
}

/// Which of a campaign's two queues a command waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// Somebody waits for it: these come first.
    Live,
    /// A run's item: some of them share each batch.
    Bulk,
}

/// The ways into a campaign's two queues.
#[derive(Clone, Debug)]
struct Lanes {
    live: mpsc::Sender<Item>,
    bulk: mpsc::Sender<Item>,
    /// Told when enough waits for a batch beside the one that is being written.
    enough: Arc<Notify>,
}

impl Lanes {
    /// Opens both queues of a campaign.
    fn open(settings: &Settings) -> (Self, Receivers) {
        let (live, live_receiver) = mpsc::channel(settings.queue);
        let (bulk, bulk_receiver) = mpsc::channel(settings.queue);
        let enough = Arc::default();
        let receivers = Receivers::new(live_receiver, bulk_receiver, Arc::clone(&enough));
        (Self { live, bulk, enough }, receivers)
    }

    /// A command was put into one of them.
    fn queued(&self, shared: &Shared) {
        shared.measures.queued();
        let waiting = |queue: &mpsc::Sender<Item>| queue.max_capacity() - queue.capacity();
        if waiting(&self.live) + waiting(&self.bulk) >= shared.settings.ahead {
            self.enough.notify_one();
        }
    }

    const fn of(&self, lane: Lane) -> &mpsc::Sender<Item> {
        match lane {
            Lane::Live => &self.live,
            Lane::Bulk => &self.bulk,
        }
    }
}

/// All campaigns' books in this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Books {
    shared: Arc<Shared>,
}

type Queues = HashMap<CampaignId, Lanes>;

#[derive(Debug)]
struct Shared {
    store: Store,
    clock: Clock,
    settings: Settings,
    measures: Measures,
    queues: Mutex<Queues>,
    tasks: TaskTracker,
    closed: AtomicBool,
    /// One atomic operation a commit, whether anybody waits for it or not.
    commits: Arc<Notify>,
    /// The other servers, when they can be reached.
    peers: Option<Arc<dyn Peers>>,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Item")
            .field("method", &self.command.method)
            .finish_non_exhaustive()
    }
}

impl Books {
    /// Books over a store.
    #[must_use]
    pub fn new(store: Store, clock: Clock, settings: Settings) -> Self {
        Self::among(store, clock, settings, None)
    }

    /// Books over a store that other servers' books share, which can be reached.
    #[must_use]
    pub fn among(
        store: Store,
        clock: Clock,
        settings: Settings,
        peers: Option<Arc<dyn Peers>>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                store,
                clock,
                settings,
                measures: Measures::new(),
                queues: Mutex::default(),
                tasks: TaskTracker::new(),
                closed: AtomicBool::new(false),
                commits: Arc::default(),
                peers,
            }),
        }
    }

    /// Is notified of each commit of this process, whichever campaign's: a hint for one
    /// listener, which reads in the database what has changed.
    #[must_use]
    pub fn commits(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.commits)
    }

    /// Puts a command into its campaign's queue and waits for its outcome. Once
    /// it is queued it is carried out even when the caller goes away.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn submit(
        &self,
        campaign: CampaignId,
        command: Command,
        deadline: Option<Instant>,
    ) -> Result<Outcome, BookError> {
        let (item, queued) = Item::of(command, deadline, Lane::Live);
        match self.enqueue(campaign, item)? {
            None => queued.outcome().await,
            Some(_full) => {
                let refused = Err(BookError::Overloaded);
                self.shared.measures.outcome(&refused);
                refused
            }
        }
    }

    /// The queues, locked, so that a task that ends for want of work cannot miss an item.
    fn open_queues(&self) -> Result<MutexGuard<'_, Queues>, BookError> {
        let queues = self.shared.queues.lock();
        let queues = queues.unwrap_or_else(PoisonError::into_inner);
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(BookError::ShuttingDown);
        }
        Ok(queues)
    }

    /// Gives the item back, with its queue, when that is full.
    fn enqueue(
        &self,
        campaign: CampaignId,
        item: Item,
    ) -> Result<Option<(Item, mpsc::Sender<Item>)>, BookError> {
        let mut queues = self.open_queues()?;
        let open = || {
            let (lanes, receivers) = Lanes::open(&self.shared.settings);
            let shared = Arc::clone(&self.shared);
            self.shared.tasks.spawn(work(shared, campaign, receivers));
            lanes
        };
        let lane = item.lane;
        let lanes = queues.entry(campaign).or_insert_with(open);
        match lanes.of(lane).try_send(item) {
            Ok(()) => {
                lanes.queued(&self.shared);
                Ok(None)
            }
            Err(TrySendError::Full(item)) => Ok(Some((item, lanes.of(lane).clone()))),
            // Its task has panicked: a mistake of ours must not close a campaign for good.
            Err(TrySendError::Closed(item)) => {
                tracing::error!(%campaign, "the campaign's book had died; it is opened again");
                *lanes = open();
                lanes
                    .of(lane)
                    .try_send(item)
                    .map_err(|_| BookError::Overloaded)?;
                lanes.queued(&self.shared);
                Ok(None)
            }
        }
    }

    /// What a command would come to, on a read-only snapshot: no queue, no lock,
    /// no outcome. Gives the change that the answer is as of.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn preview(
        &self,
        campaign: CampaignId,
        command: &Command,
    ) -> Result<(i64, Outcome), BookError> {
        let shared = &self.shared;
        let preview = async {
            let mut tx = shared.store.snapshot().await?;
            let head = world::head_in_tx(&mut tx, campaign)
                .await?
                .unwrap_or_default();
            let now = not_before(shared.clock.now(), head.recorded_at);
            let mut needs = Needs::of([command]);
            // A request id that has an outcome does not stand in the way of a question.
            needs.requests.clear();
            let mut world = World::new(campaign, head);
            world::read(&mut tx, &mut world, &needs, now).await?;
            tx.rollback().await?;
            Ok::<_, StoreError>((head.change, world, now))
        };
        let (change, mut world, now) = preview.await.map_err(|error| alarm(campaign, &error))?;
        match world.execute(command, now) {
            Ok(outcome) => Ok((change, outcome)),
            Err(rejection) => Err(without_outcome(campaign, &command.method, &rejection)),
        }
    }

    /// Refuses new commands, carries out the queued ones, and returns when all
    /// are answered.
    pub async fn drain(&self) {
        {
            let mut queues = self
                .shared
                .queues
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            self.shared.closed.store(true, Ordering::Release);
            // A task ends when its queue is closed and empty.
            queues.clear();
        }
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

/// What is answered to a command that has no outcome.
fn without_outcome(campaign: CampaignId, method: &str, rejection: &Rejection) -> BookError {
    if *rejection == Rejection::Again {
        return BookError::Unavailable;
    }
    let incident = Uuid::from_u128(rand::random());
    tracing::error!(%campaign, method, %rejection, %incident, "a posting is wrong");
    BookError::Fault { incident }
}

fn alarm(campaign: CampaignId, error: &StoreError) -> BookError {
    let incident = Uuid::from_u128(rand::random());
    tracing::error!(%campaign, error = ?error, %incident, "a preview failed");
    match error {
        StoreError::Unavailable(_) => BookError::Unavailable,
        StoreError::Refused { .. } | StoreError::Fault(_) | StoreError::Unreadable(_) => {
            BookError::Fault { incident }
        }
    }
}

/// Time does not run backwards in a campaign, whatever the servers' clocks say.
fn not_before(now: OffsetDateTime, recorded_at: Option<OffsetDateTime>) -> OffsetDateTime {
    recorded_at.map_or(now, |recorded_at| now.max(recorded_at))
}
