//! One campaign's task: batch after batch, under the head's lock or ahead of it.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::{JoinError, JoinHandle},
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{
    BookError, Item, Shared,
    batch::{Outcomes, Receivers, decide, take},
    measure::{Step, Watch},
    not_before,
};
use crate::{
    domain::{Head, Needs, World},
    id::CampaignId,
    store::{Held, StoreError, Tx, batch, world},
};

/// How long a book that has nothing to do holds its connections.
const HELD: Duration = Duration::from_millis(20);

/// The most batches that are written and not committed yet.
const ALOFT: usize = 2;

/// How long a server works on a campaign before it makes room for others that wait.
const TURN: Duration = Duration::from_millis(500);

/// How long nobody else may have written for a server to believe that it is alone.
const FORGOTTEN: Duration = Duration::from_secs(2);

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
    /// Connections that wait for the next batch.
    connections: Vec<Held>,
    /// Batches that are being written, in order.
    aloft: VecDeque<JoinHandle<Landing>>,
    /// Told when the last of them is committed; dropped when it is not.
    committed: Option<oneshot::Receiver<()>>,
}

/// This server's turn at a campaign that others write to as well.
struct Turn {
    /// Holds the lock that the others wait for.
    tx: Tx<'static>,
    since: Instant,
}

/// How writing a batch ahead ended.
enum Landing {
    /// Committed and answered.
    Committed(Held),
    /// Answered with "unavailable": nobody knows.
    Unknown,
    /// Refused as a whole, so nothing was recorded and nobody was answered.
    Refused(Vec<Item>),
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
            self.land().await;
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

    /// A second batch is begun beside the first when it will be a large one: a small one
    /// does better to wait and to grow.
    fn may_go_ahead(&self) -> bool {
        self.aloft.len() < ALOFT
            && self.queues.waiting() >= self.shared.settings.ahead.max(1)
            && (!self.connections.is_empty() || self.shared.store.has_more())
    }

    /// Carries out a batch that begins with this command.
    async fn carry_out(&mut self, first: Item) {
        let mut items = vec![first];
        if self.others.is_some() && self.turn.is_none() {
            self.land_all().await;
            self.take_turn().await;
        }
        if (self.others.is_none() || self.turn.is_some()) && self.world.is_some() {
            self.let_callers_ask().await;
            take(&self.shared, &mut items, &mut self.queues);
            if !items.is_empty() {
                self.ahead(items).await;
            }
        } else {
            self.land_all().await;
            self.under_the_lock(items, true).await;
        }
    }

    /// Whoever was just answered may have more to ask: they run first, until nobody asks
    /// any more. Twice, since some of them run on another thread.
    async fn let_callers_ask(&self) {
        let mut quiet = 0;
        let mut waiting = self.queues.waiting();
        while quiet < 2 && waiting < self.shared.settings.batch_cap {
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

    /// The world that was kept, if it is as of this head. If it is not, somebody else has
    /// written, since each change moves the head.
    fn caught_up(&mut self, kept: Option<World>, head: Head) -> World {
        if let Some(kept) = kept {
            if kept.head == head {
                self.others = self.others.filter(|seen| seen.elapsed() < FORGOTTEN);
                return kept;
            }
            self.others = Some(Instant::now());
        }
        World::new(self.campaign, head)
    }

    /// Goes on with the world as a batch left it.
    fn keep_world(&mut self, world: World) {
        let keep = world.rows() < self.shared.settings.kept_rows;
        self.world = keep.then(|| world.carried_on());
    }
}

/// Turns: servers that go ahead on one campaign at once would refuse each other's batches.
/// They ask for a turn as soon as they have noticed each other. It is a courtesy: the fence
/// holds without it.
impl Book {
    /// Waits for a turn, unless nobody else writes or all connections are in use.
    async fn take_turn(&mut self) {
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
                return Ok(None);
            }
            let mut tx = self.shared.store.begin().await?;
            world::turn_in_tx(&mut tx, campaign).await?;
            let since = Instant::now();
            let head = world::head_in_tx(&mut tx, campaign).await?;
            Ok::<_, StoreError>(head.map(|head| (Turn { tx, since }, head)))
        };
        match taken.await {
            Ok(None) => {}
            Ok(Some((turn, head))) => {
                self.turn = Some(turn);
                let kept = self.world.take();
                self.world = Some(self.caught_up(kept, head));
            }
            Err(error) => {
                tracing::info!(%campaign, ?error, "goes on without its turn");
            }
        }
    }

