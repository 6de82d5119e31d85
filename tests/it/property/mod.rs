//! Any sequence of commands, from several clients at once, through two server
//! processes on one database, some of them killed: the invariants hold, `check`
//! is clean, and replaying the changes in their order on a small model gives
//! every answer that was given.

mod clients;
mod ending;
mod model;
pub mod process;

use std::{sync::Arc, time::Duration};

use pledgebook::{access::Role, grpc::pb};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use self::{
    clients::{Asker, Script},
    model::{MAXIMUM, Model},
    process::Process,
};
use crate::harness::{Campaign, Tester, money, terms};

const CLIENTS: usize = 8;
/// Processes that are killed in the midst of their batches.
const KILLS: usize = 60;

fn euros(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

async fn campaign(tester: &Tester) -> Campaign {
    let mut terms = terms(&tester.clock, "EUR");
    terms.target = money("EUR", &euros(MAXIMUM));
    terms.minimum = money("EUR", &euros(MAXIMUM / 2));
    terms.maximum = money("EUR", &euros(MAXIMUM));
    Campaign::open_with(tester, terms, None).await
}

/// Replays the recorded changes on the model and compares every answer.
async fn must_agree(tester: &Tester, campaign: &Campaign, script: &Script, seed: u64) {
    let pool = tester.database.pool("postgres").await;
    let order: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT request_id FROM change ORDER BY change_no")
            .fetch_all(&pool)
            .await
            .unwrap();
    let mut model = Model::default();
    let mut met = 0;
    for request in order {
        let Some(step) = script.of_request(request) else {
            continue;
        };
        met += 1;
        let expected = model.answer(step.number, &step.asked);
        let said = step.said.as_ref();
        assert_eq!(said, Some(&expected), "seed {seed}: {:?}", step.asked);
    }
    // What was answered is recorded: nothing acknowledged is lost.
    assert_eq!(met, script.answered(), "seed {seed}");
    let balance = |code: &'static str| {
        let pool = pool.clone();
        async move {
            let sum: Option<i64> = sqlx::query_scalar(
                "SELECT sum(balance)::bigint FROM account JOIN balance USING (campaign_id, account_no)
                 WHERE code = $1",
            )
            .bind(code.parse::<i16>().unwrap())
            .fetch_one(&pool)
            .await
            .unwrap();
            sum.unwrap_or(0)
        }
    };
    assert_eq!(-balance("2100").await, model.held(), "seed {seed}");
    assert_eq!(-balance("2200").await, model.refundable(), "seed {seed}");
    assert_eq!(-balance("2900").await, model.unallocated(), "seed {seed}");
    assert_eq!(balance("9000").await, model.outstanding(), "seed {seed}");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_sequence_through_two_servers_agrees_with_the_model() {
    for seed in [1, 2, 3, 4] {
        println!("seed {seed}");
        let tester = Tester::start().await;
        let other = tester.another_server().await;
        let campaign = campaign(&tester).await;
        let addresses = vec![tester.server.address, other.address];
        let asker = Asker::new(&tester, &campaign, addresses).await;
        let script = asker.ask(CLIENTS, 60, seed).await;
        must_agree(&tester, &campaign, &script, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_lose_nothing_and_post_nothing_twice() {
    let seed = 5;
    println!("seed {seed}");
    let tester = Tester::start().await;
    let campaign = campaign(&tester).await;
    let mut first = Process::start(&tester.database).await;
    let mut second = Process::start(&tester.database).await;
    let addresses = vec![first.address, second.address];
    let asker = Arc::new(Asker::new(&tester, &campaign, addresses).await);
    let asking = {
        let asker = Arc::clone(&asker);
        tokio::spawn(async move { asker.ask(CLIENTS, 600, seed).await })
    };
    let mut random = StdRng::seed_from_u64(seed);
    let mut kills = 0;
    while !asking.is_finished() && kills < KILLS {
        tokio::time::sleep(Duration::from_millis(random.random_range(50..250))).await;
        if kills % 2 == 0 {
            first.kill_and_restart(&tester.database).await;
        } else {
            second.kill_and_restart(&tester.database).await;
        }
        kills += 1;
    }
    let script = asking.await.unwrap();
    println!(
        "{kills} kills, {} answers, {} retries",
        script.answered(),
        script.retries()
    );
    assert_eq!(kills, KILLS, "the script was over before all were killed");
    must_agree(&tester, &campaign, &script, seed).await;
    // Every request asked again is answered as it was, and posts nothing.
    let before = last_entry(&tester, &campaign).await;
    asker.ask_again(&script).await;
    assert_eq!(last_entry(&tester, &campaign).await, before);
    first.terminate().await;
    second.terminate().await;
    tester.must_be_clean(&campaign.name).await;
}

async fn last_entry(tester: &Tester, campaign: &Campaign) -> i64 {
    let request = pb::GetTrialBalanceRequest {
        campaign: campaign.name.clone(),
        ..Default::default()
    };
    let treasurer = tester.as_role(Role::Treasurer);
    let report = treasurer
        .reports()
        .get_trial_balance(request)
        .await
        .unwrap()
        .into_inner();
    report.head.unwrap().entry_number
}
