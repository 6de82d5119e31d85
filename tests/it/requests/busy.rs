//! What the answer is while the service is slow, full or ending.

use std::time::Duration;

use pledgebook::{access::Role, book::Settings, grpc::pb};
use prost::Message;
use tokio::task::JoinSet;
use tonic::Code;
use tonic_types::StatusExt;

use super::Desk;
use crate::{
    harness::eur,
    wire::{self, frame, published_reason},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_cannot_be_answered_in_time_says_so() {
    let desk = Desk::open().await;
    let bearer = desk.bearer(Role::Treasurer);
    let message = pb::GetCampaignRequest {
        name: desk.campaign.name.clone(),
    };
    let body = frame(&message.encode_to_vec());
    let path = Desk::path("CampaignService/GetCampaign");
    for timeout in ["1m", "1u", "0n", "0S"] {
        let headers = [
            ("authorization", bearer.as_str()),
            ("grpc-timeout", timeout),
        ];
        let answer = wire::http2(desk.tester.server.address, &path, &headers, body.clone()).await;
        let status = answer.status();
        assert_eq!(
            status.code(),
            Code::DeadlineExceeded,
            "{timeout}: {status:?}"
        );
        assert_eq!(published_reason(&status), "DEADLINE_EXCEEDED");
    }
    for timeout in ["1H", "99999999S", "nonsense", "-5S", ""] {
        let headers = [
            ("authorization", bearer.as_str()),
            ("grpc-timeout", timeout),
        ];
        let answer = wire::http2(desk.tester.server.address, &path, &headers, body.clone()).await;
        assert_eq!(answer.status().code(), Code::Ok, "{timeout}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_caller_gave_up_is_told_by_its_request_id() {
    let desk = Desk::open().await;
    let bearer = desk.bearer(Role::Treasurer);
    let before = desk.counts().await;
    let request = desk.payment("ch_1", eur("50"));
    let path = Desk::path("PaymentService/RecordPayment");
    let held = desk.hold().await;
    let headers = [("authorization", bearer.as_str()), ("grpc-timeout", "500m")];
    let body = frame(&request.encode_to_vec());
    let answer = wire::http2(desk.tester.server.address, &path, &headers, body).await;
    assert_eq!(answer.status().code(), Code::DeadlineExceeded, "{answer:?}");
    assert_eq!(published_reason(&answer.status()), "DEADLINE_EXCEEDED");
    assert_eq!(desk.counts().await, before);
    held.rollback().await.unwrap();
    // Whether it was carried out after all or is only now: once.
    let done = desk.pay(request.clone()).await.unwrap();
    let again = desk.pay(request).await.unwrap();
    assert_eq!(again.payment, done.payment);
    assert!(again.outcome.unwrap().replayed);
    assert_eq!(desk.counts().await.0, before.0 + 1);
    assert_eq!(desk.balance(1000).await, 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once_and_answers_what_it_took() {
    const CALLS: usize = 24;
    let settings = Settings {
        batch_cap: 1,
        queue: 4,
        ..Settings::default()
    };
    let desk = Desk::open_with(settings).await;
    let before = desk.counts().await;
    let held = desk.hold().await;
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let clients = desk.tester.treasurer();
        let request = desk.payment(&format!("ch_{number}"), eur("1"));
        calls.spawn(async move {
            let answer = clients.payments().record_payment(request.clone()).await;
            (request, answer.map(tonic::Response::into_inner))
        });
    }
    // One is with the database and four wait; or only four wait, when they came all at once.
    let mut refused = Vec::new();
    while refused.len() < CALLS - 5 {
        let (request, answer) = calls.join_next().await.unwrap().unwrap();
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert_eq!(published_reason(&status), "OVERLOADED");
        let retry = status.get_details_retry_info().unwrap();
        assert!(retry.retry_delay.unwrap() > Duration::ZERO);
        refused.push(request);
    }
    assert_eq!(desk.counts().await, before);
    held.rollback().await.unwrap();
    let mut done = 0;
    for (request, answer) in calls.join_all().await {
        match answer {
            Ok(answer) => {
                assert!(!answer.outcome.unwrap().replayed);
                done += 1;
            }
            Err(status) => {
                assert_eq!(published_reason(&status), "OVERLOADED");
                refused.push(request);
            }
        }
    }
    assert!((4..=5).contains(&done), "{done}");
    assert_eq!(desk.counts().await.0, before.0 + done);
    assert_eq!(desk.balance(1000).await, done * 100);

    // An overload is no outcome: the same request id is free, and is carried out now.
    for request in refused {
        let answer = desk.pay(request).await.unwrap();
        assert!(!answer.outcome.unwrap().replayed);
    }
    assert_eq!(
        desk.balance(1000).await,
        i64::try_from(CALLS).unwrap() * 100
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_answers_what_it_has_accepted() {
    const CALLS: usize = 30;
    let mut desk = Desk::open().await;
    let before = desk.counts().await;
    let held = desk.hold().await;
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let clients = desk.tester.treasurer();
        let request = desk.payment(&format!("ch_{number}"), eur("1"));
        calls.spawn(async move { clients.payments().record_payment(request).await });
    }
    desk.until_somebody_waits().await;
    // The rest is on its way meanwhile; whatever has not arrived is refused, and says so.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stopping = {
        let release = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            held.rollback().await.unwrap();
        };
        let (answers, (), ()) = tokio::join!(calls.join_all(), desk.tester.server.stop(), release);
        answers
    };
    let mut done = 0;
    for answer in stopping {
        match answer {
            Ok(answer) => {
                assert!(!answer.into_inner().outcome.unwrap().replayed);
                done += 1;
            }
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                assert_eq!(published_reason(&status), "SHUTTING_DOWN");
            }
        }
    }
    assert!(done > 0);
    assert_eq!(desk.counts().await.0, before.0 + done);
    assert_eq!(desk.balance(1000).await, done * 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_waits_for_a_report_that_takes_its_time() {
    let mut desk = Desk::open().await;
    desk.pay(desk.payment("ch_1", eur("1"))).await.unwrap();
    let superuser = desk.tester.database.pool("postgres").await;
    let mut held = superuser.begin().await.unwrap();
    sqlx::query("LOCK TABLE account, balance, line IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *held)
        .await
        .unwrap();
    let auditor = desk.tester.treasurer();
    let request = pb::GetTrialBalanceRequest {
        campaign: desk.campaign.name.clone(),
        date_basis: pb::DateBasis::Recorded.into(),
        ..Default::default()
    };
    let report = tokio::spawn(async move { auditor.reports().get_trial_balance(request).await });
    let waits = desk.until_somebody_waits();
    let waits = tokio::time::timeout(Duration::from_secs(10), waits).await;
    waits.expect("a report reads the balances");
    let stopping = desk.tester.server.stop();
    tokio::pin!(stopping);
    // Longer than it waits for its last words, and no book has anything to do: only that the
    // call is counted keeps it.
    let early = tokio::time::timeout(Duration::from_millis(1_500), &mut stopping).await;
    assert!(early.is_err(), "it ended before its report was drawn");
    held.rollback().await.unwrap();
    let (report, ()) = tokio::join!(report, stopping);
    let rows = report.unwrap().unwrap().into_inner().rows;
    assert!(rows.iter().any(|row| row.code == "1000"), "{rows:?}");
}
