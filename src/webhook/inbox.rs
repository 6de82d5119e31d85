//! The worker: events that are due become commands, and what became of them is
//! noted.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Webhooks,
    provider::{self, Arrival, Meaning, Provider, Whose},
};
use crate::{
    app::{AppError, Written},
    book::BookError,
    domain::{
        Action, Command, Fingerprint, Receipt, Snapshot,
        payment::{Channel, Payment},
    },
    id::{PaymentId, RequestId, derived},
    store::{
        StoreError,
        webhook::{EventState, Finished, Leased},
    },
};

/// So many events at once: their commands share the books' batches.
const BATCH: i64 = 200;

/// For how long a worker has an event.
const LEASE: Duration = Duration::from_secs(30);

/// For how long a command may wait for its turn.
const TURN: Duration = Duration::from_secs(10);

/// How often the inbox is looked into beside the wake-ups, which come only from
/// this process and only for what is due at once.
const POLL: Duration = Duration::from_secs(1);

/// After so many attempts, a fault of ours is no accident.
const MOST_FAULTY_ATTEMPTS: i32 = 5;

/// The longest reason that is kept, in characters.
const LONGEST_DETAIL: usize = 500;

/// The method under which the commands are recorded.
const METHOD: &str = "webhook";

/// Works the inbox until `shutdown`.
pub async fn work(hooks: Webhooks, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match hooks.work_batch().await {
            Ok(worked) if i64::try_from(worked).is_ok_and(|worked| worked >= BATCH) => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(error = ?error, "the inbox cannot be worked now"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = hooks.wake.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

impl Webhooks {
    /// Works one batch of the events that are due; gives how many there were.
    ///
    /// # Errors
    /// When the database fails. What was leased comes up again.
    pub async fn work_batch(&self) -> Result<usize, StoreError> {
        let leased = self.app.store.events_lease(BATCH, LEASE).await?;
        // A task each: what one event brings about is no other's concern.
        let concluded = join_all(leased.into_iter().map(|event| async {
            let (id, attempt) = (event.id, event.attempt);
            let hooks = self.clone();
            let task = tokio::spawn(async move { hooks.conclude(&event).await });
            let conclusion = task.await.unwrap_or_else(|error| {
                tracing::error!(event = %id, %error, "an event's task ended");
                Conclusion::faulty(attempt, "the worker ended")
            });
            conclusion.of(id, attempt)
        }));
        let finished = concluded.await;
        self.app.store.events_finish(&finished).await?;
        Ok(finished.len())
    }

    async fn conclude(&self, event: &Leased) -> Conclusion {
        let Some(provider) = Provider::of_institution(&event.account.institution) else {
            return Conclusion::new(EventState::Review, "the provider is not understood");
        };
        let whose = Whose {
            campaign: event.campaign,
            account: &event.account,
        };
        match provider::meaning(provider, &event.payload, whose) {
            Meaning::Ignored(why) => Conclusion::new(EventState::Ignored, why),
            Meaning::Review(why) => Conclusion::new(EventState::Review, why),
            Meaning::Receipt(arrival) => self.record(event, arrival).await,
        }
    }

    async fn record(&self, event: &Leased, arrival: Arrival) -> Conclusion {
        let named = arrival.named.clone();
        let command = self.command(event, arrival);
        let deadline = Instant::now() + TURN;
        let written = self.app.write(event.campaign, command, Some(deadline));
        let concluded = match written.await {
            Ok(written) => self.recorded(event, &written, named.as_deref()).await,
            Err(error) => Err(error),
        };
        concluded.unwrap_or_else(|error| Conclusion::of_error(event, &error))
    }

    /// The command of a receipt. Each attempt is a request of its own, since a
    /// refusal stands for ever and a replay must be decided anew; that the money
    /// is posted once is the effect's business. The payment takes the event's id,
    /// which tells a later attempt that an earlier one has posted it.
    fn command(&self, event: &Leased, arrival: Arrival) -> Command {
        let attempt = event.attempt.to_be_bytes();
        let request_id = derived("webhook event", &[event.id.0.as_bytes(), &attempt]);
        let hash = (self.app.secrets).fingerprint(METHOD, 1, &event.payload_hash);
        Command {
            request_id: RequestId(request_id),
            method: METHOD.into(),
            principal: format!("webhook:{}", event.endpoint),
            fingerprint: Fingerprint {
                hashes: vec![(1, hash)],
                names: &[],
            },
            action: Action::RecordReceipt(Receipt {
                payment: PaymentId(event.id.0),
                channel: Channel::Provider,
                account: event.account.id,
                object_id: arrival.object_id,
                gross: arrival.gross,
                payer: arrival.payer,
                unknown_payer_is_unallocated: true,
                method: arrival.method,
                occurred_at: Some(arrival.occurred_at),
                value_date: None,
                available_on: None,
                corrects: None,
            }),
        }
    }

    /// What became of an event whose money is in the ledger. Money that the event
    /// names a payer for and that still stands with nobody is for a person.
    async fn recorded(
        &self,
        event: &Leased,
        written: &Written,
        named: Option<&str>,
    ) -> Result<Conclusion, AppError> {
        let Some(payment) = payment(written) else {
            let why = format!("recorded by change {}", written.change);
            return Ok(Conclusion::new(EventState::Duplicate, why));
        };
        let ours = payment.id == PaymentId(event.id.0);
        if let Some(named) = named
            && payment.unallocated.is_positive()
        {
            let now = self.app.store.payment(event.campaign, payment.id).await?;
            if now.is_some_and(|payment| payment.unallocated.is_positive()) {
                let why = format!("the money stands unallocated; the event names {named}");
                return Ok(Conclusion::new(EventState::Review, why));
            }
        }
        let (state, by) = if ours {
            (EventState::Applied, "recorded by change")
        } else {
            (EventState::Duplicate, "recorded before, by change")
        };
        Ok(Conclusion::new(
            state,
            format!("{by} {}", written.answer.change),
        ))
    }
}

fn payment(written: &Written) -> Option<&Payment> {
    let mut snapshots = written.answer.snapshots.iter();
    snapshots.find_map(|snapshot| match snapshot {
        Snapshot::Payment(payment) => Some(payment.as_ref()),
        Snapshot::Campaign(_)
        | Snapshot::Member(_)
        | Snapshot::Signature(_)
        | Snapshot::Pledge(_)
        | Snapshot::MoneyAccount(_)
        | Snapshot::Payout(_)
        | Snapshot::Refund(_)
        | Snapshot::Lot(_)
        | Snapshot::Run(_) => None,
    })
}

/// What became of an event.
struct Conclusion {
    state: EventState,
    detail: String,
    wait: Duration,
}

impl Conclusion {
    /// The detail may quote the event. What the database cannot keep would take the
    /// whole batch's outcomes with it.
    fn new(state: EventState, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let shown = detail.chars().map(|c| if c.is_control() { ' ' } else { c });
        Self {
            state,
            detail: shown.take(LONGEST_DETAIL).collect(),
            wait: Duration::ZERO,
        }
    }

    fn later(attempt: i32, detail: impl Into<String>) -> Self {
        Self {
            wait: back_off(attempt),
            ..Self::new(EventState::Deferred, detail)
        }
    }

    /// A fault of ours may pass; one that stays waits for its repair.
    fn faulty(attempt: i32, detail: impl Into<String>) -> Self {
        if attempt < MOST_FAULTY_ATTEMPTS {
            Self::later(attempt, detail)
        } else {
            Self::new(EventState::Dead, detail)
        }
    }

    fn of_error(event: &Leased, error: &AppError) -> Self {
        let detail = error.to_string();
        match error {
            AppError::Refused(_) => Self::new(EventState::Review, detail),
            AppError::Book(
                BookError::Overloaded
                | BookError::DeadlineExceeded
                | BookError::ShuttingDown
                | BookError::Unavailable,
            )
            | AppError::Store(StoreError::Unavailable(_)) => Self::later(event.attempt, detail),
            AppError::Book(BookError::CampaignNotFound | BookError::Fault { .. })
            | AppError::Store(
                StoreError::Refused { .. } | StoreError::Fault(_) | StoreError::Unreadable(_),
            ) => {
                tracing::error!(event = %event.id, error = ?error, "an event cannot be worked");
                Self::faulty(event.attempt, detail)
            }
        }
    }

    fn of(self, id: crate::id::WebhookEventId, attempt: i32) -> Finished {
        Finished {
            id,
            attempt,
            state: self.state,
            detail: self.detail,
            wait: self.wait,
        }
    }
}

/// 1, 2, 4 … 256 seconds.
fn back_off(attempt: i32) -> Duration {
    let doublings = u32::try_from(attempt.clamp(1, 9) - 1).unwrap_or(0);
    Duration::from_secs(1 << doublings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_and_ends_somewhere() {
        let seconds = |attempt| back_off(attempt).as_secs();
        assert_eq!(seconds(1), 1);
        assert_eq!(seconds(2), 2);
        assert_eq!(seconds(9), 256);
        assert_eq!(seconds(i32::MAX), 256);
        assert_eq!(seconds(i32::MIN), 1);
    }

    #[test]
    fn a_detail_is_text_that_the_database_keeps() {
        let detail = Conclusion::new(EventState::Review, format!("a\0b{}", "x".repeat(999))).detail;
        assert!(detail.starts_with("a bx"));
        assert_eq!(detail.len(), LONGEST_DETAIL);
    }

    #[test]
    fn a_fault_is_tried_again_and_then_left() {
        assert_eq!(Conclusion::faulty(1, "").state, EventState::Deferred);
        assert_eq!(Conclusion::faulty(5, "").state, EventState::Dead);
    }
}
