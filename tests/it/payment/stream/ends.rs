//! How a stream ends before its caller has ended it, and how it is resumed.

use std::time::Duration;

use pledgebook::{access::Role, book::Settings, grpc::pb};
use tonic::Code;
use tonic_types::StatusExt;

use super::{Desk, Stream, batches_of, recorded, refused};
use crate::wire::published_reason;

fn replayed(outcome: &pb::RecordPaymentsOutcome) -> bool {
    recorded(outcome).outcome.as_ref().unwrap().replayed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_cut_is_resumed_at_another_server() {
    let desk = Desk::open(batches_of(8, 16), 400).await;
    let (before, other) = (desk.stream().await, desk.tester.another_server().await);
    let there = desk.tester.as_role_on(&other, Role::Treasurer);
    // Cut in the middle: some outcomes have come, some are on their way, some items
    // are queued, some were sent and not read, some not sent.
    let mut cut = before;
    for payments in desk.payments[..300].chunks(100) {
        cut.send(payments).await;
    }
    cut.read(60).await;
    let known = std::mem::take(&mut cut.outcomes);
    drop(cut);
    let rest = &desk.payments[known.len()..];
    // At once, while the first server still carries out what it has.
    let resumed = Stream::carry(&there, rest, 64).await;
    assert!(known.len() < 400 && !known.iter().any(replayed));
    assert!(!resumed.iter().all(replayed), "nothing was cut");
    desk.must_have_posted(400).await;

    // Everything again: each is answered with what it was.
    let again = Stream::carry(&there, &desk.payments, 1_000).await;
    assert!(again.iter().all(replayed));
    for (again, first) in again.iter().zip(known.iter().chain(&resumed)) {
        assert_eq!(recorded(again).payment, recorded(first).payment);
    }
    desk.must_have_posted(400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_answers_what_a_stream_has_queued() {
    let mut desk = Desk::open(batches_of(4, 100), 30).await;
    let other = desk.tester.another_server().await;
    let held = desk.tester.database.hold(&desk.campaign.name).await;
    let (mut stream, mut idle) = (desk.stream().await, desk.stream().await);
    stream.send(&desk.payments).await;
    desk.tester.database.until_somebody_waits().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let release = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        held.rollback().await.unwrap();
    };
    let stopping = tokio::time::timeout(Duration::from_secs(10), desk.tester.server.stop());
    let (stopped, ended, idled, ()) = tokio::join!(stopping, stream.end(), idle.end(), release);
    stopped.expect("open streams keep no server");
    for status in [ended.unwrap_err(), idled.unwrap_err()] {
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert_eq!(published_reason(&status), "SHUTTING_DOWN");
        assert!(status.get_details_retry_info().is_some());
    }
    assert_eq!(stream.outcomes.len(), 8);
    assert!(!stream.outcomes.iter().any(replayed));
    assert_eq!(desk.posted().await, 8);

    let there = desk.tester.as_role_on(&other, Role::Treasurer);
    let rest = Stream::carry(&there, &desk.payments[8..], 30).await;
    assert!(!rest.iter().any(replayed));
    assert_eq!(desk.posted().await, 30);
    let request = pb::CheckCampaignRequest {
        campaign: desk.campaign.name.clone(),
    };
    let checked = there.ledger().check_campaign(request).await.unwrap();
    assert!(checked.into_inner().differences.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_calls_deadline_and_says_what_was_too_late() {
    // Nothing is kept, so each batch waits for the campaign's lock before it begins.
    let settings = Settings {
        kept_rows: 0,
        ..batches_of(4, 100)
    };
    let desk = Desk::open(settings, 30).await;
    let held = desk.tester.database.hold(&desk.campaign.name).await;
    let clients = desk.tester.treasurer();
    let timeout = Duration::from_millis(1_500);
    let mut stream = Stream::open_with(&clients, |request| request.set_timeout(timeout)).await;
    stream.send(&desk.payments).await;
    desk.tester.database.until_somebody_waits().await;
    tokio::time::sleep(2 * timeout).await;
    held.rollback().await.unwrap();
    let status = stream.end().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(published_reason(&status), "DEADLINE_EXCEEDED");
    // What was in hand waited for the campaign's lock, and was too late when it came.
    assert_eq!(desk.posted().await, 0);
    assert_eq!(stream.outcomes.len(), 8);
    for outcome in &stream.outcomes {
        let refusal = refused(outcome);
        assert_eq!(refusal.reason(), pb::ErrorReason::DeadlineExceeded);
        assert!(refusal.retryable);
    }
    Stream::carry(&clients, &desk.payments, 30).await;
    desk.must_have_posted(30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_lasts_no_longer_than_its_key() {
    let desk = Desk::open(Settings::default(), 3).await;
    let mut stream = Stream::open(&desk.tester.as_role(Role::Webhook)).await;
    stream.send(&desk.payments[..1]).await;
    stream.read(1).await;
    // The control: as long as the key is good a stream may rest.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    stream.send(&desk.payments[1..2]).await;
    stream.read(2).await;
    let hash = pledgebook::access::KeySecret::hash(desk.tester.key(Role::Webhook));
    let store = &desk.tester.server.app.store;
    let key = store.api_key_of_secret(hash).await.unwrap().unwrap();
    let now = desk.tester.clock.now();
    store.api_key_revoke(key.id, "test", now).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    stream.send(&desk.payments[2..]).await;
    let status = stream.end().await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert_eq!(published_reason(&status), "UNAUTHENTICATED");
    desk.must_have_posted(2).await;
}
