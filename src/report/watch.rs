//! Campaigns as they change, told to everybody who watches.
//!
//! | what | costs the database |
//! |---|---|
//! | noticing | one statement for all watched campaigns, five times a second and process; at most ten while this process commits; none while nobody watches |
//! | telling | one snapshot, four round trips, for each watched campaign that has changed, shared by its watchers |
//! | a watcher who comes late | the same, for each thousand changes that it missed |
//!
//! So the number of watchers costs memory and network, and not the database.
//!
//! **Noticing.** One task reads how far the watched campaigns have come: every
//! [`EVERY`], and as soon as a book of this process has committed, but not sooner than
//! [`APART`] after the time before. It ends with the last watcher and begins again with
//! the next one. NOTIFY would halve what the posting path can do.
//!
//! **Telling.** A watcher asks for what came after the last change that it told, when it
//! has room to tell it. Nothing is queued for it: who is slow is told of more changes at
//! once, from the journal, and keeps nobody else waiting. Whoever asks first reads, and
//! the others who stand where it stood are given the same.
//!
//! **What is deliberately absent.** No queue a watcher, no state that a server would have
//! to hand over: the change number that a watcher was told last is all there is to resume.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{self, Notify, Semaphore, watch},
    time::{Instant, sleep_until, timeout_at},
};
use uuid::Uuid;

use super::{Changes, PublicProgress, ReportError, Reports};
use crate::id::CampaignId;

/// How long a commit of another process may go unnoticed.
const EVERY: Duration = Duration::from_millis(200);
/// The least time between two looks, whatever this process commits.
const APART: Duration = Duration::from_millis(100);
/// How long ago the last look may be for a watcher to say that nothing has changed.
const CURRENT: Duration = Duration::from_secs(2);
/// Snapshots that are read at once: the connections are others' as well.
const READS: usize = 2;

/// Who watches what, in this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watches {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    reports: Reports,
    commits: Arc<Notify>,
    feeds: Mutex<Feeds>,
    reads: Semaphore,
}

#[derive(Debug, Default)]
struct Feeds {
    watched: HashMap<CampaignId, Arc<Feed>>,
    /// Whether somebody looks.
    looking: bool,
}

/// How far a campaign has come, and when that was last looked at.
#[derive(Clone, Copy, Debug)]
struct Place {
    change: i64,
    at: Instant,
}

/// One campaign, for all its watchers.
#[derive(Debug)]
struct Feed {
    place: watch::Sender<Place>,
    /// What was told last.
    latest: sync::Mutex<Option<Arc<Changes>>>,
}

/// A campaign, for one watcher; until it is dropped the campaign is looked at.
#[derive(Debug)]
pub struct Watched {
    shared: Arc<Shared>,
    campaign: CampaignId,
    feed: Arc<Feed>,
    place: watch::Receiver<Place>,
}

impl Watches {
    /// Watches over the database that the books write to; `commits` is notified of each
    /// commit of this process, and has no other listener.
    #[must_use]
    pub fn new(reports: Reports, commits: Arc<Notify>) -> Self {
        Self {
            shared: Arc::new(Shared {
                reports,
                commits,
                feeds: Mutex::default(),
                reads: Semaphore::new(READS),
            }),
        }
    }

    /// Begins to watch a campaign. To be called in an async runtime.
    #[must_use]
    pub fn watch(&self, campaign: CampaignId) -> Watched {
        let shared = &self.shared;
        let mut feeds = shared.feeds();
        let feed = feeds.watched.entry(campaign).or_insert_with(|| {
            let place = Place {
                change: 0,
                at: Instant::now(),
            };
            Arc::new(Feed {
                place: watch::Sender::new(place),
                latest: sync::Mutex::default(),
            })
        });
        let watched = Watched {
            shared: Arc::clone(shared),
            campaign,
            place: feed.place.subscribe(),
            feed: Arc::clone(feed),
        };
        if !feeds.looking {
            feeds.looking = true;
            tokio::spawn(look(Arc::clone(shared)));
        }
        watched
    }
}

