//! Batches that are decided and written before the one before them is committed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pledgebook::{
    book::{BookError, Books, Settings},
    domain::{
        Action, Command, Fingerprint, ManualEntry, ManualLine, Money, Outcome, Payer, Receipt,
        payment,
    },
    id::{CampaignId, MoneyAccountId, PaymentId, PledgeId, RequestId, SignatureId},
    ledger::{AccountKey, Code, Owner, Side},
    money::{Amount, Commodity},
    store::Store,
};
use uuid::{Timestamp, Uuid};

use crate::harness::{Campaign, Tester};

/// Small batches, each of which goes ahead of the one before it.
fn eager() -> Settings {
    Settings {
        batch_cap: 8,
        ahead: 1,
        ..Settings::default()
    }
}

/// A batch goes ahead when three commands wait.
fn in_threes() -> Settings {
    Settings {
        ahead: 3,
        ..Settings::default()
    }
}

fn last<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &str) -> T {
    name.rsplit('/').next().unwrap().parse().unwrap()
}

struct Payments {
    campaign: CampaignId,
    account: MoneyAccountId,
    pledge: PledgeId,
}

impl Payments {
    /// A campaign with a pledge of a hundred thousand.
    async fn open(tester: &Tester) -> (Self, Campaign) {
        let campaign = Campaign::open(tester, "EUR").await;
        let member = campaign.member(tester, "ada@example.org").await;
        let pledge = campaign.pledge(tester, &member, "100000").await;
        let payments = Self {
            campaign: last(&campaign.name),
            account: last(&campaign.provider),
            pledge: last(&pledge),
        };
        (payments, campaign)
    }

    /// A euro on the pledge.
    fn payment(&self, object_id: &str) -> Command {
        let action = Action::RecordReceipt(Receipt {
            payment: PaymentId::mint(),
            channel: payment::Channel::Provider,
            account: self.account,
            object_id: object_id.to_owned(),
            gross: Money {
                amount: Amount::of_units(100),
                currency: "EUR".parse().unwrap(),
            },
            payer: Payer::Pledge(self.pledge),
            unknown_payer_is_unallocated: false,
            method: payment::Method::Card,
            occurred_at: None,
            value_date: None,
            available_on: None,
            corrects: None,
        });
        command("RecordPayment", action)
    }

    /// The same euro did not come after all.
    fn failure(&self, object_id: &str) -> Command {
        let action = Action::RecordFailure {
            payment: PaymentId::mint(),
            account: self.account,
            object_id: object_id.to_owned(),
            failure_code: "insufficient_funds".to_owned(),
            gross: None,
            pledge: None,
            occurred_at: None,
            value_date: None,
        };
        command("RecordPaymentFailure", action)
    }
}

fn command(method: &'static str, action: Action) -> Command {
    Command {
        request_id: RequestId(Uuid::now_v7()),
        method: method.into(),
        principal: "test".to_owned(),
        fingerprint: Fingerprint::default(),
        action,
    }
}

/// Interest of a euro, by hand.
fn interest() -> Command {
    let currency = "EUR".parse().unwrap();
    let line = |code, side| ManualLine {
        account: AccountKey {
            code,
            commodity: Commodity::Currency(currency),
            owner: Owner::Nobody,
        },
        side,
        amount: Money {
            amount: Amount::of_units(100),
            currency,
        },
    };
    let entry = ManualEntry {
        lines: vec![
            line(Code::Reserve, Side::Debit),
            line(Code::Interest, Side::Credit),
        ],
        occurred_at: None,
        value_date: None,
        reason: "interest".to_owned(),
    };
    command("PostEntry", Action::PostEntry(entry))
}

type Answer = Result<Outcome, BookError>;

async fn submit(books: &Books, campaign: CampaignId, commands: &[Command]) -> Vec<Answer> {
    let submitted = commands
        .iter()
        .map(|command| books.submit(campaign, command.clone(), None));
    futures::future::join_all(submitted).await
}

async fn count(tester: &Tester, query: &str) -> i64 {
    let pool = tester.database.pool("postgres").await;
    sqlx::query_scalar(sqlx::AssertSqlSafe(query.to_owned()))
        .fetch_one(&pool)
        .await
        .unwrap()
}

