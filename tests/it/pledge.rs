//! Pledges: promises in the memo book, their bounds and their ends.

use pledgebook::grpc::pb::{self, PledgeState};
use time::Duration;

use crate::{
    calls::{PaidBy, refused, shares},
    harness::{Campaign, Tester, days_from_now, id, lines, terms, text},
};

/// State, promise, paid and outstanding.
fn stands(pledge: &pb::Pledge) -> (PledgeState, String) {
    let amounts = [&pledge.amount, &pledge.paid, &pledge.outstanding];
    let amounts = amounts.map(|money| money.as_ref().unwrap().amount.as_str());
    (pledge.state(), amounts.join(" "))
}

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
async fn amending_a_pledge_posts_the_difference() {
    let tester = Tester::start().await;
    let campaign = Campaign::open_with(
        &tester,
        terms(&tester.clock, "EUR"),
        Some(shares("25", 2, 0)),
    )
    .await;
    let class = campaign.class(&tester).await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &member, "100").await;
    for (to, lines) in [
        ("130.50", ["Dr 9000 EUR 30.50", "Cr 9001 EUR 30.50"]),
        ("80", ["Cr 9000 EUR 50.50", "Dr 9001 EUR 50.50"]),
    ] {
        let amended = campaign.amend(&tester, &pledge, to).await.unwrap();
        let number = amended.outcome.unwrap().entry_numbers[0];
        let entry = campaign.entry(&tester, number).await;
        assert_eq!(entry.event(), pb::EntryEvent::PledgeAmended);
        assert_eq!(crate::harness::lines(&entry), lines);
    }
    refused(
        campaign.amend(&tester, &pledge, "80").await,
        "INVALID_FIELD",
    );
    campaign.pay(&tester, "ch_1", &pledge, "60").await;
    refused(
        campaign.amend(&tester, &pledge, "59.99").await,
        "PLEDGE_STATE",
    );
    // Down to what is paid it is paid in full, and up again it is not.
    let amended = campaign.amend(&tester, &pledge, "60").await.unwrap();
    assert_eq!(
        stands(&amended.pledge.unwrap()),
        (PledgeState::Paid, "60.00 60.00 0.00".to_owned())
    );
    let amended = campaign.amend(&tester, &pledge, "61").await.unwrap();
    assert_eq!(
        stands(&amended.pledge.unwrap()),
        (PledgeState::PartPaid, "61.00 60.00 1.00".to_owned())
    );

    let in_units = |pledge: &str, units| pb::AmendPledgeRequest {
        request_id: id(),
        name: pledge.to_owned(),
        promise: Some(pb::amend_pledge_request::Promise::Units(units)),
        validate_only: false,
    };
    let mut pledges = tester.treasurer().pledges();
    let units = campaign
        .pledge_shares(&tester, &member, &class, 4)
        .await
        .unwrap();
    let units = units.pledge.unwrap().name;
    let amended = pledges.amend_pledge(in_units(&units, 3)).await.unwrap();
    let amended = amended.into_inner();
    assert_eq!(amended.pledge.unwrap().units, 3);
    assert_eq!(
        campaign
            .posted(&tester, amended.outcome.unwrap().entry_numbers[0])
            .await,
        ["Cr 9000 EUR 25.00", "Dr 9001 EUR 25.00"]
    );
    refused(
        pledges.amend_pledge(in_units(&units, 1)).await,
        "BELOW_MEMBER_MINIMUM",
    );
    refused(
        pledges.amend_pledge(in_units(&pledge, 3)).await,
        "SHARE_CLASS",
    );
    refused(campaign.amend(&tester, &units, "75").await, "SHARE_CLASS");
    let elsewhere = pledge.replace(pledge.rsplit('/').next().unwrap(), &id());
    refused(campaign.amend(&tester, &elsewhere, "75").await, "NOT_FOUND");
    campaign.cancel_pledge(&tester, &units).await.unwrap();
    refused(
        pledges.amend_pledge(in_units(&units, 4)).await,
        "PLEDGE_STATE",
    );
    assert_eq!(campaign.stands(&tester, "9000").await, "Dr 1.00");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_releases_a_promise_on_which_nothing_is_paid() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let unpaid = campaign.pledge(&tester, &member, "100").await;
    let part_paid = campaign.pledge(&tester, &member, "50").await;
    let paid = campaign.pledge(&tester, &member, "30").await;
    campaign.pay(&tester, "ch_1", &part_paid, "20").await;
    campaign.pay(&tester, "ch_2", &paid, "30").await;

    let cancelled = campaign.cancel_pledge(&tester, &unpaid).await.unwrap();
    assert_eq!(
        stands(&cancelled.pledge.unwrap()),
        (PledgeState::Cancelled, "100.00 0.00 0.00".to_owned())
    );
    let entry = campaign
        .entry(&tester, cancelled.outcome.unwrap().entry_numbers[0])
        .await;
    assert_eq!(entry.event(), pb::EntryEvent::PledgeCancelled);
    assert_eq!(lines(&entry), ["Cr 9000 EUR 100.00", "Dr 9001 EUR 100.00"]);
    let entries = campaign.entries(&tester).await.len();
    for pledge in [&unpaid, &part_paid, &paid] {
        refused(
            campaign.cancel_pledge(&tester, pledge).await,
            "PLEDGE_STATE",
        );
    }
    assert_eq!(campaign.entries(&tester).await.len(), entries);
    assert_eq!(campaign.stands(&tester, "9000").await, "Dr 30.00");
    // Giving up a promise is possible when the campaign is given up.
    campaign.cancel(&tester).await;
    refused(
        campaign.cancel_pledge(&tester, &part_paid).await,
        "PLEDGE_STATE",
    );
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
        let amount = crate::harness::money(currency, amount).unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn pledges_run_out_at_their_time_a_bounded_number_a_call() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let mut names = Vec::new();
    for amount in ["10", "20", "30", "40", "50"] {
        names.push(campaign.pledge(&tester, &member, amount).await);
    }
    // Part paid, paid in full, and one that runs out earlier.
    campaign.pay(&tester, "ch_1", &names[1], "5").await;
    campaign.pay(&tester, "ch_2", &names[3], "40").await;
    let request = pb::CreatePledgeRequest {
        expire_time: days_from_now(&tester.clock, 2),
        ..campaign.promise(&member, "60")
    };
    let early = tester
        .treasurer()
        .pledges()
        .create_pledge(request)
        .await
        .unwrap();
    let early = early.into_inner().pledge.unwrap().name;

    let nothing = campaign.expire(&tester, 0).await;
    assert!(nothing.pledges.is_empty() && !nothing.more);
    assert!(nothing.outcome.unwrap().entry_numbers.is_empty());
    tester.clock.shift(Duration::days(3));
    let first = campaign.expire(&tester, 0).await;
    let expired: Vec<&str> = first.pledges.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(expired, [early.as_str()]);

    tester.clock.shift(Duration::days(28));
    let (mut released, mut more) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let page = campaign.expire(&tester, 2).await;
        more.push(page.more);
        let numbers = page.outcome.unwrap().entry_numbers;
        assert_eq!(numbers.len(), page.pledges.len());
        for (number, pledge) in numbers.into_iter().zip(page.pledges) {
            assert_eq!(pledge.state(), PledgeState::Expired);
            assert_eq!(text(&pledge.outstanding), "EUR 0.00");
            assert_eq!(campaign.read_pledge(&tester, &pledge.name).await, pledge);
            let entry = campaign.entry(&tester, number).await;
            assert_eq!(entry.event(), pb::EntryEvent::PledgeExpired);
            released.push((pledge.name, lines(&entry)[0].clone()));
        }
    }
    // The oldest first; of the part-paid one only what was outstanding.
    let expected = [
        (names[0].clone(), "Cr 9000 EUR 10.00".to_owned()),
        (names[1].clone(), "Cr 9000 EUR 15.00".to_owned()),
        (names[2].clone(), "Cr 9000 EUR 30.00".to_owned()),
        (names[4].clone(), "Cr 9000 EUR 50.00".to_owned()),
    ];
    assert_eq!(released, expected);
    assert_eq!(more, [true, true, false]);
    let part_paid = campaign.read_pledge(&tester, &names[1]).await;
    assert_eq!(
        stands(&part_paid),
        (PledgeState::Expired, "20.00 5.00 0.00".to_owned())
    );
    let paid = campaign.read_pledge(&tester, &names[3]).await;
    assert_eq!(paid.state(), PledgeState::Paid);
    assert_eq!(campaign.stands(&tester, "9000").await, "0");
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 45.00");
    for limit in [-1, 501] {
        let request = pb::ExpirePledgesRequest {
            request_id: id(),
            campaign: campaign.name.clone(),
            limit,
            validate_only: false,
        };
        let wrong = tester.treasurer().pledges().expire_pledges(request).await;
        refused(wrong, "INVALID_FIELD");
    }
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pledge_whose_charge_failed_is_dropped_after_seven_days() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let [dropped, retried, part_paid] = [
        campaign.pledge(&tester, &member, "10").await,
        campaign.pledge(&tester, &member, "20").await,
        campaign.pledge(&tester, &member, "30").await,
    ];
    campaign.pay(&tester, "ch_0", &part_paid, "1").await;
    for (object, pledge) in [("ch_1", &dropped), ("ch_2", &retried), ("ch_3", &part_paid)] {
        let request = pb::RecordPaymentFailureRequest {
            gross: crate::harness::eur("10"),
            pledge: pledge.clone(),
            ..campaign.failure(object)
        };
        campaign.fail(&tester, request).await.unwrap();
    }
    let errored = campaign.read_pledge(&tester, &dropped).await;
    assert_eq!(
        stands(&errored),
        (PledgeState::Errored, "10.00 0.00 10.00".to_owned())
    );
    // An amended promise is still one whose charge failed.
    let amended = campaign.amend(&tester, &dropped, "11").await.unwrap();
    assert_eq!(amended.pledge.unwrap().state(), PledgeState::Errored);

    tester.clock.shift(Duration::days(6));
    assert!(campaign.expire(&tester, 0).await.pledges.is_empty());
    campaign.pay(&tester, "ch_4", &retried, "20").await;
    tester.clock.shift(Duration::days(1));
    let gone = campaign.expire(&tester, 0).await;
    let names: Vec<&str> = gone.pledges.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, [dropped.as_str()]);
    assert_eq!(
        stands(&gone.pledges[0]),
        (PledgeState::Dropped, "11.00 0.00 0.00".to_owned())
    );
    let entry = campaign
        .entry(&tester, gone.outcome.unwrap().entry_numbers[0])
        .await;
    assert_eq!(entry.event(), pb::EntryEvent::PledgeExpired);
    assert_eq!(lines(&entry), ["Cr 9000 EUR 11.00", "Dr 9001 EUR 11.00"]);
    let part_paid = campaign.read_pledge(&tester, &part_paid).await;
    assert_eq!(part_paid.state(), PledgeState::PartPaid);
    // What still comes in for a dropped promise is due back.
    let late = campaign.pay(&tester, "ch_5", &dropped, "11").await;
    assert_eq!(
        campaign.posted(&tester, late.entry()).await,
        ["Dr 1000 EUR 11.00", "Cr 2200 EUR 11.00"]
    );
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pledges_are_listed_by_member_and_state() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let bob = campaign.member(&tester, "bob@example.org").await;
    let mut names = Vec::new();
    for member in [&ada, &bob, &ada, &bob, &ada] {
        names.push(campaign.pledge(&tester, member, "10").await);
    }
    campaign.pay(&tester, "ch_1", &names[2], "10").await;
    campaign.pay(&tester, "ch_2", &names[3], "1").await;
    campaign.cancel_pledge(&tester, &names[0]).await.unwrap();

    let mut pledges = tester.treasurer().pledges();
    for (member, state, expected) in [
        ("", PledgeState::Unspecified, &[0, 1, 2, 3, 4][..]),
        (ada.as_str(), PledgeState::Unspecified, &[0, 2, 4]),
        (bob.as_str(), PledgeState::PartPaid, &[3]),
        ("", PledgeState::Committed, &[1, 4]),
        ("", PledgeState::Paid, &[2]),
        ("", PledgeState::Cancelled, &[0]),
        ("", PledgeState::Expired, &[]),
    ] {
        let (mut listed, mut token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListPledgesRequest {
                campaign: campaign.name.clone(),
                member: member.to_owned(),
                state: state.into(),
                page_size: 2,
                page_token: token,
            };
            let page = pledges.list_pledges(request).await.unwrap().into_inner();
            assert!(page.pledges.len() <= 2);
            listed.extend(page.pledges.into_iter().map(|pledge| pledge.name));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let expected: Vec<String> = expected.iter().map(|n| names[*n].clone()).collect();
        assert_eq!(listed, expected, "{state:?} {member}");
    }
    // A token is good for its own filters alone.
    let request = pb::ListPledgesRequest {
        campaign: campaign.name.clone(),
        page_size: 2,
        ..Default::default()
    };
    let page = pledges
        .list_pledges(request.clone())
        .await
        .unwrap()
        .into_inner();
    let other = pb::ListPledgesRequest {
        member: ada,
        page_token: page.next_page_token,
        ..request
    };
    refused(pledges.list_pledges(other).await, "TOKEN_INVALID");
    tester.must_be_clean(&campaign.name).await;
}
