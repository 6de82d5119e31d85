//! How a watch ends.

use std::time::{Duration, Instant};

use pledgebook::access::{KeySecret, Role};
use tonic::{Code, Request};
use tonic_types::StatusExt;

use super::{Watcher, pour, watch};
use crate::{
    harness::{Campaign, Clients, Tester, make_key},
    wire::published_reason,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_ends_its_watches_though_nobody_reads() {
    let mut tester = Tester::start().await;
    let other = tester.another_server().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let mut idle = Watcher::begin(&tester.treasurer(), &campaign).await;
    let mut busy = Watcher::begin(&tester.treasurer(), &campaign).await;
    let mut begun = Watcher::ask(&tester.treasurer(), watch(&campaign, 0))
        .await
        .unwrap();
    // More than the stream has room for, and nobody reads.
    for round in 0..4 {
        pour(&tester, &campaign, &format!("ch_{round}"), 20).await;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let began = Instant::now();
    tester.server.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    begun.snapshot().await;
    for watcher in [&mut idle, &mut busy, &mut begun] {
        let status = watcher.end().await;
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert_eq!(published_reason(&status), "SHUTTING_DOWN");
        assert!(status.get_details_retry_info().is_some());
    }
    // Elsewhere it goes on where it was.
    let there = tester.as_role_on(&other, Role::Treasurer);
    let (last, _) = super::now(&there, &campaign).await;
    let mut resumed = Watcher::ask(&there, watch(&campaign, 1)).await.unwrap();
    resumed.follow(last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_with_its_calls_deadline() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let mut request = Request::new(watch(&campaign, 0));
    request.set_timeout(Duration::from_millis(1_500));
    let began = Instant::now();
    let answer = tester.treasurer().campaigns().watch_campaign(request).await;
    let mut stream = answer.unwrap().into_inner();
    stream.message().await.unwrap();
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(published_reason(&status), "DEADLINE_EXCEEDED");
    assert!(began.elapsed() > Duration::from_millis(1_400));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_lasts_no_longer_than_its_key() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let secret = make_key(&tester.server.app, Role::FrontEnd, None).await;
    let clients = Clients::new(tester.server.channel(), Some(&secret));
    let mut watcher = Watcher::begin(&clients, &campaign).await;
    let mut control = Watcher::begin(&tester.as_role(Role::FrontEnd), &campaign).await;
    // As long as the key is good it goes on.
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    pour(&tester, &campaign, "before", 1).await;
    watcher.read().await.unwrap();
    let store = &tester.server.app.store;
    let key = store.api_key_of_secret(KeySecret::hash(&secret)).await;
    let key = key.unwrap().unwrap();
    let now = tester.clock.now();
    store.api_key_revoke(key.id, "test", now).await.unwrap();
    let began = Instant::now();
    let status = watcher.end().await;
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert_eq!(published_reason(&status), "UNAUTHENTICATED");
    assert!(began.elapsed() < Duration::from_secs(6));
    pour(&tester, &campaign, "after", 1).await;
    control.follow(watcher.told + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_cannot_be_told_keeps_no_server() {
    const CHANGES: usize = 6_000;
    let mut tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let mut stalled = Watcher::begin(&super::narrow(&tester), &campaign).await;
    let mut quick = Watcher::begin(&tester.treasurer(), &campaign).await;
    let last = quick.told + i64::try_from(CHANGES).unwrap();
    tokio::join!(pour(&tester, &campaign, "ch", CHANGES), quick.follow(last));
    // Nothing more fits between the server and it, so it learns nothing of the end. Of a
    // call that is carried out the server sees the end all the same.
    let held = tester.database.hold(&campaign.name).await;
    let clients = tester.treasurer();
    let payment = campaign.payment_by("last", None, "1");
    let call = tokio::spawn(async move { clients.payments().record_payment(payment).await });
    tester.database.until_somebody_waits().await;
    let began = Instant::now();
    let release = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        held.rollback().await.unwrap();
    };
    let (call, (), ()) = tokio::join!(call, tester.server.stop(), release);
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    call.unwrap().unwrap();
    // The others are told.
    assert_eq!(published_reason(&quick.end().await), "SHUTTING_DOWN");
    // The control: it was not told everything before the end.
    stalled.end().await;
    assert!(stalled.told < last, "it had room");
}
