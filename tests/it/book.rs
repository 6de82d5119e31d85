//! The book: batches, poison, two servers on one database.

use pledgebook::{
    access::Role,
    book::{BookError, Settings},
    domain::{
        Action, Command, Fingerprint, Money, Payer, Promise, Receipt,
        campaign::{FeeBearer, StageEvent, Terms, TermsDraft},
        payment::{Channel, Method, MoneyAccount},
    },
    grpc::pb,
    id::{CampaignId, MemberId, MoneyAccountId, PaymentId, PledgeId, RequestId},
    money::{Amount, Currency},
};
use time::macros::datetime;

use crate::harness::{Campaign, Clients, Tester, id, reason, text};

fn command(method: &'static str, action: Action) -> Command {
    Command {
        request_id: RequestId::mint(),
        method: method.into(),
        principal: "test".to_owned(),
        fingerprint: Fingerprint::default(),
        action,
    }
}

fn eur() -> Currency {
    "EUR".parse().unwrap()
}

fn cents(units: i64) -> Money {
    Money {
        amount: Amount::of_units(units),
        currency: eur(),
    }
}

fn setting_up(account: MoneyAccountId) -> Vec<Command> {
    let terms = Terms {
        version: 0,
        target: Amount::of_units(500_000),
        minimum: Amount::of_units(100_000),
        maximum: Amount::of_units(600_000),
        deadline: datetime!(2030-01-01 0:00 UTC),
        minimum_members: 0,
        fee_bearer: FeeBearer::Underwriter,
        fee_bearer_note: String::new(),
        card_clearing_days: 7,
        direct_debit_clearing_days: 60,
        bank_transfer_clearing_days: 1,
    };
    let move_to = |event| {
        let reason = String::new();
        command("Move", Action::MoveCampaign { event, reason })
    };
    vec![
        command(
            "CreateCampaign",
            Action::CreateCampaign {
                display_name: "Club".to_owned(),
                description: String::new(),
                currency: eur(),
                terms: TermsDraft {
                    currency: eur(),
                    terms,
                },
            },
        ),
        move_to(StageEvent::StartGathering),
        move_to(StageEvent::StartPledging),
        command(
            "Register",
            Action::RegisterMoneyAccount {
                account: MoneyAccount {
                    id: account,
                    channel: Channel::Provider,
                    institution: "stripe".to_owned(),
                    external_id: "acct_1".to_owned(),
                    currency: eur(),
                    livemode: true,
                },
            },
        ),
        move_to(StageEvent::Open),
    ]
}

/// What happens to 40 members: pledges, payments in parts, over and twice, fees,
/// failures, refusals, and requests that come again.
fn happenings(account: MoneyAccountId) -> Vec<Command> {
    let mut commands = Vec::new();
    for n in 0..40_u8 {
        let (member, pledge, payment) = (MemberId::mint(), PledgeId::mint(), PaymentId::mint());
        commands.push(command(
            "CreateMember",
            Action::CreateMember {
                member,
                display_name: format!("Member {n}"),
                email: format!("{n}@example.org"),
                email_hash: [n; 32],
            },
        ));
        commands.push(command(
            "CreatePledge",
            Action::CreatePledge {
                pledge,
                member,
                promise: Promise::Amount(cents(1_000 * (i64::from(n) + 1))),
                share_class: None,
                expires_at: None,
            },
        ));
        let receipt = |payment, object: String, units| {
            let receipt = Receipt {
                payment,
                channel: Channel::Provider,
                account,
                object_id: object,
                gross: cents(units),
                payer: Payer::Pledge(pledge),
                unknown_payer_is_unallocated: false,
                method: Method::Card,
                occurred_at: None,
                value_date: None,
                available_on: None,
                corrects: None,
            };
            command("RecordPayment", Action::RecordReceipt(receipt))
        };
        let paid = receipt(payment, format!("ch_{n}"), 700 * (i64::from(n) + 1));
        commands.push(paid.clone());
        commands.push(paid);
        commands.push(receipt(
            PaymentId::mint(),
            format!("ch_{n}"),
            700 * (i64::from(n) + 1),
        ));
        commands.push(receipt(PaymentId::mint(), format!("ch_{n}"), 1));
        commands.push(receipt(PaymentId::mint(), format!("more_{n}"), 900));
        commands.push(command(
            "RecordFee",
            Action::RecordFee {
                payment,
                object_id: format!("txn_{n}"),
                fee: cents(29 + i64::from(n)),
                occurred_at: None,
                value_date: None,
            },
        ));
        if n % 5 == 0 {
            commands.push(command(
                "RecordFailure",
                Action::RecordFailure {
                    payment: PaymentId::mint(),
                    account,
                    object_id: format!("ch_{n}"),
                    failure_code: "late".to_owned(),
                    gross: None,
                    pledge: None,
                    occurred_at: None,
                    value_date: None,
                },
            ));
        }
        commands.push(command("CancelPledge", Action::CancelPledge { pledge }));
        let number = i64::from(n) * 4 + 2;
        let reason = "a mistake".to_owned();
        commands.push(command(
            "ReverseEntry",
            Action::ReverseEntry { number, reason },
        ));
    }
    commands
}

