//! Time as a value. Everything that asks for the time asks a [`Clock`], so a
//! test can set it; nothing else reads the system's clock.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use time::{Duration, OffsetDateTime};

/// The service's clock. Cheap to clone; all clones tell the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// What a test has shifted the clock by, in microseconds.
    shift: Arc<AtomicI64>,
}

impl Clock {
    /// The present moment in UTC, in whole microseconds: what the database can keep.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
        let now = OffsetDateTime::now_utc();
        whole_microseconds(now + Duration::microseconds(self.shift.load(Ordering::Relaxed)))
    }

    /// Moves this clock and its clones by `by`, back and forth as one likes.
    pub fn shift(&self, by: Duration) {
        let microseconds = i64::try_from(by.whole_microseconds()).unwrap_or(0);
        self.shift.fetch_add(microseconds, Ordering::Relaxed);
    }
}

/// Drops what is finer than a microsecond, the database's precision.
#[must_use]
pub fn whole_microseconds(at: OffsetDateTime) -> OffsetDateTime {
    at - Duration::nanoseconds(i64::from(at.nanosecond() % 1000))
}