/// Waits until the database answers so.
async fn becomes(tester: &Tester, query: &str, answer: i64) {
    while count(tester, query).await != answer {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until so many batches have begun, of those that are counted.
async fn begun(tester: &Tester, how_many: i64) {
    let enough = format!("SELECT (last_value >= {how_many})::int::bigint FROM begun");
    becomes(tester, &enough, 1).await;
}

/// Books of another server, on the same database.
async fn books(tester: &Tester, settings: Settings) -> Books {
    let store = Store::connect(&tester.database.url("pledgebook_app"), 4).await;
    Books::new(store.unwrap(), tester.clock.clone(), settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_again_while_it_is_written_posts_once() {
    let tester = Tester::start_with(eager()).await;
    let (payments, campaign) = Payments::open(&tester).await;
    let books = &tester.server.app.books;
    // Each request three times and each movement under four request ids, spread so that
    // the repetitions meet the first one while its batch is aloft.
    let mut commands = Vec::new();
    for n in 0..100 {
        let first = payments.payment(&format!("ch_{n}"));
        let others = (0..3).map(|_| payments.payment(&format!("ch_{n}")));
        let others: Vec<Command> = others.collect();
        commands.extend([first.clone(), first.clone(), first]);
        commands.extend(others);
    }
    let answers = submit(books, payments.campaign, &commands).await;
    let outcomes: Vec<Outcome> = answers.into_iter().map(Result::unwrap).collect();
    for of_one in outcomes.chunks(6) {
        let Outcome::Done(done) = &of_one[0] else {
            panic!("{:?}", of_one[0]);
        };
        for replayed in &of_one[1..3] {
            assert_eq!(*replayed, Outcome::Replayed(done.change));
        }
        for known in &of_one[3..] {
            let Outcome::RecordedBefore { same_as, .. } = known else {
                panic!("{known:?}");
            };
            assert_eq!(*same_as, done.change);
        }
    }
    assert_eq!(count(&tester, "SELECT count(*) FROM payment").await, 100);
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_on_a_refused_batch_is_decided_again() {
    let tester = Tester::start_with(eager()).await;
    let (payments, campaign) = Payments::open(&tester).await;
    let poison = "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'poison' USING ERRCODE = '23514', CONSTRAINT = 'poison'; END $$;
        CREATE TRIGGER poison BEFORE INSERT ON payment FOR EACH ROW
        WHEN (NEW.object_id LIKE 'bad%') EXECUTE FUNCTION poison()";
    tester.database.execute("postgres", poison).await.unwrap();
    let commands: Vec<Command> = (0..200)
        .map(|n| match n % 40 {
            0 => payments.payment(&format!("bad_{n}")),
            _ => payments.payment(&format!("ch_{n}")),
        })
        .collect();
    let answers = submit(&tester.server.app.books, payments.campaign, &commands).await;
    for (n, answer) in answers.iter().enumerate() {
        match n % 40 {
            0 => assert!(matches!(answer, Err(BookError::Fault { .. })), "{answer:?}"),
            _ => assert!(matches!(answer, Ok(Outcome::Done(_))), "{answer:?}"),
        }
    }
    assert_eq!(count(&tester, "SELECT count(*) FROM payment").await, 195);
    tester.must_be_clean(&campaign.name).await;
}

/// Counts the batches that begin, and those under the lock: one holds the campaign's lock alone,
/// beside its own. A sequence goes on when what it was asked for is rolled back.
const COUNTED: &str = "CREATE SEQUENCE begun;
    CREATE SEQUENCE under_the_lock;
    GRANT USAGE ON begun, under_the_lock TO pledgebook_app;
    CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN
        PERFORM nextval('begun');
        IF 1 < (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()
            AND locktype = 'advisory' AND mode = 'ExclusiveLock')
        THEN
            PERFORM nextval('under_the_lock');
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER a_counted BEFORE INSERT ON change FOR EACH STATEMENT EXECUTE FUNCTION counted()";

/// A batch that changes the rows of the one before it waits for it and is not refused: a server
/// that is alone has nothing to decide again.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_does_not_pass_the_one_before_it() {
    let tester = Tester::start().await;
    let (payments, campaign) = Payments::open(&tester).await;
    tester.database.execute("postgres", COUNTED).await.unwrap();
    let every_other_is_slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN
            PERFORM pg_sleep(0.05 * ((SELECT last_value FROM begun) % 2));
            RETURN NULL;
        END $$;
        GRANT SELECT ON begun TO pledgebook_app;
        CREATE TRIGGER b_slow BEFORE INSERT ON change FOR EACH STATEMENT EXECUTE FUNCTION slow()";
    let slow = tester.database.execute("postgres", every_other_is_slow);
    slow.await.unwrap();
    let books = books(&tester, eager()).await;
    // Half of sixteen payments fail in the next batch: the last ones first, which the batch
    // before comes to last.
    let mut commands = Vec::new();
    for round in 0..10 {
        let object = |n| format!("ch_{round}_{n}");
        commands.extend((0..16).map(|n| payments.payment(&object(n))));
        commands.extend((8..16).rev().map(|n| payments.failure(&object(n))));
    }
    for answer in submit(&books, payments.campaign, &commands).await {
        assert!(matches!(answer, Ok(Outcome::Done(_))), "{answer:?}");
    }
    // The first batch.
    let locked = count(&tester, "SELECT last_value FROM under_the_lock").await;
    assert_eq!(locked, 1);
    tester.must_be_clean(&campaign.name).await;
}

/// A batch that is there before the one before it has begun is refused, and written again as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_early_is_written_again() {
    let tester = Tester::start().await;
    let (payments, campaign) = Payments::open(&tester).await;
    tester.database.execute("postgres", COUNTED).await.unwrap();
    let books = books(&tester, in_threes()).await;
    // All accounts are open then.
    submit(
        &books,
        payments.campaign,
        &[payments.payment("ch_0"), interest()],
    )
    .await;
    let pool = tester.database.pool("postgres").await;
    let mut stop = pool.begin().await.unwrap();
    // Nobody inserts an effect, and a batch that is to cannot begin.
    let lock = "LOCK TABLE effect IN SHARE MODE";
    sqlx::query(lock).execute(&mut *stop).await.unwrap();
    let first = [payments.payment("ch_1")];
    let mut first = Box::pin(submit(&books, payments.campaign, &first));
    assert!(futures::poll!(&mut first).is_pending());
    let stopped = "SELECT count(*) FROM pg_locks
        WHERE relation = 'effect'::regclass AND NOT granted";
    becomes(&tester, stopped, 1).await;
    let early = [interest(), interest(), interest()];
    let mut early = Box::pin(submit(&books, payments.campaign, &early));
    assert!(futures::poll!(&mut early).is_pending());
    begun(&tester, 2).await;
    let at_work = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND usename = 'pledgebook_app' AND state = 'active'";
    becomes(&tester, at_work, 1).await;
    stop.rollback().await.unwrap();
    for answer in [first.await, early.await].concat() {
        assert!(matches!(answer, Ok(Outcome::Done(_))), "{answer:?}");
    }
    // The early one twice, and none but what the book began with under the lock.
    assert_eq!(count(&tester, "SELECT last_value FROM begun").await, 4);
    assert_eq!(
        count(&tester, "SELECT last_value FROM under_the_lock").await,
        1
    );
    tester.must_be_clean(&campaign.name).await;
}

/// From the second batch that is begun on, two stop, each until its lock, 42 or 43, is free.
const STOPPED: &str = "CREATE SEQUENCE begun;
    GRANT USAGE ON begun TO pledgebook_app;
    CREATE FUNCTION begins() RETURNS trigger LANGUAGE plpgsql AS
    $$ DECLARE nth bigint := nextval('begun'); BEGIN
        IF nth IN (2, 3) THEN PERFORM pg_advisory_xact_lock(40 + nth); END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER a_begins BEFORE INSERT ON change FOR EACH STATEMENT
    EXECUTE FUNCTION begins()";

/// Books whose batches stop so, and go ahead when three commands wait.
async fn stopping_books(tester: &Tester) -> Books {
    tester.database.execute("postgres", STOPPED).await.unwrap();
    books(tester, in_threes()).await
}

/// A batch that takes its time keeps nobody waiting but those whom it carries: as soon as enough
/// has come meanwhile, the next one is under way too.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_batch_begins_while_one_is_written() {
    let tester = Tester::start().await;
    let (payments, campaign) = Payments::open(&tester).await;
    let books = stopping_books(&tester).await;
    let submit_all = |objects: &[&str]| {
        let commands: Vec<Command> = objects.iter().map(|of| payments.payment(of)).collect();
        let (books, campaign) = (books.clone(), payments.campaign);
        tokio::spawn(async move { submit(&books, campaign, &commands).await })
    };
    // What a book begins with is written under the lock.
    submit_all(&["ch_0"]).await.unwrap();
    let pool = tester.database.pool("postgres").await;
    let mut stop = pool.begin().await.unwrap();
    let lock = "SELECT FROM pg_advisory_xact_lock(42)";
    sqlx::query(lock).execute(&mut *stop).await.unwrap();
    let begun = async |how_many| begun(&tester, how_many).await;
    let first = submit_all(&["ch_1"]);
    begun(2).await;
    let others = submit_all(&["ch_2", "ch_3", "ch_4"]);
    let beside = tokio::time::timeout(Duration::from_secs(5), begun(3)).await;
    assert!(beside.is_ok(), "the second batch waits for the first");
    assert!(!first.is_finished() && !others.is_finished());
    stop.rollback().await.unwrap();
    for answer in [first.await.unwrap(), others.await.unwrap()].concat() {
        assert!(matches!(answer, Ok(Outcome::Done(_))), "{answer:?}");
    }
    tester.must_be_clean(&campaign.name).await;
}

/// Whether a batch of payments, on the same pledge or on another one, has its headers asked about
/// while the one before it is stopped.
async fn asks_beside(on_the_same: bool) -> bool {
    let tester = Tester::start().await;
    let (payments, campaign) = Payments::open(&tester).await;
    let member = campaign.member(&tester, "grace@example.org").await;
    let pledge = campaign.pledge(&tester, &member, "100000").await;
    let others = Payments {
        pledge: last(&pledge),
        ..payments
    };
    let books = stopping_books(&tester).await;
    // Everybody's accounts are open, and what a book begins with is written under the lock.
    let known = [payments.payment("ch_0"), others.payment("ch_1")];
    submit(&books, payments.campaign, &known).await;
    let asked = "CREATE SEQUENCE asked;
        GRANT USAGE ON asked TO pledgebook_app;
        CREATE FUNCTION asks() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM nextval('asked'); RETURN NULL; END $$;
        CREATE TRIGGER z_asks AFTER INSERT ON journal_entry FOR EACH STATEMENT
        EXECUTE FUNCTION asks()";
    tester.database.execute("postgres", asked).await.unwrap();
    let pool = tester.database.pool("postgres").await;
    let mut stop = pool.begin().await.unwrap();
    let lock = "SELECT FROM pg_advisory_xact_lock(42)";
    sqlx::query(lock).execute(&mut *stop).await.unwrap();
    let begun = async |how_many| begun(&tester, how_many).await;
    let first = [payments.payment("ch_2")];
    let mut first = Box::pin(submit(&books, payments.campaign, &first));
    assert!(futures::poll!(&mut first).is_pending());
    begun(2).await;
    let of = if on_the_same { &payments } else { &others };
    let second = ["ch_3", "ch_4", "ch_5"].map(|object| of.payment(object));
    let mut second = Box::pin(submit(&books, payments.campaign, &second));
    assert!(futures::poll!(&mut second).is_pending());
    begun(3).await;
    // Long for a batch that does, and short for a test that waits for one that does not.
    let until = Instant::now() + Duration::from_secs(if on_the_same { 1 } else { 30 });
    let mut asks = false;
    while !asks && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
        asks = count(&tester, "SELECT is_called::int::bigint FROM asked").await > 0;
    }
    stop.rollback().await.unwrap();
    for answer in [first.await, second.await].concat() {
        assert!(matches!(answer, Ok(Outcome::Done(_))), "{answer:?}");
    }
    // It waited, and was not refused for being early and written twice.
    assert_eq!(count(&tester, "SELECT last_value FROM begun").await, 3);
    tester.must_be_clean(&campaign.name).await;
    asks
}

/// What a batch's rows say of each other is asked before the batch before it is committed, but
/// where both change the same row.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_asks_alone_before_it_waits() {
    assert!(asks_beside(false).await);
    assert!(!asks_beside(true).await);
}

