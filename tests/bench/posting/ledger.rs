//! A hot campaign, and the commands that are fired at it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use pledgebook::{
    book::{Books, Peers, Settings},
    clock::Clock,
    domain::{
        Action, Command, Fingerprint, ManualEntry, ManualLine, Money, Outcome, Payer, Promise,
        Receipt,
        campaign::{FeeBearer, StageEvent, Terms, TermsDraft},
        payment::{Channel, Method, MoneyAccount},
    },
    id::{CampaignId, MemberId, MoneyAccountId, PaymentId, PledgeId, RequestId},
    ledger::{AccountKey, Code, Owner, Side},
    money::{Amount, Commodity, Currency},
    report::Reports,
    store::Store,
};
use time::macros::datetime;
use uuid::Uuid;

use crate::place::Place;

/// What is fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Kind {
    /// An entry of two lines on a hot account and one of 10,000 others: 3200 / 2800\[m\].
    Posting,
    /// A payment on a pledge: 1000 / 2100\[m\] and 9001 / 9000\[m\], with all that hangs on it.
    Payment,
    /// Payments with what comes with them: 3 in 100 fail, 3 in 100 are told twice,
    /// and each that succeeded has its fee.
    Mix,
}

/// A campaign in a database, by what another process needs to find it.
#[derive(Clone)]
pub struct Ledger {
    pub database: String,
    pub app: String,
    pub report: String,
    pub campaign: CampaignId,
    pub provider: MoneyAccountId,
}

/// The steps of a batch, as the book's metrics name them.
pub const STEPS: [&str; 5] = ["lock", "read", "decide", "write", "commit"];

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Ran {
    /// Commands that were done and answered.
    pub done: u64,
    /// How long it took.
    pub took: Duration,
    /// The database transactions that it took.
    pub batches: u64,
    /// Seconds in each of the batches' steps.
    pub steps: [f64; STEPS.len()],
}

impl Ran {
    pub fn per_second(&self) -> f64 {
        self.done as f64 / self.took.as_secs_f64()
    }

    pub fn batch(&self) -> f64 {
        self.done as f64 / self.batches.max(1) as f64
    }

    /// Where the time went, in hundredths.
    pub fn split(&self) -> String {
        let hundredths = |seconds: f64| 100.0 * seconds / self.took.as_secs_f64();
        let steps = STEPS.iter().zip(self.steps);
        let steps = steps.map(|(step, seconds)| format!("{step} {:.0} %", hundredths(seconds)));
        let rest = 100.0 - hundredths(self.steps.iter().sum());
        format!(
            "{}, callers {rest:.0} %",
            steps.collect::<Vec<_>>().join(", ")
        )
    }
}

pub fn eur() -> Currency {
    "EUR".parse().unwrap()
}

pub fn cents(units: i64) -> Money {
    Money {
        amount: Amount::of_units(units),
        currency: eur(),
    }
}

/// The ids of the n-th member and pledge are told by their number, so that every
/// process knows them; they sort like the version 7 ids that they stand for.
fn nth(kind: u128, n: usize) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | kind << 48 | n as u128)
}

pub fn member(n: usize) -> MemberId {
    MemberId(nth(1, n))
}

pub fn pledge(n: usize) -> PledgeId {
    PledgeId(nth(2, n))
}

/// A command as the gRPC layer builds it: a fingerprint of eight fields.
pub fn command(method: &'static str, action: Action) -> Command {
    let request_id = RequestId::mint();
    let (_, random) = request_id.0.as_u64_pair();
    Command {
        request_id,
        method: method.into(),
        principal: "key:01900000-0000-7000-8000-000000000000".to_owned(),
        fingerprint: Fingerprint {
            hashes: (2..=6)
                .map(|n| (n, (random ^ u64::from(n)).to_be_bytes()))
                .collect(),
            names: &[],
        },
        action,
    }
}

/// Spreads numbers over the members without an order.
fn scattered(n: u64, over: usize) -> usize {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % over
}

/// A payment's size in cents: mostly small, some large, with spikes at round figures.
pub fn size(n: u64) -> i64 {
    match scattered(n, 100) {
        0..=24 => 1_000,
        25..=44 => 2_500,
        45..=59 => 5_000,
        60..=79 => 10_000 + scattered(n, 9_000) as i64,
        80..=94 => 25_000,
        _ => 100_000,
    }
}

/// A two-line posting: interest for one of the members.
fn posting(n: u64, of: usize) -> Command {
    let account = |code, owner| AccountKey {
        code,
        commodity: Commodity::Currency(eur()),
        owner,
    };
    let member = Owner::Member(member(of));
    let line = |account, side| ManualLine {
        account,
        side,
        amount: cents(size(n)),
    };
    command(
        "PostEntry",
        Action::PostEntry(ManualEntry {
            lines: vec![
                line(account(Code::Reserve, Owner::Nobody), Side::Debit),
                line(account(Code::ShareInterestPayable, member), Side::Credit),
            ],
            occurred_at: None,
            value_date: None,
            reason: "interest".to_owned(),
        }),
    )
}

