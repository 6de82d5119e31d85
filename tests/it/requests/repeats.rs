//! The same request again, and another one under its id.

use std::collections::BTreeSet;

use pledgebook::{access::Role, grpc::pb};
use tokio::task::JoinSet;
use tonic::Code;
use uuid::Uuid;

use super::Desk;
use crate::{
    harness::{Campaign, Tester, detail, eur, id, lines, terms, text},
    wire::published_reason,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_answered_as_the_first_time() {
    let desk = Desk::open().await;
    let request = desk.pledging(eur("100"));
    let first = desk.pledge(request.clone()).await.unwrap();
    let outcome = first.outcome.clone().unwrap();
    assert!(!outcome.replayed);
    // What comes in between changes the balances; the answer stays that of then.
    desk.pledge(desk.pledging(eur("30"))).await.unwrap();
    let before = desk.counts().await;
    let other = desk.tester.another_server().await;
    for clients in [
        desk.tester.treasurer(),
        desk.tester.as_role_on(&other, Role::Treasurer),
    ] {
        let again = clients.pledges().create_pledge(request.clone()).await;
        let again = again.unwrap().into_inner();
        assert_eq!(again.pledge, first.pledge);
        let expected = pb::Outcome {
            replayed: true,
            ..outcome.clone()
        };
        assert_eq!(again.outcome.unwrap(), expected);
    }
    assert_eq!(desk.counts().await, before);
    assert_eq!(desk.balance(9000).await, 13_000);

    let pledge = first.pledge.unwrap().name;
    let payment = desk.campaign.payment("ch_1", &pledge, "120.50");
    let first = desk.pay(payment.clone()).await.unwrap();
    let again = desk.pay(payment).await.unwrap();
    assert_eq!(again.payment, first.payment);
    let outcome = first.outcome.unwrap();
    assert_eq!(outcome.entry_numbers.len(), 1);
    let expected = pb::Outcome {
        replayed: true,
        ..outcome
    };
    assert_eq!(again.outcome.unwrap(), expected);
    assert_eq!(desk.balance(1000).await, 12_050);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_many_times_at_once_is_done_once() {
    let desk = Desk::open().await;
    let other = desk.tester.another_server().await;
    let before = desk.counts().await;
    let request = desk.payment("ch_1", eur("50"));
    let mut calls = JoinSet::new();
    for number in 0..16 {
        let clients = match number % 2 {
            0 => desk.tester.treasurer(),
            _ => desk.tester.as_role_on(&other, Role::Treasurer),
        };
        let request = request.clone();
        calls.spawn(async move { clients.payments().record_payment(request).await });
    }
    let mut firsts = 0;
    let mut seen = BTreeSet::new();
    for answer in calls.join_all().await {
        let answer = answer.unwrap().into_inner();
        let outcome = answer.outcome.unwrap();
        firsts += usize::from(!outcome.replayed);
        seen.insert((
            outcome.change_number,
            outcome.entry_numbers,
            answer.payment.unwrap().name,
        ));
    }
    assert_eq!((firsts, seen.len()), (1, 1));
    let (changes, entries, _) = before;
    assert_eq!(desk.counts().await.0, changes + 1);
    assert_eq!(desk.counts().await.1, entries + 1);
    assert_eq!(desk.balance(1000).await, 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_request_id_is_refused_and_says_what_differs() {
    let desk = Desk::open().await;
    let request = desk.payment("ch_1", eur("50"));
    let done = desk.pay(request.clone()).await.unwrap();
    let before = desk.counts().await;
    let member = desk.campaign.member(&desk.tester, "bob@example.org").await;
    let after_member = desk.counts().await;
    assert_eq!(after_member.0, before.0 + 1);
    let other_payer = pb::record_payment_request::Payer::Member(member.clone());
    let dated = prost_types::Timestamp {
        seconds: 1_800_000_000,
        nanos: 0,
    };
    for (changed, field) in [
        (
            pb::RecordPaymentRequest {
                gross: eur("50.01"),
                ..request.clone()
            },
            "gross",
        ),
        (
            pb::RecordPaymentRequest {
                object_id: "ch_2".to_owned(),
                ..request.clone()
            },
            "object_id",
        ),
        (
            pb::RecordPaymentRequest {
                payer: Some(other_payer),
                ..request.clone()
            },
            "member",
        ),
        (
            pb::RecordPaymentRequest {
                payer: None,
                ..request.clone()
            },
            "member",
        ),
        (
            pb::RecordPaymentRequest {
                occurred_at: Some(dated),
                ..request.clone()
            },
            "occurred_at",
        ),
        (
            pb::RecordPaymentRequest {
                method: pb::PaymentMethod::DirectDebit.into(),
                ..request.clone()
            },
            "method",
        ),
    ] {
        let refused = desk.pay(changed).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert_eq!(published_reason(&refused), "REQUEST_ID_REUSED");
        assert_eq!(detail(&refused, "field"), field, "{refused:?}");
    }
    // The same id for another method.
    let pledge = pb::CreatePledgeRequest {
        request_id: request.request_id.clone(),
        ..desk.pledging(eur("50"))
    };
    let refused = desk.pledge(pledge).await.unwrap_err();
    assert_eq!(published_reason(&refused), "REQUEST_ID_REUSED");
    assert_eq!(detail(&refused, "field"), "method");
    // The same body from another caller.
    let bridge = desk.tester.as_role(Role::Webhook);
    let refused = bridge.payments().record_payment(request.clone()).await;
    let refused = refused.unwrap_err();
    assert_eq!(published_reason(&refused), "REQUEST_ID_REUSED");
    assert_eq!(detail(&refused, "field"), "caller");

    assert_eq!(desk.counts().await, after_member);
    assert_eq!(desk.balance(1000).await, 5_000);
    let again = desk.pay(request).await.unwrap();
    assert!(again.outcome.unwrap().replayed);
    assert_eq!(again.payment, done.payment);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_its_campaigns_own() {
    let desk = Desk::open().await;
    let other = Campaign::open(&desk.tester, "EUR").await;
    let member = other.member(&desk.tester, "ada@example.org").await;
    let request = desk.pledging(eur("100"));
    desk.pledge(request.clone()).await.unwrap();
    let elsewhere = pb::CreatePledgeRequest { member, ..request };
    let made = desk.pledge(elsewhere).await.unwrap();
    assert!(!made.outcome.unwrap().replayed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_stays_refused_when_the_cause_is_gone() {
    let tester = Tester::start().await;
    let campaign = Campaign::pledging_with(&tester, terms(&tester.clock, "EUR"), None).await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &member, "100").await;
    let treasurer = tester.treasurer();
    let early = campaign.payment("ch_1", &pledge, "100");
    let refused = treasurer
        .payments()
        .record_payment(early.clone())
        .await
        .unwrap_err();
    assert_eq!(published_reason(&refused), "CAMPAIGN_STAGE");
    campaign.move_to_open(&tester).await;

    let again = treasurer
        .payments()
        .record_payment(early.clone())
        .await
        .unwrap_err();
    assert_eq!(again.code(), refused.code());
    assert_eq!(again.message(), refused.message());
    assert_eq!(again.details(), refused.details());
    let pool = tester.database.pool("postgres").await;
    let kept: (i64, i64) =
        sqlx::query_as("SELECT count(*), count(first_entry_no) FROM change WHERE request_id = $1")
            .bind(early.request_id.parse::<Uuid>().unwrap())
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(kept, (1, 0));

    let anew = pb::RecordPaymentRequest {
        request_id: id(),
        ..early
    };
    let paid = treasurer
        .payments()
        .record_payment(anew)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(text(&paid.payment.unwrap().held), "EUR 100.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_what_would_happen_changes_nothing_and_spends_no_request_id() {
    let desk = Desk::open().await;
    let before = desk.counts().await;
    let (change, entries, _) = before;
    let asked = pb::CreatePledgeRequest {
        validate_only: true,
        ..desk.pledging(eur("100"))
    };
    let shown = desk.pledge(asked.clone()).await.unwrap().outcome.unwrap();
    assert_eq!(shown.change_number, change);
    assert_eq!(shown.entry_numbers, Vec::<i64>::new());
    assert_eq!(shown.recorded_at, None);
    let [proposed] = &shown.proposed_entries[..] else {
        panic!("{shown:?}");
    };
    assert_eq!(
        (
            proposed.name.as_str(),
            proposed.number,
            proposed.change_number
        ),
        ("", 0, 0)
    );
    assert_eq!(proposed.digest, "");
    assert_eq!(
        lines(proposed),
        ["Dr 9000 EUR 100.00", "Cr 9001 EUR 100.00"]
    );
    assert_eq!(desk.counts().await, before);
    assert_eq!(desk.balance(9000).await, 0);

    let for_real = pb::CreatePledgeRequest {
        validate_only: false,
        ..asked
    };
    let done = desk.pledge(for_real.clone()).await.unwrap();
    let outcome = done.outcome.unwrap();
    assert!(!outcome.replayed && outcome.proposed_entries.is_empty());
    assert_eq!(outcome.change_number, change + 1);
    assert_eq!(outcome.entry_numbers, [entries + 1]);
    assert_eq!(outcome.balances, shown.balances);

    // A payment: what was shown is what is then posted.
    let pledge = done.pledge.unwrap().name;
    let asked = pb::RecordPaymentRequest {
        validate_only: true,
        ..desk.campaign.payment("ch_1", &pledge, "120.50")
    };
    let before = desk.counts().await;
    let shown = desk.pay(asked.clone()).await.unwrap();
    assert_eq!(desk.counts().await, before);
    let payment = shown.payment.unwrap();
    assert_eq!(text(&payment.refundable), "EUR 20.50");
    let shown = shown.outcome.unwrap();
    assert_eq!(
        lines(&shown.proposed_entries[0]),
        [
            "Dr 1000 EUR 120.50",
            "Cr 2100 EUR 100.00",
            "Cr 2200 EUR 20.50",
            "Dr 9001 EUR 100.00",
            "Cr 9000 EUR 100.00",
        ]
    );
    let done = desk
        .pay(pb::RecordPaymentRequest {
            validate_only: false,
            ..asked
        })
        .await
        .unwrap();
    assert_eq!(done.outcome.unwrap().balances, shown.balances);

    // A refusal that is only asked about is no outcome either.
    let before = desk.counts().await;
    let asked = pb::CancelPledgeRequest {
        request_id: id(),
        name: pledge,
        validate_only: true,
    };
    let mut pledges = desk.tester.treasurer().pledges();
    let refused = pledges.cancel_pledge(asked).await.unwrap_err();
    assert_eq!(published_reason(&refused), "PLEDGE_STATE");
    assert_eq!(desk.counts().await, before);

    // A campaign that is only asked about leaves no row behind.
    let heads = "SELECT count(*) FROM campaign_head";
    let before: i64 = sqlx::query_scalar(heads)
        .fetch_one(&desk.pool)
        .await
        .unwrap();
    let asked = pb::CreateCampaignRequest {
        request_id: id(),
        display_name: "Only asked".to_owned(),
        currency_code: "EUR".to_owned(),
        terms: Some(terms(&desk.tester.clock, "EUR")),
        validate_only: true,
        ..Default::default()
    };
    let mut campaigns = desk.tester.treasurer().campaigns();
    campaigns.create_campaign(asked).await.unwrap();
    let after: i64 = sqlx::query_scalar(heads)
        .fetch_one(&desk.pool)
        .await
        .unwrap();
    assert_eq!(after, before);
}
