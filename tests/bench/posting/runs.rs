//! Runs over everybody: an allotment that gives each member a share and something back, and
//! the refunds of what was too much, while live payments go on, and with kills.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt;
use pledgebook::{
    domain::{
        Action, Payer, Receipt,
        campaign::{Purchase, StageEvent},
        payment::{Channel, Method},
        share::ShareClass,
    },
    grpc::pb::{self, run_service_client::RunServiceClient},
    id::{PaymentId, ShareClassId},
    money::Amount,
};
use time::macros::datetime;
use uuid::Uuid;

use crate::{
    HOT,
    direct::Direct,
    figures::Figures,
    front::{Server, key},
    ledger::{Ledger, Loader, cents, command, eur, member, member_of},
    place::Place,
};

/// Live payments a second while a run goes on.
const LIVE: u64 = 50;
/// Servers killed in each of the two runs.
const KILLS: usize = 10;
/// What one share costs, and what everybody pays.
const PRICE: i64 = 1_000;
const PAID: i64 = 1_500;

type Runs = RunServiceClient<Direct>;

/// One server at a time, and two people's keys.
struct Front {
    ledger: Ledger,
    keys: [String; 2],
    server: Option<Server>,
    /// The most memory that any server has had, in MB.
    memory: f64,
}

impl Front {
    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    async fn runs(&self, who: usize) -> Runs {
        self.server().runs(&self.keys[who]).await
    }

    async fn kill(&mut self) {
        self.note_memory();
        self.server.take().unwrap().kill().await;
        self.server = Some(Server::start(&self.ledger, &self.keys[0], false).await);
    }

    fn note_memory(&mut self) {
        self.memory = self.memory.max(self.server().most_memory());
    }

    async fn run(&self, name: &str) -> pb::Run {
        let request = pb::GetRunRequest {
            name: name.to_owned(),
        };
        let read = self.runs(0).await.get_run(request).await.unwrap();
        read.into_inner().run.unwrap()
    }

    async fn start(&self, run: &str) {
        for who in [0, 1] {
            let request = pb::ApproveRunRequest {
                request_id: Uuid::now_v7().to_string(),
                run: run.to_owned(),
                ..Default::default()
            };
            self.runs(who).await.approve_run(request).await.unwrap();
        }
        let request = pb::StartRunRequest {
            request_id: Uuid::now_v7().to_string(),
            run: run.to_owned(),
            ..Default::default()
        };
        self.runs(0).await.start_run(request).await.unwrap();
    }