/// The sizes of the last batches, when one of 1 and one of 3 are under way and 20 commands wait,
/// and so many items of a run.
async fn sizes_beside_items(items: u8) -> Vec<i64> {
    let tester = Tester::start().await;
    let (payments, campaign) = Payments::open(&tester).await;
    let books = stopping_books(&tester).await;
    let all: Vec<Command> = (0..25)
        .map(|n| payments.payment(&format!("ch_{n}")))
        .collect();
    // What a book begins with is written under the lock.
    submit(&books, payments.campaign, &all[..1]).await;
    let pool = tester.database.pool("postgres").await;
    let mut stops = Vec::new();
    for lock in [42, 43] {
        let mut stop = pool.begin().await.unwrap();
        let lock = format!("SELECT FROM pg_advisory_xact_lock({lock})");
        let lock = sqlx::query(sqlx::AssertSqlSafe(lock));
        lock.execute(&mut *stop).await.unwrap();
        stops.push(stop);
    }
    let begun = async |how_many| begun(&tester, how_many).await;
    let mut answers = Vec::new();
    for (nth, commands) in [(2, &all[1..2]), (3, &all[2..5])] {
        let mut asked = Box::pin(submit(&books, payments.campaign, commands));
        assert!(futures::poll!(&mut asked).is_pending());
        answers.push(asked);
        begun(nth).await;
    }
    let mut asked = Box::pin(submit(&books, payments.campaign, &all[5..]));
    assert!(futures::poll!(&mut asked).is_pending());
    answers.push(asked);
    let mut worked = Vec::new();
    for n in 0..items {
        let sign = Action::Sign {
            signature: SignatureId(Uuid::now_v7()),
            display_name: format!("Supporter {n}"),
            email: format!("{n}@example.org"),
            email_hash: [n; 32],
        };
        let item = books.queue_item(payments.campaign, command("Sign", sign));
        worked.push(item.await.unwrap());
    }
    for (stop, nth) in stops.into_iter().zip([4, 5]) {
        stop.rollback().await.unwrap();
        // With items it may wait for those that are under way before it begins.
        if items == 0 {
            begun(nth).await;
        }
    }
    for answer in futures::future::join_all(answers).await.concat() {
        assert!(matches!(answer, Ok(Outcome::Done(_))), "{answer:?}");
    }
    for item in worked {
        assert!(matches!(item.outcome().await, Ok(Outcome::Done(_))));
    }
    tester.must_be_clean(&campaign.name).await;
    let sizes: Vec<i64> = sqlx::query_scalar(
        "SELECT count(*)
         FROM (SELECT count(batch) OVER (ORDER BY change_no) AS nth FROM change) AS of_a_batch
         GROUP BY nth ORDER BY nth",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let first = sizes.iter().position(|size| *size == 3).unwrap();
    sizes[first - 1..].to_vec()
}

/// What waits while a batch is under way is shared with that one: two of a size are written
/// beside each other, and not all that waits beside the few that went before.
#[tokio::test(flavor = "multi_thread")]
async fn batches_beside_each_other_share_what_waits() {
    // The three under way and the twenty that wait are 23.
    assert_eq!(sizes_beside_items(0).await, [1, 3, 12, 8]);
}

/// However many ask, a run goes on: its items are in the next batch, which takes everybody.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shared_out_while_items_of_a_run_wait() {
    assert_eq!(sizes_beside_items(5).await, [1, 3, 25]);
}

