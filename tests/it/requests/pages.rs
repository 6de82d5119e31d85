//! Lists, page by page.

use pledgebook::grpc::pb;
use tonic::Code;

use super::{Desk, wrong_fields};
use crate::{
    harness::{Campaign, eur, id},
    wire::published_reason,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_impossible_size_or_place_is_refused() {
    let desk = Desk::open().await;
    for email in ["bob@example.org", "cyd@example.org"] {
        desk.campaign.member(&desk.tester, email).await;
    }
    let other = Campaign::open(&desk.tester, "EUR").await;
    for email in ["x@example.org", "y@example.org"] {
        other.member(&desk.tester, email).await;
    }
    let mut members = desk.tester.treasurer().members();
    let page = |campaign: &str, page_size: i32, page_token: &str| pb::ListMembersRequest {
        campaign: campaign.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
    };
    let mine = &desk.campaign.name;
    for size in [-1, 1_001, i32::MIN, i32::MAX] {
        let refused = members
            .list_members(page(mine, size, ""))
            .await
            .unwrap_err();
        assert_eq!(published_reason(&refused), "INVALID_FIELD");
        assert_eq!(wrong_fields(&refused), ["page_size"]);
    }
    let first = members
        .list_members(page(mine, 1, ""))
        .await
        .unwrap()
        .into_inner();
    let token = first.next_page_token;
    assert!(!token.is_empty());
    let of_other = members
        .list_members(page(&other.name, 1, ""))
        .await
        .unwrap();
    let of_other = of_other.into_inner().next_page_token;
    let mut pledges = desk.tester.treasurer().pledges();
    desk.pledge(desk.pledging(eur("1"))).await.unwrap();
    desk.pledge(desk.pledging(eur("2"))).await.unwrap();
    let of_list = pb::ListPledgesRequest {
        campaign: mine.clone(),
        page_size: 1,
        ..Default::default()
    };
    let of_list = pledges.list_pledges(of_list).await.unwrap();
    let of_list = of_list.into_inner().next_page_token;
    let mut altered = token.clone().into_bytes();
    altered[5] = if altered[5] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    for forged in [
        "x",
        "!!!",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        &altered,
        &token[1..],
        &of_other,
        &of_list,
        &"A".repeat(100_000),
    ] {
        let refused = members
            .list_members(page(mine, 1, forged))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(published_reason(&refused), "TOKEN_INVALID");
        assert_eq!(wrong_fields(&refused), ["page_token"]);
    }
    // A page may have another size than the one before.
    let rest = members
        .list_members(page(mine, 1_000, &token))
        .await
        .unwrap();
    assert_eq!(rest.into_inner().members.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_walk_over_everything_exactly_once() {
    let desk = Desk::open().await;
    let mut members = vec![desk.member.clone()];
    for number in 0..6 {
        let email = format!("m{number}@example.org");
        members.push(desk.campaign.member(&desk.tester, &email).await);
    }
    let treasurer = desk.tester.treasurer();
    let (mut open, mut cancelled) = (Vec::new(), Vec::new());
    for (number, member) in members.iter().enumerate() {
        let pledge = desk.campaign.pledge(&desk.tester, member, "10").await;
        if number % 2 == 0 {
            open.push(pledge);
            continue;
        }
        let cancel = pb::CancelPledgeRequest {
            request_id: id(),
            name: pledge.clone(),
            validate_only: false,
        };
        treasurer.pledges().cancel_pledge(cancel).await.unwrap();
        cancelled.push(pledge);
    }

    for page_size in [1, 2, 3, 7, 50] {
        let (mut walked, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListMembersRequest {
                campaign: desk.campaign.name.clone(),
                page_size,
                page_token,
            };
            let page = treasurer
                .members()
                .list_members(request)
                .await
                .unwrap()
                .into_inner();
            assert!(page.members.len() <= usize::try_from(page_size).unwrap());
            walked.extend(page.members.into_iter().map(|member| member.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(walked, members, "{page_size}");
    }
    let everything: Vec<String> = {
        let mut all = [open.clone(), cancelled.clone()].concat();
        all.sort();
        all
    };
    for (state, expected) in [
        (pb::PledgeState::Committed, &open),
        (pb::PledgeState::Cancelled, &cancelled),
        (pb::PledgeState::Paid, &Vec::new()),
        (pb::PledgeState::Unspecified, &everything),
    ] {
        let (mut walked, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListPledgesRequest {
                campaign: desk.campaign.name.clone(),
                state: state.into(),
                page_size: 2,
                page_token,
                ..Default::default()
            };
            let page = treasurer
                .pledges()
                .list_pledges(request)
                .await
                .unwrap()
                .into_inner();
            assert!(page.pledges.len() <= 2);
            walked.extend(page.pledges.into_iter().map(|pledge| pledge.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(&walked, expected, "{state:?}");
    }
    let of_one = pb::ListPledgesRequest {
        campaign: desk.campaign.name.clone(),
        member: desk.member.clone(),
        ..Default::default()
    };
    let of_one = treasurer.pledges().list_pledges(of_one).await.unwrap();
    assert_eq!(of_one.into_inner().pledges.len(), 1);
    let unknown_state = pb::ListPledgesRequest {
        campaign: desk.campaign.name.clone(),
        state: 99,
        ..Default::default()
    };
    let refused = treasurer
        .pledges()
        .list_pledges(unknown_state)
        .await
        .unwrap_err();
    assert_eq!(wrong_fields(&refused), ["state"]);
}
