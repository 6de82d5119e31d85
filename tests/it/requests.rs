//! What a caller can get wrong, send twice, or send broken; and what the answer
//! is while the service is busy, slow or ending.

use std::{collections::BTreeSet, time::Duration};

use pledgebook::{access::Role, book::Settings, grpc::pb};
use prost::Message;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::{
    harness::{Campaign, Tester, detail, eur, id, lines, money, terms, text},
    wire::{self, Answer, call, frame, published_reason},
};

/// A campaign with a member, and sight of its books.
struct Desk {
    tester: Tester,
    campaign: Campaign,
    member: String,
    pool: PgPool,
}

impl Desk {
    async fn open() -> Self {
        Self::open_with(Settings::default()).await
    }

    async fn open_with(settings: Settings) -> Self {
        let tester = Tester::start_with(settings).await;
        let campaign = Campaign::open(&tester, "EUR").await;
        let member = campaign.member(&tester, "ada@example.org").await;
        let pool = tester.database.pool("postgres").await;
        Self {
            tester,
            campaign,
            member,
            pool,
        }
    }

    fn id(&self) -> Uuid {
        let id = self.campaign.name.strip_prefix("campaigns/").unwrap();
        id.parse().unwrap()
    }

    /// Recorded outcomes, entries and lines of the campaign.
    async fn counts(&self) -> (i64, i64, i64) {
        sqlx::query_as(
            "SELECT change_no, entry_no,
                (SELECT count(*) FROM line WHERE line.campaign_id = campaign_head.campaign_id)
             FROM campaign_head WHERE campaign_id = $1",
        )
        .bind(self.id())
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// The campaign's balance over all accounts of a code.
    async fn balance(&self, code: i16) -> i64 {
        sqlx::query_scalar(
            "SELECT coalesce(sum(balance), 0)::bigint
             FROM balance JOIN account USING (campaign_id, account_no)
             WHERE campaign_id = $1 AND code = $2",
        )
        .bind(self.id())
        .bind(code)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    fn pledging(&self, amount: Option<pb::Money>) -> pb::CreatePledgeRequest {
        pb::CreatePledgeRequest {
            request_id: id(),
            member: self.member.clone(),
            promise: amount.map(pb::create_pledge_request::Promise::Amount),
            ..Default::default()
        }
    }

    async fn pledge(
        &self,
        request: pb::CreatePledgeRequest,
    ) -> Result<pb::CreatePledgeResponse, Status> {
        let answer = self
            .tester
            .treasurer()
            .pledges()
            .create_pledge(request)
            .await;
        answer.map(tonic::Response::into_inner)
    }

    async fn pay(
        &self,
        request: pb::RecordPaymentRequest,
    ) -> Result<pb::RecordPaymentResponse, Status> {
        let answer = self
            .tester
            .treasurer()
            .payments()
            .record_payment(request)
            .await;
        answer.map(tonic::Response::into_inner)
    }

    /// A payment of the member's, without a pledge.
    fn payment(&self, object: &str, gross: Option<pb::Money>) -> pb::RecordPaymentRequest {
        let payer = pb::record_payment_request::Payer::Member(self.member.clone());
        pb::RecordPaymentRequest {
            gross,
            payer: Some(payer),
            ..self.campaign.payment(object, "", "1")
        }
    }

    fn path(method: &str) -> String {
        format!("/pledgebook.v1.{method}")
    }

    fn bearer(&self, role: Role) -> String {
        format!("Bearer {}", self.tester.key(role))
    }

    /// Locks the campaign's head from outside: its book waits until this is dropped.
    async fn hold(&self) -> sqlx::Transaction<'static, sqlx::Postgres> {
        let mut held = self.pool.begin().await.unwrap();
        sqlx::query("SELECT FROM campaign_head WHERE campaign_id = $1 FOR UPDATE")
            .bind(self.id())
            .execute(&mut *held)
            .await
            .unwrap();
        held
    }

    /// Returns when somebody waits for the campaign's head.
    async fn until_somebody_waits(&self) {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        loop {
            let count: i64 = sqlx::query_scalar(waiting)
                .fetch_one(&self.pool)
                .await
                .unwrap();
            if count > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The fields that a refusal names as wrong.
fn wrong_fields(status: &Status) -> Vec<String> {
    let violations = status.get_details_bad_request();
    let violations = violations.map(|request| request.field_violations);
    let fields = violations.unwrap_or_default().into_iter();
    fields.map(|violation| violation.field).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_that_is_none_is_refused_by_name() {
    let desk = Desk::open().await;
    let before = desk.counts().await;
    for (given, reason, field) in [
        (eur("0"), "AMOUNT_NOT_POSITIVE", "amount"),
        (eur("0.00"), "AMOUNT_NOT_POSITIVE", "amount"),
        (eur("-0"), "AMOUNT_NOT_POSITIVE", "amount"),
        (eur("-12.50"), "AMOUNT_NOT_POSITIVE", "amount"),
        (eur("1.001"), "AMOUNT_TOO_PRECISE", "amount"),
        (eur("1.000"), "AMOUNT_TOO_PRECISE", "amount"),
        (eur("10000000000000.01"), "AMOUNT_TOO_LARGE", "amount"),
        (eur(&"9".repeat(100_000)), "AMOUNT_TOO_LARGE", "amount"),
        (eur(""), "AMOUNT_MALFORMED", "amount"),
        (eur("1e3"), "AMOUNT_MALFORMED", "amount"),
        (eur("1,000.00"), "AMOUNT_MALFORMED", "amount"),
        (eur(" 1"), "AMOUNT_MALFORMED", "amount"),
        (eur("+1"), "AMOUNT_MALFORMED", "amount"),
        (eur("NaN"), "AMOUNT_MALFORMED", "amount"),
        (eur("1\0"), "AMOUNT_MALFORMED", "amount"),
        (eur(&"x".repeat(100_000)), "AMOUNT_MALFORMED", "amount"),
        (money("eur", "1"), "CURRENCY_UNKNOWN", "currency_code"),
        (money("", "1"), "CURRENCY_UNKNOWN", "currency_code"),
        (money("XAU", "1"), "CURRENCY_UNKNOWN", "currency_code"),
        (
            money(&"E".repeat(100_000), "1"),
            "CURRENCY_UNKNOWN",
            "currency_code",
        ),
    ] {
        let shown: String = text(&given).chars().take(40).collect();
        let pledged = desk.pledge(desk.pledging(given.clone())).await.unwrap_err();
        let paid = desk.pay(desk.payment("ch_1", given)).await.unwrap_err();
        for (of, refused) in [("amount", pledged), ("gross", paid)] {
            assert_eq!(
                refused.code(),
                Code::InvalidArgument,
                "{shown}: {refused:?}"
            );
            assert_eq!(published_reason(&refused), reason, "{shown}");
            assert_eq!(wrong_fields(&refused), [format!("{of}.{field}")], "{shown}");
            assert_eq!(detail(&refused, "field"), format!("{of}.{field}"));
        }
    }
    let missing = desk.pledge(desk.pledging(None)).await.unwrap_err();
    assert_eq!(wrong_fields(&missing), ["promise"]);
    let missing = desk.pay(desk.payment("ch_1", None)).await.unwrap_err();
    assert_eq!(wrong_fields(&missing), ["gross"]);
    assert_eq!(desk.counts().await, before);

    // A right amount of another currency is a refusal by the campaign: an outcome.
    let other = desk
        .pay(desk.payment("ch_1", money("USD", "5")))
        .await
        .unwrap_err();
    assert_eq!(other.code(), Code::InvalidArgument);
    assert_eq!(published_reason(&other), "CURRENCY_MISMATCH");
    assert_eq!(detail(&other, "expected"), "EUR");
    let (changes, entries, lines) = before;
    assert_eq!(desk.counts().await, (changes + 1, entries, lines));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_at_the_bound_is_booked_to_the_cent() {
    let desk = Desk::open().await;
    let paid = desk
        .pay(desk.payment("ch_1", eur("10000000000000.00")))
        .await
        .unwrap();
    let payment = paid.payment.unwrap();
    // The campaign takes no more than its maximum; the rest is refundable.
    assert_eq!(text(&payment.held), "EUR 200000.00");
    assert_eq!(text(&payment.refundable), "EUR 9999999800000.00");
    assert_eq!(desk.balance(1000).await, 1_000_000_000_000_000);
    assert_eq!(desk.balance(2200).await, -999_999_980_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_none_or_of_nothing_is_refused() {
    let desk = Desk::open().await;
    let before = desk.counts().await;
    let ghost = Uuid::from_u128(7);
    let campaign = &desk.campaign.name;
    let good = desk.pledging(eur("5"));
    for request_id in [
        "",
        "x",
        "00000000-0000-0000-0000-000000000000",
        "{0192f0c1-2d3e-7f40-8a51-6b7c8d9e0f12}",
        "0192f0c12d3e7f408a516b7c8d9e0f12",
        "urn:uuid:0192f0c1-2d3e-7f40-8a51-6b7c8d9e0f12",
        &"0".repeat(100_000),
    ] {
        let request = pb::CreatePledgeRequest {
            request_id: request_id.to_owned(),
            ..good.clone()
        };
        let refused = desk.pledge(request).await.unwrap_err();
        assert_eq!(published_reason(&refused), "INVALID_FIELD");
        assert_eq!(wrong_fields(&refused), ["request_id"]);
    }
    for (member, reason) in [
        (String::new(), "INVALID_FIELD"),
        ("members/x".to_owned(), "INVALID_FIELD"),
        (campaign.clone(), "INVALID_FIELD"),
        (format!("{campaign}/members/"), "INVALID_FIELD"),
        (format!("{campaign}/members/{ghost}/x"), "INVALID_FIELD"),
        (format!("{campaign}/pledges/{ghost}"), "INVALID_FIELD"),
        (
            format!("{campaign}/members/{}", ghost.simple()),
            "INVALID_FIELD",
        ),
        (format!("/{campaign}/members/{ghost}"), "INVALID_FIELD"),
        (
            format!("campaigns/{ghost}/members/{ghost}"),
            "CAMPAIGN_NOT_FOUND",
        ),
    ] {
        let request = pb::CreatePledgeRequest {
            member: member.clone(),
            ..good.clone()
        };
        let refused = desk.pledge(request).await.unwrap_err();
        assert_eq!(published_reason(&refused), reason, "{member}");
    }
    assert_eq!(desk.counts().await, before);

    let unknown = pb::CreatePledgeRequest {
        member: format!("{campaign}/members/{ghost}"),
        ..good
    };
    let refused = desk.pledge(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(published_reason(&refused), "NOT_FOUND");
    // A bank account is no provider's.
    let wrong_kind = pb::RecordPaymentRequest {
        money_account: desk.campaign.bank.clone(),
        ..desk.payment("ch_1", eur("5"))
    };
    let refused = desk.pay(wrong_kind).await.unwrap_err();
    assert_eq!(published_reason(&refused), "INVALID_FIELD");
    assert_eq!(wrong_fields(&refused), ["money_account"]);
    // Nothing of another campaign can be named.
    let other = Campaign::open(&desk.tester, "EUR").await;
    let of_other = pb::RecordPaymentRequest {
        money_account: other.provider.clone(),
        ..desk.payment("ch_1", eur("5"))
    };
    let refused = desk.pay(of_other).await.unwrap_err();
    assert_eq!(published_reason(&refused), "NOT_FOUND");
    let (changes, entries, lines) = before;
    assert_eq!(desk.counts().await, (changes + 2, entries, lines));
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_has_no_place_in_a_name_is_refused() {
    let desk = Desk::open().await;
    let before = desk.counts().await;
    let asked = |display_name: &str, email: &str| pb::CreateMemberRequest {
        request_id: id(),
        campaign: desk.campaign.name.clone(),
        display_name: display_name.to_owned(),
        email: email.to_owned(),
        validate_only: false,
    };
    let long = "x".repeat(201);
    let huge = "x".repeat(200_000);
    for (display_name, email, field) in [
        ("", "a@example.org", "display_name"),
        (" \t\n", "a@example.org", "display_name"),
        ("Ada\0", "a@example.org", "display_name"),
        ("Ada\u{1b}[2J", "a@example.org", "display_name"),
        ("Ada\u{85}", "a@example.org", "display_name"),
        (&long, "a@example.org", "display_name"),
        (&huge, "a@example.org", "display_name"),
        ("Ada", "", "email"),
        ("Ada", "example.org", "email"),
        ("Ada", "a@b@c", "email"),
        ("Ada", "a b@example.org", "email"),
        ("Ada", "a\0@example.org", "email"),
        ("Ada", &huge, "email"),
    ] {
        let mut members = desk.tester.treasurer().members();
        let refused = members.create_member(asked(display_name, email)).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(published_reason(&refused), "INVALID_FIELD");
        assert_eq!(wrong_fields(&refused), [field]);
    }
    for object in ["", " ch", "ch ", "c\0h", &"x".repeat(256)] {
        let refused = desk.pay(desk.payment(object, eur("5"))).await.unwrap_err();
        assert_eq!(wrong_fields(&refused), ["object_id"]);
    }
    for value_date in [
        "2026-02-30",
        "2026-1-1",
        "1999-12-31",
        "tomorrow",
        "20260101",
    ] {
        let request = pb::RecordPaymentRequest {
            value_date: value_date.to_owned(),
            ..desk.payment("ch_1", eur("5"))
        };
        assert_eq!(
            wrong_fields(&desk.pay(request).await.unwrap_err()),
            ["value_date"]
        );
    }
    for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (1_800_000_000, -1), (0, 0)] {
        let request = pb::RecordPaymentRequest {
            occurred_at: Some(prost_types::Timestamp { seconds, nanos }),
            ..desk.payment("ch_1", eur("5"))
        };
        assert_eq!(
            wrong_fields(&desk.pay(request).await.unwrap_err()),
            ["occurred_at"]
        );
    }
    assert_eq!(desk.counts().await, before);

    // What people are really called is taken as it is.
    let name = "Þóra O'Brien-Nguyễn 🎉".to_owned() + &"é".repeat(150);
    let mut members = desk.tester.treasurer().members();
    let made = members
        .create_member(asked(&name, "thora@example.org"))
        .await;
    let made = made.unwrap().into_inner().member.unwrap();
    let request = pb::GetMemberRequest { name: made.name };
    let read = members.get_member(request).await.unwrap().into_inner();
    assert_eq!(read.member.unwrap().display_name, name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_of_much_nonsense_is_answered_with_little() {
    let desk = Desk::open().await;
    let request = pb::UpdateCampaignRequest {
        request_id: id(),
        name: desk.campaign.name.clone(),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["currency_code".repeat(10_000)],
        }),
        ..Default::default()
    };
    let mut campaigns = desk.tester.treasurer().campaigns();
    let refused = campaigns.update_campaign(request).await.unwrap_err();
    assert_eq!(published_reason(&refused), "UPDATE_MASK");
    assert!(refused.message().len() < 500);
}

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
    assert_eq!(desk.balance(9000).await, 130_00);

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
    assert_eq!(desk.balance(1000).await, 120_50);
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
    assert_eq!(desk.balance(1000).await, 50_00);
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
    assert_eq!(desk.balance(1000).await, 50_00);
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

/// Messages that no generated client would send, with the reason they are refused for.
fn broken_messages() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let mut bomb = vec![0x0b; 100_000];
    bomb.extend(vec![0x0c; 100_000]);
    let of_campaign = |text: &[u8]| {
        let mut message = vec![0x12];
        prost::encoding::encode_varint(text.len() as u64, &mut message);
        message.extend_from_slice(text);
        message
    };
    let large = pb::CreateMemberRequest {
        display_name: "x".repeat(300 * 1024),
        ..Default::default()
    };
    vec![
        (
            "text that is not UTF-8",
            of_campaign(b"campaigns/\xff\xfe"),
            "MESSAGE_MALFORMED",
        ),
        (
            "a length past the end",
            vec![0x12, 0x7f, b'c'],
            "MESSAGE_MALFORMED",
        ),
        (
            "a length past all memory",
            vec![0x12, 0xff, 0xff, 0xff, 0xff, 0x7f],
            "MESSAGE_MALFORMED",
        ),
        ("a tag of no field", vec![0x00], "MESSAGE_MALFORMED"),
        (
            "a tag that does not end",
            vec![0xff; 20],
            "MESSAGE_MALFORMED",
        ),
        ("another wire type", vec![0x10, 0x01], "MESSAGE_MALFORMED"),
        ("groups within groups", bomb, "MESSAGE_MALFORMED"),
        (
            "more than is taken",
            large.encode_to_vec(),
            "MESSAGE_TOO_LARGE",
        ),
        // Under its name, but nothing of what it asks for.
        (
            "unknown fields alone",
            vec![0xf8, 0x07, 0x01],
            "INVALID_FIELD",
        ),
        ("nothing", vec![], "INVALID_FIELD"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_message_is_refused_with_a_reason() {
    let desk = Desk::open().await;
    let before = desk.counts().await;
    let bearer = desk.bearer(Role::Treasurer);
    let path = Desk::path("MemberService/CreateMember");
    for (what, message, reason) in broken_messages() {
        for compressed in [false, true] {
            let channel = desk.tester.server.channel();
            let refused = call(channel, &path, Some(&bearer), message.clone(), compressed).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{what}: {refused:?}");
            assert_eq!(published_reason(&refused), reason, "{what} {compressed}");
        }
    }
    // What is small on the wire and large in memory is stopped at the bound.
    let channel = desk.tester.server.channel();
    let bomb = call(channel, &path, Some(&bearer), vec![0; 32 << 20], true).await;
    let bomb = bomb.unwrap_err();
    assert_eq!(published_reason(&bomb), "MESSAGE_TOO_LARGE");
    assert_eq!(desk.counts().await, before);
    desk.pledge(desk.pledging(eur("5"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_frame_is_refused_with_a_reason() {
    let desk = Desk::open().await;
    let bearer = desk.bearer(Role::Treasurer);
    let path = Desk::path("CampaignService/GetCampaign");
    let message = pb::GetCampaignRequest {
        name: desk.campaign.name.clone(),
    };
    let good = frame(&message.encode_to_vec());
    let with_flag = |flag: u8| {
        let mut frame = good.clone();
        frame[0] = flag;
        frame
    };
    let gzip = ("grpc-encoding", "gzip");
    let malformed = (Code::InvalidArgument, "MESSAGE_MALFORMED");
    for (what, header, body, (code, reason)) in [
        ("compressed by what?", None, with_flag(1), malformed),
        (
            "compressed, and it is not",
            Some(gzip),
            with_flag(1),
            malformed,
        ),
        ("a flag that means nothing", None, with_flag(7), malformed),
        (
            "half a frame",
            None,
            good[..good.len() - 3].to_vec(),
            malformed,
        ),
        ("half a head", None, good[..3].to_vec(), malformed),
        ("no frame", None, vec![], malformed),
        (
            "a compression that nobody knows",
            Some(("grpc-encoding", "brotli")),
            good.clone(),
            (Code::Unimplemented, "MESSAGE_MALFORMED"),
        ),
        (
            "a length of gigabytes",
            None,
            vec![0, 0xff, 0xff, 0xff, 0xff, 1],
            (Code::InvalidArgument, "MESSAGE_TOO_LARGE"),
        ),
    ] {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(header);
        let answer = wire::http2(desk.tester.server.address, &path, &headers, body).await;
        let status = answer.status();
        assert_eq!(status.code(), code, "{what}: {status:?}");
        assert_eq!(published_reason(&status), reason, "{what}: {status:?}");
    }
    let headers = [("authorization", bearer.as_str())];
    let answer = wire::http2(desk.tester.server.address, &path, &headers, good).await;
    assert_eq!(answer.status().code(), Code::Ok, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_does_not_exist_is_refused_with_a_reason() {
    let desk = Desk::open().await;
    let bearer = desk.bearer(Role::Admin);
    for (path, code, reason) in [
        (
            "/other.v1.Service/Method",
            Code::Unimplemented,
            "METHOD_UNKNOWN",
        ),
        (
            "/grpc.health.v1.Health/Nothing",
            Code::Unimplemented,
            "METHOD_UNKNOWN",
        ),
        ("/nothing", Code::Unimplemented, "METHOD_UNKNOWN"),
        (
            "/pledgebook.v1.PledgeService/Nothing",
            Code::PermissionDenied,
            "ROLE_NOT_ALLOWED",
        ),
        (
            "/pledgebook.v1.Nothing/Nothing",
            Code::PermissionDenied,
            "ROLE_NOT_ALLOWED",
        ),
        (
            "/pledgebook.v2.PledgeService/CreatePledge",
            Code::Unimplemented,
            "METHOD_UNKNOWN",
        ),
    ] {
        let channel = desk.tester.server.channel();
        let refused = call(channel, path, Some(&bearer), vec![], false)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), code, "{path}: {refused:?}");
        assert_eq!(published_reason(&refused), reason, "{path}");
        // A browser is told in the same words.
        let web = [
            ("content-type", "application/grpc-web+proto"),
            ("authorization", &bearer),
        ];
        let answer = wire::http1(desk.tester.server.address, path, &web, frame(&[])).await;
        let status = web_status(&answer);
        assert_eq!(status.code(), code, "{path}: {answer:?}");
        assert_eq!(published_reason(&status), reason, "{path}");
    }
    // Whoever does not speak gRPC gets an answer of the web.
    let answer = wire::http1(desk.tester.server.address, "/nothing", &[], vec![]).await;
    assert_eq!(answer.http, http::StatusCode::NOT_FOUND);
}

/// The status of an answer over gRPC-Web: in its headers, or in the last frame of its body.
fn web_status(answer: &Answer) -> Status {
    if answer.headers.contains_key("grpc-status") {
        return answer.status();
    }
    let trailers = frames(&answer.body)
        .into_iter()
        .find(|(flag, _)| flag & 0x80 != 0)
        .unwrap_or_else(|| panic!("{answer:?}"));
    let mut headers = http::HeaderMap::new();
    for line in String::from_utf8(trailers.1).unwrap().lines() {
        let (name, value) = line.split_once(':').unwrap();
        let name: http::HeaderName = name.parse().unwrap();
        headers.insert(name, value.trim().parse().unwrap());
    }
    Status::from_header_map(&headers).unwrap()
}

/// The frames of a body, each with its flag.
fn frames(body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut rest = body;
    let mut frames = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<5>() {
        let [flag, length @ ..] = *head;
        let (content, next) = after.split_at(u32::from_be_bytes(length) as usize);
        frames.push((flag, content.to_vec()));
        rest = next;
    }
    assert!(rest.is_empty(), "{body:?}");
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_served_over_http_1() {
    let desk = Desk::open().await;
    let address = desk.tester.server.address;
    let web = ("content-type", "application/grpc-web+proto");
    let request = pb::GetPublicProgressRequest {
        name: desk.campaign.name.clone(),
    };
    let path = Desk::path("CampaignService/GetPublicProgress");
    let answer = wire::http1(address, &path, &[web], frame(&request.encode_to_vec())).await;
    assert_eq!(answer.http, http::StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/grpc-web+proto");
    assert_eq!(web_status(&answer).code(), Code::Ok);
    let (flag, message) = &frames(&answer.body)[0];
    assert_eq!(*flag, 0);
    let progress = pb::GetPublicProgressResponse::decode(&message[..]).unwrap();
    assert_eq!(progress.display_name, "We are the club");
    assert_eq!(text(&progress.collected), "EUR 0.00");

    // A write, with a key, and what it is refused for without one.
    let pledging = frame(&desk.pledging(eur("100")).encode_to_vec());
    let path = Desk::path("PledgeService/CreatePledge");
    let refused = wire::http1(address, &path, &[web], pledging.clone()).await;
    assert_eq!(published_reason(&web_status(&refused)), "UNAUTHENTICATED");
    let bearer = desk.bearer(Role::FrontEnd);
    let headers = [web, ("authorization", bearer.as_str())];
    let done = wire::http1(address, &path, &headers, pledging).await;
    assert_eq!(web_status(&done).code(), Code::Ok, "{done:?}");
    let (_, message) = &frames(&done.body)[0];
    let done = pb::CreatePledgeResponse::decode(&message[..]).unwrap();
    assert_eq!(text(&done.pledge.unwrap().amount), "EUR 100.00");
    assert_eq!(desk.balance(9000).await, 100_00);
    // An error of the service itself has its reason here too.
    let headers = [web, ("authorization", bearer.as_str())];
    let refused = wire::http1(address, &path, &headers, frame(&[])).await;
    assert_eq!(published_reason(&web_status(&refused)), "INVALID_FIELD");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_answer_without_a_key() {
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
    let tester = Tester::start().await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(tester.server.channel());
    let asked = HealthCheckRequest::default();
    let answer = health.check(asked).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    let unknown = HealthCheckRequest {
        service: "nothing".to_owned(),
    };
    assert_eq!(
        health.check(unknown).await.unwrap_err().code(),
        Code::NotFound
    );

    macro_rules! services {
        ($version:ident) => {{
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
            };
            let request = ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::ListServices(String::new())),
            };
            let mut client = ServerReflectionClient::new(tester.server.channel());
            let asked = futures::stream::iter([request]);
            let mut answers = client
                .server_reflection_info(asked)
                .await
                .unwrap()
                .into_inner();
            let answer = answers.message().await.unwrap().unwrap();
            match answer.message_response {
                Some(MessageResponse::ListServicesResponse(list)) => list
                    .service
                    .into_iter()
                    .map(|service| service.name)
                    .collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            }
        }};
    }
    for names in [services!(v1), services!(v1alpha)] {
        for service in ["pledgebook.v1.PledgeService", "grpc.health.v1.Health"] {
            assert!(names.iter().any(|name| name == service), "{names:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_impossible_size_or_place_is_refused() {
    let desk = Desk::open().await;
    for email in ["bob@example.org", "cyd@example.org"] {
        desk.campaign.member(&desk.tester, email).await;
    }
    let other = Campaign::open(&desk.tester, "EUR").await;
    for email in ["x@example.org", "y@example.org"] {
        other.member(&desk.tester, email).await;
    }
    let mut members = desk.tester.treasurer().members();
    let page = |campaign: &str, page_size: i32, page_token: &str| pb::ListMembersRequest {
        campaign: campaign.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
    };
    let mine = &desk.campaign.name;
    for size in [-1, 1_001, i32::MIN, i32::MAX] {
        let refused = members
            .list_members(page(mine, size, ""))
            .await
            .unwrap_err();
        assert_eq!(published_reason(&refused), "INVALID_FIELD");
        assert_eq!(wrong_fields(&refused), ["page_size"]);
    }
    let first = members
        .list_members(page(mine, 1, ""))
        .await
        .unwrap()
        .into_inner();
    let token = first.next_page_token;
    assert!(!token.is_empty());
    let of_other = members
        .list_members(page(&other.name, 1, ""))
        .await
        .unwrap();
    let of_other = of_other.into_inner().next_page_token;
    let mut pledges = desk.tester.treasurer().pledges();
    desk.pledge(desk.pledging(eur("1"))).await.unwrap();
    desk.pledge(desk.pledging(eur("2"))).await.unwrap();
    let of_list = pb::ListPledgesRequest {
        campaign: mine.clone(),
        page_size: 1,
        ..Default::default()
    };
    let of_list = pledges.list_pledges(of_list).await.unwrap();
    let of_list = of_list.into_inner().next_page_token;
    let mut altered = token.clone().into_bytes();
    altered[5] = if altered[5] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    for forged in [
        "x",
        "!!!",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        &altered,
        &token[1..],
        &of_other,
        &of_list,
        &"A".repeat(100_000),
    ] {
        let refused = members
            .list_members(page(mine, 1, forged))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(published_reason(&refused), "TOKEN_INVALID");
        assert_eq!(wrong_fields(&refused), ["page_token"]);
    }
    // A page may have another size than the one before.
    let rest = members
        .list_members(page(mine, 1_000, &token))
        .await
        .unwrap();
    assert_eq!(rest.into_inner().members.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_walk_over_everything_exactly_once() {
    let desk = Desk::open().await;
    let mut members = vec![desk.member.clone()];
    for number in 0..6 {
        let email = format!("m{number}@example.org");
        members.push(desk.campaign.member(&desk.tester, &email).await);
    }
    let treasurer = desk.tester.treasurer();
    let (mut open, mut cancelled) = (Vec::new(), Vec::new());
    for (number, member) in members.iter().enumerate() {
        let pledge = desk.campaign.pledge(&desk.tester, member, "10").await;
        if number % 2 == 0 {
            open.push(pledge);
            continue;
        }
        let cancel = pb::CancelPledgeRequest {
            request_id: id(),
            name: pledge.clone(),
            validate_only: false,
        };
        treasurer.pledges().cancel_pledge(cancel).await.unwrap();
        cancelled.push(pledge);
    }

    for page_size in [1, 2, 3, 7, 50] {
        let (mut walked, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListMembersRequest {
                campaign: desk.campaign.name.clone(),
                page_size,
                page_token,
            };
            let page = treasurer
                .members()
                .list_members(request)
                .await
                .unwrap()
                .into_inner();
            assert!(page.members.len() <= usize::try_from(page_size).unwrap());
            walked.extend(page.members.into_iter().map(|member| member.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(walked, members, "{page_size}");
    }
    let everything: Vec<String> = {
        let mut all = [open.clone(), cancelled.clone()].concat();
        all.sort();
        all
    };
    for (state, expected) in [
        (pb::PledgeState::Committed, &open),
        (pb::PledgeState::Cancelled, &cancelled),
        (pb::PledgeState::Paid, &Vec::new()),
        (pb::PledgeState::Unspecified, &everything),
    ] {
        let (mut walked, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListPledgesRequest {
                campaign: desk.campaign.name.clone(),
                state: state.into(),
                page_size: 2,
                page_token,
                ..Default::default()
            };
            let page = treasurer
                .pledges()
                .list_pledges(request)
                .await
                .unwrap()
                .into_inner();
            assert!(page.pledges.len() <= 2);
            walked.extend(page.pledges.into_iter().map(|pledge| pledge.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(&walked, expected, "{state:?}");
    }
    let of_one = pb::ListPledgesRequest {
        campaign: desk.campaign.name.clone(),
        member: desk.member.clone(),
        ..Default::default()
    };
    let of_one = treasurer.pledges().list_pledges(of_one).await.unwrap();
    assert_eq!(of_one.into_inner().pledges.len(), 1);
    let unknown_state = pb::ListPledgesRequest {
        campaign: desk.campaign.name.clone(),
        state: 99,
        ..Default::default()
    };
    let refused = treasurer
        .pledges()
        .list_pledges(unknown_state)
        .await
        .unwrap_err();
    assert_eq!(wrong_fields(&refused), ["state"]);
}

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
    assert_eq!(desk.balance(1000).await, 50_00);
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
