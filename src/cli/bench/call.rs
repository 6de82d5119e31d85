//! An arrival as a call, and what its answer teaches.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::{
    sync::SetOnce,
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{
    books::{Books, units},
    plan::{Arrival, Charge, Kind, Plan},
    record::{Answer, Recorder},
    setup::{Campaign, request_id},
};
use crate::{
    cli::{
        Failure,
        client::{Clients, money},
    },
    grpc::pb::{self, record_payment_request::Payer},
};

/// How long an answer is waited for. Then nobody knows, and it is asked again later.
const PATIENCE: Duration = Duration::from_secs(60);
/// So often is asked again what became of a call, and with this pause.
const ASKED_AGAIN: usize = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// So many of them at once.
const AT_ONCE: usize = 64;

/// A payment as the service acknowledged it.
struct Payment {
    name: String,
    held: i64,
    refundable: i64,
}

/// What is known of a charge.
struct Known {
    /// Tellings that have no answer yet.
    open: AtomicU8,
    /// Set when the payment is known, or no telling is left that could make it known.
    told: SetOnce<()>,
    payment: OnceLock<Payment>,
    fee: AtomicBool,
}

/// Makes a run's calls.
pub(super) struct Caller {
    pub(super) connections: Vec<Clients>,
    run: Uuid,
    campaign: Campaign,
    plan: Plan,
    known: Vec<Known>,
    recorder: Arc<Recorder>,
    /// Calls whose outcome nobody knows.
    unknown: Mutex<Vec<usize>>,
    /// Fees that were due before their payment's answer had come.
    pub(super) fees_waited: AtomicU64,
    /// Fees of payments that were not recorded.
    pub(super) fees_unsent: AtomicU64,
}

impl Caller {
    pub(super) fn new(
        connections: Vec<Clients>,
        run: Uuid,
        campaign: Campaign,
        plan: Plan,
        recorder: Arc<Recorder>,
    ) -> Self {
        let known = plan.charges.iter().map(|charge| Known {
            open: AtomicU8::new(charge.tellings),
            told: SetOnce::new(),
            payment: OnceLock::new(),
            fee: AtomicBool::default(),
        });
        Self {
            connections,
            run,
            campaign,
            known: known.collect(),
            plan,
            recorder,
            unknown: Mutex::default(),
            fees_waited: AtomicU64::default(),
            fees_unsent: AtomicU64::default(),
        }
    }

    /// The calls' times.
    pub(super) fn schedule(&self) -> Vec<(Duration, usize)> {
        let times = self.plan.arrivals.iter().map(|arrival| arrival.at);
        times.zip(0..).collect()
    }

    /// Makes the call of this number, which was due at `due`.
    pub(super) async fn send(self: Arc<Self>, number: usize, due: Instant) {
        let arrival = self.plan.arrivals[number];
        let known = &self.known[arrival.charge];
        if arrival.kind == Kind::Fee {
            // A fee names its payment, and the payment's name is in its answer.
            if !known.told.initialized() {
                self.fees_waited.fetch_add(1, Ordering::Relaxed);
                known.told.wait().await;
            }
            if known.payment.get().is_none() {
                self.fees_unsent.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        self.recorder.sent(arrival.kind);
        let answer = self.call(number, arrival).await;
        self.recorder.answered(arrival.kind, &answer, due.elapsed());
        if matches!(answer, Answer::Unknown(_)) {
            let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
            unknown.push(number);
        }
        if matches!(arrival.kind, Kind::Payment | Kind::Duplicate { .. }) {
            let last = known.open.fetch_sub(1, Ordering::Relaxed) == 1;
            if last || answer.is_recorded() {
                // The other telling may have set it.
                let _ = known.told.set(());
            }
        }
    }

    /// Asks again for what nobody knows, with the same request ids. Gives how many
    /// there were, and how many are still not known.
    pub(super) async fn settle(&self) -> (usize, usize) {
        let taken =
            std::mem::take(&mut *self.unknown.lock().unwrap_or_else(PoisonError::into_inner));
        let asked = taken.len();
        let mut left = taken;
        for _ in 0..ASKED_AGAIN {
            if left.is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            left = stream::iter(left)
                .map(|number| async move {
                    let answer = self.call(number, self.plan.arrivals[number]).await;
                    (number, answer)
                })
                .buffer_unordered(AT_ONCE)
                .filter_map(
                    |(number, answer)| async move { (!answer.is_recorded()).then_some(number) },
                )
                .collect()
                .await;
        }
        (asked, left.len())
    }

    /// What the ledger should say, from what it said before.
    pub(super) fn acknowledged(&self, mut books: Books) -> Books {
        for (charge, known) in self.plan.charges.iter().zip(&self.known) {
            if let Some(payment) = known.payment.get() {
                books.payment(charge.gross, payment.held, payment.refundable);
            }
            if known.fee.load(Ordering::Relaxed) {
                books.fee(charge.fee());
            }
        }
        books
    }

    /// What the ledger says.
    pub(super) async fn ledger(&self) -> Result<Books, Failure> {
        let clients = self.connections.first().ok_or("no connection")?;
        Books::read(clients, &self.campaign.name, self.campaign.currency).await
    }

    /// Has every stored number recomputed.
    pub(super) async fn check(&self) -> Result<pb::CheckCampaignResponse, Failure> {
        let clients = self.connections.first().ok_or("no connection")?;
        let request = pb::CheckCampaignRequest {
            campaign: self.campaign.name.clone(),
        };
        Ok(clients.ledger().check_campaign(request).await?.into_inner())
    }

    async fn call(&self, number: usize, arrival: Arrival) -> Answer {
        let clients = &self.connections[number % self.connections.len()];
        let charge = &self.plan.charges[arrival.charge];
        let called = async {
            match arrival.kind {
                Kind::Payment | Kind::Duplicate { .. } => self.pay(clients, arrival, charge).await,
                Kind::Fee => self.charge_fee(clients, arrival, charge).await,
                Kind::Failure => self.fail(clients, arrival, charge).await,
            }
        };
        match timeout(PATIENCE, called).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(status)) => Answer::of_status(&status),
            Err(_) => Answer::Unknown("NO_ANSWER".to_owned()),
        }
    }

