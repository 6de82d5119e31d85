//! Clients that ask at random and never give up: what is answered "unavailable"
//! is asked again under the same request id, of the other server.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use pledgebook::{access::Role, grpc::pb};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tonic::{Code, Status, transport::Endpoint};
use uuid::Uuid;

use super::{
    euros,
    model::{Asked, Payer, Said},
};
use crate::harness::{Campaign, Clients, Tester, id, money, reason};

/// One request and what it was answered with.
#[derive(Clone, Debug)]
pub struct Step {
    pub number: usize,
    pub asked: Asked,
    pub said: Option<Said>,
    request: Uuid,
    /// The names that stood in the request, as they were known then.
    names: Names,
}

/// What the service called what the clients made, by the clients' numbers.
#[derive(Clone, Debug, Default)]
struct Names {
    pledges: HashMap<usize, String>,
    payments: HashMap<(bool, usize), String>,
}

/// All requests of a run.
#[derive(Debug, Default)]
pub struct Script {
    steps: Vec<Step>,
    retries: usize,
}

impl Script {
    pub fn of_request(&self, request: Uuid) -> Option<&Step> {
        self.steps.iter().find(|step| step.request == request)
    }

    pub fn answered(&self) -> usize {
        self.steps.iter().filter(|step| step.said.is_some()).count()
    }

    pub const fn retries(&self) -> usize {
        self.retries
    }
}

pub struct Asker {
    servers: Vec<Clients>,
    provider: String,
    bank: String,
    members: Vec<String>,
    names: Mutex<Names>,
    next: AtomicUsize,
    retries: AtomicUsize,
}

const MEMBERS: usize = 12;
/// Few movements, so that many are told twice.
const OBJECTS: usize = 60;

impl Asker {
    pub async fn new(tester: &Tester, campaign: &Campaign, servers: Vec<SocketAddr>) -> Self {
        let mut members = Vec::new();
        for n in 0..MEMBERS {
            members.push(campaign.member(tester, &format!("{n}@example.org")).await);
        }
        let client = |address: SocketAddr| {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
            let endpoint = endpoint.timeout(Duration::from_secs(20));
            Clients::new(endpoint.connect_lazy(), Some(tester.key(Role::Treasurer)))
        };
        Self {
            servers: servers.into_iter().map(client).collect(),
            provider: campaign.provider.clone(),
            bank: campaign.bank.clone(),
            members,
            names: Mutex::default(),
            next: AtomicUsize::new(0),
            retries: AtomicUsize::new(0),
        }
    }

