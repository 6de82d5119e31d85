//! `RecordPayments`: many payments over one call.
//!
//! A task a stream, and none an item. It reads a message, makes each item a command,
//! puts the commands into their books' queues in the order of the items, and answers
//! in that order, as many outcomes at a time as are there. What is in flight is
//! bounded; beyond that it does not read, and HTTP/2 makes the caller wait.
//!
//! A caller that goes away gets no more started; what is queued is carried out.

use std::{collections::VecDeque, sync::Arc, vec};

use futures::{
    FutureExt, StreamExt,
    stream::{self, FuturesOrdered},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::coop::consume_budget,
    time::{Instant, sleep_until},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::receipt::{Asked, recorded};
use crate::{
    book::Queued,
    domain::Outcome,
    grpc::{Api, ApiError, Call, auth::KEY_MEMORY, pb, status},
    id::CampaignId,
    money::Currency,
};

use pb::record_payments_outcome::Result as Fate;

/// The most items of one message.
const MOST: usize = 1_000;
/// Batches in flight: while the book writes one, the next one queues.
const BATCHES: usize = 2;
/// The most outcomes of one message: some 300 kB, far from a client's usual bound.
const GROUP: usize = 250;
/// Answers to repeated items that one stream has fetched again at once. A resumed
/// stream repeats thousands, and the connections are the books' as well.
const LOOK_UPS: usize = 4;

impl Api {
    /// Records the payments of a stream in a task of its own, which outlives its caller.
    pub(super) fn stream_of_payments(
        &self,
        call: Call,
        messages: Streaming<pb::RecordPaymentsRequest>,
    ) -> ReceiverStream<Result<pb::RecordPaymentsResponse, Status>> {
        let (responses, stream) = mpsc::channel(2);
        let import = Arc::new(Import {
            api: self.clone(),
            call,
            responses,
            look_ups: Semaphore::new(LOOK_UPS),
        });
        tokio::spawn(import.run(messages));
        ReceiverStream::new(stream)
    }
}

/// One stream.
struct Import {
    api: Api,
    call: Call,
    responses: mpsc::Sender<Result<pb::RecordPaymentsResponse, Status>>,
    look_ups: Semaphore,
}

/// Why no more items are started: nothing when the caller is done or gone.
type End = Option<Status>;

impl Import {
    async fn run(self: Arc<Self>, messages: Streaming<pb::RecordPaymentsRequest>) {
        let items = Items {
            import: Arc::clone(&self),
            messages,
            read: Vec::new().into_iter(),
            position: 0,
            stood_at: Instant::now(),
            ended: false,
        };
        let items = stream::unfold(items, async |mut items| Some((items.next().await?, items)));
        let mut items = std::pin::pin!(items.fuse());
        let window = BATCHES * self.api.app.books.batch_cap();
        let mut in_flight = FuturesOrdered::new();
        let mut ready = VecDeque::new();
        let mut end = None;
        // Nothing is awaited but here, so that what holds a connection always gets on:
        // a caller who does not read must not keep one.
        loop {
            tokio::select! {
                biased;
                room = self.responses.reserve(), if !ready.is_empty() => match room {
                    Ok(room) => {
                        let outcomes = ready.drain(..ready.len().min(GROUP)).collect();
                        room.send(Ok(pb::RecordPaymentsResponse { outcomes }));
                    }
                    // Nobody listens; what is in flight is seen to its end all the same.
                    Err(_gone) => ready.clear(),
                },
                Some(outcome) = in_flight.next(), if !in_flight.is_empty() => {
                    ready.push_back(outcome);
                    while let Some(Some(outcome)) = in_flight.next().now_or_never() {
                        ready.push_back(outcome);
                    }
                }
                Some(item) = items.next(), if in_flight.len() + ready.len() < window => match item {
                    Ok(item) => in_flight.push_back(Arc::clone(&self).answered(item)),
                    Err(status) => end = Some(status),
                },
                else => break,
            }
        }
        if let Some(status) = end {
            let _ = self.responses.send(Err(status)).await;
        }
    }

    /// What an item came to.
    async fn answered(self: Arc<Self>, item: Item) -> pb::RecordPaymentsOutcome {
        let result = match item.fate {
            Ok(started) => self.fate(started).await,
            Err(error) => Err(error),
        };
        pb::RecordPaymentsOutcome {
            position: item.position,
            request_id: item.request_id,
            result: Some(match result {
                Ok(recorded) => Fate::Recorded(recorded),
                Err(error) => Fate::Refused(status::Problem::from(error).into()),
            }),
        }
    }

    async fn fate(&self, started: Started) -> Result<pb::RecordPaymentResponse, ApiError> {
        let Started {
            campaign,
            currency,
            queued,
        } = started;
        let outcome = queued.outcome().await?;
        let _turn = match outcome {
            Outcome::Done(_) | Outcome::Refused(_) => None,
            Outcome::Replayed(_) | Outcome::RecordedBefore { .. } => {
                self.look_ups.acquire().await.ok()
            }
        };
        let written = self.api.app.written(campaign, outcome).await?;
        Ok(recorded(campaign, currency, &written, false))
    }

    /// Puts an item into its book's queue, waiting for room.
    async fn start(&self, request: &pb::RecordPaymentRequest) -> Result<Started, ApiError> {
        if request.validate_only {
            let problem = "a stream records; ask RecordPayment what it would record";
            return Err(ApiError::field("validate_only", problem));
        }
        let Asked {
            campaign,
            currency,
            command,
        } = self.api.payment(&self.call, request).await?;
        let books = &self.api.app.books;
        let queued = books.queue_when_free(campaign, command, self.call.deadline);
        Ok(Started {
            campaign,
            currency,
            queued: queued.await?,
        })
    }

    /// Waits until no more items may be started, whatever the caller sends.
    async fn over(&self) -> End {
        let late = async {
            match self.call.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.responses.closed() => None,
            () = self.api.shutdown.cancelled() => Some(status::shutting_down().into()),
            () = late => Some(status::out_of_time()),
        }
    }

    /// The same as [`Self::over`], looked at and not waited for: once an item.
    fn must_go_on(&self) -> Result<(), End> {
        let late = |deadline| deadline <= Instant::now();
        if self.responses.is_closed() {
            Err(None)
        } else if self.api.shutdown.is_cancelled() {
            Err(Some(status::shutting_down().into()))
        } else if self.call.deadline.is_some_and(late) {
            Err(Some(status::out_of_time()))
        } else {
            Ok(())
        }
    }
}

/// An item that is queued, or was refused before that.
struct Item {
    position: i64,
    request_id: String,
    fate: Result<Started, ApiError>,
}

struct Started {
    campaign: CampaignId,
    currency: Currency,
    queued: Queued,
}

/// The items of a stream, each queued when it is asked for.
struct Items {
    import: Arc<Import>,
    messages: Streaming<pb::RecordPaymentsRequest>,
    /// What was read and is not queued.
    read: vec::IntoIter<pb::RecordPaymentRequest>,
    /// The last item's.
    position: i64,
    /// When the caller's key was last known to be good.
    stood_at: Instant,
    ended: bool,
}

impl Items {
    /// The next item, queued; at last the error that the stream ends with, if it does.
    async fn next(&mut self) -> Option<Result<Item, Status>> {
        if self.ended {
            return None;
        }
        match self.start_next().await {
            Ok(item) => Some(Ok(item)),
            Err(end) => {
                self.ended = true;
                end.map(Err)
            }
        }
    }

    async fn start_next(&mut self) -> Result<Item, End> {
        let request = loop {
            if let Some(request) = self.read.next() {
                break request;
            }
            self.read = self.message().await?.into_iter();
        };
        // A message's items are queued without waiting for anything; others want a turn too.
        consume_budget().await;
        self.import.must_go_on()?;
        let fate = tokio::select! {
            biased;
            fate = self.import.start(&request) => fate,
            end = self.import.over() => return Err(end),
        };
        self.position += 1;
        Ok(Item {
            position: self.position,
            request_id: request.request_id,
            fate,
        })
    }

    /// The items of the next message.
    async fn message(&mut self) -> Result<Vec<pb::RecordPaymentRequest>, End> {
        let message = tokio::select! {
            biased;
            end = self.import.over() => return Err(end),
            message = self.messages.message() => message,
        };
        let message = message.map_err(|status| Some(status::completed(&status)))?;
        let payments = message.ok_or(None)?.payments;
        if !(1..=MOST).contains(&payments.len()) {
            let problem = format!("{}; from 1 to {MOST} are allowed", payments.len());
            return Err(Some(ApiError::field("payments", problem).into()));
        }
        if self.stood_at.elapsed() >= KEY_MEMORY {
            let import = &self.import;
            let stands = import.call.must_stand(&import.api.guard).await;
            stands.map_err(|error| Some(error.into()))?;
            self.stood_at = Instant::now();
        }
        Ok(payments)
    }
}
