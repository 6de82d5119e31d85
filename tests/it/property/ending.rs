//! Every road to a campaign's end, through servers that are killed while they work its
//! runs and that take each other's runs away, with calls going on all the while: in the
//! end everybody has shares or money, and nobody both for the same money.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, stream};
use pledgebook::{access::Role, grpc::pb};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::PgPool;
use tonic::{Code, Status, transport::Endpoint};

use super::{CLIENTS, clients::Asker, process::Process};
use crate::{
    ending::{Road, crowd, step},
    harness::{Clients, eur, id, reason},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Allotted(pb::AllotmentMethod),
    Failed(pb::FeeBearer),
    Cancelled,
    Lost,
}

const ENDS: [End; 6] = [
    End::Allotted(pb::AllotmentMethod::WaterFilling),
    End::Failed(pb::FeeBearer::MembersDisclosed),
    End::Allotted(pb::AllotmentMethod::ProRata),
    End::Cancelled,
    End::Failed(pb::FeeBearer::Underwriter),
    End::Lost,
];

/// More than one chunk of a run's worker; on the first road several.
const CROWD: usize = 350;
const LARGE_CROWD: usize = 1_000;
const PRICE: i64 = 10;
const NOMINAL: i64 = 7;

/// A campaign with a crowd, and two processes that serve it.
struct Story {
    seed: u64,
    end: End,
    road: Road,
    pool: PgPool,
    processes: Vec<Process>,
    random: StdRng,
    /// The crowd's payments.
    payments: Vec<String>,
    kills: usize,
}

/// Asks until there is an answer, of the one process or the other.
async fn insist<T, F>(servers: &[Clients], mut call: impl FnMut(Clients) -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    for attempt in 0..400 {
        let answer = call(servers[attempt % servers.len()].clone()).await;
        match answer {
            Err(status) if may_ask_again(&status) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            answer => return answer,
        }
    }
    panic!("no server answers");
}

fn may_ask_again(status: &Status) -> bool {
    match reason(status).as_str() {
        "" => {
            let broken = [Code::Unavailable, Code::Unknown, Code::Cancelled];
            assert!(broken.contains(&status.code()), "{status:?}");
            true
        }
        "UNAVAILABLE" | "SHUTTING_DOWN" | "OVERLOADED" | "DEADLINE_EXCEEDED" => true,
        _ => false,
    }
}

fn clients(road: &Road, addresses: &[SocketAddr], role: Role) -> Vec<Clients> {
    let client = |address: &SocketAddr| {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let endpoint = endpoint.timeout(Duration::from_secs(20));
        Clients::new(endpoint.connect_lazy(), Some(road.tester.key(role)))
    };
    addresses.iter().map(client).collect()
}

/// What goes on while runs are worked: the payer's bank takes money back, disputes are
/// announced and dropped, fees become known, members ask for their money.
struct Pester {
    treasurers: Vec<Clients>,
    admins: Vec<Clients>,
    provider: String,
    payments: Vec<String>,
    done: AtomicUsize,
}

impl Pester {
    async fn pester(&self, seed: u64, stop: &AtomicBool) {
        let mut random = StdRng::seed_from_u64(seed);
        while !stop.load(Ordering::Relaxed) {
            let n = random.random_range(0..self.payments.len());
            let kind = random.random_range(0..8_u32);
            let answer = self.once(n, kind).await;
            if answer.is_ok() {
                self.done.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(random.random_range(0..15))).await;
        }
    }

    async fn once(&self, n: usize, kind: u32) -> Result<(), Status> {
        let (request_id, payment) = (id(), self.payments[n].clone());
        match kind {
            0 => {
                let request = pb::RecordPaymentFailureRequest {
                    request_id,
                    money_account: self.provider.clone(),
                    object_id: format!("card_{n}"),
                    failure_code: "disputed".to_owned(),
                    ..Default::default()
                };
                let call = |to: Clients| {
                    let request = request.clone();
                    async move { to.payments().record_payment_failure(request).await }
                };
                insist(&self.treasurers, call).await.map(|_| ())
            }
            1 | 2 => {
                let request = pb::FlagDisputeRequest {
                    request_id,
                    payment,
                    ..Default::default()
                };
                let call = |to: Clients| {
                    let request = request.clone();
                    async move { to.payments().flag_dispute(request).await }
                };
                insist(&self.treasurers, call).await.map(|_| ())
            }
            3 => {
                let request = pb::ClearDisputeRequest {
                    request_id,
                    payment,
                    ..Default::default()
                };
                let call = |to: Clients| {
                    let request = request.clone();
                    async move { to.payments().clear_dispute(request).await }
                };
                insist(&self.treasurers, call).await.map(|_| ())
            }
            4 | 5 => {
                let request = pb::RecordPaymentFeeRequest {
                    request_id,
                    payment,
                    object_id: format!("fee_{n}"),
                    fee: eur("0.31"),
                    ..Default::default()
                };
                let call = |to: Clients| {
                    let request = request.clone();
                    async move { to.payments().record_payment_fee(request).await }
                };
                insist(&self.treasurers, call).await.map(|_| ())
            }
            _ => self.refund(payment, request_id, kind).await,
        }
    }

