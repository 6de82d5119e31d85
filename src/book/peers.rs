//! The books of the installation's other servers.

use std::fmt;

use tokio::{sync::mpsc, time::Instant};

use super::{BookError, Books, Item, Lane, Queued};
use crate::{
    domain::{Command, Outcome},
    id::CampaignId,
};

/// How the other servers are reached.
pub trait Peers: fmt::Debug + Send + Sync {
    /// By what name they reach this one; no other server has it, nor had this one before it was
    /// started anew. At most 63 bytes, as PostgreSQL cuts off the rest.
    fn name(&self) -> &str;

    /// A way to a campaign's book on the server of this name; nothing when it is no server's
    /// name. Nothing is known yet of whether it leads anywhere.
    fn way(&self, name: &str, campaign: CampaignId) -> Option<Way>;
}

/// A way to another server's book. Batches go in, and what their commands came to comes out,
/// batch by batch in the same order, until the way ends. What was not answered by then may
/// have been carried out or not: its request id tells.
#[derive(Debug)]
pub struct Way {
    /// Takes batches.
    pub batches: mpsc::Sender<Vec<Handed>>,
    /// Gives one outcome for each command of a batch.
    pub outcomes: mpsc::Receiver<Vec<Result<Outcome, BookError>>>,
}

/// A command that one server hands over to another.
#[derive(Clone, Debug)]
pub struct Handed {
    /// The command.
    pub command: Command,
    /// When nobody waits for it any more.
    pub deadline: Option<Instant>,
    /// Whether it is a run's item, which gives way to what somebody waits for.
    pub is_bulk: bool,
}

impl Handed {
    pub(super) fn of(item: &Item) -> Self {
        Self {
            command: item.command.clone(),
            deadline: item.deadline,
            is_bulk: item.lane == Lane::Bulk,
        }
    }
}

impl Books {
    /// Puts what another server handed over into its campaign's queue, as soon as that has
    /// room. It is carried out here and not handed on.
    ///
    /// # Errors
    /// As [`Books::queue_when_free`].
    pub async fn queue_handed(
        &self,
        campaign: CampaignId,
        handed: Handed,
    ) -> Result<Queued, BookError> {
        let lane = if handed.is_bulk {
            Lane::Bulk
        } else {
            Lane::Live
        };
        let (mut item, queued) = Item::of(handed.command, handed.deadline, lane);
        item.is_handed = true;
        self.queue_item_of(campaign, item).await?;
        Ok(queued)
    }
}