/// A request id that was made after the book began, by its caller's clock, is not looked for. If
/// that clock was fast, it may have an outcome from before: the database refuses its batch then.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_from_the_future_is_answered_as_before() {
    let tester = Tester::start().await;
    let (payments, campaign) = Payments::open(&tester).await;
    tester.database.execute("postgres", COUNTED).await.unwrap();
    let batches = async || count(&tester, "SELECT last_value FROM begun").await;
    let begun = u64::try_from(tester.clock.now().unix_timestamp()).unwrap();
    let made_in = |seconds| {
        let made = Timestamp::from_unix_time(begun + seconds, 0, 0, 0);
        Command {
            request_id: RequestId(Uuid::new_v7(made)),
            ..interest()
        }
    };
    let pass_half_a_minute = || tester.clock.shift(time::Duration::seconds(30));
    let fast = [made_in(30), made_in(60)];
    let here = &tester.server.app.books;
    for answer in submit(here, payments.campaign, &fast).await {
        assert!(matches!(answer, Ok(Outcome::Done(_))), "{answer:?}");
    }
    // Other books begin, and then it is as late as that clock said.
    let there = books(&tester, eager()).await;
    submit(&there, payments.campaign, &[interest()]).await;
    pass_half_a_minute();
    let among_others = [interest(), fast[0].clone(), interest()];
    let answers = submit(&there, payments.campaign, &among_others).await;
    assert!(
        matches!(answers[1], Ok(Outcome::Replayed(_))),
        "{answers:?}"
    );
    for answer in [&answers[0], &answers[2]] {
        assert!(matches!(answer, Ok(Outcome::Done(_))), "{answer:?}");
    }
    pass_half_a_minute();
    let before = batches().await;
    let alone = submit(&there, payments.campaign, &fast[1..]).await;
    assert!(matches!(alone[0], Ok(Outcome::Replayed(_))), "{alone:?}");
    assert_eq!(batches().await, before + 1, "it was looked for");
    // What these books have recorded themselves is looked for, and no batch refused for it.
    submit(&there, payments.campaign, &[interest()]).await;
    pass_half_a_minute();
    let own = [made_in(90)];
    let done = submit(&there, payments.campaign, &own).await;
    assert!(matches!(done[0], Ok(Outcome::Done(_))), "{done:?}");
    // What the last batch recorded is known anyway.
    submit(&there, payments.campaign, &[interest()]).await;
    let before = batches().await;
    let again = submit(&there, payments.campaign, &own).await;
    assert!(matches!(again[0], Ok(Outcome::Replayed(_))), "{again:?}");
    assert_eq!(batches().await, before, "it was not looked for");
    tester.must_be_clean(&campaign.name).await;
}

