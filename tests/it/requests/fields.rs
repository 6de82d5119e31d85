//! What a caller can get wrong, field by field.

use pledgebook::grpc::pb;
use tonic::Code;
use uuid::Uuid;

use super::{Desk, wrong_fields};
use crate::{
    harness::{Campaign, detail, eur, id, money, text},
    wire::published_reason,
};

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
