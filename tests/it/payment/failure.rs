//! Charges that failed, before and after they had succeeded.

use pledgebook::grpc::pb::{self, EntryEvent, PaymentState, PledgeState};
use time::Duration;

use crate::{
    calls::{PaidBy, amount, parts, refused, stamp},
    harness::{Campaign, Tester, eur, id, lines, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_never_succeeded_posts_nothing_and_its_pledge_is_errored() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let at_once = |object: &str| pb::RecordPaymentFailureRequest {
        gross: eur("100"),
        pledge: pledge.clone(),
        ..campaign.failure(object)
    };
    let failed = campaign.fail(&tester, at_once("ch_1")).await.unwrap();
    assert!(failed.outcome.entry_numbers.is_empty());
    assert_eq!(failed.payment.state(), PaymentState::Failed);
    assert_eq!(failed.payment.failure_code, "card_declined");
    assert_eq!(parts(&failed.payment), ["0.00", "0.00", "0.00"]);
    assert_eq!(text(&failed.payment.gross), "EUR 100.00");
    let errored = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(errored.state(), PledgeState::Errored);
    assert_eq!(text(&errored.outstanding), "EUR 100.00");

    // The same news again; and a failure of nothing that is known.
    let again = campaign.fail(&tester, at_once("ch_1")).await.unwrap();
    assert!(again.outcome.already_recorded);
    assert_eq!(again.payment, failed.payment);
    let unknown = campaign.fail(&tester, campaign.failure("ch_2")).await;
    refused(unknown, "INVALID_FIELD");
    let nobodys = pb::RecordPaymentFailureRequest {
        pledge: format!("{}/pledges/{}", campaign.name, id()),
        ..at_once("ch_2")
    };
    refused(campaign.fail(&tester, nobodys).await, "NOT_FOUND");
    let codeless = pb::RecordPaymentFailureRequest {
        failure_code: String::new(),
        ..at_once("ch_2")
    };
    refused(campaign.fail(&tester, codeless).await, "INVALID_FIELD");
    let of_bank = pb::RecordPaymentFailureRequest {
        money_account: campaign.bank.clone(),
        ..at_once("ch_2")
    };
    refused(campaign.fail(&tester, of_bank).await, "INVALID_FIELD");
    assert_eq!(campaign.entries(&tester).await.len(), 1);

    // The next attempt under the same id succeeds.
    let paid = campaign.pay(&tester, "ch_1", &pledge, "100").await;
    assert_eq!(paid.payment.name, failed.payment.name);
    assert_eq!(paid.payment.state(), PaymentState::Succeeded);
    assert_eq!(paid.payment.failure_code, "");
    assert_eq!(
        campaign.posted(&tester, paid.entry()).await,
        [
            "Dr 1000 EUR 100.00",
            "Cr 2100 EUR 100.00",
            "Dr 9001 EUR 100.00",
            "Cr 9000 EUR 100.00",
        ]
    );
    let stands = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(stands.state(), PledgeState::Paid);
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_failure_takes_the_money_back_and_restores_the_promise() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let paid = campaign.pay(&tester, "ch_1", &pledge, "130").await;
    campaign
        .fee(&tester, paid.name(), "txn_1", "2.50")
        .await
        .unwrap();

    let differs = pb::RecordPaymentFailureRequest {
        gross: eur("100"),
        ..campaign.failure("ch_1")
    };
    refused(campaign.fail(&tester, differs).await, "MOVEMENT_DIFFERS");
    let request = pb::RecordPaymentFailureRequest {
        gross: eur("130"),
        failure_code: "insufficient_funds".to_owned(),
        ..campaign.failure("ch_1")
    };
    let failed = campaign.fail(&tester, request).await.unwrap();
    assert_eq!(failed.payment.state(), PaymentState::LateFailed);
    assert_eq!(failed.payment.failure_code, "insufficient_funds");
    assert_eq!(parts(&failed.payment), ["0.00", "0.00", "0.00"]);
    // The refundable part goes first; the fee becomes an expense in an entry of its own.
    let [failure, expense] = failed.outcome.entry_numbers[..] else {
        panic!("{:?}", failed.outcome);
    };
    let entry = campaign.entry(&tester, failure).await;
    assert_eq!(entry.event(), EntryEvent::PaymentLateFailure);
    assert_eq!(
        lines(&entry),
        [
            "Dr 2200 EUR 30.00",
            "Dr 2100 EUR 100.00",
            "Cr 1000 EUR 130.00",
            "Dr 9000 EUR 100.00",
            "Cr 9001 EUR 100.00",
        ]
    );
    let entry = campaign.entry(&tester, expense).await;
    assert_eq!(entry.event(), EntryEvent::FeeExpensed);
    assert_eq!(lines(&entry), ["Dr 5400 EUR 2.50", "Cr 1500 EUR 2.50"]);
    let errored = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(errored.state(), PledgeState::Errored);
    assert_eq!(
        (amount(&errored.paid), amount(&errored.outstanding)),
        ("0.00", "100.00")
    );

    let again = campaign
        .fail(&tester, campaign.failure("ch_1"))
        .await
        .unwrap();
    assert!(again.outcome.already_recorded);
    assert_eq!(again.outcome.entry_numbers, [failure, expense]);
    // News of the success, late and again, brings nothing back.
    let stale = campaign.pay(&tester, "ch_1", &pledge, "130").await;
    assert!(stale.outcome.already_recorded);
    assert_eq!(stale.entry(), paid.entry());
    assert_eq!(campaign.stands(&tester, "1000").await, "Cr 2.50");
    assert_eq!(campaign.stands(&tester, "2100").await, "0");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_failure_finds_the_money_wherever_it_stands() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    // Of nobody.
    let request = campaign.payment_by("ch_1", None, "10");
    campaign.record(&tester, request).await.unwrap();
    let failed = campaign
        .fail(&tester, campaign.failure("ch_1"))
        .await
        .unwrap();
    assert_eq!(
        campaign.posted(&tester, failed.entry()).await,
        ["Dr 2900 EUR 10.00", "Cr 1000 EUR 10.00"]
    );
    // Of a member without a pledge.
    let request = campaign.payment_by("ch_2", Some(PaidBy::Member(ada.clone())), "20");
    campaign.record(&tester, request).await.unwrap();
    let failed = campaign
        .fail(&tester, campaign.failure("ch_2"))
        .await
        .unwrap();
    assert_eq!(
        campaign.posted(&tester, failed.entry()).await,
        ["Dr 2100 EUR 20.00", "Cr 1000 EUR 20.00"]
    );
    // One of two on a pledge.
    let pledge = campaign.pledge(&tester, &ada, "50").await;
    campaign.pay(&tester, "ch_3", &pledge, "30").await;
    campaign.pay(&tester, "ch_4", &pledge, "20").await;
    let failed = campaign
        .fail(&tester, campaign.failure("ch_4"))
        .await
        .unwrap();
    assert_eq!(
        campaign.posted(&tester, failed.entry()).await,
        [
            "Dr 2100 EUR 20.00",
            "Cr 1000 EUR 20.00",
            "Dr 9000 EUR 20.00",
            "Cr 9001 EUR 20.00",
        ]
    );
    let stands = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(stands.state(), PledgeState::PartPaid);
    // On a pledge that has closed since: its promise is not restored.
    tester.clock.shift(Duration::days(31));
    campaign.expire(&tester, 0).await;
    let failed = campaign
        .fail(&tester, campaign.failure("ch_3"))
        .await
        .unwrap();
    assert_eq!(
        campaign.posted(&tester, failed.entry()).await,
        ["Dr 2100 EUR 30.00", "Cr 1000 EUR 30.00"]
    );
    let stands = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(stands.state(), PledgeState::Expired);
    assert_eq!(text(&stands.paid), "EUR 0.00");
    assert_eq!(campaign.stands(&tester, "9000").await, "0");
    // After the campaign was given up.
    let request = campaign.payment_by("ch_5", Some(PaidBy::Member(ada)), "5");
    campaign.record(&tester, request).await.unwrap();
    campaign.cancel(&tester).await;
    let failed = campaign
        .fail(&tester, campaign.failure("ch_5"))
        .await
        .unwrap();
    assert_eq!(
        campaign.posted(&tester, failed.entry()).await,
        ["Dr 2100 EUR 5.00", "Cr 1000 EUR 5.00"]
    );
    assert_eq!(campaign.stands(&tester, "1000").await, "0");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn news_of_a_failure_before_the_success_takes_nothing_back() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let now = tester.clock.now();
    let declined = |object: &str| pb::RecordPaymentFailureRequest {
        gross: eur("50"),
        pledge: pledge.clone(),
        occurred_at: stamp(now - Duration::hours(3)),
        ..campaign.failure(object)
    };
    let succeeded = |object: &str| pb::RecordPaymentRequest {
        occurred_at: stamp(now - Duration::hours(2)),
        ..campaign.payment(object, &pledge, "50")
    };
    // Heard of before.
    let failed = campaign.fail(&tester, declined("ch_1")).await.unwrap();
    campaign.record(&tester, succeeded("ch_1")).await.unwrap();
    let again = campaign.fail(&tester, declined("ch_1")).await.unwrap();
    assert!(again.outcome.already_recorded);
    assert_eq!(again.payment, failed.payment);
    // Heard of only now.
    let paid = campaign.record(&tester, succeeded("ch_2")).await.unwrap();
    let stale = campaign.fail(&tester, declined("ch_2")).await;
    refused(stale, "PAYMENT_STATE");
    assert_eq!(
        campaign.read_payment(&tester, paid.name()).await,
        paid.payment
    );
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 100.00");
    let stands = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(stands.state(), PledgeState::Paid);
    // A failure after it does.
    let late = pb::RecordPaymentFailureRequest {
        occurred_at: stamp(now - Duration::hours(1)),
        ..campaign.failure("ch_2")
    };
    let late = campaign.fail(&tester, late).await.unwrap();
    assert_eq!(late.payment.state(), PaymentState::LateFailed);
    let entry = campaign.entry(&tester, late.entry()).await;
    assert_eq!(entry.occurred_at, stamp(now - Duration::hours(1)));
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 50.00");
    tester.must_be_clean(&campaign.name).await;
}
