//! What watching costs the database, and what the posting path pays.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};

use super::{Watcher, pour};
use crate::harness::{Campaign, Tester};

/// Statements that the service began in four seconds. Of a session that begins one right
/// after the other some are missed.
async fn statements(tester: &Tester) -> usize {
    let pool = tester.database.pool("postgres").await;
    let sessions = "SELECT pid, query_start::text FROM pg_stat_activity
         WHERE datname = current_database() AND usename = 'pledgebook_app'
            AND query_start IS NOT NULL";
    let running = async || -> Vec<(i32, String)> {
        let sessions = sqlx::query_as(sessions);
        sessions.fetch_all(&pool).await.unwrap()
    };
    let before = running().await;
    let mut began = HashSet::new();
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        began.extend(running().await);
        sleep(Duration::from_millis(5)).await;
    }
    began.retain(|statement| !before.contains(statement));
    began.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_watchers_cost_the_database_as_much_as_one() {
    let tester = Tester::start().await;
    let campaigns = [
        Campaign::open(&tester, "EUR").await,
        Campaign::open(&tester, "USD").await,
    ];
    let nobody = statements(&tester).await;
    assert!(nobody < 10, "{nobody}");
    let one = Watcher::begin(&tester.treasurer(), &campaigns[0]).await;
    let watched = statements(&tester).await;
    // Four seconds of a look every 200 ms, and of a key's every 2 s.
    assert!((15..=35).contains(&watched), "{nobody} {watched}");
    let mut many = vec![one];
    for number in 0..99 {
        let campaign = &campaigns[number % 2];
        many.push(Watcher::begin(&tester.treasurer(), campaign).await);
    }
    let watched_by_many = statements(&tester).await;
    assert!((15..=35).contains(&watched_by_many), "{watched_by_many}");

    // Each is told of a change.
    pour(&tester, &campaigns[0], "ch", 1).await;
    let of_this = |number: usize| number == 0 || number % 2 == 1;
    for (number, watcher) in many.iter_mut().enumerate() {
        if of_this(number) {
            watcher.follow(watcher.told + 1).await;
        }
    }
    drop(many);
    sleep(Duration::from_secs(1)).await;
    let nobody_again = statements(&tester).await;
    assert!(nobody_again < 10, "{nobody_again}");
    // And somebody may come again.
    let mut again = Watcher::begin(&tester.treasurer(), &campaigns[1]).await;
    pour(&tester, &campaigns[1], "ch", 1).await;
    again.follow(again.told + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_book_tells_of_a_commit_once_it_is_made() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let commits = tester.server.app.books.commits();
    let told = async || {
        timeout(Duration::from_millis(300), commits.notified())
            .await
            .is_ok()
    };
    assert!(told().await, "of the opening");
    assert!(!told().await, "nothing was committed since");
    let held = tester.database.hold(&campaign.name).await;
    let (_, told_early) = tokio::join!(
        async {
            pour(&tester, &campaign, "ch", 1).await;
        },
        async {
            tester.database.until_somebody_waits().await;
            let told = told().await;
            held.rollback().await.unwrap();
            told
        }
    );
    assert!(!told_early);
    assert!(told().await);
}