impl Shared {
    fn feeds(&self) -> MutexGuard<'_, Feeds> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The campaigns that are watched now. When there are none nobody looks any more,
    /// which the next watcher finds under the same lock.
    fn watched(&self) -> Option<Vec<Uuid>> {
        let mut feeds = self.feeds();
        let is_watched = |feed: &Arc<Feed>| feed.place.receiver_count() > 0;
        feeds.watched.retain(|_, feed| is_watched(feed));
        feeds.looking = !feeds.watched.is_empty();
        let watched = feeds.watched.keys().map(|campaign| campaign.0);
        feeds.looking.then(|| watched.collect())
    }

    /// Tells the watchers of each campaign how far it has come.
    async fn look(&self, campaigns: &[Uuid]) -> Result<(), ReportError> {
        let at = Instant::now();
        let rows = sqlx::query_file!("src/report/watch.sql", campaigns)
            .fetch_all(&self.reports.pool)
            .await?;
        let feeds = self.feeds();
        for row in rows {
            if let Some(feed) = feeds.watched.get(&CampaignId(row.campaign_id)) {
                feed.place.send_if_modified(|place| {
                    let moved = row.change_no > place.change;
                    place.change = place.change.max(row.change_no);
                    place.at = at;
                    moved
                });
            }
        }
        Ok(())
    }
}

/// Looks at all watched campaigns, again and again while there are any.
async fn look(shared: Arc<Shared>) {
    while let Some(campaigns) = shared.watched() {
        let began = Instant::now();
        // A watcher whose campaign was not looked at for a while ends by itself.
        if let Err(error) = shared.look(&campaigns).await {
            tracing::warn!(%error, campaigns = campaigns.len(), "watched campaigns cannot be read");
        }
        sleep_until(began + APART).await;
        let _ = timeout_at(began + EVERY, shared.commits.notified()).await;
    }
}

impl Watched {
    /// Waits until the campaign has come further than this change.
    pub async fn has_passed(&mut self, change: i64) {
        let passed = self.place.wait_for(|place| place.change > change);
        if passed.await.is_err() {
            // Its sender is in `self.feed`.
            std::future::pending::<()>().await;
        }
    }

    /// The campaign's progress now.
    ///
    /// # Errors
    /// [`ReportError`], as for [`Reports::public_progress`].
    pub async fn progress(&self) -> Result<PublicProgress, ReportError> {
        let _turn = self.shared.reads.acquire().await;
        self.shared.reports.public_progress(self.campaign).await
    }

    /// Refuses to say that nothing has changed when nobody could look lately.
    ///
    /// # Errors
    /// [`ReportError::Database`].
    pub fn must_be_current(&self) -> Result<(), ReportError> {
        if self.place.borrow().at.elapsed() < CURRENT {
            Ok(())
        } else {
            Err(ReportError::Database(sqlx::Error::PoolTimedOut))
        }
    }

    /// What came after a change: [`Changes::since`] it; there may be more before it. Reads it for all who watch from there.
    ///
    /// # Errors
    /// [`ReportError`], as for [`Reports::changes`].
    pub async fn changes(&self, after: i64) -> Result<Arc<Changes>, ReportError> {
        let mut latest = self.feed.latest.lock().await;
        let covers = |known: &&Arc<Changes>| known.after <= after && after < known.upto;
        if let Some(known) = latest.as_ref().filter(covers) {
            return Ok(Arc::clone(known));
        }
        if latest.as_ref().is_some_and(|known| after < known.after) {
            // Far behind: by itself, and without holding up the others.
            drop(latest);
            return self.read(after).await;
        }
        let read = self.read(after).await?;
        if read.after < read.upto {
            *latest = Some(Arc::clone(&read));
        }
        Ok(read)
    }

    async fn read(&self, after: i64) -> Result<Arc<Changes>, ReportError> {
        let _turn = self.shared.reads.acquire().await;
        let read = self.shared.reports.changes(self.campaign, after);
        Ok(Arc::new(read.await?))
    }
}
