//! A way in for those who would rather wait than be refused, and who do not stand
//! still until each command has its outcome.

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{BookError, Books, Item, Lane};
use crate::{
    domain::{Command, Outcome},
    id::CampaignId,
};

/// A command that is in its campaign's queue. While this is kept the command is
/// carried out when its turn comes; a caller that has gone away by then is spared it.
#[derive(Debug)]
#[must_use]
pub struct Queued(oneshot::Receiver<Result<Outcome, BookError>>);

impl Queued {
    /// Waits for the command's outcome.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn outcome(self) -> Result<Outcome, BookError> {
        // The task answers everybody; it is gone only when the process is.
        self.0.await.unwrap_or(Err(BookError::Unavailable))
    }
}

impl Item {
    pub(super) fn of(command: Command, deadline: Option<Instant>, lane: Lane) -> (Self, Queued) {
        let (reply, outcome) = oneshot::channel();
        let item = Self {
            command,
            queued_at: Instant::now(),
            deadline,
            lane,
            is_handed: false,
            reply,
        };
        (item, Queued(outcome))
    }
}

impl Books {
    /// Puts a command into its campaign's queue, as soon as that has room; who waits
    /// longest comes first. A caller that stops waiting has queued nothing.
    ///
    /// # Errors
    /// [`BookError::ShuttingDown`]; [`BookError::DeadlineExceeded`] when there was no
    /// room before the deadline.
    pub async fn queue_when_free(
        &self,
        campaign: CampaignId,
        command: Command,
        deadline: Option<Instant>,
    ) -> Result<Queued, BookError> {
        self.queue_in(Lane::Live, campaign, command, deadline).await
    }

    /// The same for an item of a run, which gives way to what somebody waits for.
    ///
    /// # Errors
    /// [`BookError::ShuttingDown`].
    pub async fn queue_item(
        &self,
        campaign: CampaignId,
        command: Command,
    ) -> Result<Queued, BookError> {
        self.queue_in(Lane::Bulk, campaign, command, None).await
    }

    async fn queue_in(
        &self,
        lane: Lane,
        campaign: CampaignId,
        command: Command,
        deadline: Option<Instant>,
    ) -> Result<Queued, BookError> {
        let (item, queued) = Item::of(command, deadline, lane);
        self.queue_item_of(campaign, item).await?;
        Ok(queued)
    }

    pub(super) async fn queue_item_of(
        &self,
        campaign: CampaignId,
        mut item: Item,
    ) -> Result<(), BookError> {
        let deadline = item.deadline;
        while let Some((back, queue)) = self.enqueue(campaign, item)? {
            let room = queue.reserve();
            let room = match deadline {
                None => room.await,
                Some(deadline) => timeout_at(deadline, room)
                    .await
                    .map_err(|_| BookError::DeadlineExceeded)?,
            };
            item = back;
            // A queue that died while we waited is opened again by the next attempt.
            if let Ok(room) = room {
                match self.fill(campaign, &queue, room, item)? {
                    None => break,
                    Some(back) => item = back,
                }
            }
        }
        Ok(())
    }

    /// Puts an item where room was reserved for it; gives it back when the campaign's
    /// task has left that queue meanwhile.
    fn fill(
        &self,
        campaign: CampaignId,
        queue: &mpsc::Sender<Item>,
        room: mpsc::Permit<'_, Item>,
        item: Item,
    ) -> Result<Option<Item>, BookError> {
        let queues = self.open_queues()?;
        let lane = item.lane;
        let current = queues.get(&campaign);
        let Some(current) = current.filter(|current| current.of(lane).same_channel(queue)) else {
            return Ok(Some(item));
        };
        room.send(item);
        current.queued(&self.shared);
        Ok(None)
    }

    /// The most commands of one batch.
    #[must_use]
    pub fn batch_cap(&self) -> usize {
        self.shared.settings.batch_cap
    }
}