    async fn refund(&self, payment: String, request_id: String, kind: u32) -> Result<(), Status> {
        let request = pb::RequestRefundRequest {
            request_id,
            payment,
            amount: (kind == 6).then(|| eur("5").unwrap()),
            ..Default::default()
        };
        let call = |to: Clients| {
            let request = request.clone();
            async move { to.refunds().request_refund(request).await }
        };
        let asked = insist(&self.treasurers, call).await?.into_inner();
        let request = pb::ApproveRefundRequest {
            request_id: id(),
            refund: asked.refund.unwrap().name,
            ..Default::default()
        };
        let call = |to: Clients| {
            let request = request.clone();
            async move { to.refunds().approve_refund(request).await }
        };
        insist(&self.admins, call).await.map(|_| ())
    }
}

impl Story {
    /// An open campaign in which a crowd has paid, and some have changed their minds.
    async fn begin(seed: u64, end: End, crowd: usize) -> Self {
        let minimum = match end {
            End::Failed(_) => "1000000",
            End::Allotted(_) | End::Cancelled | End::Lost => "100",
        };
        let bearer = match end {
            End::Failed(bearer) => bearer,
            End::Allotted(_) | End::Cancelled | End::Lost => pb::FeeBearer::Underwriter,
        };
        let terms = pb::Terms {
            target: eur("1000000"),
            minimum: eur(minimum),
            maximum: eur("2000000"),
            fee_bearer: bearer.into(),
            ..Road::terms(&pledgebook::clock::Clock::default())
        };
        let mut random = StdRng::seed_from_u64(seed);
        let class = pb::ShareClass {
            display_name: "Ordinary".to_owned(),
            price: eur(&PRICE.to_string()),
            nominal: eur(&NOMINAL.to_string()),
            // Fewer than there is money for.
            authorised: random.random_range(1_000..3_000),
            ..Default::default()
        };
        let road = Road::open(terms, Some(class)).await;
        let members = crowd::members(&road, crowd).await;
        let amounts: Vec<i64> = members
            .iter()
            .map(|_| random.random_range(5..120))
            .collect();
        let payments = crowd::pay(&road, &members, |n| amounts[n].to_string()).await;
        let database = &road.tester.database;
        let processes = vec![
            Process::start(database).await,
            Process::start(database).await,
        ];
        Self {
            seed,
            end,
            pool: database.pool("postgres").await,
            road,
            processes,
            random,
            payments,
            kills: 0,
        }
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.processes
            .iter()
            .map(|process| process.address)
            .collect()
    }

    /// To where everybody's money moves.
    async fn come_to_the_end(&self) {
        let road = &self.road;
        match self.end {
            End::Allotted(_) => road.buy("5000").await,
            End::Failed(_) => {
                road.days(40);
                step!(road, close_campaign, CloseCampaignRequest).unwrap();
                step!(road, conclude_campaign, ConcludeCampaignRequest).unwrap();
            }
            End::Cancelled => {
                step!(road, cancel_campaign, CancelCampaignRequest).unwrap();
            }
            End::Lost => {
                road.days(40);
                step!(road, close_campaign, CloseCampaignRequest).unwrap();
                step!(road, conclude_campaign, ConcludeCampaignRequest).unwrap();
                step!(road, lose_acquisition, LoseAcquisitionRequest).unwrap();
            }
        }
        if !matches!(self.end, End::Allotted(_)) {
            step!(road, start_refunding, StartRefundingRequest).unwrap();
        }
    }

