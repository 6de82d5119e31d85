//! Taking entries back: exactly, once, and only while their money has not moved on.

use pledgebook::grpc::pb::{self, EntryEvent, PaymentState, PledgeState};
use time::Duration;

use crate::{
    calls::{MatchedTo, amount, day, parts, refused, shares},
    harness::{Campaign, Tester, detail, id, lines, terms, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_captures_reversal_gives_the_promise_back() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let request = pb::RecordPaymentRequest {
        value_date: day(&tester.clock, -5),
        ..campaign.payment("ch_1", &pledge, "130")
    };
    let paid = campaign.record(&tester, request).await.unwrap();
    tester.clock.shift(Duration::days(1));
    let reversed = campaign.reverse(&tester, paid.entry()).await.unwrap();
    let entry = reversed.entry.unwrap();
    assert_eq!(entry.event(), EntryEvent::Reversal);
    assert_eq!(reversed.outcome.unwrap().entry_numbers, [entry.number]);
    assert_eq!(campaign.entry(&tester, entry.number).await, entry);
    assert_eq!(
        lines(&entry),
        [
            "Cr 1000 EUR 130.00",
            "Dr 2100 EUR 100.00",
            "Dr 2200 EUR 30.00",
            "Cr 9001 EUR 100.00",
            "Dr 9000 EUR 100.00",
        ]
    );
    // On the original's day, linked to it both ways; the original stands as it was.
    let original = campaign.entry(&tester, paid.entry()).await;
    assert_eq!(entry.value_date, original.value_date);
    assert_eq!(entry.reverses, original.name);
    assert_eq!(original.reversed_by, entry.name);
    assert_eq!(lines(&original)[0], "Dr 1000 EUR 130.00");
    let payment = campaign.read_payment(&tester, paid.name()).await;
    assert_eq!(payment.state(), PaymentState::Reversed);
    assert_eq!(parts(&payment), ["0.00", "0.00", "0.00"]);
    let stands = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(stands.state(), PledgeState::Committed);
    assert_eq!(
        (amount(&stands.paid), amount(&stands.outstanding)),
        ("0.00", "100.00")
    );

    // Once, and not in its turn.
    let again = campaign.reverse(&tester, paid.entry()).await;
    let status = refused(again, "ENTRY_ALREADY_REVERSED");
    assert_eq!(detail(&status, "by"), entry.number.to_string());
    let back = campaign.reverse(&tester, entry.number).await;
    refused(back, "ENTRY_NOT_REVERSIBLE");
    for code in ["1000", "2100", "2200"] {
        assert_eq!(campaign.stands(&tester, code).await, "0");
    }
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_match_is_reversed_and_then_the_receipt_itself() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let bob = campaign.member(&tester, "bob@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "50").await;
    let request = campaign.receipt("tx_1", None, "60");
    let waiting = campaign.receive(&tester, request).await.unwrap();
    let to_ada = MatchedTo::Pledge(pledge.clone());
    let matched = campaign
        .match_to(&tester, waiting.name(), to_ada)
        .await
        .unwrap();
    // The receipt's money has moved on, to the member.
    let early = campaign.reverse(&tester, waiting.entry()).await;
    refused(early, "ENTRY_NOT_REVERSIBLE");

    let reversed = campaign.reverse(&tester, matched.entry()).await.unwrap();
    assert_eq!(
        lines(&reversed.entry.unwrap()),
        [
            "Cr 2900 EUR 60.00",
            "Dr 2100 EUR 50.00",
            "Dr 2200 EUR 10.00",
            "Cr 9001 EUR 50.00",
            "Dr 9000 EUR 50.00",
        ]
    );
    let payment = campaign.read_payment(&tester, waiting.name()).await;
    assert_eq!(payment, waiting.payment);
    let stands = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(stands.state(), PledgeState::Committed);

    // It finds another member, is taken back again, and then the receipt is.
    let to_bob = MatchedTo::Member(bob);
    let matched = campaign
        .match_to(&tester, waiting.name(), to_bob)
        .await
        .unwrap();
    assert_eq!(parts(&matched.payment), ["60.00", "0.00", "0.00"]);
    campaign.reverse(&tester, matched.entry()).await.unwrap();
    let reversed = campaign.reverse(&tester, waiting.entry()).await.unwrap();
    assert_eq!(
        lines(&reversed.entry.unwrap()),
        ["Cr 1100 EUR 60.00", "Dr 2900 EUR 60.00"]
    );
    let payment = campaign.read_payment(&tester, waiting.name()).await;
    assert_eq!(payment.state(), PaymentState::Reversed);
    assert_eq!(campaign.stands(&tester, "1100").await, "0");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fees_and_a_late_failures_reversal_restore_what_was() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let paid = campaign.pay(&tester, "ch_1", &pledge, "120").await;
    let first = campaign
        .fee(&tester, paid.name(), "txn_1", "2")
        .await
        .unwrap();
    let second = campaign
        .fee(&tester, paid.name(), "txn_2", "0.50")
        .await
        .unwrap();
    let reversed = campaign.reverse(&tester, first.entry()).await.unwrap();
    assert_eq!(
        lines(&reversed.entry.unwrap()),
        ["Cr 1500 EUR 2.00", "Dr 1000 EUR 2.00"]
    );
    let payment = campaign.read_payment(&tester, paid.name()).await;
    assert_eq!(text(&payment.fee), "EUR 0.50");

    let failed = campaign
        .fail(&tester, campaign.failure("ch_1"))
        .await
        .unwrap();
    let [failure, expense] = failed.outcome.entry_numbers[..] else {
        panic!("{:?}", failed.outcome);
    };
    // The money went back and the fee was expensed: what came before has moved on.
    for entry in [paid.entry(), second.entry()] {
        refused(
            campaign.reverse(&tester, entry).await,
            "ENTRY_NOT_REVERSIBLE",
        );
    }
    let reversed = campaign.reverse(&tester, failure).await.unwrap();
    assert_eq!(
        lines(&reversed.entry.unwrap()),
        [
            "Cr 2200 EUR 20.00",
            "Cr 2100 EUR 100.00",
            "Dr 1000 EUR 120.00",
            "Cr 9000 EUR 100.00",
            "Dr 9001 EUR 100.00",
        ]
    );
    let payment = campaign.read_payment(&tester, paid.name()).await;
    assert_eq!(payment.state(), PaymentState::Succeeded);
    assert_eq!(payment.failure_code, "");
    assert_eq!(parts(&payment), ["100.00", "20.00", "0.00"]);
    let stands = campaign.read_pledge(&tester, &pledge).await;
    assert_eq!(stands.state(), PledgeState::Paid);
    tester.must_be_clean(&campaign.name).await;

    let reversed = campaign.reverse(&tester, expense).await.unwrap();
    assert_eq!(
        lines(&reversed.entry.unwrap()),
        ["Cr 5400 EUR 0.50", "Dr 1500 EUR 0.50"]
    );
    campaign.reverse(&tester, second.entry()).await.unwrap();
    let payment = campaign.read_payment(&tester, paid.name()).await;
    assert_eq!(payment.fee, None);
    campaign.reverse(&tester, paid.entry()).await.unwrap();
    for code in ["1000", "1500", "2100", "2200", "5400"] {
        assert_eq!(campaign.stands(&tester, code).await, "0");
    }
    assert_eq!(campaign.stands(&tester, "9000").await, "Dr 100.00");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_its_own_way_back_or_has_moved_on_is_not_reversed() {
    let tester = Tester::start().await;
    let class = Some(shares("10", 0, 0));
    let campaign = Campaign::open_with(&tester, terms(&tester.clock, "EUR"), class).await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let amended = campaign.pledge(&tester, &ada, "100").await;
    let lapsed = campaign.pledge(&tester, &ada, "50").await;
    let part = campaign.pay(&tester, "ch_1", &lapsed, "20").await;
    campaign.pay(&tester, "ch_2", &amended, "100").await;
    let failed = campaign
        .fail(&tester, campaign.failure("ch_2"))
        .await
        .unwrap();
    campaign.amend(&tester, &amended, "99").await.unwrap();
    let entries = campaign.entries(&tester).await;

    // Shares authorised, a promise made, a promise amended.
    for entry in [1, 2, entries.last().unwrap().number] {
        refused(
            campaign.reverse(&tester, entry).await,
            "ENTRY_NOT_REVERSIBLE",
        );
    }
    // The promise has become smaller than what would be paid on it again.
    let shrunk = campaign.reverse(&tester, failed.entry()).await;
    refused(shrunk, "ENTRY_NOT_REVERSIBLE");
    // The promise has run out, so it cannot be given back.
    tester.clock.shift(Duration::days(31));
    campaign.expire(&tester, 0).await;
    let closed = campaign.reverse(&tester, part.entry()).await;
    refused(closed, "ENTRY_NOT_REVERSIBLE");
    let missing = campaign.reverse(&tester, 4_711).await;
    refused(missing, "NOT_FOUND");
    let request = pb::ReverseEntryRequest {
        request_id: id(),
        name: entries[3].name.clone(),
        reason: String::new(),
        validate_only: false,
    };
    let unreasoned = tester.treasurer().ledger().reverse_entry(request).await;
    refused(unreasoned, "INVALID_FIELD");

    let later = campaign.entries(&tester).await;
    assert!(
        later
            .iter()
            .all(|entry| entry.event() != EntryEvent::Reversal)
    );
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 20.00");
    tester.must_be_clean(&campaign.name).await;
}
