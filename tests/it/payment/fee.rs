//! What providers charge.

use pledgebook::grpc::pb::EntryEvent;

use crate::{
    calls::refused,
    harness::{Campaign, Tester, detail, id, lines, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_is_deferred_while_the_offer_runs() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let paid = campaign.pay(&tester, "ch_1", &pledge, "100").await;
    assert_eq!(paid.payment.fee, None);
    let charged = campaign
        .fee(&tester, paid.name(), "txn_1", "3.20")
        .await
        .unwrap();
    assert_eq!(text(&charged.payment.fee), "EUR 3.20");
    let entry = campaign.entry(&tester, charged.entry()).await;
    assert_eq!(entry.event(), EntryEvent::PaymentFee);
    assert_eq!(lines(&entry), ["Dr 1500 EUR 3.20", "Cr 1000 EUR 3.20"]);
    assert_eq!(entry.lines[0].payment, paid.payment.name);
    // Another movement's fee adds to it; nothing of it touches the member's money.
    let more = campaign
        .fee(&tester, paid.name(), "txn_2", "0.05")
        .await
        .unwrap();
    assert_eq!(text(&more.payment.fee), "EUR 3.25");
    assert_eq!(campaign.stands(&tester, "1500").await, "Dr 3.25");
    assert_eq!(campaign.stands(&tester, "1000").await, "Dr 96.75");
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 100.00");

    // The same movement again is the same fee; with another amount it is refused.
    let again = campaign
        .fee(&tester, paid.name(), "txn_1", "3.20")
        .await
        .unwrap();
    assert!(again.outcome.already_recorded);
    assert_eq!(again.entry(), charged.entry());
    let other = campaign.fee(&tester, paid.name(), "txn_1", "3.21").await;
    let status = refused(other, "MOVEMENT_DIFFERS");
    assert_eq!(detail(&status, "recorded"), "EUR 3.20");
    // A movement is one payment's fee.
    let second = campaign.pay(&tester, "ch_2", &pledge, "1").await;
    let others = campaign.fee(&tester, second.name(), "txn_1", "3.20").await;
    refused(others, "INVALID_FIELD");
    let nothing = campaign.fee(&tester, paid.name(), "txn_3", "0").await;
    refused(nothing, "AMOUNT_NOT_POSITIVE");
    let nobodys = format!("{}/payments/{}", campaign.name, id());
    refused(
        campaign.fee(&tester, &nobodys, "txn_3", "1").await,
        "NOT_FOUND",
    );
    // A bank tells no fee of a receipt.
    let request = campaign.receipt("tx_1", None, "10");
    let received = campaign.receive(&tester, request).await.unwrap();
    let of_bank = campaign.fee(&tester, received.name(), "txn_3", "1").await;
    refused(of_bank, "INVALID_FIELD");
    assert_eq!(campaign.stands(&tester, "1500").await, "Dr 3.25");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_is_an_expense_once_the_offer_is_abandoned_or_the_payment_lost() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let lost = campaign.pay(&tester, "ch_1", &pledge, "40").await;
    let kept = campaign.pay(&tester, "ch_2", &pledge, "60").await;
    campaign
        .fail(&tester, campaign.failure("ch_1"))
        .await
        .unwrap();
    // After a late failure.
    let charged = campaign
        .fee(&tester, lost.name(), "txn_1", "1.40")
        .await
        .unwrap();
    assert_eq!(
        campaign.posted(&tester, charged.entry()).await,
        ["Dr 5400 EUR 1.40", "Cr 1000 EUR 1.40"]
    );
    // For an attempt that failed at once.
    let request = pledgebook::grpc::pb::RecordPaymentFailureRequest {
        gross: crate::harness::eur("40"),
        ..campaign.failure("ch_3")
    };
    let failed = campaign.fail(&tester, request).await.unwrap();
    let charged = campaign
        .fee(&tester, failed.name(), "txn_2", "0.10")
        .await
        .unwrap();
    assert_eq!(
        campaign.posted(&tester, charged.entry()).await,
        ["Dr 5400 EUR 0.10", "Cr 1000 EUR 0.10"]
    );
    // After cancelling; a provider's balance may go below zero.
    campaign.cancel(&tester).await;
    let charged = campaign
        .fee(&tester, kept.name(), "txn_3", "75")
        .await
        .unwrap();
    assert_eq!(
        campaign.posted(&tester, charged.entry()).await,
        ["Dr 5400 EUR 75.00", "Cr 1000 EUR 75.00"]
    );
    assert_eq!(campaign.stands(&tester, "1000").await, "Cr 16.50");
    assert_eq!(campaign.stands(&tester, "1500").await, "0");
    assert_eq!(campaign.stands(&tester, "5400").await, "Dr 76.50");
    tester.must_be_clean(&campaign.name).await;
}
