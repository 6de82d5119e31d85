//! Campaigns are made once, listed, and seen by everybody.

use pledgebook::{access::Role, grpc::pb, grpc::pb::CampaignStage as Stage};

use super::{create, draft, new_campaign};
use crate::{
    calls::refused,
    harness::{Campaign, Clients, Tester, detail, id, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn one_request_of_one_caller_makes_one_campaign() {
    let tester = Tester::start().await;
    let request = new_campaign(&tester);
    let first = create(&tester, request.clone()).await.unwrap();
    let name = first.campaign.unwrap().name;
    assert!(!first.outcome.unwrap().replayed);
    // A UUID is the same in capitals.
    let shouted = pb::CreateCampaignRequest {
        request_id: request.request_id.to_uppercase(),
        ..request.clone()
    };
    for again in [request.clone(), shouted] {
        let again = create(&tester, again).await.unwrap();
        assert!(again.outcome.unwrap().replayed);
        assert_eq!(again.campaign.unwrap().name, name);
    }
    let other = pb::CreateCampaignRequest {
        description: "Something else".to_owned(),
        ..request.clone()
    };
    let status = refused(create(&tester, other).await, "REQUEST_ID_REUSED");
    assert_eq!(detail(&status, "field"), "description");
    // Another caller's request is another one.
    let admins = tester
        .as_role(Role::Admin)
        .campaigns()
        .create_campaign(request)
        .await;
    let admins = admins.unwrap().into_inner().campaign.unwrap().name;
    assert_ne!(admins, name);
    refused(
        create(
            &tester,
            pb::CreateCampaignRequest {
                request_id: "not a UUID".to_owned(),
                ..new_campaign(&tester)
            },
        )
        .await,
        "INVALID_FIELD",
    );
    tester.must_be_clean(&name).await;
    tester.must_be_clean(&admins).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn campaigns_are_listed_newest_first_page_by_page() {
    let tester = Tester::start().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(draft(&tester).await);
    }
    made.reverse();
    let mut campaigns = tester.treasurer().campaigns();
    let (mut listed, mut sizes, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let request = pb::ListCampaignsRequest {
            page_size: 2,
            page_token: token,
        };
        let page = campaigns
            .list_campaigns(request)
            .await
            .unwrap()
            .into_inner();
        sizes.push(page.campaigns.len());
        listed.extend(page.campaigns.into_iter().map(|campaign| campaign.name));
        // What comes in meanwhile stands before the first page.
        draft(&tester).await;
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(listed, made);
    for (page_size, page_token, reason) in [
        (-1, "", "INVALID_FIELD"),
        (1_001, "", "INVALID_FIELD"),
        (2, "x", "TOKEN_INVALID"),
    ] {
        let request = pb::ListCampaignsRequest {
            page_size,
            page_token: page_token.to_owned(),
        };
        refused(campaigns.list_campaigns(request).await, reason);
    }
    for name in made {
        tester.must_be_clean(&name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn public_progress_needs_no_key_and_agrees_with_the_ledger() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    for who in ["ada", "bob", "cleo"] {
        let request = pb::SignCampaignRequest {
            request_id: id(),
            campaign: campaign.name.clone(),
            display_name: who.to_owned(),
            email: format!("{who}@example.org"),
            validate_only: false,
        };
        tester
            .treasurer()
            .members()
            .sign_campaign(request)
            .await
            .unwrap();
    }
    let ada = campaign.member(&tester, "ada@example.org").await;
    let dora = campaign.member(&tester, "dora@example.org").await;
    let paid = campaign.pledge(&tester, &ada, "1000").await;
    campaign.pledge(&tester, &ada, "500").await;
    let given_up = campaign.pledge(&tester, &dora, "70").await;
    campaign.cancel_pledge(&tester, &given_up).await.unwrap();
    let last = campaign.pay(&tester, "ch_1", &paid, "1234.50").await;

    let request = pb::GetPublicProgressRequest {
        name: campaign.name.clone(),
    };
    let anybody = Clients::new(tester.server.channel(), None);
    let progress = anybody.campaigns().get_public_progress(request).await;
    let progress = progress.unwrap().into_inner();
    assert_eq!(progress.display_name, "We are the club");
    assert_eq!(progress.stage(), Stage::Open);
    assert_eq!(progress.change_number, last.outcome.change_number);
    // Ada's signature is converted and still counts.
    assert_eq!(progress.signatures, 3);
    assert_eq!(progress.pledging_members, 1);
    assert_eq!(text(&progress.pledged), "EUR 1500.00");
    assert_eq!(progress.paying_members, 1);
    assert_eq!(text(&progress.collected), "EUR 1000.00");
    assert_eq!(text(&progress.target), "EUR 100000.00");
    assert_eq!(text(&progress.minimum), "EUR 50000.00");
    assert_eq!(
        progress.deadline,
        campaign.read(&tester).await.terms.unwrap().deadline
    );
    assert_eq!(progress.collected_basis_points, 200);
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 1000.00");
    assert_eq!(campaign.stands(&tester, "9000").await, "Dr 500.00");
    tester.must_be_clean(&campaign.name).await;

    // Of a draft nobody learns more than of a campaign that does not exist.
    let mut answers = Vec::new();
    for name in [draft(&tester).await, format!("campaigns/{}", id())] {
        let request = pb::GetPublicProgressRequest { name };
        let answer = anybody.campaigns().get_public_progress(request).await;
        let status = refused(answer, "CAMPAIGN_NOT_FOUND");
        answers.push((status.message().to_owned(), status.details().to_vec()));
    }
    assert_eq!(answers[0], answers[1]);
}
