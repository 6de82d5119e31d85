//! Credits on a bank account, matched at once, later or not at all.

use pledgebook::grpc::pb::{self, EntryEvent, PaymentMethod, PledgeState};

use crate::{
    calls::{MatchedTo, ReceivedFrom, parts, refused},
    harness::{Campaign, Tester, id, lines},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_receipt_is_matched_at_once() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let request = campaign.receipt("tx_1", Some(ReceivedFrom::Pledge(pledge.clone())), "120");
    let received = campaign.receive(&tester, request).await.unwrap();
    assert_eq!(parts(&received.payment), ["100.00", "20.00", "0.00"]);
    assert_eq!(received.payment.method(), PaymentMethod::BankTransfer);
    let entry = campaign.entry(&tester, received.entry()).await;
    assert_eq!(entry.event(), EntryEvent::ReceiptMatched);
    assert_eq!(
        lines(&entry),
        [
            "Dr 1100 EUR 120.00",
            "Cr 2100 EUR 100.00",
            "Cr 2200 EUR 20.00",
            "Dr 9001 EUR 100.00",
            "Cr 9000 EUR 100.00",
        ]
    );
    let paid = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(paid.state(), PledgeState::Paid);

    let request = campaign.receipt("tx_2", Some(ReceivedFrom::Member(ada)), "15.15");
    let received = campaign.receive(&tester, request).await.unwrap();
    assert_eq!(
        campaign.posted(&tester, received.entry()).await,
        ["Dr 1100 EUR 15.15", "Cr 2100 EUR 15.15"]
    );
    // A provider's account has no bank receipts.
    let request = pb::RecordBankReceiptRequest {
        money_account: campaign.provider.clone(),
        ..campaign.receipt("tx_3", None, "1")
    };
    refused(campaign.receive(&tester, request).await, "INVALID_FIELD");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_names_nobody_finds_its_pledge_or_member_later() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let mut receipts = Vec::new();
    for (object, amount) in [("tx_1", "40"), ("tx_2", "60"), ("tx_3", "7")] {
        let request = campaign.receipt(object, None, amount);
        receipts.push(campaign.receive(&tester, request).await.unwrap());
    }
    let entry = campaign.entry(&tester, receipts[0].entry()).await;
    assert_eq!(entry.event(), EntryEvent::ReceiptUnallocated);
    assert_eq!(lines(&entry), ["Dr 1100 EUR 40.00", "Cr 2900 EUR 40.00"]);
    assert_eq!(campaign.stands(&tester, "2900").await, "Cr 107.00");

    // To a pledge.
    let of_pledge = || MatchedTo::Pledge(pledge.clone());
    let matched = campaign
        .match_to(&tester, receipts[0].name(), of_pledge())
        .await
        .unwrap();
    assert_eq!(parts(&matched.payment), ["40.00", "0.00", "0.00"]);
    assert_eq!(
        (&matched.payment.member, &matched.payment.pledge),
        (&ada, &pledge)
    );
    let entry = campaign.entry(&tester, matched.entry()).await;
    assert_eq!(entry.event(), EntryEvent::ReceiptAllocated);
    assert_eq!(
        lines(&entry),
        [
            "Dr 2900 EUR 40.00",
            "Cr 2100 EUR 40.00",
            "Dr 9001 EUR 40.00",
            "Cr 9000 EUR 40.00",
        ]
    );
    let stands = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(stands.state(), PledgeState::PartPaid);

    // To a member.
    let of_member = || MatchedTo::Member(ada.clone());
    let matched = campaign
        .match_to(&tester, receipts[1].name(), of_member())
        .await
        .unwrap();
    assert_eq!(
        campaign.posted(&tester, matched.entry()).await,
        ["Dr 2900 EUR 60.00", "Cr 2100 EUR 60.00"]
    );
    assert_eq!(campaign.stands(&tester, "2900").await, "Cr 7.00");

    // Once; and to somebody who exists.
    let again = campaign
        .match_to(&tester, receipts[1].name(), of_member())
        .await;
    refused(again, "PAYMENT_STATE");
    let nobody = MatchedTo::Member(format!("{}/members/{}", campaign.name, id()));
    let unknown = campaign.match_to(&tester, receipts[2].name(), nobody).await;
    refused(unknown, "NOT_FOUND");
    let request = pb::MatchReceiptRequest {
        request_id: id(),
        payment: receipts[2].name().to_owned(),
        payer: None,
        validate_only: false,
    };
    let unsaid = tester.treasurer().payments().match_receipt(request).await;
    refused(unsaid, "INVALID_FIELD");
    assert_eq!(campaign.stands(&tester, "2900").await, "Cr 7.00");
    tester.must_be_clean(&campaign.name).await;
}
