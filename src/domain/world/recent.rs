//! Which request ids were recorded lately, so that a new one needs no question.

use std::{collections::HashSet, time::Duration};

use time::OffsetDateTime;
use uuid::Timestamp;

use crate::id::RequestId;

/// How far a caller's clock may be from ours. One that is further is no harm: what it asks for
/// again is refused by the database, and then looked for.
const MARGIN: Duration = Duration::from_secs(1);

/// How many ids are kept at least, once there are so many, and at the most twice as many: 2 to 5 MB
/// of a campaign that is hot, and at 50,000 a second still more than [`MARGIN`].
const KEPT: usize = 65_536;

/// The request ids that were recorded since a moment. One that was made after it and is not among
/// them has no outcome yet, if callers' clocks are right: ids of version 7 say when they were made.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    newer: Since,
    older: Since,
}

/// All that were recorded since a moment, until the next ones begin.
#[derive(Clone, Debug, Default)]
struct Since {
    moment: Option<OffsetDateTime>,
    ids: HashSet<RequestId>,
}

impl Recent {
    /// An id is recorded.
    pub(super) fn record(&mut self, id: RequestId, at: OffsetDateTime) {
        if self.newer.ids.len() >= KEPT {
            std::mem::swap(&mut self.older, &mut self.newer);
            self.newer.moment = None;
            self.newer.ids.clear();
        }
        self.newer.moment.get_or_insert(at);
        self.newer.ids.insert(id);
    }

    /// Whether an id says that it is newer than all that is not kept here, and is not kept here.
    #[must_use]
    pub fn is_new(&self, id: RequestId, now: OffsetDateTime) -> bool {
        let since = self.older.moment.or(self.newer.moment);
        let (Some(since), Some(made)) = (since, made_at(id)) else {
            return false;
        };
        (since + MARGIN..now + MARGIN).contains(&made)
            && !self.newer.ids.contains(&id)
            && !self.older.ids.contains(&id)
    }
}

/// When an id of version 7 was made, by its maker's clock.
fn made_at(id: RequestId) -> Option<OffsetDateTime> {
    if id.0.get_version_num() != 7 {
        return None;
    }
    let (seconds, nanos) = id.0.get_timestamp().as_ref().map(Timestamp::to_unix)?;
    let begun = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    begun.checked_add(time::Duration::nanoseconds(nanos.into()))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    const BEGUN: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn made(seconds: i64) -> RequestId {
        let at = BEGUN + time::Duration::seconds(seconds);
        let at = Timestamp::from_unix_time(at.unix_timestamp().try_into().unwrap(), 0, 0, 0);
        RequestId(Uuid::new_v7(at))
    }

    #[test]
    fn new_is_what_was_made_since_and_not_recorded() {
        let now = BEGUN + time::Duration::seconds(10);
        let mut recent = Recent::default();
        assert!(!recent.is_new(made(5), now), "nothing is known yet");
        let first = made(5);
        recent.record(first, BEGUN);
        assert!(!recent.is_new(first, now));
        assert!(recent.is_new(made(5), now));
        // Of clocks that are a second apart.
        assert!(!recent.is_new(made(0), now));
        assert!(recent.is_new(made(1), now));
        assert!(recent.is_new(made(10), now));
        assert!(!recent.is_new(made(11), now));
    }

    #[test]
    fn an_id_that_does_not_say_when_it_was_made_is_not_new() {
        let mut recent = Recent::default();
        recent.record(made(0), BEGUN);
        let now = BEGUN + time::Duration::seconds(10);
        let seven = made(5);
        let four = uuid::Builder::from_random_bytes(*seven.0.as_bytes()).into_uuid();
        assert!(recent.is_new(seven, now));
        assert!(!recent.is_new(RequestId(four), now));
        assert!(!recent.is_new(RequestId(Uuid::nil()), now));
        let at_the_end_of_time = RequestId(Uuid::from_u128(u128::MAX << 80 | 7 << 76 | 2 << 62));
        assert!(!recent.is_new(at_the_end_of_time, now));
    }

    #[test]
    fn what_is_forgotten_is_asked_for() {
        let count = i64::try_from(KEPT).unwrap();
        let mut recent = Recent::default();
        let ids: Vec<_> = (0..3 * count).map(|n| (n, made(n))).collect();
        for (n, id) in &ids {
            recent.record(*id, BEGUN + time::Duration::seconds(*n));
        }
        let now = BEGUN + time::Duration::seconds(4 * count);
        assert!(ids.iter().all(|(_, id)| !recent.is_new(*id, now)));
        assert_eq!(recent.newer.ids.len() + recent.older.ids.len(), 2 * KEPT);
        assert!(!recent.is_new(made(count), now));
        assert!(recent.is_new(made(count + 2), now));
    }
}