const TABLES: [&str; 17] = [
    "campaign_head",
    "account",
    "balance",
    "account_day",
    "change",
    "journal_entry",
    "line",
    "campaign",
    "terms",
    "tally",
    "member",
    "signature",
    "person",
    "pledge",
    "money_account",
    "payment",
    "effect",
];

/// Runs commands through a book, all queued at once behind the locked head, so
/// that batches are as large as the cap allows.
async fn run(tester: &Tester, campaign: CampaignId, commands: &[Command]) -> Vec<String> {
    let pool = tester.database.pool("postgres").await;
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM campaign_head WHERE campaign_id = $1 FOR UPDATE")
        .bind(campaign.0)
        .execute(&mut *lock)
        .await
        .unwrap();
    let books = &tester.server.app.books;
    let queued = commands
        .iter()
        .map(|c| books.submit(campaign, c.clone(), None));
    let release = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        lock.rollback().await.unwrap();
    };
    let (outcomes, ()) = tokio::join!(futures::future::join_all(queued), release);
    outcomes
        .into_iter()
        .map(|outcome| format!("{outcome:?}"))
        .collect()
}

async fn rows(tester: &Tester) -> Vec<(String, String)> {
    let pool = tester.database.pool("postgres").await;
    let mut rows = Vec::new();
    for table in TABLES {
        // Which batches wrote it is all in which the two may differ; the tally is compared as of
        // the last one.
        let query = format!(
            "SELECT (to_jsonb(t) - ARRAY['batch', 'follows', 'tally'])::text FROM {table} t
             ORDER BY 1"
        );
        let found: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_all(&pool)
            .await
            .unwrap();
        rows.extend(found.into_iter().map(|row| (table.to_owned(), row)));
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn batched_equals_sequential_row_for_row() {
    let campaign = CampaignId::mint();
    let account = MoneyAccountId::mint();
    let (set_up, happen) = (setting_up(account), happenings(account));
    let mut runs = Vec::new();
    let kept = Settings::default().kept_rows;
    // However large the batches, and whatever is kept in memory between them: always,
    // never, and only while it is little.
    for (batch_cap, kept_rows) in [(1, kept), (500, kept), (1, 0), (7, 60)] {
        let settings = Settings {
            batch_cap,
            kept_rows,
            ..Settings::default()
        };
        let tester = Tester::start_with(settings).await;
        tester.clock.hold(datetime!(2026-11-22 12:00 UTC));
        tester.server.app.store.head_ensure(campaign).await.unwrap();
        let mut outcomes = run(&tester, campaign, &set_up).await;
        outcomes.extend(run(&tester, campaign, &happen).await);
        assert!(outcomes.iter().any(|outcome| outcome.contains("Refused")));
        assert!(outcomes.iter().any(|outcome| outcome.contains("Replayed")));
        assert!(
            outcomes
                .iter()
                .any(|outcome| outcome.contains("RecordedBefore"))
        );
        tester.must_be_clean(&format!("campaigns/{campaign}")).await;
        runs.push((outcomes, rows(&tester).await));
    }
    let (sequential, others) = runs.split_first().unwrap();
    assert!(sequential.1.len() > 1_000);
    for other in others {
        for (one, many) in sequential.0.iter().zip(&other.0) {
            assert_eq!(one, many);
        }
        for (one, many) in sequential.1.iter().zip(&other.1) {
            assert_eq!(one, many);
        }
        assert_eq!(
            (sequential.0.len(), sequential.1.len()),
            (other.0.len(), other.1.len())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_changed_is_not_remembered_otherwise() {
    let tester = Tester::start().await;
    let mut another = tester.another_server().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "190000").await;
    let here = tester.treasurer();
    let there = tester.as_role_on(&another, Role::Treasurer);
    let held = async |clients: &Clients, object: &str, amount: &str| {
        let request = campaign.payment(object, &pledge, amount);
        let paid = clients.payments().record_payment(request).await.unwrap();
        text(&paid.into_inner().payment.unwrap().held)
    };
    // The room in the pledge, and every balance, as the other one left them.
    assert_eq!(held(&here, "ch_1", "90000").await, "EUR 90000.00");
    assert_eq!(held(&there, "ch_2", "90000").await, "EUR 90000.00");
    assert_eq!(held(&here, "ch_3", "90000").await, "EUR 10000.00");
    assert_eq!(held(&there, "ch_4", "90000").await, "EUR 0.00");
    another.stop().await;
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_command_is_refused_alone() {
    let tester = Tester::start().await;
    let campaign = CampaignId::mint();
    let account = MoneyAccountId::mint();
    tester.server.app.store.head_ensure(campaign).await.unwrap();
    run(&tester, campaign, &setting_up(account)).await;
    // A row that only the database refuses: what a fault of ours would look like.
    let poison = "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'poison' USING ERRCODE = '23514', CONSTRAINT = 'poison'; END $$;
        CREATE TRIGGER poison BEFORE INSERT ON payment FOR EACH ROW
        WHEN (NEW.object_id = 'ch_7') EXECUTE FUNCTION poison()";
    tester.database.execute("postgres", poison).await.unwrap();
    let happen = happenings(account);
    let outcomes = run(&tester, campaign, &happen).await;
    let faults = outcomes
        .iter()
        .filter(|outcome| outcome.contains("Fault"))
        .count();
    // The payment itself, the same request again, the same movement again, and
    // with the wrong amount: nobody has claimed the movement.
    assert_eq!(faults, 4, "{outcomes:#?}");
    let done = outcomes
        .iter()
        .filter(|outcome| outcome.starts_with("Ok(Done"))
        .count();
    assert!(done > 200, "{done}");
    tester.must_be_clean(&format!("campaigns/{campaign}")).await;
    // Nothing of it is recorded, so it goes through once the fault is mended.
    tester
        .database
        .execute("postgres", "DROP TRIGGER poison ON payment")
        .await
        .unwrap();
    let again = tester
        .server
        .app
        .books
        .submit(campaign, happen[7 * 10 + 2 + 2].clone(), None)
        .await;
    assert!(again.is_ok(), "{again:?}");
    tester.must_be_clean(&format!("campaigns/{campaign}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_campaign_has_no_book() {
    let tester = Tester::start().await;
    let pledge = PledgeId::mint();
    let cancel = command("CancelPledge", Action::CancelPledge { pledge });
    let outcome = tester
        .server
        .app
        .books
        .submit(CampaignId::mint(), cancel, None)
        .await;
    assert_eq!(outcome, Err(BookError::CampaignNotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_book_refuses_and_has_answered_everything() {
    let tester = Tester::start().await;
    let campaign = CampaignId::mint();
    let account = MoneyAccountId::mint();
    tester.server.app.store.head_ensure(campaign).await.unwrap();
    run(&tester, campaign, &setting_up(account)).await;
    let books = &tester.server.app.books;
    let happen = happenings(account);
    let queued: Vec<_> = happen
        .iter()
        .map(|c| {
            let (books, c) = (books.clone(), c.clone());
            tokio::spawn(async move { books.submit(campaign, c, None).await })
        })
        .collect();
    tokio::task::yield_now().await;
    books.drain().await;
    let (mut answered, mut refused) = (0, 0);
    for outcome in queued {
        match outcome.await.unwrap() {
            Ok(_) => answered += 1,
            Err(BookError::ShuttingDown) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(answered + refused, happen.len());
    let changes: i64 = sqlx::query_scalar("SELECT change_no FROM campaign_head")
        .fetch_one(&tester.database.pool("postgres").await)
        .await
        .unwrap();
    // A replay is answered without a change of its own.
    assert!(usize::try_from(changes).unwrap() <= answered + 5);
    tester.must_be_clean(&format!("campaigns/{campaign}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_id_at_two_servers_posts_once_and_answers_alike() {
    let tester = Tester::start().await;
    let other = tester.another_server().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &member, "90000").await;
    let here = tester.treasurer();
    let there = tester.as_role_on(&other, pledgebook::access::Role::Treasurer);
    for n in 0..24 {
        let request = campaign.payment(&format!("ch_{n}"), &pledge, "10.00");
        let send = |clients: &Clients| {
            let (mut payments, request) = (clients.payments(), request.clone());
            async move { payments.record_payment(request).await.unwrap().into_inner() }
        };
        let times = 1 + n % 8;
        let sent = (0..times).map(|time| send(if time % 2 == 0 { &here } else { &there }));
        let answers = futures::future::join_all(sent).await;
        let fresh = answers
            .iter()
            .filter(|a| !a.outcome.as_ref().unwrap().replayed)
            .count();
        assert_eq!(fresh, 1);
        for answer in &answers {
            let same = |mut answer: pb::RecordPaymentResponse| {
                answer.outcome.as_mut().unwrap().replayed = false;
                answer
            };
            assert_eq!(same(answer.clone()), same(answers[0].clone()));
        }
    }
    let read = pb::GetPledgeRequest { name: pledge };
    let pledge = here
        .pledges()
        .get_pledge(read)
        .await
        .unwrap()
        .into_inner()
        .pledge
        .unwrap();
    assert_eq!(text(&pledge.paid), "EUR 240.00");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_charge_under_many_request_ids_posts_once() {
    let tester = Tester::start().await;
    let other = tester.another_server().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &member, "1000").await;
    let here = tester.treasurer();
    let there = tester.as_role_on(&other, pledgebook::access::Role::Treasurer);
    let sent = (0..16).map(|n| {
        let clients = if n % 2 == 0 { &here } else { &there };
        // Every fifth says another amount: that is for a person to look at.
        let amount = if n % 5 == 4 { "11.00" } else { "10.00" };
        let mut request = campaign.payment("ch_1", &pledge, amount);
        request.request_id = id();
        let mut payments = clients.payments();
        async move { (amount, payments.record_payment(request).await) }
    });
    let answers = futures::future::join_all(sent).await;
    let entry_numbers: Vec<_> = answers
        .iter()
        .filter_map(|(_, answer)| answer.as_ref().ok())
        .map(|answer| {
            answer
                .get_ref()
                .outcome
                .as_ref()
                .unwrap()
                .entry_numbers
                .clone()
        })
        .collect();
    assert!(
        entry_numbers.windows(2).all(|pair| pair[0] == pair[1]),
        "{entry_numbers:?}"
    );
    let booked = answers
        .iter()
        .find_map(|(amount, answer)| answer.is_ok().then_some(*amount));
    for (amount, answer) in &answers {
        match answer {
            Ok(_) => assert_eq!(Some(*amount), booked),
            Err(status) => assert_eq!(reason(status), "MOVEMENT_DIFFERS"),
        }
    }
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_book_kept_is_not_used_once_another_server_has_written() {
    let tester = Tester::start().await;
    let other = tester.another_server().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let pool = tester.database.pool("postgres").await;
    let rolled_back = async || {
        // A backend tells what it counted when a second has gone by.
        tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
        for clients in [
            tester.treasurer(),
            tester.as_role_on(&other, Role::Treasurer),
        ] {
            let refused = campaign.payment("ch_0", &pledge, "0.001");
            clients
                .payments()
                .record_payment(refused)
                .await
                .unwrap_err();
            let paid = campaign.payment(&id(), &pledge, "1");
            clients.payments().record_payment(paid).await.unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let count = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()";
        sqlx::query_scalar::<_, i64>(count)
            .fetch_one(&pool)
            .await
            .unwrap()
    };
    let before = rolled_back().await;
    let begun = std::time::Instant::now();
    for n in 0..6 {
        for clients in [
            tester.treasurer(),
            tester.as_role_on(&other, Role::Treasurer),
        ] {
            let paid = campaign.payment(&format!("{}_{n}", id()), &pledge, "1");
            clients.payments().record_payment(paid).await.unwrap();
        }
    }
    // A book that went on with stale rows would be refused by the database each time, and
    // only then begin anew: the answer would be right all the same. Each of the two finds
    // out once that it is not alone, and again when it has heard nothing of the other one for two
    // seconds, which is a question of how slow the machine is.
    let lost = u64::try_from(rolled_back().await - before).unwrap();
    let found_out = 2 * (1 + begun.elapsed().as_secs() / 2);
    assert!(
        lost <= found_out,
        "{lost} batches were decided on what was not so any more"
    );
    tester.must_be_clean(&campaign.name).await;
}

fn signature(n: u8) -> Command {
    command(
        "Sign",
        Action::Sign {
            signature: pledgebook::id::SignatureId::mint(),
            display_name: format!("Supporter {n}"),
            email: format!("{n}@example.org"),
            email_hash: [n; 32],
        },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_waits_for_comes_before_the_items_of_a_run() {
    let settings = Settings {
        bulk: 4,
        ..Settings::default()
    };
    let tester = Tester::start_with(settings).await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let of: CampaignId = campaign.name["campaigns/".len()..].parse().unwrap();
    let books = &tester.server.app.books;
    // While the head is locked from outside, twenty items queue, and then a live command.
    let held = tester.database.hold(&campaign.name).await;
    let mut items = Vec::new();
    for n in 0..20 {
        items.push(books.queue_item(of, signature(n)).await.unwrap());
    }
    tester.database.until_somebody_waits().await;
    let live = books
        .queue_when_free(of, signature(100), None)
        .await
        .unwrap();
    held.rollback().await.unwrap();
    let change = |outcome| match outcome {
        pledgebook::domain::Outcome::Done(answer) => answer.change,
        other => panic!("{other:?}"),
    };
    let live = change(live.outcome().await.unwrap());
    let mut before = 0;
    let mut batches = Vec::new();
    for item in items {
        let pledgebook::domain::Outcome::Done(answer) = item.outcome().await.unwrap() else {
            panic!("an item was not done");
        };
        before += u32::from(answer.change < live);
        batches.push(answer.recorded_at);
    }
    // Those whose batch had begun already, and no other.
    assert!(before <= 4, "{before}");
    // And no batch takes more of them than it may, whatever the queue holds.
    for at in &batches {
        assert!(batches.iter().filter(|other| *other == at).count() <= 4);
    }
    tester.must_be_clean(&campaign.name).await;
}