/// What becomes of a payment is decided on the payment as it is in the database and on the
/// pledge as it was kept, until the fence says that another server has written meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_on_a_mixture_of_old_and_new_is_decided_again() {
    let tester = Tester::start_with(eager()).await;
    let (payments, campaign) = Payments::open(&tester).await;
    let there = books(&tester, eager()).await;
    let here = &tester.server.app.books;
    // The book of the server here has the pledge from when it was made, with nothing paid.
    let paid = submit(&there, payments.campaign, &[payments.payment("ch_1")]).await;
    assert!(matches!(paid[0], Ok(Outcome::Done(_))), "{paid:?}");
    let failed = submit(here, payments.campaign, &[payments.failure("ch_1")]).await;
    assert!(matches!(failed[0], Ok(Outcome::Done(_))), "{failed:?}");
    tester.must_be_clean(&campaign.name).await;
}

/// Two books on one campaign, each of which believes at first that it is alone: what a batch was
/// decided on is the fence between them.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_go_ahead_do_not_pass_each_other() {
    let tester = Tester::start_with(eager()).await;
    let (payments, campaign) = Payments::open(&tester).await;
    let there = books(&tester, eager()).await;
    let here = tester.server.app.books.clone();
    let payments = Arc::new(payments);
    for round in 0..12 {
        // Each of them alone for a while, so that it goes ahead; then both at once, with
        // every third movement told to both.
        for books in [&here, &there] {
            let alone: Vec<Command> = (0..24)
                .map(|_| payments.payment(&Uuid::now_v7().to_string()))
                .collect();
            for answer in submit(books, payments.campaign, &alone).await {
                assert!(matches!(answer, Ok(Outcome::Done(_))), "{answer:?}");
            }
        }
        let both: Vec<Command> = (0..90)
            .map(|n| payments.payment(&format!("ch_{round}_{n}")))
            .collect();
        let mut twice = both[60..].to_vec();
        twice.extend_from_slice(&both[..30]);
        let (first, second) = tokio::join!(
            submit(&here, payments.campaign, &both[..60]),
            submit(&there, payments.campaign, &twice)
        );
        let done = first.iter().chain(&second);
        let done = done.filter(|answer| matches!(answer, Ok(Outcome::Done(_))));
        assert_eq!(done.count(), 90);
    }
    tokio::time::timeout(Duration::from_secs(10), there.drain())
        .await
        .unwrap();
    let all = 12 * (48 + 90);
    assert_eq!(count(&tester, "SELECT count(*) FROM payment").await, all);
    tester.must_be_clean(&campaign.name).await;
}
