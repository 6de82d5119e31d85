//! Many payments over one call: each is answered in its place, as a call of its
//! own would be, and posted once, however the stream ends.

mod ends;
mod items;
mod pressure;

use pledgebook::{book::Settings, grpc::pb};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

use crate::harness::{Campaign, Clients, Tester};

/// A stream, open at both ends.
struct Stream {
    messages: mpsc::Sender<pb::RecordPaymentsRequest>,
    answers: Streaming<pb::RecordPaymentsResponse>,
    /// Every outcome so far.
    outcomes: Vec<pb::RecordPaymentsOutcome>,
}

impl Stream {
    async fn open(clients: &Clients) -> Self {
        Self::open_with(clients, |_| {}).await
    }

    /// A stream whose call was prepared with something more.
    async fn open_with(
        clients: &Clients,
        prepare: impl FnOnce(&mut Request<ReceiverStream<pb::RecordPaymentsRequest>>),
    ) -> Self {
        let (messages, sent) = mpsc::channel(1);
        let mut request = Request::new(ReceiverStream::new(sent));
        prepare(&mut request);
        let answers = clients.payments().record_payments(request).await.unwrap();
        Self {
            messages,
            answers: answers.into_inner(),
            outcomes: Vec::new(),
        }
    }

    async fn send(&self, payments: &[pb::RecordPaymentRequest]) {
        let payments = payments.to_vec();
        let message = pb::RecordPaymentsRequest { payments };
        self.messages.send(message).await.unwrap();
    }

    /// Reads until there are so many outcomes.
    async fn read(&mut self, count: usize) {
        while self.outcomes.len() < count {
            let message = self.answers.message().await.unwrap();
            self.take(message.expect("more outcomes"));
        }
    }

    /// Each outcome's position follows the one before.
    fn take(&mut self, message: pb::RecordPaymentsResponse) {
        assert!(!message.outcomes.is_empty());
        for outcome in message.outcomes {
            let position = i64::try_from(self.outcomes.len()).unwrap() + 1;
            assert_eq!(outcome.position, position);
            self.outcomes.push(outcome);
        }
    }

    /// Reads to the end, which is the one that the service gives.
    async fn end(&mut self) -> Result<(), Status> {
        loop {
            match self.answers.message().await {
                Ok(Some(message)) => self.take(message),
                Ok(None) => return Ok(()),
                Err(status) => return Err(status),
            }
        }
    }

    /// Sends items in messages of so many while it reads, and ends well with an
    /// outcome for each.
    async fn carry(
        clients: &Clients,
        payments: &[pb::RecordPaymentRequest],
        a_message: usize,
    ) -> Vec<pb::RecordPaymentsOutcome> {
        let Self {
            messages,
            answers,
            outcomes,
        } = Self::open(clients).await;
        let sending = async move {
            for payments in payments.chunks(a_message) {
                let payments = payments.to_vec();
                let message = pb::RecordPaymentsRequest { payments };
                messages.send(message).await.unwrap();
            }
        };
        let reading = async {
            let (messages, _) = mpsc::channel(1);
            let mut stream = Self {
                messages,
                answers,
                outcomes,
            };
            stream.end().await.unwrap();
            stream.outcomes
        };
        let ((), outcomes) = tokio::join!(sending, reading);
        assert_eq!(outcomes.len(), payments.len());
        for (outcome, payment) in outcomes.iter().zip(payments) {
            assert_eq!(outcome.request_id, payment.request_id);
        }
        outcomes
    }
}

/// What was recorded of an item; fails on a refusal.
#[track_caller]
fn recorded(outcome: &pb::RecordPaymentsOutcome) -> &pb::RecordPaymentResponse {
    match outcome.result.as_ref().unwrap() {
        pb::record_payments_outcome::Result::Recorded(recorded) => recorded,
        pb::record_payments_outcome::Result::Refused(refusal) => panic!("{refusal:?}"),
    }
}

/// Why an item was refused; fails when it was not.
#[track_caller]
fn refused(outcome: &pb::RecordPaymentsOutcome) -> &pb::Refusal {
    match outcome.result.as_ref().unwrap() {
        pb::record_payments_outcome::Result::Refused(refusal) => refusal,
        pb::record_payments_outcome::Result::Recorded(recorded) => panic!("{recorded:?}"),
    }
}

/// A campaign, and so many payments of 1.00 by nobody that is known.
struct Desk {
    tester: Tester,
    campaign: Campaign,
    payments: Vec<pb::RecordPaymentRequest>,
}

impl Desk {
    async fn open(settings: Settings, count: usize) -> Self {
        let tester = Tester::start_with(settings).await;
        let campaign = Campaign::open(&tester, "EUR").await;
        let payments = (1..=count)
            .map(|number| campaign.payment_by(&format!("ch_{number}"), None, "1"))
            .collect();
        Self {
            tester,
            campaign,
            payments,
        }
    }

    async fn stream(&self) -> Stream {
        Stream::open(&self.tester.treasurer()).await
    }

    /// Entries of the campaign, each of which is a payment here.
    async fn posted(&self) -> usize {
        let pool = self.tester.database.pool("postgres").await;
        let count: i64 = sqlx::query_scalar("SELECT sum(entry_no)::bigint FROM campaign_head")
            .fetch_one(&pool)
            .await
            .unwrap();
        usize::try_from(count).unwrap()
    }

    /// Fails unless so many payments are posted, once each, and the books are right.
    async fn must_have_posted(&self, count: usize) {
        assert_eq!(self.posted().await, count);
        let held = self.campaign.stands(&self.tester, "1000").await;
        assert_eq!(held, format!("Dr {count}.00"));
        self.tester.must_be_clean(&self.campaign.name).await;
    }
}

/// A book of small batches.
fn batches_of(batch_cap: usize, queue: usize) -> Settings {
    Settings {
        batch_cap,
        queue,
        ..Settings::default()
    }
}
