//! The clock of a run: every arrival is sent when it is due, whatever became of the
//! ones before it.

use std::{sync::Arc, time::Duration};

use hdrhistogram::Histogram;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::task::TaskTracker;

use super::record::{histogram, record};
use crate::cli::Failure;

/// What became of the sending.
#[derive(Clone, Debug)]
pub struct Paced {
    /// Arrivals that came due while as many were in flight as may be: sent late.
    pub not_in_time: u64,
    /// How long after it was due each arrival was let go, in microseconds.
    pub lag: Histogram<u64>,
    /// From the start until the last one was let go.
    pub sending: Duration,
}

/// Sends each item when it is due after `started`, as a task of its own, and returns
/// when all of them have ended. `send` gets the item and the moment it was due.
///
/// At most `in_flight` are under way at once. What comes due while the bound is
/// reached is counted and sent as soon as there is room: nothing is dropped.
pub(super) async fn pace<T, F>(
    schedule: impl IntoIterator<Item = (Duration, T)>,
    started: Instant,
    in_flight: usize,
    mut send: impl FnMut(T, Instant) -> F,
) -> Result<Paced, Failure>
where
    F: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(in_flight));
    let tasks = TaskTracker::new();
    let mut paced = Paced {
        not_in_time: 0,
        lag: histogram()?,
        sending: Duration::ZERO,
    };
    // Until when the bound last held something up.
    let mut held_until = started;
    for (at, item) in schedule {
        let due = started + at;
        // The timer ticks in milliseconds; all that is due by then goes out without it.
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        let permit = match Arc::clone(&room).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let permit = Arc::clone(&room).acquire_owned().await?;
                held_until = Instant::now();
                permit
            }
        };
        if due < held_until {
            paced.not_in_time += 1;
        }
        record(&mut paced.lag, due.elapsed());
        let sent = send(item, due);
        tasks.spawn(async move {
            sent.await;
            drop(permit);
        });
    }
    paced.sending = started.elapsed();
    tasks.close();
    tasks.wait().await;
    Ok(paced)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    const STALL: Duration = Duration::from_millis(400);

    /// Fifty arrivals, one in 10 ms, at a server that answers at once, except that it
    /// stands still from 100 ms to 500 ms. Gives how it was paced, and the latencies
    /// from when each was due and from when it was sent.
    async fn through_a_stall(in_flight: usize) -> (Paced, Histogram<u64>, Histogram<u64>) {
        let both = Arc::new(Mutex::new((histogram().unwrap(), histogram().unwrap())));
        let started = Instant::now();
        let schedule = (0..50).map(|number| (Duration::from_millis(number * 10), ()));
        let paced = pace(schedule, started, in_flight, |(), due| {
            let both = Arc::clone(&both);
            async move {
                let sent = Instant::now();
                let stall = started + Duration::from_millis(100);
                if (stall..stall + STALL).contains(&sent) {
                    tokio::time::sleep_until(stall + STALL).await;
                }
                let mut both = both.lock().unwrap_or_else(PoisonError::into_inner);
                record(&mut both.0, due.elapsed());
                record(&mut both.1, sent.elapsed());
            }
        });
        let paced = paced.await.unwrap();
        let both = both.lock().unwrap().clone();
        (paced, both.0, both.1)
    }

    fn quantile(of: &Histogram<u64>, quantile: f64) -> Duration {
        Duration::from_micros(of.value_at_quantile(quantile))
    }

    // In real time: tokio's paused clock would need a feature that rebuilds every
    // dependency for tests. Only lower bounds are asserted of what a slow machine makes slower.
    #[tokio::test]
    async fn a_server_that_stalls_shows_in_the_latency() {
        let (paced, from_due, from_sent) = through_a_stall(1_000).await;
        assert_eq!((from_due.len(), from_sent.len()), (50, 50));
        assert_eq!(paced.not_in_time, 0);
        // Forty arrivals met the stall, each the rest of it: half waited half of it.
        assert!(quantile(&from_due, 0.99) >= STALL * 9 / 10);
        assert!(quantile(&from_due, 0.5) >= STALL / 4);
    }

    /// The control: with one in flight the loop is closed, and the time from the
    /// sending hides what the time from the schedule shows.
    #[tokio::test]
    async fn latency_from_the_sending_would_hide_it() {
        let (paced, from_due, from_sent) = through_a_stall(1).await;
        assert_eq!(from_due.len(), 50, "what was late was sent all the same");
        assert!(paced.not_in_time >= 30, "{}", paced.not_in_time);
        assert!(quantile(&from_due, 0.5) >= STALL / 4);
        assert!(quantile(&from_sent, 0.9) < STALL / 4);
        assert!(quantile(&paced.lag, 0.99) >= STALL * 8 / 10);
    }
}