    /// Fires live payments at their own pace until told to stop; gives their latencies from
    /// the moment at which each was due.
    fn live(&self, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<Vec<Duration>> {
        let client = self.server().clients[0].clone();
        let (campaign, provider) = (self.ledger.campaign, self.ledger.provider);
        tokio::spawn(async move {
            let begun = Instant::now();
            let mut calls = Vec::new();
            for n in 0.. {
                let due = begun + Duration::from_secs_f64(n as f64 / LIVE as f64);
                tokio::time::sleep_until(due.into()).await;
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let mut client = client.clone();
                let id = Uuid::now_v7();
                let request = pb::RecordPaymentRequest {
                    request_id: id.to_string(),
                    money_account: format!("campaigns/{campaign}/moneyAccounts/{provider}"),
                    object_id: format!("ch_{}", id.simple()),
                    gross: Some(pb::Money {
                        currency_code: "EUR".to_owned(),
                        amount: "7.00".to_owned(),
                    }),
                    payer: Some(pb::record_payment_request::Payer::Member(format!(
                        "campaigns/{campaign}/members/{}",
                        member(n % 1_000)
                    ))),
                    method: pb::PaymentMethod::Card.into(),
                    ..Default::default()
                };
                calls.push(tokio::spawn(async move {
                    client.record_payment(request).await.unwrap();
                    due.elapsed()
                }));
            }
            let mut latencies = Vec::new();
            for call in calls {
                latencies.push(call.await.unwrap());
            }
            latencies.sort();
            latencies
        })
    }

    async fn live_for(&self, time: Duration) -> Vec<Duration> {
        let stop = Arc::new(AtomicBool::new(false));
        let live = self.live(Arc::clone(&stop));
        tokio::time::sleep(time).await;
        stop.store(true, Ordering::Relaxed);
        live.await.unwrap()
    }

    /// Works a run to its end: undisturbed but for live payments at first, and then killed.
    async fn measure(&mut self, name: &str, run: &pb::Run, usual: Duration, figures: &mut Figures) {
        self.start(&run.name).await;
        let begun = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let live = self.live(Arc::clone(&stop));
        let half = loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = self.run(&run.name).await;
            if now.done + now.exceptions >= run.items / 2 {
                break now;
            }
        };
        let rate = half.done as f64 / begun.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        let p99 = percentile(&live.await.unwrap(), 99);
        figures.rate(&format!("{name}, items, beside live payments"), rate);
        figures.time(&format!("{name}, live p99"), p99);
        figures.ratio(
            &format!("{name}_live_p99_vs_usual"),
            p99.as_secs_f64(),
            usual.as_secs_f64(),
        );
        let each = (run.items - half.done) / (KILLS as i64 + 1);
        for kill in 1..=KILLS as i64 {
            let until = half.done + each * kill;
            while self.run(&run.name).await.done < until {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            self.kill().await;
        }
        let over = loop {
            let now = self.run(&run.name).await;
            if now.state() != pb::RunState::Running {
                break now;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        assert_eq!(over.state(), pb::RunState::Done, "{over:?}");
        assert_eq!(over.done, run.items);
        println!(
            "  {name}: {} items, {KILLS} kills, {:?}",
            run.items,
            begun.elapsed()
        );
        self.note_memory();
    }
}

fn percentile(sorted: &[Duration], hundredths: usize) -> Duration {
    sorted[(sorted.len() * hundredths / 100).min(sorted.len() - 1)]
}

/// A campaign whose purchase is made, with so many members who have paid.
async fn acquired(place: &Place, members: usize, figures: &mut Figures) -> Ledger {
    place.database("runs").await;
    let ledger = Ledger::named(place, "runs");
    let loader = Loader::open(&ledger).await;
    loader.store.head_ensure(ledger.campaign).await.unwrap();
    let mut opening = ledger.opening_with(Amount::of_units(1), datetime!(2099-01-01 0:00 UTC), 0);
    let open = opening.pop().unwrap();
    let class = ShareClass {
        id: ShareClassId::mint(),
        display_name: "Ordinary".to_owned(),
        price: Amount::of_units(PRICE),
        nominal: Amount::of_units(PRICE / 2),
        authorised: members as i64,
        minimum_per_member: 0,
        maximum_per_member: 0,
        liability: false,
    };
    let currency = eur();
    opening.push(command(
        "AddShareClass",
        Action::AddShareClass { class, currency },
    ));
    opening.push(open);
    for command in opening {
        loader.done(command).await;
    }
    let begun = Instant::now();
    futures::stream::iter(0..members)
        .map(|n| loader.done(member_of(n)))
        .buffer_unordered(HOT)
        .for_each(async |()| ())
        .await;
    println!("  {members} members in {:?}", begun.elapsed());
    let begun = Instant::now();
    let provider = ledger.provider;
    let payment = |n: usize| {
        command(
            "RecordPayment",
            Action::RecordReceipt(Receipt {
                payment: PaymentId::mint(),
                channel: Channel::Provider,
                account: provider,
                object_id: format!("ch_{n}"),
                gross: cents(PAID),
                payer: Payer::Member(member(n)),
                unknown_payer_is_unallocated: false,
                method: Method::Card,
                occurred_at: None,
                value_date: None,
                available_on: None,
                corrects: None,
            }),
        )
    };
    futures::stream::iter(0..members)
        .map(|n| loader.done(payment(n)))
        .buffer_unordered(HOT)
        .for_each(async |()| ())
        .await;
    figures.rate(
        "payments through the book, one a member",
        members as f64 / begun.elapsed().as_secs_f64(),
    );
    let reason = String::new;
    let moved = |event| Action::MoveCampaign {
        event,
        reason: reason(),
    };
    for action in [
        moved(StageEvent::Close),
        Action::ConcludeCampaign { reason: reason() },
        moved(StageEvent::StartCompleting),
        Action::CompletePurchase(Purchase {
            price: cents(PRICE),
            paid: None,
            occurred_at: None,
            value_date: None,
            reason: reason(),
        }),
    ] {
        loader.done(command("Move", action)).await;
    }
    loader.books.drain().await;
    loader.store.close().await;
    ledger
}

pub async fn measure(place: &Place, members: usize, figures: &mut Figures) {
    println!("runs: {members} members");
    let ledger = acquired(place, members, figures).await;
    let keys = [key(&ledger).await, key(&ledger).await];
    let server = Some(Server::start(&ledger, &keys[0], false).await);
    let mut front = Front {
        ledger,
        keys,
        server,
        memory: 0.0,
    };
    front.live_for(Duration::from_secs(2)).await;
    let usual = percentile(&front.live_for(Duration::from_secs(20)).await, 99);
    figures.time("live payments, usual p99", usual);
    let campaign = format!("campaigns/{}", front.ledger.campaign);

    let mut runs = front.runs(0).await;
    let begun = Instant::now();
    let request = pb::PlanAllotmentRequest {
        request_id: Uuid::now_v7().to_string(),
        campaign: campaign.clone(),
        ..Default::default()
    };
    let planned = runs.plan_allotment(request).await.unwrap();
    let run = planned.into_inner().run.unwrap();
    figures.time("planning the allotment", begun.elapsed());
    assert_eq!(run.items, members as i64);
    front.measure("allotment", &run, usual, figures).await;

    // Another server's by now.
    let mut runs = front.runs(0).await;
    let begun = Instant::now();
    let request = pb::PlanRefundsRequest {
        request_id: Uuid::now_v7().to_string(),
        campaign,
        ..Default::default()
    };
    let planned = runs.plan_refunds(request).await.unwrap();
    let run = planned.into_inner().run.unwrap();
    figures.time("planning the refunds", begun.elapsed());
    assert!(run.items >= members as i64);
    front.measure("refunds", &run, usual, figures).await;
    figures.count("memory of the server, MB", front.memory);
    front.server.take().unwrap().stop().await;
    front.ledger.must_be_clean().await;
}