impl Ledger {
    fn payment(&self, n: u64, of: usize) -> Command {
        let request = Uuid::now_v7().simple().to_string();
        let receipt = Receipt {
            payment: PaymentId::mint(),
            channel: Channel::Provider,
            account: self.provider,
            object_id: format!("ch_{}", &request[8..]),
            gross: cents(size(n)),
            payer: Payer::Pledge(pledge(of)),
            unknown_payer_is_unallocated: false,
            method: Method::Card,
            occurred_at: None,
            value_date: None,
            available_on: None,
            corrects: None,
        };
        command("RecordPayment", Action::RecordReceipt(receipt))
    }

    /// What happens around the n-th payment, in order.
    fn mix(&self, n: u64, of: usize) -> Vec<Command> {
        let paid = self.payment(n, of);
        let Action::RecordReceipt(receipt) = &paid.action else {
            unreachable!("a payment is a receipt");
        };
        let (payment, object) = (receipt.payment, receipt.object_id.clone());
        match scattered(n, 100) {
            0..=2 => vec![command(
                "RecordPaymentFailure",
                Action::RecordFailure {
                    payment,
                    account: self.provider,
                    object_id: object,
                    failure_code: "card_declined".to_owned(),
                    gross: Some(receipt.gross),
                    pledge: None,
                    occurred_at: None,
                    value_date: None,
                },
            )],
            at => {
                let fee = command(
                    "RecordPaymentFee",
                    Action::RecordFee {
                        payment,
                        object_id: format!("txn_{object}"),
                        fee: cents(30 + size(n) * 29 / 1_000),
                        occurred_at: None,
                        value_date: None,
                    },
                );
                let twice = (at < 6).then(|| command("RecordPayment", paid.action.clone()));
                [Some(paid), twice, Some(fee)]
                    .into_iter()
                    .flatten()
                    .collect()
            }
        }
    }

    /// A campaign that does not exist yet, in a database that does.
    pub fn named(place: &Place, database: &str) -> Self {
        Self {
            database: database.to_owned(),
            app: place.url("pledgebook_app", database),
            report: place.url("pledgebook_report", database),
            campaign: CampaignId::mint(),
            provider: MoneyAccountId::mint(),
        }
    }

    /// A database with a campaign that is open, so many members, and a pledge of each.
    pub async fn found(place: &Place, database: &str, members: usize) -> Self {
        place.database(database).await;
        let ledger = Self::named(place, database);
        let loader = Loader::open(&ledger).await;
        loader.store.head_ensure(ledger.campaign).await.unwrap();
        for command in ledger.opening() {
            loader.done(command).await;
        }
        let each = |make: fn(usize) -> Command| {
            let calls = (0..members).map(make);
            futures::future::join_all(calls.map(|command| loader.done(command)))
        };
        // Fewer at once than the queue holds.
        const { assert!(crate::MEMBERS <= 20_000) };
        each(member_of).await;
        each(pledge_of).await;
        loader.books.drain().await;
        loader.store.close().await;
        ledger
    }

    /// The same campaign in a database of its own.
    pub async fn copied(&self, place: &Place, database: &str) -> Self {
        place.copy(&self.database, database).await;
        Self {
            database: database.to_owned(),
            app: place.url("pledgebook_app", database),
            report: place.url("pledgebook_report", database),
            ..self.clone()
        }
    }

    fn opening(&self) -> Vec<Command> {
        let deadline = datetime!(2099-01-01 0:00 UTC);
        self.opening_with(Amount::of_units(100_000_000_000_000), deadline, 7)
    }

    /// The commands that open the campaign; it succeeds with this minimum, which is its
    /// target too.
    pub fn opening_with(
        &self,
        minimum: Amount,
        deadline: time::OffsetDateTime,
        card_clearing_days: i32,
    ) -> Vec<Command> {
        let terms = Terms {
            version: 0,
            target: minimum,
            minimum,
            maximum: Amount::MAX,
            deadline,
            minimum_members: 0,
            fee_bearer: FeeBearer::Underwriter,
            fee_bearer_note: String::new(),
            card_clearing_days,
            direct_debit_clearing_days: 60,
            bank_transfer_clearing_days: 1,
        };
        let move_to = |event| {
            let reason = String::new();
            command("Move", Action::MoveCampaign { event, reason })
        };
        let currency = eur();
        vec![
            command(
                "CreateCampaign",
                Action::CreateCampaign {
                    display_name: "A hot campaign".to_owned(),
                    description: String::new(),
                    currency,
                    terms: TermsDraft { currency, terms },
                },
            ),
            move_to(StageEvent::StartGathering),
            move_to(StageEvent::StartPledging),
            command(
                "RegisterProviderAccount",
                Action::RegisterMoneyAccount {
                    account: MoneyAccount {
                        id: self.provider,
                        channel: Channel::Provider,
                        institution: "stripe".to_owned(),
                        external_id: "acct_hot".to_owned(),
                        currency,
                        livemode: true,
                    },
                },
            ),
            move_to(StageEvent::Open),
        ]
    }

