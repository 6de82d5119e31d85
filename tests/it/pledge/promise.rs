//! A promise as it is made, within its bounds.

use pledgebook::grpc::pb::{self, PledgeState};
use time::Duration;

use super::stands;
use crate::{
    calls::{PaidBy, refused, shares},
    harness::{Campaign, Tester, days_from_now, id, lines, money, terms},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_pledge_is_a_promise_in_the_memo_book_and_no_money() {
    let tester = Tester::start().await;
    let campaign = Campaign::open_with(
        &tester,
        terms(&tester.clock, "EUR"),
        Some(shares("25", 0, 0)),
    )
    .await;
    let class = campaign.class(&tester).await;
    let member = campaign.member(&tester, "ada@example.org").await;

    let mut pledges = tester.treasurer().pledges();
    let made = pledges
        .create_pledge(campaign.promise(&member, "100.10"))
        .await;
    let made = made.unwrap().into_inner();
    let pledge = made.pledge.unwrap();
    assert_eq!(pledge.member, member);
    assert_eq!(
        stands(&pledge),
        (PledgeState::Committed, "100.10 0.00 100.10".to_owned())
    );
    assert_eq!((pledge.units, pledge.share_class.as_str()), (0, ""));
    let deadline = campaign.read(&tester).await.terms.unwrap().deadline;
    assert_eq!(pledge.expire_time, deadline);
    assert_eq!(campaign.read_pledge(&tester, &pledge.name).await, pledge);
    let entry = campaign
        .entry(&tester, made.outcome.unwrap().entry_numbers[0])
        .await;
    assert_eq!(entry.event(), pb::EntryEvent::PledgeCreated);
    assert_eq!(lines(&entry), ["Dr 9000 EUR 100.10", "Cr 9001 EUR 100.10"]);
    for line in &entry.lines {
        assert_eq!((line.book(), &line.pledge), (pb::Book::Memo, &pledge.name));
    }
    assert_eq!(entry.lines[0].member, member);

    // Shares are worth their price.
    let made = campaign
        .pledge_shares(&tester, &member, &class, 3)
        .await
        .unwrap();
    let pledge = made.pledge.unwrap();
    assert_eq!((pledge.units, &pledge.share_class), (3, &class));
    assert_eq!(
        stands(&pledge),
        (PledgeState::Committed, "75.00 0.00 75.00".to_owned())
    );
    assert_eq!(
        campaign
            .posted(&tester, made.outcome.unwrap().entry_numbers[0])
            .await,
        ["Dr 9000 EUR 75.00", "Cr 9001 EUR 75.00"]
    );
    // An amount of a class stays an amount; a time of its own is before the deadline.
    let request = pb::CreatePledgeRequest {
        share_class: class.clone(),
        expire_time: days_from_now(&tester.clock, 3),
        ..campaign.promise(&member, "40")
    };
    let pledge = pledges.create_pledge(request.clone()).await.unwrap();
    let pledge = pledge.into_inner().pledge.unwrap();
    assert_eq!((pledge.units, &pledge.share_class), (0, &class));
    assert_eq!(pledge.expire_time, request.expire_time);

    assert_eq!(campaign.stands(&tester, "9000").await, "Dr 215.10");
    assert_eq!(campaign.stands(&tester, "2100").await, "0");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pledge_keeps_to_its_class_and_a_member_to_the_cap() {
    let tester = Tester::start().await;
    // From 2 to 5 shares of 100: a member holds 200 to 500.
    let campaign = Campaign::open_with(
        &tester,
        terms(&tester.clock, "EUR"),
        Some(shares("100", 2, 5)),
    )
    .await;
    let class = campaign.class(&tester).await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let of_class = |amount| pb::CreatePledgeRequest {
        share_class: class.clone(),
        ..campaign.promise(&ada, amount)
    };
    let mut pledges = tester.treasurer().pledges();
    let one = campaign.pledge_shares(&tester, &ada, &class, 1).await;
    refused(one, "BELOW_MEMBER_MINIMUM");
    let six = campaign.pledge_shares(&tester, &ada, &class, 6).await;
    refused(six, "ABOVE_MEMBER_MAXIMUM");
    refused(
        pledges.create_pledge(of_class("199.99")).await,
        "BELOW_MEMBER_MINIMUM",
    );
    refused(
        pledges.create_pledge(of_class("500.01")).await,
        "ABOVE_MEMBER_MAXIMUM",
    );
    let classless = campaign.pledge_shares(&tester, &ada, "", 3).await;
    refused(classless, "SHARE_CLASS");
    let unknown = format!("{}/shareClasses/{}", campaign.name, id());
    let unknown = campaign.pledge_shares(&tester, &ada, &unknown, 3).await;
    refused(unknown, "NOT_FOUND");
    let too_many = campaign
        .pledge_shares(&tester, &ada, &class, i64::MAX)
        .await;
    refused(too_many, "AMOUNT_TOO_LARGE");
    let none = campaign.pledge_shares(&tester, &ada, &class, 0).await;
    refused(none, "INVALID_FIELD");

    // Promises and money together stay under 500.
    let first = campaign
        .pledge_shares(&tester, &ada, &class, 3)
        .await
        .unwrap();
    let first = first.pledge.unwrap().name;
    refused(
        pledges
            .create_pledge(campaign.promise(&ada, "200.01"))
            .await,
        "ABOVE_MEMBER_MAXIMUM",
    );
    let second = campaign.pledge(&tester, &ada, "150").await;
    refused(
        campaign.amend(&tester, &second, "200.01").await,
        "ABOVE_MEMBER_MAXIMUM",
    );
    campaign.pay(&tester, "ch_1", &first, "300").await;
    let gift = campaign.payment_by("ch_2", Some(PaidBy::Member(ada.clone())), "50");
    campaign.record(&tester, gift).await.unwrap();
    refused(
        pledges.create_pledge(campaign.promise(&ada, "0.01")).await,
        "ABOVE_MEMBER_MAXIMUM",
    );
    // A cancelled promise makes room again; another member has room of their own.
    campaign.cancel_pledge(&tester, &second).await.unwrap();
    campaign.pledge(&tester, &ada, "150").await;
    let bob = campaign.member(&tester, "bob@example.org").await;
    campaign.pledge(&tester, &bob, "500").await;
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 350.00");
    assert_eq!(campaign.stands(&tester, "9000").await, "Dr 650.00");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pledges_are_taken_in_their_stages_and_before_the_deadline() {
    let tester = Tester::start().await;
    let campaign = Campaign::pledging_with(&tester, terms(&tester.clock, "EUR"), None).await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &member, "10").await;
    let mut pledges = tester.treasurer().pledges();
    for (amount, currency, reason) in [
        ("0", "EUR", "AMOUNT_NOT_POSITIVE"),
        ("1.001", "EUR", "AMOUNT_TOO_PRECISE"),
        ("1e3", "EUR", "AMOUNT_MALFORMED"),
        ("1000000000000000", "EUR", "AMOUNT_TOO_LARGE"),
        ("1", "USD", "CURRENCY_MISMATCH"),
        ("1", "eur", "CURRENCY_UNKNOWN"),
    ] {
        let amount = money(currency, amount).unwrap();
        let request = pb::CreatePledgeRequest {
            promise: Some(pb::create_pledge_request::Promise::Amount(amount)),
            ..campaign.promise(&member, "1")
        };
        refused(pledges.create_pledge(request).await, reason);
    }
    for (days, reason) in [(-1, "DEADLINE_PASSED"), (31, "INVALID_FIELD")] {
        let request = pb::CreatePledgeRequest {
            expire_time: days_from_now(&tester.clock, days),
            ..campaign.promise(&member, "1")
        };
        refused(pledges.create_pledge(request).await, reason);
    }
    let promiseless = pb::CreatePledgeRequest {
        promise: None,
        ..campaign.promise(&member, "1")
    };
    refused(pledges.create_pledge(promiseless).await, "INVALID_FIELD");
    let nobody = format!("{}/members/{}", campaign.name, id());
    refused(
        pledges.create_pledge(campaign.promise(&nobody, "1")).await,
        "NOT_FOUND",
    );

    // Before PLEDGING and after CANCELLED.
    let request = pb::CreateCampaignRequest {
        request_id: id(),
        display_name: "Not yet".to_owned(),
        currency_code: "EUR".to_owned(),
        terms: Some(terms(&tester.clock, "EUR")),
        ..Default::default()
    };
    let mut campaigns = tester.treasurer().campaigns();
    let draft = campaigns.create_campaign(request).await.unwrap();
    let draft = Campaign {
        name: draft.into_inner().campaign.unwrap().name,
        ..Campaign::pledging_with(&tester, terms(&tester.clock, "EUR"), None).await
    };
    let bob = draft.member(&tester, "bob@example.org").await;
    refused(
        pledges.create_pledge(draft.promise(&bob, "1")).await,
        "CAMPAIGN_STAGE",
    );
    let gather = pb::StartGatheringRequest {
        request_id: id(),
        name: draft.name.clone(),
        validate_only: false,
    };
    campaigns.start_gathering(gather).await.unwrap();
    refused(
        pledges.create_pledge(draft.promise(&bob, "1")).await,
        "CAMPAIGN_STAGE",
    );
    campaign.move_to_open(&tester).await;
    campaign.amend(&tester, &pledge, "11").await.unwrap();

    tester.clock.shift(Duration::days(30));
    refused(
        pledges.create_pledge(campaign.promise(&member, "1")).await,
        "DEADLINE_PASSED",
    );
    refused(
        campaign.amend(&tester, &pledge, "12").await,
        "DEADLINE_PASSED",
    );
    campaign.cancel(&tester).await;
    refused(
        pledges.create_pledge(campaign.promise(&member, "1")).await,
        "CAMPAIGN_STAGE",
    );
    refused(
        campaign.amend(&tester, &pledge, "12").await,
        "CAMPAIGN_STAGE",
    );
    assert_eq!(campaign.stands(&tester, "9000").await, "Dr 11.00");
    tester.must_be_clean(&campaign.name).await;
    tester.must_be_clean(&draft.name).await;
}
