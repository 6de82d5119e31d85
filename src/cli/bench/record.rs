//! What was answered, and after how long.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hdrhistogram::Histogram;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::plan::{Kind, micros};
use crate::{cli::Failure, grpc::pb};

/// The longest time that is told apart: ten minutes, in microseconds.
const LONGEST: u64 = 600_000_000;

/// An empty histogram of microseconds, exact to a thousandth.
pub(super) fn histogram() -> Result<Histogram<u64>, Failure> {
    Ok(Histogram::new_with_bounds(1, LONGEST, 3)?)
}

pub(super) fn record(histogram: &mut Histogram<u64>, took: Duration) {
    histogram.saturating_record(micros(took).max(1));
}

/// What an answer means for the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Recorded by this call.
    Done,
    /// This request id had been answered before.
    Replayed,
    /// Another request had recorded the same movement.
    RecordedBefore,
    /// Nothing was recorded, as the service may say under load.
    Overloaded,
    /// Nobody knows; the same request id tells later.
    Unknown(String),
    /// No caller should ever see this.
    Unexpected(String),
}

impl Answer {
    pub(super) fn of(outcome: Option<&pb::Outcome>) -> Self {
        match outcome {
            None => Self::Unexpected("an answer without an outcome".to_owned()),
            Some(outcome) if outcome.replayed => Self::Replayed,
            Some(outcome) if outcome.already_recorded => Self::RecordedBefore,
            Some(_) => Self::Done,
        }
    }

    pub(super) fn of_status(status: &Status) -> Self {
        let reason = status.get_details_error_info().map(|info| info.reason);
        let reason = reason.unwrap_or_else(|| format!("{:?}", status.code()));
        match (reason.as_str(), status.code()) {
            ("OVERLOADED", _) => Self::Overloaded,
            // Unknown is what a broken connection is called.
            (_, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown) => {
                Self::Unknown(reason)
            }
            _ => Self::Unexpected(reason),
        }
    }

    /// Whether what was asked for is recorded.
    pub(super) const fn is_recorded(&self) -> bool {
        matches!(self, Self::Done | Self::Replayed | Self::RecordedBefore)
    }
}

/// The figures of one kind of call.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Calls sent.
    pub sent: u64,
    /// Recorded by the call.
    pub done: u64,
    /// Answered with what the same request id had recorded.
    pub replayed: u64,
    /// Answered with what another request had recorded.
    pub recorded_before: u64,
    /// Refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// From when a call was due to its answer, in microseconds; refusals too.
    pub latency: Histogram<u64>,
}

/// All figures of a run, while it runs.
pub(super) struct Recorder {
    kinds: [Mutex<Figures>; Kind::COUNT],
    /// Of all kinds together, for the one who watches.
    all: Mutex<Histogram<u64>>,
    pub(super) sent: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) unexpected: AtomicU64,
}

impl Recorder {
    pub(super) fn new() -> Result<Self, Failure> {
        let empty = Figures {
            sent: 0,
            done: 0,
            replayed: 0,
            recorded_before: 0,
            refused: BTreeMap::new(),
            latency: histogram()?,
        };
        Ok(Self {
            kinds: std::array::from_fn(|_| Mutex::new(empty.clone())),
            all: Mutex::new(histogram()?),
            sent: AtomicU64::default(),
            answered: AtomicU64::default(),
            unexpected: AtomicU64::default(),
        })
    }

    pub(super) fn sent(&self, kind: Kind) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.of(kind).sent += 1;
    }

    pub(super) fn answered(&self, kind: Kind, answer: &Answer, took: Duration) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        record(&mut lock(&self.all), took);
        let mut figures = self.of(kind);
        record(&mut figures.latency, took);
        match answer {
            Answer::Done => figures.done += 1,
            Answer::Replayed => figures.replayed += 1,
            Answer::RecordedBefore => figures.recorded_before += 1,
            Answer::Overloaded => figures.refuse("OVERLOADED"),
            Answer::Unknown(reason) => figures.refuse(reason),
            Answer::Unexpected(reason) => {
                self.unexpected.fetch_add(1, Ordering::Relaxed);
                figures.refuse(reason);
            }
        }
    }

    /// The 99th percentile so far, in microseconds.
    pub(super) fn p99(&self) -> u64 {
        lock(&self.all).value_at_quantile(0.99)
    }

    /// The figures by [`Kind::place`].
    pub(super) fn figures(&self) -> [Figures; Kind::COUNT] {
        std::array::from_fn(|place| lock(&self.kinds[place]).clone())
    }

    fn of(&self, kind: Kind) -> MutexGuard<'_, Figures> {
        lock(&self.kinds[kind.place()])
    }
}

impl Figures {
    fn refuse(&mut self, reason: &str) {
        *self.refused.entry(reason.to_owned()).or_default() += 1;
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_load_and_lost_answers_are_expected_refusals() {
        let of = |code| Answer::of_status(&Status::new(code, "x"));
        assert_eq!(
            of(Code::Unavailable),
            Answer::Unknown("Unavailable".to_owned())
        );
        assert_eq!(
            of(Code::Internal),
            Answer::Unexpected("Internal".to_owned())
        );
        assert_eq!(
            of(Code::AlreadyExists),
            Answer::Unexpected("AlreadyExists".to_owned())
        );
        let mut details = tonic_types::ErrorDetails::new();
        details.set_error_info("OVERLOADED", "pledgebook", std::collections::HashMap::new());
        let status = Status::with_error_details(Code::ResourceExhausted, "x", details);
        assert_eq!(Answer::of_status(&status), Answer::Overloaded);
        assert!(!Answer::of(None).is_recorded());
    }
}