    /// `check` finds nothing.
    pub async fn must_be_clean(&self) {
        let store = Store::connect_to_read(&self.report, 2).await.unwrap();
        let found = Reports::new(store.pool().clone())
            .check(self.campaign)
            .await;
        let found = found.unwrap();
        assert!(found.differences.is_empty(), "{:?}", found.differences);
        println!(
            "check of {}: {} entries, {} rules, no differences",
            self.database,
            found.entry_number,
            found.rules.len()
        );
    }
}

pub fn member_of(n: usize) -> Command {
    let mut email_hash = [0; 32];
    email_hash[..8].copy_from_slice(&(n as u64).to_be_bytes());
    command(
        "CreateMember",
        Action::CreateMember {
            member: member(n),
            display_name: format!("Member {n}"),
            email: format!("{n}@example.org"),
            email_hash,
        },
    )
}

fn pledge_of(n: usize) -> Command {
    command(
        "CreatePledge",
        Action::CreatePledge {
            pledge: pledge(n),
            member: member(n),
            promise: Promise::Amount(cents(50_000_000_000)),
            share_class: None,
            expires_at: None,
        },
    )
}

/// Fires commands at a campaign from this process.
#[derive(Clone)]
pub struct Loader {
    pub store: Store,
    pub books: Books,
    pub ledger: Ledger,
    next: Arc<AtomicU64>,
}

impl Loader {
    pub async fn open(ledger: &Ledger) -> Self {
        Self::among(ledger, None).await
    }

    /// Beside other processes that do the same, and can be reached.
    pub async fn among(ledger: &Ledger, peers: Option<Arc<dyn Peers>>) -> Self {
        let store = Store::connect(&ledger.app, 8).await.unwrap();
        let settings = Settings {
            queue: 20_000,
            ..Settings::default()
        };
        Self {
            books: Books::among(store.clone(), Clock::default(), settings, peers),
            store,
            ledger: ledger.clone(),
            next: Arc::new(AtomicU64::new(u64::from(std::process::id()))),
        }
    }

    /// Carries a command out, which has to be done.
    pub async fn done(&self, command: Command) {
        let method = command.method.clone();
        let outcome = self.books.submit(self.ledger.campaign, command, None).await;
        match outcome.unwrap() {
            Outcome::Done(_) | Outcome::RecordedBefore { .. } => {}
            other => panic!("{method}: {other:?}"),
        }
    }

    async fn one(&self, kind: Kind) -> u64 {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        self.of_member(kind, n, scattered(n, crate::MEMBERS)).await
    }

    /// Something for every member, so that the book knows them all.
    pub async fn meet(&self, kind: Kind) {
        let each = (0_u64..).zip(0..crate::MEMBERS);
        let each = each.map(|(n, of)| self.of_member(kind, n, of));
        futures::future::join_all(each).await;
    }

    async fn of_member(&self, kind: Kind, n: u64, of: usize) -> u64 {
        match kind {
            Kind::Posting => self.done(posting(n, of)).await,
            Kind::Payment => self.done(self.ledger.payment(n, of)).await,
            Kind::Mix => {
                let commands = self.ledger.mix(n, of);
                let count = commands.len() as u64;
                for command in commands {
                    self.done(command).await;
                }
                return count;
            }
        }
        1
    }

    /// So many callers, each asking again as soon as it is answered.
    pub async fn closed_loop(&self, kind: Kind, callers: usize, run: Duration) -> Ran {
        let begun = Instant::now();
        let until = begun + run;
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let loader = self.clone();
                tokio::spawn(async move {
                    let mut done = 0;
                    while Instant::now() < until {
                        done += loader.one(kind).await;
                    }
                    done
                })
            })
            .collect();
        let mut ran = Ran::default();
        for task in tasks {
            ran.done += task.await.unwrap();
        }
        ran.took = begun.elapsed();
        ran
    }

    /// So many commands, by so many callers.
    pub async fn fill(&self, kind: Kind, how_many: u64) {
        let share = how_many / crate::HOT as u64 + 1;
        let tasks: Vec<_> = (0..crate::HOT)
            .map(|_| {
                let loader = self.clone();
                tokio::spawn(async move {
                    for _ in 0..share {
                        loader.one(kind).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}
