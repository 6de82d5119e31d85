//! A promise raised, lowered or given up; and promises listed.

use pledgebook::grpc::pb::{self, PledgeState};

use super::stands;
use crate::{
    calls::{refused, shares},
    harness::{Campaign, Tester, id, lines, terms},
};

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
    for (to, expected) in [
        ("130.50", ["Dr 9000 EUR 30.50", "Cr 9001 EUR 30.50"]),
        ("80", ["Cr 9000 EUR 50.50", "Dr 9001 EUR 50.50"]),
    ] {
        let amended = campaign.amend(&tester, &pledge, to).await.unwrap();
        let number = amended.outcome.unwrap().entry_numbers[0];
        let entry = campaign.entry(&tester, number).await;
        assert_eq!(entry.event(), pb::EntryEvent::PledgeAmended);
        assert_eq!(lines(&entry), expected);
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
