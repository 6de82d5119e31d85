//! Writing a batch that was decided ahead, beside the one before it.

use std::sync::Arc;

use tokio::{sync::oneshot, task::JoinError};

use super::{Book, not_available};
use crate::{
    book::{Item, Shared, batch::Outcomes, measure::Step},
    id::CampaignId,
    store::{Held, StoreError, batch},
};

/// How writing a batch ahead ended.
pub(super) enum Landing {
    /// Committed, and so many were answered.
    Committed(Held, usize),
    /// Answered with "unavailable": nobody knows.
    Unknown,
    /// Refused as a whole, so nothing was recorded and nobody was answered.
    Refused(Held, Vec<Item>),
}

/// A batch on its way.
pub(super) struct Flight {
    pub(super) shared: Arc<Shared>,
    pub(super) campaign: CampaignId,
    /// Tells when the batch before is committed, on which this one was decided.
    pub(super) behind: Option<oneshot::Receiver<()>>,
    pub(super) committed: oneshot::Sender<()>,
    pub(super) items: Vec<Item>,
    pub(super) outcomes: Outcomes,
}

impl Flight {
    /// Writes it, and answers.
    pub(super) async fn written(mut self, mut held: Held, statement: batch::Statement) -> Landing {
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
                let answered = self.items.len();
                self.outcomes.tell(&self.shared, self.items);
                Landing::Committed(held, answered)
            }
            Ok(false) => Landing::Refused(held, self.items),
            Err(error @ StoreError::Unavailable(_)) if !error.gave_way() => {
                not_available(&self.shared, campaign, &error, self.items);
                Landing::Unknown
            }
            Err(error) => {
                not_accepted(campaign, &error, &self.items);
                Landing::Refused(held, self.items)
            }
        }
    }
}

/// Writes a batch that was decided on one that is not committed yet, and says which; the
/// database refuses it unless that one has been. False when it never was.
async fn written_behind(
    behind: oneshot::Receiver<()>,
    held: &mut Held,
    statement: batch::Statement,
) -> Result<bool, StoreError> {
    match held.carry_out(statement.clone()).await {
        Err(error) if error.is_out_of_turn() || error.gave_way() => {
            let came_through = behind.await.is_ok();
            if came_through {
                // It was there before the one before it, which had yet to begin.
                held.carry_out(statement).await?;
            }
            Ok(came_through)
        }
        written => written.map(|()| true),
    }
}

pub(super) fn not_accepted(campaign: CampaignId, error: &StoreError, items: &[Item]) {
    tracing::info!(
        %campaign, ?error, commands = items.len(),
        "the database does not accept a batch: it is decided again under the lock"
    );
}

impl Book {
    /// Waits for all batches that are under way. False when one of them did not come through.
    pub(super) async fn land_all(&mut self) -> bool {
        let mut all = true;
        while !self.aloft.is_empty() {
            all &= self.land().await;
        }
        all
    }

    /// Waits for the oldest batch that is under way. False when it did not come through.
    pub(super) async fn land(&mut self) -> bool {
        let Some(oldest) = self.aloft.pop_front() else {
            return true;
        };
        let landing = oldest.landing.await;
        self.landed(landing).await
    }

    /// The oldest batch that was under way has ended, and is taken out. False when it did not come
    /// through: then the world is not what it was thought to be, and whatever was refused with it
    /// is decided again, in order.
    pub(super) async fn landed(&mut self, oldest: Result<Landing, JoinError>) -> bool {
        let mut refused = Vec::new();
        let mut came_through = true;
        let mut next = Some(oldest);
        while let Some(landing) = next.take() {
            match landing {
                Ok(Landing::Committed(held, answered)) => {
                    self.keep_connection(held);
                    self.let_callers_ask(answered).await;
                }
                Ok(Landing::Unknown) => came_through = false,
                Ok(Landing::Refused(held, items)) => {
                    self.keep_connection(held);
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
                && let Some(oldest) = self.aloft.pop_front()
            {
                next = Some(oldest.landing.await);
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
}
