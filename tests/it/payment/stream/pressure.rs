//! What a stream keeps in hand, and what a full queue does to it.

use std::time::Duration;

use pledgebook::{access::Role, book::Settings, grpc::pb};
use tokio::task::JoinSet;
use tonic::{Code, transport::Endpoint};

use super::{Desk, Stream, batches_of, recorded, refused};
use crate::{harness::Clients, wire::published_reason};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_makes_a_stream_wait_where_it_refuses_a_call() {
    const CALLS: usize = 24;
    let desk = Desk::open(batches_of(2, 4), 500 + CALLS).await;
    let (streamed, called) = desk.payments.split_at(500);
    // The control: calls at once are more than the queue takes.
    let held = desk.tester.database.hold(&desk.campaign.name).await;
    let mut calls = JoinSet::new();
    for request in called {
        let (clients, request) = (desk.tester.treasurer(), request.clone());
        calls.spawn(async move { clients.payments().record_payment(request).await });
    }
    desk.tester.database.until_somebody_waits().await;
    let mut refused = 0;
    while refused < CALLS - 6 {
        let status = calls.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(published_reason(&status), "OVERLOADED");
        refused += 1;
    }
    // With the queue full, two streams at once wait for their turns.
    let clients = desk.tester.treasurer();
    let release = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        held.rollback().await.unwrap();
    };
    let (one, two, ()) = tokio::join!(
        Stream::carry(&clients, &streamed[..250], 100),
        Stream::carry(&clients, &streamed[250..], 7),
        release
    );
    for outcome in one.iter().chain(&two) {
        assert!(!recorded(outcome).outcome.as_ref().unwrap().replayed);
    }
    let answered = calls.join_all().await;
    let more = answered.iter().filter(|answer| answer.is_ok()).count();
    desk.must_have_posted(500 + more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_read_no_further_than_it_can_be_carried_out() {
    let desk = Desk::open(batches_of(4, 100), 1_000).await;
    let held = desk.tester.database.hold(&desk.campaign.name).await;
    let stream = desk.stream().await;
    let mut sent = 0;
    loop {
        let sending = stream.send(&desk.payments);
        let in_time = tokio::time::timeout(Duration::from_secs(1), sending).await;
        if in_time.is_err() {
            break;
        }
        sent += 1;
        // Some 300 kB each: what HTTP/2 takes in ahead on a stream is a few of them.
        assert!(sent < 30, "nothing holds the caller back");
    }
    assert_eq!(desk.posted().await, 0);
    held.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_caller_that_went_away_what_is_queued_is_carried_out_and_no_more() {
    // Two batches of four are in hand.
    let desk = Desk::open(batches_of(4, 100), 30).await;
    let held = desk.tester.database.hold(&desk.campaign.name).await;
    let stream = desk.stream().await;
    stream.send(&desk.payments).await;
    desk.tester.database.until_somebody_waits().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(stream);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(desk.posted().await, 0);
    held.rollback().await.unwrap();
    while desk.posted().await < 8 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    desk.must_have_posted(8).await;

    // Nothing was lost: everything again, and each is there once.
    let outcomes = Stream::carry(&desk.tester.treasurer(), &desk.payments, 50).await;
    for (outcome, number) in outcomes.iter().zip(1..) {
        let replayed = recorded(outcome).outcome.as_ref().unwrap().replayed;
        assert_eq!(replayed, number <= 8, "{number}");
    }
    desk.must_have_posted(30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_is_slow_to_read_is_told_everything_all_the_same() {
    let desk = Desk::open(Settings::default(), 90).await;
    Stream::carry(&desk.tester.treasurer(), &desk.payments, 90).await;
    // Outcomes that fill whatever lies between the server and a caller who does not read:
    // a request id that is none is sent back as it came.
    let large = |payment: &pb::RecordPaymentRequest| pb::RecordPaymentRequest {
        request_id: "x".repeat(10_000),
        ..payment.clone()
    };
    let both = |payment: &pb::RecordPaymentRequest| [payment.clone(), large(payment)];
    let items: Vec<_> = desk.payments.iter().flat_map(both).collect();
    let address = format!("http://{}", desk.tester.server.address);
    let endpoint = Endpoint::from_shared(address).unwrap();
    let channel = endpoint.initial_stream_window_size(65_535).connect_lazy();
    let clients = Clients::new(channel, Some(desk.tester.key(Role::Treasurer)));
    let mut stream = Stream::open(&clients).await;
    // Repeated items are looked up, in database transactions that are cut when they idle
    // for two seconds. Meanwhile the caller sleeps.
    for _ in 0..3 {
        stream.send(&items).await;
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    stream.read(3 * items.len()).await;
    for both in stream.outcomes.chunks(2) {
        assert!(recorded(&both[0]).outcome.as_ref().unwrap().replayed);
        assert_eq!(refused(&both[1]).field, "request_id");
    }
    desk.must_have_posted(90).await;
}
