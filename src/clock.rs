//! Time as a value. Everything that asks for the time asks a [`Clock`], so a
//! test can set it; nothing else reads the system's clock.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use time::{Duration, OffsetDateTime};

/// The service's clock. Cheap to clone; all clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    /// What a test has shifted the clock by, in microseconds.
    shift: Arc<AtomicI64>,
    /// Where a test holds the clock, in microseconds since 1970; [`RUNNING`] when nobody does.
    held: Arc<AtomicI64>,
}

const RUNNING: i64 = i64::MIN;

impl Default for Clock {
    fn default() -> Self {
        Self {
            shift: Arc::default(),
            held: Arc::new(AtomicI64::new(RUNNING)),
        }
    }
}

impl Clock {
    /// The present moment in UTC, in whole microseconds: what the database can keep.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        let shift = Duration::microseconds(self.shift.load(Ordering::Relaxed));
        let held = self.held.load(Ordering::Relaxed);
        if held != RUNNING {
            return OffsetDateTime::UNIX_EPOCH + Duration::microseconds(held) + shift;
        }
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
        let now = OffsetDateTime::now_utc();
        whole_microseconds(now + shift)
    }

    /// Moves this clock and its clones by `by`, back and forth as one likes.
    pub fn shift(&self, by: Duration) {
        self.shift.fetch_add(microseconds(by), Ordering::Relaxed);
    }

    /// Stops this clock and its clones at a moment; [`Clock::shift`] still moves them.
    pub fn hold(&self, at: OffsetDateTime) {
        let since = at - OffsetDateTime::UNIX_EPOCH;
        self.held.store(microseconds(since), Ordering::Relaxed);
    }
}

fn microseconds(of: Duration) -> i64 {
    i64::try_from(of.whole_microseconds()).unwrap_or(0)
}

/// Drops what is finer than a microsecond, the database's precision.
#[must_use]
pub fn whole_microseconds(at: OffsetDateTime) -> OffsetDateTime {
    at - Duration::nanoseconds(i64::from(at.nanosecond() % 1000))
}
