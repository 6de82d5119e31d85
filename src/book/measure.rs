//! What operators see of the books: how large batches are, how much waits, and
//! where the time goes.
//!
//! | metric | kind | labels | is |
//! |---|---|---|---|
//! | `pledgebook_batch_commands` | histogram | | commands of a batch, or of one that is handed over |
//! | `pledgebook_queue_depth` | gauge | | commands that wait, over all campaigns |
//! | `pledgebook_queue_seconds` | histogram | | from queued to taken into a batch |
//! | `pledgebook_batch_seconds` | histogram | `step`: lock, read, decide, write, commit | each step of a batch; lock and commit only under the lock, otherwise write commits too; batches that go ahead overlap |
//! | `pledgebook_handed_over_total` | counter | | commands that another server carried out for this one, or was asked to |
//! | `pledgebook_outcomes_total` | counter | `outcome`: done, refused, replayed, recorded_before, late, overloaded, unavailable, not_found, fault | what commands came to; of one that was handed over, on both servers |
//!
//! Refusals by their reason are counted where they leave, as `pledgebook_errors_total`.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tokio::time::Instant;

use super::BookError;
use crate::domain::Outcome;

/// The steps of a batch, in order.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Lock,
    Read,
    Decide,
    Write,
    Commit,
}

pub(super) struct Measures {
    batch: Histogram,
    depth: Gauge,
    queued: Histogram,
    lock: Histogram,
    read: Histogram,
    decide: Histogram,
    write: Histogram,
    commit: Histogram,
    handed_over: Counter,
    done: Counter,
    refused: Counter,
    replayed: Counter,
    recorded_before: Counter,
    late: Counter,
    overloaded: Counter,
    unavailable: Counter,
    not_found: Counter,
    fault: Counter,
}

impl std::fmt::Debug for Measures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Measures").finish_non_exhaustive()
    }
}

impl Measures {
    /// To be made once the process has said where its metrics go.
    pub(super) fn new() -> Self {
        let step = |step: &'static str| histogram!("pledgebook_batch_seconds", "step" => step);
        let outcome =
            |outcome: &'static str| counter!("pledgebook_outcomes_total", "outcome" => outcome);
        Self {
            batch: histogram!("pledgebook_batch_commands"),
            depth: gauge!("pledgebook_queue_depth"),
            queued: histogram!("pledgebook_queue_seconds"),
            lock: step("lock"),
            read: step("read"),
            decide: step("decide"),
            write: step("write"),
            commit: step("commit"),
            handed_over: counter!("pledgebook_handed_over_total"),
            done: outcome("done"),
            refused: outcome("refused"),
            replayed: outcome("replayed"),
            recorded_before: outcome("recorded_before"),
            late: outcome("late"),
            overloaded: outcome("overloaded"),
            unavailable: outcome("unavailable"),
            not_found: outcome("not_found"),
            fault: outcome("fault"),
        }
    }

    pub(super) fn queued(&self) {
        self.depth.increment(1.0);
    }

    /// A batch was taken from its queue; each command waited so long.
    pub(super) fn taken(&self, waited: impl ExactSizeIterator<Item = Duration>) {
        let commands = u32::try_from(waited.len()).unwrap_or(u32::MAX);
        self.depth.decrement(f64::from(commands));
        self.batch.record(commands);
        waited.for_each(|waited| self.queued.record(waited));
    }

    pub(super) fn handed_over(&self, commands: usize) {
        self.handed_over
            .increment(u64::try_from(commands).unwrap_or(u64::MAX));
    }

    pub(super) fn outcome(&self, outcome: &Result<Outcome, BookError>) {
        let counter = match outcome {
            Ok(Outcome::Done(_)) => &self.done,
            Ok(Outcome::Refused(_)) => &self.refused,
            Ok(Outcome::Replayed(_)) => &self.replayed,
            Ok(Outcome::RecordedBefore { .. }) => &self.recorded_before,
            Err(BookError::DeadlineExceeded) => &self.late,
            Err(BookError::Overloaded | BookError::ShuttingDown) => &self.overloaded,
            Err(BookError::Unavailable) => &self.unavailable,
            Err(BookError::CampaignNotFound) => &self.not_found,
            Err(BookError::Fault { .. }) => &self.fault,
        };
        counter.increment(1);
    }

    /// A batch's stop-watch.
    pub(super) fn watch(&self) -> Watch<'_> {
        Watch {
            measures: self,
            since: Instant::now(),
        }
    }
}

/// Tells how long each step of a batch took.
pub(super) struct Watch<'a> {
    measures: &'a Measures,
    since: Instant,
}

impl Watch<'_> {
    /// This step has ended, and the next begins.
    pub(super) fn lap(&mut self, step: Step) {
        let now = Instant::now();
        let took = now.duration_since(self.since);
        self.since = now;
        let histogram = match step {
            Step::Lock => &self.measures.lock,
            Step::Read => &self.measures.read,
            Step::Decide => &self.measures.decide,
            Step::Write => &self.measures.write,
            Step::Commit => &self.measures.commit,
        };
        histogram.record(took);
    }
}
