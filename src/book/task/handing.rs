//! Handing commands over to the server that has the campaign's turn, instead of waiting for it.

use std::{collections::VecDeque, time::Duration};

use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::{Book, Item, take};
use crate::{
    book::{
        BookError,
        batch::{Outcomes, leave_out},
        peers::{Handed, Way},
    },
    domain::Outcome,
};

/// Batches that are handed over and not answered: while the other server works on one the next
/// is on its way, and what comes meanwhile makes a larger one.
const IN_HAND: usize = 4;

/// How long a way with nothing on it is kept.
const KEPT: Duration = Duration::from_secs(1);

/// How long the other server may take for a batch: longer than the database lets it keep a turn
/// in which it does nothing. Its process may be well, and its way to the database not.
const PATIENCE: Duration = Duration::from_secs(6);

/// Why a way is left.
enum End {
    /// Nothing has come for a while, or nothing will any more.
    Idle,
    /// The other server is gone, or is going, or does not understand this one.
    Broken,
    /// Another server handed some of these over to this one: they are not handed on.
    Own(Vec<Item>),
}

/// What was handed over and is not answered.
struct Sent {
    /// In order.
    batches: VecDeque<Vec<Item>>,
    /// When the oldest of them has waited for too long.
    until: Instant,
}

/// Handing over. What the other server answers is the answer: it went through that one's book.
/// What it does not answer is carried out here, under the lock and in order; whatever it had
/// carried out of that is found by its request id.
impl Book {
    /// Hands over this command and those behind it, for as long as the way is of use.
    pub(super) async fn hand_over(&mut self, mut way: Way, first: Item) {
        self.connections.clear();
        let mut sent = Sent {
            batches: VecDeque::new(),
            until: Instant::now() + PATIENCE,
        };
        let end = self.go_along(&mut way, &mut sent, first).await;
        let is_sound = match &end {
            End::Broken => false,
            End::Idle | End::Own(_) => loop {
                if sent.batches.is_empty() {
                    break true;
                }
                let outcomes = timeout_at(sent.until, way.outcomes.recv()).await;
                if !self.hear(&mut sent, outcomes.ok().flatten()) {
                    break false;
                }
            },
        };
        drop(way);
        let mut left = Vec::from(sent.batches);
        // Too late is only what is not carried out, and this may have been.
        for item in left.iter_mut().flatten() {
            item.deadline = None;
        }
        if !is_sound {
            tracing::info!(
                campaign = %self.campaign, batches = left.len(),
                "the server that has the turn does not answer any more"
            );
            self.handed_in_vain = Some(Instant::now());
        }
        if let End::Own(own) = end {
            left.push(own);
        }
        if !left.is_empty() {
            self.decide_again(left).await;
        }
    }

    async fn go_along(&mut self, way: &mut Way, sent: &mut Sent, first: Item) -> End {
        let mut next = Some(first);
        loop {
            if let Some(first) = next.take() {
                let most = self.shared.settings.batch_cap;
                self.let_callers_ask(most).await;
                let mut items = vec![first];
                take(&self.shared, &mut items, &mut self.queues, most);
                leave_out(&self.shared, &mut items);
                if items.iter().any(|item| item.is_handed) {
                    return End::Own(items);
                }
                if !items.is_empty() {
                    let handed = items.iter().map(Handed::of).collect();
                    self.shared.measures.handed_over(items.len());
                    if sent.batches.is_empty() {
                        sent.until = Instant::now() + PATIENCE;
                    }
                    sent.batches.push_back(items);
                    if way.batches.send(handed).await.is_err() {
                        return End::Broken;
                    }
                }
            }
            tokio::select! {
                biased;
                outcomes = way.outcomes.recv() => if !self.hear(sent, outcomes) {
                    return End::Broken;
                },
                () = sleep_until(sent.until), if !sent.batches.is_empty() => return End::Broken,
                more = timeout(KEPT, self.queues.receive()), if sent.batches.len() < IN_HAND => {
                    match more {
                        Ok(Some(item)) => next = Some(item),
                        Ok(None) => return End::Idle,
                        Err(_) if sent.batches.is_empty() => return End::Idle,
                        Err(_) => {}
                    }
                }
            }
        }
    }

    /// Passes on what the oldest batch came to. False when the other server has not carried
    /// all of it out: then the rest is the oldest.
    fn hear(&self, sent: &mut Sent, outcomes: Option<Vec<Result<Outcome, BookError>>>) -> bool {
        let Some(outcomes) = outcomes else {
            return false;
        };
        sent.until = Instant::now() + PATIENCE;
        let (mut left, mut answered, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        let mut outcomes = outcomes.into_iter();
        for item in sent.batches.pop_front().into_iter().flatten() {
            match outcomes.next() {
                // Whoever asked here was not told that this server ends.
                None | Some(Err(BookError::ShuttingDown)) => left.push(item),
                Some(outcome) => {
                    answered.push(item);
                    answers.push(outcome);
                }
            }
        }
        // What watches this process's commits reads the database, where these are as well.
        self.shared.commits.notify_one();
        Outcomes::of(answers).tell(&self.shared, answered);
        let is_all = left.is_empty();
        if !is_all {
            sent.batches.push_front(left);
        }
        is_all
    }
}