    /// Ends the turn when its time is up, nobody else writes or there is nothing to do.
    async fn end_turn_in_time(&mut self) {
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
}

/// Ahead: what is decided on the world in memory is written without a lock, and the number
/// of its first change says what it was decided on.
impl Book {
    /// Decides a batch on the world as the last one left it, and begins to write it.
    async fn ahead(&mut self, items: Vec<Item>) {
        let needs = Needs::of(items.iter().map(|item| &item.command));
        if !needs.are_by_key() {
            self.land_all().await;
        }
        // It is lost when a batch before did not come through.
        let Some(world) = self.world.take() else {
            return self.under_the_lock(items, false).await;
        };
        match self.prepare(world, &needs, &items).await {
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
                self.aloft
                    .push_back(tokio::spawn(flight.written(held, statement)));
            }
            Ok((held, Prepared::World(world), outcomes)) => {
                // It repeats answers that have to be committed first, or changes what is
                // not found by key.
                let came_through = self.land_all().await;
                // Without a change there is no fence: only answers that are given again
                // do not depend on what others have done meanwhile.
                let is_fenced = !world.written.changes.is_empty() || outcomes.are_all_known();
                if !came_through || !is_fenced {
                    return self.under_the_lock(items, false).await;
                }
                self.write_alone(held, world, items, outcomes).await;
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
        needs: &Needs,
        items: &[Item],
    ) -> Result<(Held, Prepared, Outcomes), StoreError> {
        let mut held = self.connection().await?;
        let shared = Arc::clone(&self.shared);
        let mut watch = shared.measures.watch();
        let now = not_before(self.shared.clock.now(), world.head.recorded_at);
        world::read(held.connection(), &mut world, needs, now).await?;
        watch.lap(Step::Read);
        let outcomes = decide(&mut world, self.campaign, items, now);
        let prepared = if world.written.changes.is_empty() || !world.written.is_by_key() {
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
    async fn write_alone(
        &mut self,
        mut held: Held,
        world: Box<World>,
        items: Vec<Item>,
        outcomes: Outcomes,
    ) {
        let shared = Arc::clone(&self.shared);
        let written = async {
            if !world.written.changes.is_empty() {
                let mut watch = shared.measures.watch();
                write(&shared, held.begin().await?, &world, &mut watch).await?;
            }
            Ok::<_, StoreError>(())
        };
        match written.await {
            Ok(()) => {
                self.keep_connection(held);
                self.keep_world(*world);
                outcomes.tell(&self.shared, items);
            }
            Err(error @ StoreError::Unavailable(_)) if !error.gave_way() => {
                not_available(&self.shared, self.campaign, &error, items);
            }
            Err(error) => {
                not_accepted(self.campaign, &error, &items);
                drop(held);
                self.decide_again(vec![items]).await;
            }
        }
    }

    /// Waits for all batches that are under way. False when one of them did not come through.
    async fn land_all(&mut self) -> bool {
        let mut all = true;
        while !self.aloft.is_empty() {
            all &= self.land().await;
        }
        all
    }

    /// Waits for the oldest batch that is under way. False when it did not come through.
    async fn land(&mut self) -> bool {
        let Some(oldest) = self.aloft.front_mut() else {
            return true;
        };
        let landing = oldest.await;
        self.landed(landing).await
    }

    /// What the oldest batch came to. When it did not come through, the world is not what
    /// it was thought to be, and whatever was refused with it is carried out under the lock,
    /// in order.
    async fn landed(&mut self, landing: Result<Landing, JoinError>) -> bool {
        self.aloft.pop_front();
        let mut refused = Vec::new();
        let mut came_through = true;
        let mut next = Some(landing);
        while let Some(landing) = next.take() {
            match landing {
                Ok(Landing::Committed(held)) => self.keep_connection(held),
                Ok(Landing::Unknown) => came_through = false,
                Ok(Landing::Refused(items)) => {
                    came_through = false;
                    refused.push(items);
                }
                Err(error) => {
                    tracing::error!(campaign = %self.campaign, %error, "writing a batch panicked");
                    came_through = false;
                }
            }
            // What was decided on a batch that was refused is refused as well.
            if !refused.is_empty()
                && let Some(behind) = self.aloft.pop_front()
            {
                next = Some(behind.await);
            }
        }
        if !came_through {
            self.world = None;
        }
        if !refused.is_empty() {
            self.decide_again(refused).await;
        }
        came_through
    }

    /// Carries out under the lock, in order, what the database refused: as far as is known,
    /// others have written in between.
    async fn decide_again(&mut self, refused: Vec<Vec<Item>>) {
        self.others = Some(Instant::now());
        self.take_turn().await;
        for items in refused {
            self.under_the_lock(items, false).await;
        }
    }
}

/// A batch that is decided.
enum Prepared {
    /// One statement is all of it.
    Statement(batch::Statement),
    /// It is to be written with nothing else under way.
    World(Box<World>),
}

/// A batch on its way.
struct Flight {
    shared: Arc<Shared>,
    campaign: CampaignId,
    /// Tells when the batch before is committed, on which this one was decided.
    behind: Option<oneshot::Receiver<()>>,
    committed: oneshot::Sender<()>,
    items: Vec<Item>,
    outcomes: Outcomes,
}

impl Flight {
    /// Writes it, and answers.
    async fn written(mut self, mut held: Held, statement: batch::Statement) -> Landing {
        let shared = Arc::clone(&self.shared);
        let mut watch = shared.measures.watch();
        let written = match self.behind.take() {
            None => held.carry_out(statement).await.map(|()| true),
            Some(behind) => written_behind(behind, &mut held, statement).await,
        };
        watch.lap(Step::Write);
        let campaign = self.campaign;
        match written {
            Ok(true) => {
                // Nobody listens when no batch came behind it.
                let _ = self.committed.send(());
                self.shared.commits.notify_one();
                self.outcomes.tell(&self.shared, self.items);
                Landing::Committed(held)
            }
            Ok(false) => Landing::Refused(self.items),
            Err(error @ StoreError::Unavailable(_)) if !error.gave_way() => {
                not_available(&self.shared, campaign, &error, self.items);
                Landing::Unknown
            }
            Err(error) => {
                not_accepted(campaign, &error, &self.items);
                Landing::Refused(self.items)
            }
        }
    }
}

/// Writes a batch that was decided on one that is not committed yet. It commits when that
/// one has: had that one failed, another server's batch could have taken the same numbers,
/// and this one's would follow them. False when it has not.
async fn written_behind(
    behind: oneshot::Receiver<()>,
    held: &mut Held,
    statement: batch::Statement,
) -> Result<bool, StoreError> {
    let mut tx = held.begin().await?;
    let written = statement.clone().execute(&mut tx).await;
    if matches!(written, Err(ref error @ StoreError::Unavailable(_)) if !error.gave_way()) {
        return written.map(|()| true);
    }
    let came_through = behind.await.is_ok();
    if came_through && written.is_ok() {
        tx.commit().await?;
        return Ok(true);
    }
    tx.rollback().await?;
    if came_through {
        // It was there before the one before it, which had yet to begin.
        held.carry_out(statement).await?;
    }
    Ok(came_through)
}

/// Nobody knows whether anything was recorded.
fn not_available(shared: &Shared, campaign: CampaignId, error: &StoreError, items: Vec<Item>) {
    tracing::warn!(%campaign, ?error, "the database is not available");
    Outcomes::all(&items, &BookError::Unavailable).tell(shared, items);
}

fn not_accepted(campaign: CampaignId, error: &StoreError, items: &[Item]) {
    tracing::info!(
        %campaign, ?error, commands = items.len(),
        "a batch that was decided ahead is not accepted: it is decided again under the lock"
    );
}

/// Under the lock: for the first batch, for what was refused, and while others write too and
/// there is no connection to wait for a turn with.
impl Book {
    /// Runs a batch, and singly what a refused batch held. Takes in what has queued
    /// while the lock was taken, if it is to.
    async fn under_the_lock(&mut self, batch: Vec<Item>, fill: bool) {
        let Some(batch) = self.attempt(batch, fill).await else {
            return;
        };
        let campaign = self.campaign;
        tracing::warn!(%campaign, commands = batch.len(), "the database refused a batch: its commands run singly");
        for item in batch {
            if let Some(poison) = self.attempt(vec![item], false).await {
                let incident = Uuid::from_u128(rand::random());
                for item in &poison {
                    tracing::error!(%campaign, method = item.command.method, %incident, "poison command");
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
            take(&self.shared, items, &mut self.queues);
        }
        let (mut tx, head) = locked?;
        let Some(head) = head else {
            tx.rollback().await?;
            return Ok(Outcomes::all(items, &BookError::CampaignNotFound));
        };
        let now = not_before(self.shared.clock.now(), head.recorded_at);
        let needs = Needs::of(items.iter().map(|item| &item.command));
        let mut world = self.caught_up(kept, head);
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

/// Begins a database transaction with the campaign's head locked.
async fn lock(held: &mut Held, campaign: CampaignId) -> Result<(Tx<'_>, Option<Head>), StoreError> {
    let mut tx = held.begin().await?;
    let head = world::lock_in_tx(&mut tx, campaign).await?;
    Ok((tx, head))
}