    /// Works a run while processes die and take it from each other; gives it when over.
    async fn sabotage(&mut self, run: &str, kills: usize) {
        self.road.start(run).await;
        let id: uuid::Uuid = run.rsplit('/').next().unwrap().parse().unwrap();
        let mut killed = 0;
        loop {
            let state: String = sqlx::query_scalar("SELECT state FROM run WHERE run_id = $1")
                .bind(id)
                .fetch_one(&self.pool)
                .await
                .unwrap();
            self.capital_is_shares().await;
            if state != "running" {
                assert!(state.starts_with("done"), "{state}");
                break;
            }
            if killed < kills {
                let victim = self.random.random_range(0..self.processes.len());
                let database = &self.road.tester.database;
                self.processes[victim].kill_and_restart(database).await;
                killed += 1;
            }
            // As if the ten seconds of a lease had gone by: whoever comes takes the run,
            // and whoever had it, alive or not, may still be at it.
            sqlx::query("UPDATE run_lease SET leased_until = now() - interval '1 second'")
                .execute(&self.pool)
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(self.random.random_range(0..30))).await;
        }
        self.kills += killed;
        self.must_be_worked_once(id).await;
    }

    /// 3000\[m\] = shares × nominal at any moment.
    async fn capital_is_shares(&self) {
        let differ: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM (
                SELECT coalesce(sum(balance) FILTER (WHERE code = 3000), 0) AS capital,
                    coalesce(sum(balance) FILTER (WHERE code = 8000), 0) AS units
                FROM account JOIN balance USING (campaign_id, account_no)
                WHERE code IN (3000, 8000) GROUP BY owner
             ) AS held WHERE capital <> units * $1",
        )
        .bind(NOMINAL * 100)
        .fetch_one(&self.pool)
        .await
        .unwrap();
        assert_eq!(differ, 0, "seed {}", self.seed);
    }

    /// Each item was worked by one change of its own, and made at most one lot or refund.
    async fn must_be_worked_once(&self, run: uuid::Uuid) {
        let (items, counted, changes, wrong): (i64, i64, i64, i64) = sqlx::query_as(
            "SELECT max(run.items), max(run.done + run.exceptions), count(DISTINCT change_no),
                count(*) FILTER (WHERE run_item.state = 'pending' OR NOT EXISTS (
                    SELECT FROM change WHERE change.change_no = run_item.change_no
                    AND method = 'WorkRunItem' AND refusal IS NULL))
             FROM run JOIN run_item USING (campaign_id, run_id) WHERE run_id = $1",
        )
        .bind(run)
        .fetch_one(&self.pool)
        .await
        .unwrap();
        assert_eq!(
            (counted, changes, wrong),
            (items, items, 0),
            "seed {}",
            self.seed
        );
        let (made, due): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM refund WHERE run_id = $1) + (
                    SELECT count(*) FROM lot JOIN journal_entry USING (campaign_id, entry_no)
                    JOIN run_item USING (campaign_id, change_no) WHERE run_id = $1),
                (SELECT count(*) FROM run_item WHERE run_id = $1 AND state = 'done'
                    AND (units > 0 OR payment_id IS NOT NULL AND amount > 0))",
        )
        .bind(run)
        .fetch_one(&self.pool)
        .await
        .unwrap();
        assert_eq!(made, due, "seed {}", self.seed);
    }

    /// Works a run of this kind with calls going on, until a list of it is empty.
    async fn work(&mut self, allotment: bool, kills: usize) {
        for round in 0..5 {
            let planned = self.plan(allotment).await;
            let Some(run) = planned else { return };
            self.sabotage(&run, if round == 0 { kills } else { 0 })
                .await;
        }
        panic!("seed {}: every run leaves exceptions", self.seed);
    }

    /// Plans a run; nothing when there is nothing to run.
    async fn plan(&self, allotment: bool) -> Option<String> {
        let (request_id, campaign) = (id(), self.road.campaign.name.clone());
        let mut runs = self.road.treasurer.runs();
        let planned = if allotment {
            let method = match self.end {
                End::Allotted(method) => method.into(),
                End::Failed(_) | End::Cancelled | End::Lost => 0,
            };
            let request = pb::PlanAllotmentRequest {
                request_id,
                campaign,
                method,
                ..Default::default()
            };
            let planned = runs.plan_allotment(request).await;
            planned.map(|planned| planned.into_inner().run)
        } else {
            let request = pb::PlanRefundsRequest {
                request_id,
                campaign,
                ..Default::default()
            };
            let planned = runs.plan_refunds(request).await;
            planned.map(|planned| planned.into_inner().run)
        };
        match planned {
            Ok(run) => Some(run.unwrap().name),
            Err(status) => {
                assert_eq!(reason(&status), "NOTHING_TO_RUN", "{status:?}");
                None
            }
        }
    }

    /// No flag and no request is left.
    async fn settle(&self) {
        let campaign = &self.road.campaign.name;
        let flagged: Vec<uuid::Uuid> =
            sqlx::query_scalar("SELECT payment_id FROM payment WHERE flagged")
                .fetch_all(&self.pool)
                .await
                .unwrap();
        for payment in flagged {
            let request = pb::ClearDisputeRequest {
                request_id: id(),
                payment: format!("{campaign}/payments/{payment}"),
                ..Default::default()
            };
            let mut payments = self.road.treasurer.payments();
            payments.clear_dispute(request).await.unwrap();
        }
        let requested: Vec<uuid::Uuid> =
            sqlx::query_scalar("SELECT refund_id FROM refund WHERE state = 'requested'")
                .fetch_all(&self.pool)
                .await
                .unwrap();
        for refund in requested {
            let request = pb::RejectRefundRequest {
                request_id: id(),
                refund: format!("{campaign}/refunds/{refund}"),
                ..Default::default()
            };
            let mut refunds = self.road.treasurer.refunds();
            refunds.reject_refund(request).await.unwrap();
        }
    }

    /// Shares or money for everybody: what each payment has come to.
    async fn must_be_over(&self) {
        let (left, unequal, both): (i64, i64, i64) = sqlx::query_as(
            "SELECT count(*) FILTER (WHERE held + refundable + unallocated + returned + reserved > 0),
                count(*) FILTER (WHERE allotted + refunded + charged
                    <> CASE state WHEN 'succeeded' THEN gross ELSE lost END),
                count(*) FILTER (WHERE state = 'succeeded' AND allotted + refunded > gross)
             FROM payment",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap();
        assert_eq!((left, unequal, both), (0, 0, 0), "seed {}", self.seed);
        self.capital_is_shares().await;
        let shares: i64 = sqlx::query_scalar("SELECT count(*) FROM lot")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        assert_eq!(shares > 0, matches!(self.end, End::Allotted(_)));
    }

    /// The runs, with calls going on; gives how many of those were answered with yes.
    async fn run_with_calls(&mut self) -> usize {
        let addresses = self.addresses();
        let pester = Arc::new(Pester {
            treasurers: clients(&self.road, &addresses, Role::Treasurer),
            admins: clients(&self.road, &addresses, Role::Admin),
            provider: self.road.campaign.provider.clone(),
            payments: self.payments.clone(),
            done: AtomicUsize::new(0),
        });
        let stop = Arc::new(AtomicBool::new(false));
        let pestering: Vec<_> = (0..3)
            .map(|n| {
                let (pester, stop) = (Arc::clone(&pester), Arc::clone(&stop));
                let seed = self.seed * 100 + n;
                tokio::spawn(async move { pester.pester(seed, &stop).await })
            })
            .collect();
        let allotment = matches!(self.end, End::Allotted(_));
        let first = self.plan(allotment).await.unwrap();
        self.sabotage(&first, 3).await;
        stop.store(true, Ordering::Relaxed);
        for pestering in pestering {
            pestering.await.unwrap();
        }
        pester.done.load(Ordering::Relaxed)
    }

    async fn tell(mut self) -> usize {
        let asker = Asker::new(&self.road.tester, &self.road.campaign, self.addresses()).await;
        let script = asker.ask(CLIENTS, 12, self.seed).await;
        self.come_to_the_end().await;
        let (answered, late) = {
            let during = asker.ask(4, 12, self.seed + 50);
            let (answered, late) = tokio::join!(self.run_with_calls(), during);
            (answered, late)
        };
        self.settle().await;
        let allotment = matches!(self.end, End::Allotted(_));
        if allotment {
            self.work(true, 0).await;
        }
        self.work(false, 1).await;
        crowd::bridge(&self.road).await;
        let road = &self.road;
        // What was promised and never paid ends with the offer.
        loop {
            let request = pb::ExpirePledgesRequest {
                request_id: crate::harness::id(),
                campaign: road.campaign.name.clone(),
                ..Default::default()
            };
            let expired = road.treasurer.pledges().expire_pledges(request).await;
            if expired.unwrap().into_inner().pledges.is_empty() {
                break;
            }
        }
        if allotment {
            step!(road, finish_allotment, FinishAllotmentRequest).unwrap();
        } else {
            step!(road, finish_refunding, FinishRefundingRequest).unwrap();
        }
        step!(road, archive_campaign, ArchiveCampaignRequest).unwrap();
        self.must_be_over().await;
        // Nothing that was answered is lost.
        let recorded: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT request_id FROM change")
            .fetch_all(&self.pool)
            .await
            .unwrap();
        for script in [&script, &late] {
            let met = recorded
                .iter()
                .filter(|id| script.of_request(**id).is_some());
            assert_eq!(met.count(), script.answered(), "seed {}", self.seed);
        }
        road.tester.must_be_clean(&road.campaign.name).await;
        println!(
            "seed {} {:?}: {} kills, {answered} calls beside the runs",
            self.seed, self.end, self.kills
        );
        assert!(answered > 0);
        for process in self.processes {
            process.terminate().await;
        }
        self.kills
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_every_road_ends_in_shares_or_money() {
    let story = |(seed, end)| async move {
        println!("seed {seed} {end:?}");
        let crowd = if seed == 11 { LARGE_CROWD } else { CROWD };
        Story::begin(seed, end, crowd).await.tell().await
    };
    // A few at a time: they mostly wait for processes to come back.
    let stories = stream::iter((11..).zip(ENDS)).map(story);
    let kills: Vec<usize> = stories.buffer_unordered(3).collect().await;
    assert!(kills.iter().sum::<usize>() >= 12, "{kills:?} during runs");
}