    /// So many clients ask so many things each.
    pub async fn ask(&self, clients: usize, each: usize, seed: u64) -> Script {
        let client = |client: usize| async move {
            let salt = u64::try_from(client).unwrap();
            let mut random = StdRng::seed_from_u64(seed * 1_000 + salt);
            let mut steps = Vec::new();
            for _ in 0..each {
                let step = self.draw(&mut random);
                steps.push(
                    self.carry_out(step, random.random_range(0..self.servers.len()))
                        .await,
                );
            }
            steps
        };
        let steps = futures::future::join_all((0..clients).map(client)).await;
        Script {
            steps: steps.into_iter().flatten().collect(),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }

    /// Asks everything again, once: the answers must be those that were given.
    pub async fn ask_again(&self, script: &Script) {
        for (n, step) in script.steps.iter().enumerate() {
            let again = self.send(&self.servers[n % self.servers.len()], step).await;
            assert_eq!(
                again.as_ref().ok(),
                step.said.as_ref(),
                "{step:?} {again:?}"
            );
        }
    }

    fn draw(&self, random: &mut StdRng) -> Step {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let names = self.names.lock().unwrap().clone();
        let mut known: Vec<usize> = names.pledges.keys().copied().collect();
        known.sort_unstable();
        let some_pledge = |random: &mut StdRng| {
            (!known.is_empty()).then(|| known[random.random_range(0..known.len())])
        };
        let amount = |random: &mut StdRng| i64::from(random.random_range(1..400_u16)) * 50;
        let payer = |random: &mut StdRng| match (random.random_range(0..10), some_pledge(random)) {
            (0, _) => Payer::Nobody,
            (1, _) | (_, None) => Payer::Member(random.random_range(0..MEMBERS)),
            (_, Some(pledge)) => Payer::Pledge(pledge),
        };
        let mut paid: Vec<(bool, usize)> = names.payments.keys().copied().collect();
        paid.sort_unstable();
        let some_payment = |random: &mut StdRng| {
            (!paid.is_empty()).then(|| paid[random.random_range(0..paid.len())])
        };
        let create = |random: &mut StdRng| Asked::Pledge {
            member: random.random_range(0..MEMBERS),
            amount: amount(random),
        };
        let asked = match random.random_range(0..20) {
            0..5 => create(random),
            5 => match some_pledge(random) {
                Some(pledge) => Asked::Amend {
                    pledge,
                    amount: amount(random),
                },
                None => create(random),
            },
            6 => match some_pledge(random) {
                Some(pledge) => Asked::Cancel { pledge },
                None => create(random),
            },
            7..15 => {
                let object = random.random_range(0..OBJECTS);
                // One amount a movement, with a rare mistake.
                let mistake = i64::from(random.random_range(0..20) == 0);
                Asked::Pay {
                    object,
                    payer: payer(random),
                    amount: price(object) + mistake,
                    bank: random.random_range(0..3) == 0,
                }
            }
            15 | 16 => match some_payment(random) {
                Some((false, object)) => Asked::Fee {
                    object,
                    movement: random.random_range(0..OBJECTS) * OBJECTS + object,
                    amount: 29,
                },
                _ => create(random),
            },
            17 => {
                let object = random.random_range(0..OBJECTS);
                Asked::Fail {
                    object,
                    amount: price(object),
                }
            }
            _ => match some_payment(random) {
                Some((bank, object)) => {
                    let payer = match payer(random) {
                        Payer::Nobody => Payer::Member(0),
                        payer => payer,
                    };
                    Asked::Match {
                        object,
                        bank,
                        payer,
                    }
                }
                None => create(random),
            },
        };
        let request = id().parse().unwrap();
        Step {
            number,
            asked,
            said: None,
            request,
            names,
        }
    }

    /// Asks until there is an answer.
    async fn carry_out(&self, mut step: Step, mut server: usize) -> Step {
        for _ in 0..400 {
            match self.send(&self.servers[server], &step).await {
                Ok(said) => {
                    step.said = Some(said);
                    return step;
                }
                Err(status) => {
                    let may_retry = [
                        Code::Unavailable,
                        Code::Unknown,
                        Code::Cancelled,
                        Code::DeadlineExceeded,
                    ];
                    assert!(may_retry.contains(&status.code()), "{status:?}");
                    self.retries.fetch_add(1, Ordering::Relaxed);
                    server = (server + 1) % self.servers.len();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        panic!("no server answers");
    }

    /// Asks once. An answer, a refusal too, is what was said; anything else may
    /// have been done or not.
    async fn send(&self, clients: &Clients, step: &Step) -> Result<Said, Status> {
        let answer = match &step.asked {
            Asked::Pledge { .. } | Asked::Amend { .. } | Asked::Cancel { .. } => {
                self.send_pledge(clients, step).await
            }
            Asked::Pay { .. } | Asked::Fee { .. } | Asked::Fail { .. } | Asked::Match { .. } => {
                self.send_payment(clients, step).await
            }
        };
        match answer {
            Err(status) if !reason(&status).is_empty() => match reason(&status).as_str() {
                "UNAVAILABLE" | "SHUTTING_DOWN" | "OVERLOADED" | "DEADLINE_EXCEEDED" => Err(status),
                reason => Ok(format!("refused {reason}")),
            },
            answer => answer,
        }
    }

    async fn send_pledge(&self, clients: &Clients, step: &Step) -> Result<Said, Status> {
        let request_id = step.request.to_string();
        let eur = |cents: i64| money("EUR", &euros(cents)).unwrap();
        let name = |pledge: &usize| step.names.pledges[pledge].clone();
        let mut pledges = clients.pledges();
        let (pledge, closed) = match &step.asked {
            Asked::Pledge { member, amount } => {
                let request = pb::CreatePledgeRequest {
                    request_id,
                    member: self.members[*member].clone(),
                    promise: Some(pb::create_pledge_request::Promise::Amount(eur(*amount))),
                    ..Default::default()
                };
                let pledge = pledges
                    .create_pledge(request)
                    .await?
                    .into_inner()
                    .pledge
                    .unwrap();
                let mut names = self.names.lock().unwrap();
                names.pledges.insert(step.number, pledge.name.clone());
                (pledge, "")
            }
            Asked::Amend { pledge, amount } => {
                let request = pb::AmendPledgeRequest {
                    request_id,
                    name: name(pledge),
                    promise: Some(pb::amend_pledge_request::Promise::Amount(eur(*amount))),
                    validate_only: false,
                };
                (
                    pledges
                        .amend_pledge(request)
                        .await?
                        .into_inner()
                        .pledge
                        .unwrap(),
                    "",
                )
            }
            Asked::Cancel { pledge } => {
                let request = pb::CancelPledgeRequest {
                    request_id,
                    name: name(pledge),
                    validate_only: false,
                };
                (
                    pledges
                        .cancel_pledge(request)
                        .await?
                        .into_inner()
                        .pledge
                        .unwrap(),
                    " closed",
                )
            }
            other => unreachable!("{other:?}"),
        };
        Ok(format!(
            "pledge {} paid {}{closed}",
            cents(&pledge.amount),
            cents(&pledge.paid)
        ))
    }

    async fn send_payment(&self, clients: &Clients, step: &Step) -> Result<Said, Status> {
        use pb::{
            match_receipt_request as m, record_bank_receipt_request as b,
            record_payment_request as p,
        };
        let request_id = step.request.to_string();
        let pledge = |pledge: usize| step.names.pledges[&pledge].clone();
        let member = |member: usize| self.members[member].clone();
        let mut payments = clients.payments();
        let (object, outcome, payment) = match step.asked {
            Asked::Pay {
                object,
                payer,
                amount,
                bank: false,
            } => {
                let request = pb::RecordPaymentRequest {
                    request_id,
                    money_account: self.provider.clone(),
                    object_id: format!("ch_{object}"),
                    gross: money("EUR", &euros(amount)),
                    payer: match payer {
                        Payer::Pledge(n) => Some(p::Payer::Pledge(pledge(n))),
                        Payer::Member(n) => Some(p::Payer::Member(member(n))),
                        Payer::Nobody => None,
                    },
                    ..Default::default()
                };
                let said = payments.record_payment(request).await?.into_inner();
                ((false, object), said.outcome, said.payment)
            }
            Asked::Pay {
                object,
                payer,
                amount,
                bank: true,
            } => {
                let request = pb::RecordBankReceiptRequest {
                    request_id,
                    money_account: self.bank.clone(),
                    object_id: format!("tx_{object}"),
                    gross: money("EUR", &euros(amount)),
                    payer: match payer {
                        Payer::Pledge(n) => Some(b::Payer::Pledge(pledge(n))),
                        Payer::Member(n) => Some(b::Payer::Member(member(n))),
                        Payer::Nobody => None,
                    },
                    ..Default::default()
                };
                let said = payments.record_bank_receipt(request).await?.into_inner();
                ((true, object), said.outcome, said.payment)
            }
            Asked::Fee {
                object,
                movement,
                amount,
            } => {
                let request = pb::RecordPaymentFeeRequest {
                    request_id,
                    payment: step.names.payments[&(false, object)].clone(),
                    object_id: format!("txn_{movement}"),
                    fee: money("EUR", &euros(amount)),
                    ..Default::default()
                };
                let said = payments.record_payment_fee(request).await?.into_inner();
                ((false, object), said.outcome, said.payment)
            }
            Asked::Fail { object, amount } => {
                let request = pb::RecordPaymentFailureRequest {
                    request_id,
                    money_account: self.provider.clone(),
                    object_id: format!("ch_{object}"),
                    failure_code: "declined".to_owned(),
                    gross: money("EUR", &euros(amount)),
                    ..Default::default()
                };
                let said = payments.record_payment_failure(request).await?.into_inner();
                ((false, object), said.outcome, said.payment)
            }
            Asked::Match {
                object,
                bank,
                payer,
            } => {
                let request = pb::MatchReceiptRequest {
                    request_id,
                    payment: step.names.payments[&(bank, object)].clone(),
                    payer: match payer {
                        Payer::Pledge(n) => Some(m::Payer::Pledge(pledge(n))),
                        Payer::Member(n) => Some(m::Payer::Member(member(n))),
                        Payer::Nobody => None,
                    },
                    validate_only: false,
                };
                let said = payments.match_receipt(request).await?.into_inner();
                ((bank, object), said.outcome, said.payment)
            }
            ref other => unreachable!("{other:?}"),
        };
        let payment = payment.unwrap();
        if payment.state() != pb::PaymentState::Failed {
            self.names
                .lock()
                .unwrap()
                .payments
                .insert(object, payment.name.clone());
        }
        if outcome.unwrap().already_recorded {
            return Ok("before".to_owned());
        }
        if payment.state() == pb::PaymentState::Failed {
            return Ok("failed".to_owned());
        }
        let fee = payment
            .fee
            .as_ref()
            .map_or_else(|| "-".to_owned(), |_| cents(&payment.fee).to_string());
        Ok(format!(
            "payment {} held {} refundable {} unallocated {} fee {fee}",
            cents(&payment.gross),
            cents(&payment.held),
            cents(&payment.refundable),
            cents(&payment.unallocated),
        ))
    }
}

/// What a movement moves, unless somebody makes a mistake.
fn price(object: usize) -> i64 {
    300 * (1 + i64::try_from(object).unwrap())
}

fn cents(money: &Option<pb::Money>) -> i64 {
    money
        .as_ref()
        .unwrap()
        .amount
        .replace('.', "")
        .parse()
        .unwrap()
}
