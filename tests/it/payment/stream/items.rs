//! What becomes of each item.

use pledgebook::{access::Role, book::Settings, grpc::pb};
use tonic::{Code, Status};

use super::{Desk, Stream, recorded, refused};
use crate::{
    harness::{Campaign, Clients, eur, id, make_key, money},
    wire::{self, frame, published_reason},
};

/// The items of one stream, with the reason that each is refused for, or none.
async fn mixed(desk: &Desk, theirs: &Campaign) -> Vec<(pb::RecordPaymentRequest, &'static str)> {
    let mine = &desk.campaign;
    let ada = mine.member(&desk.tester, "ada@example.org").await;
    let pledge = mine.pledge(&desk.tester, &ada, "100").await;
    let first = mine.payment("ch_a", &pledge, "60");
    let again = pb::RecordPaymentRequest {
        request_id: id(),
        ..first.clone()
    };
    let other_body = pb::RecordPaymentRequest {
        gross: eur("61"),
        ..first.clone()
    };
    let only_asked = pb::RecordPaymentRequest {
        validate_only: true,
        ..mine.payment("ch_b", &pledge, "5")
    };
    let nobodys = pb::RecordPaymentRequest {
        request_id: "x".to_owned(),
        ..mine.payment("ch_b", &pledge, "5")
    };
    let dollars = pb::RecordPaymentRequest {
        gross: money("USD", "5"),
        ..mine.payment("ch_b", &pledge, "5")
    };
    vec![
        (first.clone(), ""),
        (mine.payment("ch_b", &pledge, "1e3"), "AMOUNT_MALFORMED"),
        (dollars, "CURRENCY_MISMATCH"),
        (first.clone(), ""),
        (again, ""),
        (mine.payment("ch_a", &pledge, "60.01"), "MOVEMENT_DIFFERS"),
        (theirs.payment_by("ch_a", None, "7"), "CAMPAIGN_NOT_FOUND"),
        (only_asked, "INVALID_FIELD"),
        (other_body, "REQUEST_ID_REUSED"),
        (nobodys, "INVALID_FIELD"),
        (pb::RecordPaymentRequest::default(), "INVALID_FIELD"),
        (mine.payment("ch_b", &pledge, "55"), ""),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_item_of_a_stream_is_answered_in_its_place_and_harms_no_other() {
    let desk = Desk::open(Settings::default(), 0).await;
    let theirs = Campaign::open(&desk.tester, "EUR").await;
    let items = mixed(&desk, &theirs).await;
    let before = desk.posted().await;
    let bound = desk.campaign.name.strip_prefix("campaigns/").unwrap();
    let bound = Some(bound.parse().unwrap());
    let key = make_key(&desk.tester.server.app, Role::Webhook, bound).await;
    let bridge = Clients::new(desk.tester.server.channel(), Some(&key));
    let payments: Vec<_> = items.iter().map(|(payment, _)| payment.clone()).collect();
    let outcomes = Stream::carry(&bridge, &payments, 5).await;
    let mut told = Vec::new();
    for (outcome, (_, reason)) in outcomes.iter().zip(&items) {
        match *reason {
            "" => told.push(recorded(outcome).clone()),
            reason => {
                let refusal = refused(outcome);
                let name = format!("ERROR_REASON_{reason}");
                assert_eq!(refusal.reason().as_str_name(), name, "{refusal:?}");
                assert!(!refusal.retryable);
            }
        }
    }
    let said = |answer: &pb::RecordPaymentResponse| {
        let outcome = answer.outcome.clone().unwrap();
        (outcome.replayed, outcome.already_recorded)
    };
    let told: Vec<_> = told.iter().map(|answer| (answer, said(answer))).collect();
    let flags: Vec<_> = told.iter().map(|(_, said)| *said).collect();
    assert_eq!(
        flags,
        [(false, false), (true, false), (false, true), (false, false)]
    );
    // The second and third tell of the first one's payment.
    assert_eq!(told[1].0.payment, told[0].0.payment);
    assert_eq!(told[2].0.payment, told[0].0.payment);
    assert_eq!(refused(&outcomes[1]).field, "gross.amount");
    assert_eq!(refused(&outcomes[2]).metadata["expected"], "EUR");
    assert_eq!(refused(&outcomes[7]).field, "validate_only");
    assert_eq!(refused(&outcomes[8]).field, "gross");
    assert_eq!(refused(&outcomes[9]).field, "request_id");
    assert_eq!(refused(&outcomes[10]).field, "money_account");

    // Two payments were posted, and nothing to the other campaign.
    assert_eq!(desk.posted().await, before + 2);
    let stands = async |code| desk.campaign.stands(&desk.tester, code).await;
    assert_eq!(stands("1000").await, "Dr 115.00");
    assert_eq!(stands("2100").await, "Cr 100.00");
    assert_eq!(stands("2200").await, "Cr 15.00");
    assert_eq!(theirs.stands(&desk.tester, "1000").await, "0");
    desk.tester.must_be_clean(&desk.campaign.name).await;
    must_equal_calls(&bridge, &payments, &outcomes).await;
    assert_eq!(desk.posted().await, before + 2);
}

/// Makes a call of each item; the answers differ from the stream's in that they
/// are replays.
async fn must_equal_calls(
    bridge: &Clients,
    payments: &[pb::RecordPaymentRequest],
    outcomes: &[pb::RecordPaymentsOutcome],
) {
    for (payment, outcome) in payments.iter().zip(outcomes) {
        if payment.validate_only {
            continue;
        }
        let called = bridge.payments().record_payment(payment.clone()).await;
        match called {
            Ok(called) => {
                let mut called = called.into_inner();
                assert!(called.outcome.as_ref().unwrap().replayed);
                let streamed = recorded(outcome);
                let replayed = streamed.outcome.as_ref().unwrap().replayed;
                called.outcome.as_mut().unwrap().replayed = replayed;
                assert_eq!(&called, streamed);
            }
            Err(status) => must_say_the_same(&status, refused(outcome)),
        }
    }
}

fn must_say_the_same(status: &Status, refusal: &pb::Refusal) {
    assert_eq!(status.code(), Code::from(refusal.code));
    assert_eq!(status.message(), refusal.message);
    let reason = format!("ERROR_REASON_{}", published_reason(status));
    assert_eq!(refusal.reason().as_str_name(), reason);
    let info = tonic_types::StatusExt::get_details_error_info(status).unwrap();
    assert_eq!(info.metadata, refusal.metadata);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_payments_fit_one_message_and_one_more_does_not() {
    let desk = Desk::open(Settings::default(), 1_003).await;
    for bad in [&desk.payments[1..1_002], &[]] {
        let mut stream = desk.stream().await;
        stream.send(&desk.payments[..1]).await;
        stream.send(bad).await;
        let status = stream.end().await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(published_reason(&status), "INVALID_FIELD");
        assert_eq!(crate::harness::detail(&status, "field"), "payments");
        // What came before is answered first.
        assert_eq!(stream.outcomes.len(), 1);
        recorded(&stream.outcomes[0]);
    }
    desk.must_have_posted(1).await;

    let outcomes = Stream::carry(&desk.tester.treasurer(), &desk.payments, 1_000).await;
    let replayed = |outcome| recorded(outcome).outcome.as_ref().unwrap().replayed;
    assert!(replayed(&outcomes[0]));
    assert!(!outcomes[1..].iter().any(replayed));
    desk.must_have_posted(1_003).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_message_ends_a_stream_with_a_reason() {
    let desk = Desk::open(Settings::default(), 1).await;
    let good = pb::RecordPaymentsRequest {
        payments: desk.payments.clone(),
    };
    let mut body = frame(&prost::Message::encode_to_vec(&good));
    body.extend(frame(&[0x0a, 0xff]));
    let bearer = format!("Bearer {}", desk.tester.key(Role::Webhook));
    let headers = [("authorization", bearer.as_str())];
    let path = "/pledgebook.v1.PaymentService/RecordPayments";
    let address = desk.tester.server.address;
    let answer = wire::http2(address, path, &headers, body).await;
    assert_eq!(answer.status().code(), Code::InvalidArgument);
    assert_eq!(published_reason(&answer.status()), "MESSAGE_MALFORMED");
    // The outcome of what came before is in the body.
    let id = desk.payments[0].request_id.as_bytes();
    assert!(answer.body.windows(id.len()).any(|part| part == id));
    desk.must_have_posted(1).await;
}
