//! What the campaign cannot take of money that arrived is refundable at once.

use pledgebook::grpc::pb;
use time::Duration;

use crate::{
    calls::{MatchedTo, PaidBy, ReceivedFrom, parts, refused, shares},
    harness::{Campaign, Tester, eur, terms},
};

#[tokio::test(flavor = "multi_thread")]
async fn past_the_campaigns_maximum_money_is_refundable() {
    let tester = Tester::start().await;
    let small = pb::Terms {
        minimum: eur("50"),
        target: eur("100"),
        maximum: eur("200"),
        ..terms(&tester.clock, "EUR")
    };
    let campaign = Campaign::open_with(&tester, small, None).await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    // A promise may go beyond what can be taken.
    let pledge = campaign.pledge(&tester, &ada, "300").await;
    let first = campaign.pay(&tester, "ch_1", &pledge, "150").await;
    assert_eq!(parts(&first.payment), ["150.00", "0.00", "0.00"]);
    let second = campaign.pay(&tester, "ch_2", &pledge, "120").await;
    assert_eq!(
        campaign.posted(&tester, second.entry()).await,
        [
            "Dr 1000 EUR 120.00",
            "Cr 2100 EUR 50.00",
            "Cr 2200 EUR 70.00",
            "Dr 9001 EUR 50.00",
            "Cr 9000 EUR 50.00",
        ]
    );
    assert_eq!(campaign.stands(&tester, "9000").await, "Dr 100.00");
    let request = campaign.receipt("tx_1", Some(ReceivedFrom::Member(ada.clone())), "10");
    let third = campaign.receive(&tester, request).await.unwrap();
    assert_eq!(
        campaign.posted(&tester, third.entry()).await,
        ["Dr 1100 EUR 10.00", "Cr 2200 EUR 10.00"]
    );
    let request = campaign.receipt("tx_2", None, "20");
    let waiting = campaign.receive(&tester, request).await.unwrap();
    let to_ada = MatchedTo::Member(ada);
    let matched = campaign
        .match_to(&tester, waiting.name(), to_ada)
        .await
        .unwrap();
    assert_eq!(
        campaign.posted(&tester, matched.entry()).await,
        ["Dr 2900 EUR 20.00", "Cr 2200 EUR 20.00"]
    );
    // What goes back makes room for what comes next.
    campaign
        .fail(&tester, campaign.failure("ch_1"))
        .await
        .unwrap();
    let next = campaign.pay(&tester, "ch_3", &pledge, "160").await;
    assert_eq!(parts(&next.payment), ["150.00", "10.00", "0.00"]);
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 200.00");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_a_members_cap_money_is_refundable() {
    let tester = Tester::start().await;
    // At most 5 shares of 100.
    let class = Some(shares("100", 0, 5));
    let campaign = Campaign::open_with(&tester, terms(&tester.clock, "EUR"), class).await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let bob = campaign.member(&tester, "bob@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "300").await;
    let request = campaign.payment_by("ch_1", Some(PaidBy::Member(ada.clone())), "350");
    let gift = campaign.record(&tester, request).await.unwrap();
    assert_eq!(parts(&gift.payment), ["350.00", "0.00", "0.00"]);
    let paid = campaign.pay(&tester, "ch_2", &pledge, "300").await;
    assert_eq!(
        campaign.posted(&tester, paid.entry()).await,
        [
            "Dr 1000 EUR 300.00",
            "Cr 2100 EUR 150.00",
            "Cr 2200 EUR 150.00",
            "Dr 9001 EUR 150.00",
            "Cr 9000 EUR 150.00",
        ]
    );
    let request = campaign.receipt("tx_1", Some(ReceivedFrom::Pledge(pledge.clone())), "1");
    let received = campaign.receive(&tester, request).await.unwrap();
    assert_eq!(parts(&received.payment), ["0.00", "1.00", "0.00"]);
    let request = campaign.receipt("tx_2", None, "600");
    let waiting = campaign.receive(&tester, request).await.unwrap();
    let to_bob = MatchedTo::Member(bob);
    let matched = campaign
        .match_to(&tester, waiting.name(), to_bob)
        .await
        .unwrap();
    assert_eq!(
        campaign.posted(&tester, matched.entry()).await,
        [
            "Dr 2900 EUR 600.00",
            "Cr 2100 EUR 500.00",
            "Cr 2200 EUR 100.00",
        ]
    );
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_failure_cannot_be_taken_back_into_a_place_that_is_taken() {
    let tester = Tester::start().await;
    let class = Some(shares("100", 0, 5));
    let campaign = Campaign::open_with(&tester, terms(&tester.clock, "EUR"), class).await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let by_ada = || Some(PaidBy::Member(ada.clone()));
    let first = campaign.payment_by("ch_1", by_ada(), "450");
    campaign.record(&tester, first).await.unwrap();
    let failed = campaign
        .fail(&tester, campaign.failure("ch_1"))
        .await
        .unwrap();
    let second = campaign.payment_by("ch_2", by_ada(), "51");
    let second = campaign.record(&tester, second).await.unwrap();

    let status = campaign.reverse(&tester, failed.entry()).await;
    let status = refused(status, "ENTRY_NOT_REVERSIBLE");
    assert!(status.message().contains("room"), "{status:?}");
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 51.00");
    tester.must_be_clean(&campaign.name).await;

    campaign.reverse(&tester, second.entry()).await.unwrap();
    campaign.reverse(&tester, failed.entry()).await.unwrap();
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 450.00");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_for_a_closed_pledge_is_refundable() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let cancelled = campaign.pledge(&tester, &ada, "10").await;
    let expired = campaign.pledge(&tester, &ada, "20").await;
    campaign.pay(&tester, "ch_0", &expired, "5").await;
    campaign.cancel_pledge(&tester, &cancelled).await.unwrap();
    tester.clock.shift(Duration::days(31));
    assert_eq!(campaign.expire(&tester, 0).await.pledges.len(), 1);

    for (n, pledge) in [&cancelled, &expired].into_iter().enumerate() {
        let paid = campaign
            .pay(&tester, &format!("ch_{}", n + 1), pledge, "10")
            .await;
        assert_eq!(
            campaign.posted(&tester, paid.entry()).await,
            ["Dr 1000 EUR 10.00", "Cr 2200 EUR 10.00"]
        );
        let to_pledge = Some(ReceivedFrom::Pledge(pledge.clone()));
        let request = campaign.receipt(&format!("tx_{n}"), to_pledge, "3");
        let received = campaign.receive(&tester, request).await.unwrap();
        assert_eq!(
            campaign.posted(&tester, received.entry()).await,
            ["Dr 1100 EUR 3.00", "Cr 2200 EUR 3.00"]
        );
    }
    let request = campaign.receipt("tx_9", None, "4");
    let waiting = campaign.receive(&tester, request).await.unwrap();
    let to_expired = MatchedTo::Pledge(expired.clone());
    let matched = campaign
        .match_to(&tester, waiting.name(), to_expired)
        .await
        .unwrap();
    assert_eq!(
        campaign.posted(&tester, matched.entry()).await,
        ["Dr 2900 EUR 4.00", "Cr 2200 EUR 4.00"]
    );
    // What was paid in time stays held.
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 5.00");
    assert_eq!(campaign.stands(&tester, "2200").await, "Cr 30.00");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_cancelling_all_money_is_refundable() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let request = campaign.receipt("tx_0", None, "9");
    let waiting = campaign.receive(&tester, request).await.unwrap();
    campaign.pay(&tester, "ch_0", &pledge, "30").await;
    campaign.cancel(&tester).await;

    let paid = campaign.pay(&tester, "ch_1", &pledge, "70").await;
    assert_eq!(
        campaign.posted(&tester, paid.entry()).await,
        ["Dr 1000 EUR 70.00", "Cr 2200 EUR 70.00"]
    );
    let request = campaign.payment_by("ch_2", Some(PaidBy::Member(ada.clone())), "7");
    let paid = campaign.record(&tester, request).await.unwrap();
    assert_eq!(parts(&paid.payment), ["0.00", "7.00", "0.00"]);
    let request = campaign.receipt("tx_1", Some(ReceivedFrom::Pledge(pledge)), "3");
    let received = campaign.receive(&tester, request).await.unwrap();
    assert_eq!(
        campaign.posted(&tester, received.entry()).await,
        ["Dr 1100 EUR 3.00", "Cr 2200 EUR 3.00"]
    );
    let to_ada = MatchedTo::Member(ada);
    let matched = campaign
        .match_to(&tester, waiting.name(), to_ada)
        .await
        .unwrap();
    assert_eq!(
        campaign.posted(&tester, matched.entry()).await,
        ["Dr 2900 EUR 9.00", "Cr 2200 EUR 9.00"]
    );
    // Whose money it is may still be unknown.
    let request = campaign.payment_by("ch_3", None, "2");
    let unknown = campaign.record(&tester, request).await.unwrap();
    assert_eq!(parts(&unknown.payment), ["0.00", "0.00", "2.00"]);
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 30.00");
    assert_eq!(campaign.stands(&tester, "2200").await, "Cr 89.00");
    tester.must_be_clean(&campaign.name).await;
}