    async fn pay(
        &self,
        clients: &Clients,
        arrival: Arrival,
        charge: &Charge,
    ) -> Result<Answer, tonic::Status> {
        let telling = match arrival.kind {
            Kind::Duplicate {
                same_request: false,
            } => "payment again",
            _ => "payment",
        };
        let request = pb::RecordPaymentRequest {
            request_id: self.request_id(telling, arrival.charge),
            money_account: self.campaign.provider_account.clone(),
            object_id: self.object_id("ch", arrival.charge),
            gross: Some(money(charge.gross, self.campaign.currency)),
            payer: Some(Payer::Pledge(self.campaign.pledges[charge.pledge].clone())),
            method: pb::PaymentMethod::Card.into(),
            ..Default::default()
        };
        let answered = clients
            .payments()
            .record_payment(request)
            .await?
            .into_inner();
        let answer = Answer::of(answered.outcome.as_ref());
        let payment = answered.payment.as_ref();
        let amounts = payment.and_then(|payment| {
            let units = |of: &Option<pb::Money>| units(of.as_ref(), self.campaign.currency).ok();
            Some((
                units(&payment.gross)?,
                units(&payment.held)?,
                units(&payment.refundable)?,
            ))
        });
        match (payment, amounts) {
            (Some(payment), Some((gross, held, refundable))) if gross == charge.gross => {
                // Every telling has the same answer; the first one counts.
                self.known[arrival.charge].payment.get_or_init(|| Payment {
                    name: payment.name.clone(),
                    held,
                    refundable,
                });
                Ok(answer)
            }
            _ => Ok(Answer::Unexpected("ANOTHER_PAYMENT".to_owned())),
        }
    }

    async fn charge_fee(
        &self,
        clients: &Clients,
        arrival: Arrival,
        charge: &Charge,
    ) -> Result<Answer, tonic::Status> {
        let known = &self.known[arrival.charge];
        let payment = known.payment.get().map(|payment| payment.name.clone());
        let request = pb::RecordPaymentFeeRequest {
            request_id: self.request_id("fee", arrival.charge),
            payment: payment.unwrap_or_default(),
            object_id: self.object_id("txn", arrival.charge),
            fee: Some(money(charge.fee(), self.campaign.currency)),
            ..Default::default()
        };
        let answered = clients.payments().record_payment_fee(request).await?;
        known.fee.store(true, Ordering::Relaxed);
        Ok(Answer::of(answered.into_inner().outcome.as_ref()))
    }

    async fn fail(
        &self,
        clients: &Clients,
        arrival: Arrival,
        charge: &Charge,
    ) -> Result<Answer, tonic::Status> {
        let request = pb::RecordPaymentFailureRequest {
            request_id: self.request_id("failure", arrival.charge),
            money_account: self.campaign.provider_account.clone(),
            object_id: self.object_id("ch", arrival.charge),
            failure_code: "card_declined".to_owned(),
            gross: Some(money(charge.gross, self.campaign.currency)),
            pledge: self.campaign.pledges[charge.pledge].clone(),
            ..Default::default()
        };
        let answered = clients.payments().record_payment_failure(request).await?;
        Ok(Answer::of(answered.into_inner().outcome.as_ref()))
    }

    fn request_id(&self, what: &str, charge: usize) -> String {
        request_id(self.run, &format!("{what} {charge}"))
    }

    /// The provider's id of a movement.
    fn object_id(&self, prefix: &str, charge: usize) -> String {
        format!("{prefix}_{}_{charge}", self.run.simple())
    }
}
