//! A provider's payment that succeeded.

use pledgebook::grpc::pb::{self, EntryEvent, PaymentState, PledgeState};
use time::Duration;

use crate::{
    calls::{MatchedTo, PaidBy, day, parts, refused, stamp},
    harness::{Campaign, Tester, eur, id, lines, terms, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_fills_its_pledge_and_what_is_over_is_refundable() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &member, "100").await;

    // In part.
    let first = campaign.pay(&tester, "ch_1", &pledge, "40").await;
    assert_eq!(first.payment.state(), PaymentState::Succeeded);
    assert_eq!(parts(&first.payment), ["40.00", "0.00", "0.00"]);
    assert_eq!(
        (&first.payment.member, &first.payment.pledge),
        (&member, &pledge)
    );
    let entry = campaign.entry(&tester, first.entry()).await;
    assert_eq!(entry.event(), EntryEvent::PaymentSucceeded);
    assert_eq!(
        lines(&entry),
        [
            "Dr 1000 EUR 40.00",
            "Cr 2100 EUR 40.00",
            "Dr 9001 EUR 40.00",
            "Cr 9000 EUR 40.00",
        ]
    );
    for line in &entry.lines {
        assert_eq!(
            (&line.payment, &line.pledge),
            (&first.payment.name, &pledge)
        );
    }
    let stands = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(stands.state(), PledgeState::PartPaid);

    // Over what is left.
    let second = campaign.pay(&tester, "ch_2", &pledge, "80.50").await;
    assert_eq!(parts(&second.payment), ["60.00", "20.50", "0.00"]);
    assert_eq!(
        campaign.posted(&tester, second.entry()).await,
        [
            "Dr 1000 EUR 80.50",
            "Cr 2100 EUR 60.00",
            "Cr 2200 EUR 20.50",
            "Dr 9001 EUR 60.00",
            "Cr 9000 EUR 60.00",
        ]
    );
    let stands = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(stands.state(), PledgeState::Paid);
    assert_eq!(text(&stands.outstanding), "EUR 0.00");

    // On a pledge that is paid, all is over.
    let third = campaign.pay(&tester, "ch_3", &pledge, "5").await;
    assert_eq!(parts(&third.payment), ["0.00", "5.00", "0.00"]);
    assert_eq!(
        campaign.posted(&tester, third.entry()).await,
        ["Dr 1000 EUR 5.00", "Cr 2200 EUR 5.00"]
    );
    // And exactly.
    let exact = campaign.pledge(&tester, &member, "7.77").await;
    let fourth = campaign.pay(&tester, "ch_4", &exact, "7.77").await;
    assert_eq!(
        campaign.posted(&tester, fourth.entry()).await,
        [
            "Dr 1000 EUR 7.77",
            "Cr 2100 EUR 7.77",
            "Dr 9001 EUR 7.77",
            "Cr 9000 EUR 7.77",
        ]
    );
    // The answer's balances are the accounts' after it.
    let balances = fourth.outcome.balances.iter();
    let balances: Vec<(&str, String)> = balances
        .map(|account| (account.code.as_str(), text(&account.balance)))
        .collect();
    assert_eq!(
        balances,
        [
            ("1000", "EUR 133.27".to_owned()),
            ("2100", "EUR 107.77".to_owned()),
            ("9001", "EUR 0.00".to_owned()),
            ("9000", "EUR 0.00".to_owned()),
        ]
    );
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_a_member_without_a_pledge_is_held_without_a_promise() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let member = campaign.member(&tester, "ada@example.org").await;
    campaign.pledge(&tester, &member, "30").await;
    let request = campaign.payment_by("ch_1", Some(PaidBy::Member(member.clone())), "30");
    let paid = campaign.record(&tester, request).await.unwrap();
    assert_eq!(parts(&paid.payment), ["30.00", "0.00", "0.00"]);
    assert_eq!(
        (paid.payment.member.as_str(), paid.payment.pledge.as_str()),
        (member.as_str(), "")
    );
    assert_eq!(
        campaign.posted(&tester, paid.entry()).await,
        ["Dr 1000 EUR 30.00", "Cr 2100 EUR 30.00"]
    );
    // The promise stands beside it.
    assert_eq!(campaign.stands(&tester, "9000").await, "Dr 30.00");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_whose_payer_is_unknown_waits_until_it_is_matched() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &member, "50").await;
    let request = campaign.payment_by("ch_1", None, "60");
    let unknown = campaign.record(&tester, request).await.unwrap();
    assert_eq!(parts(&unknown.payment), ["0.00", "0.00", "60.00"]);
    let entry = campaign.entry(&tester, unknown.entry()).await;
    assert_eq!(entry.event(), EntryEvent::PaymentUnallocated);
    assert_eq!(lines(&entry), ["Dr 1000 EUR 60.00", "Cr 2900 EUR 60.00"]);

    let matched = campaign
        .match_to(&tester, unknown.name(), MatchedTo::Pledge(pledge.clone()))
        .await
        .unwrap();
    assert_eq!(parts(&matched.payment), ["50.00", "10.00", "0.00"]);
    assert_eq!(
        campaign.posted(&tester, matched.entry()).await,
        [
            "Dr 2900 EUR 60.00",
            "Cr 2100 EUR 50.00",
            "Cr 2200 EUR 10.00",
            "Dr 9001 EUR 50.00",
            "Cr 9000 EUR 50.00",
        ]
    );
    assert_eq!(
        campaign.read_payment(&tester, unknown.name()).await,
        matched.payment
    );
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_who_does_not_exist_is_refused_and_nothing_is_posted() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let other = Campaign::open(&tester, "EUR").await;
    let elsewhere = other.member(&tester, "ada@example.org").await;
    let nobody = format!("{}/members/{}", campaign.name, id());
    let no_pledge = format!("{}/pledges/{}", campaign.name, id());
    for (payer, reason) in [
        (PaidBy::Member(nobody), "NOT_FOUND"),
        (PaidBy::Pledge(no_pledge), "NOT_FOUND"),
        (PaidBy::Member(elsewhere), "NOT_FOUND"),
        (PaidBy::Pledge(String::new()), "INVALID_FIELD"),
    ] {
        let request = campaign.payment_by("ch_1", Some(payer), "10");
        refused(campaign.record(&tester, request).await, reason);
    }
    let usual = || campaign.payment_by("ch_1", None, "10");
    let cases = [
        (
            pb::RecordPaymentRequest {
                gross: eur("0"),
                ..usual()
            },
            "AMOUNT_NOT_POSITIVE",
        ),
        (
            pb::RecordPaymentRequest {
                gross: None,
                ..usual()
            },
            "INVALID_FIELD",
        ),
        (
            pb::RecordPaymentRequest {
                object_id: String::new(),
                ..usual()
            },
            "INVALID_FIELD",
        ),
        (
            pb::RecordPaymentRequest {
                value_date: "22.11.2026".to_owned(),
                ..usual()
            },
            "INVALID_FIELD",
        ),
        (
            pb::RecordPaymentRequest {
                gross: crate::harness::money("USD", "10"),
                ..usual()
            },
            "CURRENCY_MISMATCH",
        ),
        // A bank account takes no provider's payments.
        (
            pb::RecordPaymentRequest {
                money_account: campaign.bank.clone(),
                ..usual()
            },
            "INVALID_FIELD",
        ),
        (
            pb::RecordPaymentRequest {
                money_account: format!("{}/moneyAccounts/{}", campaign.name, id()),
                ..usual()
            },
            "NOT_FOUND",
        ),
    ];
    for (request, reason) in cases {
        refused(campaign.record(&tester, request).await, reason);
    }
    assert!(campaign.entries(&tester).await.is_empty());
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_it_opens_a_campaign_takes_no_money() {
    let tester = Tester::start().await;
    let campaign = Campaign::pledging_with(&tester, terms(&tester.clock, "EUR"), None).await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &member, "50").await;
    // Nor does one that is given up before it opens.
    for given_up in [false, true] {
        if given_up {
            campaign.cancel(&tester).await;
        }
        let payment = campaign.payment("ch_1", &pledge, "50");
        refused(campaign.record(&tester, payment).await, "CAMPAIGN_STAGE");
        let receipt = campaign.receipt("tx_1", None, "50");
        refused(campaign.receive(&tester, receipt).await, "CAMPAIGN_STAGE");
        let failure = pb::RecordPaymentFailureRequest {
            gross: eur("50"),
            ..campaign.failure("ch_1")
        };
        refused(campaign.fail(&tester, failure).await, "CAMPAIGN_STAGE");
    }
    assert_eq!(campaign.entries(&tester).await.len(), 1);
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dates_of_a_payment_are_kept_apart() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let clock = &tester.clock;
    let before = clock.now();
    let occurred_at = before - Duration::days(3);
    let request = pb::RecordPaymentRequest {
        occurred_at: stamp(occurred_at),
        value_date: day(clock, -2),
        available_on: day(clock, 5),
        ..campaign.payment_by("ch_1", None, "10")
    };
    let paid = campaign.record(&tester, request).await.unwrap();
    let entry = campaign.entry(&tester, paid.entry()).await;
    let dates = (&paid.payment.value_date, &paid.payment.available_on);
    assert_eq!(dates, (&day(clock, -2), &day(clock, 5)));
    assert_eq!(paid.payment.occurred_at, stamp(occurred_at));
    assert_eq!(entry.occurred_at, stamp(occurred_at));
    assert_eq!(entry.value_date, day(clock, -2));
    let recorded_at = entry.recorded_at.unwrap();
    assert_eq!(paid.outcome.recorded_at, Some(recorded_at));
    let second = |at: time::OffsetDateTime| at.unix_timestamp();
    assert!((second(before)..=second(clock.now())).contains(&recorded_at.seconds));

    // Of what is not said, each follows from the one before.
    let request = pb::RecordPaymentRequest {
        occurred_at: stamp(occurred_at),
        ..campaign.payment_by("ch_2", None, "10")
    };
    let paid = campaign.record(&tester, request).await.unwrap().payment;
    assert_eq!(
        (paid.value_date, paid.available_on),
        (day(clock, -3), day(clock, -3))
    );
    // Money is not available before it counts.
    let request = pb::RecordPaymentRequest {
        value_date: day(clock, 2),
        available_on: day(clock, -9),
        ..campaign.payment_by("ch_3", None, "10")
    };
    let paid = campaign.record(&tester, request).await.unwrap();
    assert_eq!(paid.payment.available_on, day(clock, 2));
    let entry = campaign.entry(&tester, paid.entry()).await;
    assert_eq!(entry.occurred_at, entry.recorded_at);
    assert_eq!(campaign.stands(&tester, "2900").await, "Cr 30.00");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_listed_by_member_and_by_what_waits() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let bob = campaign.member(&tester, "bob@example.org").await;
    let mut names = Vec::new();
    for (object, payer) in [
        ("ch_1", Some(PaidBy::Member(ada.clone()))),
        ("ch_2", None),
        ("ch_3", Some(PaidBy::Member(ada.clone()))),
        ("ch_4", None),
        ("ch_5", Some(PaidBy::Member(ada.clone()))),
        ("ch_6", Some(PaidBy::Member(bob.clone()))),
    ] {
        let request = campaign.payment_by(object, payer, "10");
        names.push(
            campaign
                .record(&tester, request)
                .await
                .unwrap()
                .payment
                .name,
        );
    }
    // The lines of a wrong match stay on the account of that member.
    let bob_has = MatchedTo::Member(bob.clone());
    let mistaken = campaign
        .match_to(&tester, &names[3], bob_has)
        .await
        .unwrap();
    campaign.reverse(&tester, mistaken.entry()).await.unwrap();
    let ada_has = MatchedTo::Member(ada.clone());
    campaign
        .match_to(&tester, &names[3], ada_has)
        .await
        .unwrap();
    // One that failed at once has no lines, one that failed later has those of both.
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let at_once = pb::RecordPaymentFailureRequest {
        gross: eur("100"),
        pledge,
        ..campaign.failure("ch_7")
    };
    let failed = campaign.fail(&tester, at_once).await.unwrap();
    assert!(failed.outcome.entry_numbers.is_empty());
    names.push(failed.payment.name);
    let late = campaign.fail(&tester, campaign.failure("ch_5")).await;
    assert_eq!(late.unwrap().payment.state(), PaymentState::LateFailed);
    for (member, unallocated_only, expected) in [
        ("", false, &[0, 1, 2, 3, 4, 5, 6][..]),
        (ada.as_str(), false, &[0, 2, 3, 4, 6]),
        (bob.as_str(), false, &[5]),
        ("", true, &[1]),
    ] {
        let (mut listed, mut token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListPaymentsRequest {
                campaign: campaign.name.clone(),
                member: member.to_owned(),
                unallocated_only,
                page_size: 2,
                page_token: token,
            };
            let page = tester.treasurer().payments().list_payments(request).await;
            let page = page.unwrap().into_inner();
            listed.extend(page.payments.into_iter().map(|payment| payment.name));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let expected: Vec<String> = expected.iter().map(|n| names[*n].clone()).collect();
        assert_eq!(listed, expected);
    }
    tester.must_be_clean(&campaign.name).await;
}
