//! Tasks that post until the postings or the time are used up.

use std::{
    num::NonZeroU32,
    ops::Range,
    sync::Arc,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task::JoinSet};

use crate::{Failure, ledger::Ledger};

/// What was posted, and in what time.
pub(crate) struct Done {
    /// Acknowledged postings.
    pub(crate) postings: u32,
    /// From the first task's start to the last acknowledgement.
    pub(crate) took: Duration,
}

/// Postings not yet handed out.
struct Work {
    turns: Semaphore,
    next: AtomicU32,
    end: u32,
    deadline: Option<Instant>,
}

impl Work {
    /// The next postings, at most so many; none when all are handed out or the time is up.
    fn claim(&self, most: u32) -> Option<Range<u32>> {
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            return None;
        }
        let after = |from: u32| from.saturating_add(most).min(self.end);
        let from = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |from| {
                (from < self.end).then(|| after(from))
            })
            .ok()?;
        Some(from..after(from))
    }
}

/// How to post.
pub(crate) struct Load {
    /// Tasks that post.
    pub(crate) tasks: NonZeroU32,
    /// Calls that run at once: no more than there are connections, so that when the time is up no
    /// task waits for one with postings in its hand.
    pub(crate) at_once: NonZeroU32,
    /// Postings a batch; `None` posts singly.
    pub(crate) per_call: Option<NonZeroU32>,
    /// Postings, if the time suffices.
    pub(crate) postings: NonZeroU32,
    /// After what time no more are handed out.
    pub(crate) limit: Option<Duration>,
}

impl Load {
    /// Posts from all tasks.
    ///
    /// # Errors
    ///
    /// One posting that fails fails the whole run.
    pub(crate) async fn post(&self, ledger: &Arc<Ledger>) -> Result<Done, Failure> {
        let started = Instant::now();
        let work = Arc::new(Work {
            turns: Semaphore::new(usize::try_from(self.at_once.get())?),
            next: AtomicU32::new(0),
            end: self.postings.get(),
            deadline: self.limit.and_then(|limit| started.checked_add(limit)),
        });
        let mut running = JoinSet::new();
        for _ in 0..self.tasks.get() {
            let (ledger, work) = (Arc::clone(ledger), Arc::clone(&work));
            running.spawn(one_task(ledger, work, self.per_call));
        }
        let mut acknowledged = 0;
        while let Some(task) = running.join_next().await {
            acknowledged += task??;
        }
        Ok(Done {
            postings: acknowledged,
            took: started.elapsed(),
        })
    }
}

async fn one_task(
    ledger: Arc<Ledger>,
    work: Arc<Work>,
    per_call: Option<NonZeroU32>,
) -> Result<u32, Failure> {
    let mut acknowledged = 0;
    loop {
        let _turn = work.turns.acquire().await?;
        let Some(claimed) = work.claim(per_call.map_or(1, NonZeroU32::get)) else {
            return Ok(acknowledged);
        };
        let count = claimed.end - claimed.start;
        match per_call {
            None => ledger.post(claimed.start).await?,
            Some(_) => ledger.post_batch(claimed).await?,
        }
        acknowledged += count;
    }
}
