//! The terms of the offer and what describes it.

use pledgebook::grpc::pb;

use super::{create, draft, get, new_campaign, revise};
use crate::{
    calls::refused,
    harness::{Campaign, Tester, days_from_now, detail, eur, id, money, terms, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn contradictory_terms_are_refused_each_for_its_reason() {
    let tester = Tester::start().await;
    let campaign = draft(&tester).await;
    let usual = || terms(&tester.clock, "EUR");
    let with = |change: &dyn Fn(&mut pb::Terms)| {
        let mut terms = usual();
        change(&mut terms);
        terms
    };
    let contradictory = "TERMS_CONTRADICTORY";
    let cases = [
        (with(&|t| t.minimum = eur("100000.01")), contradictory),
        (with(&|t| t.target = eur("200000.01")), contradictory),
        (with(&|t| t.maximum = eur("99999.99")), contradictory),
        (with(&|t| t.minimum_members = -1), contradictory),
        (with(&|t| t.card_clearing_days = -1), contradictory),
        (with(&|t| t.direct_debit_clearing_days = 731), contradictory),
        (with(&|t| t.bank_transfer_clearing_days = -7), contradictory),
        (
            with(&|t| t.deadline = days_from_now(&tester.clock, 0)),
            "DEADLINE_PASSED",
        ),
        (
            with(&|t| t.deadline = days_from_now(&tester.clock, -1)),
            "DEADLINE_PASSED",
        ),
        (with(&|t| t.deadline = None), "INVALID_FIELD"),
        (with(&|t| t.minimum = None), "INVALID_FIELD"),
        (with(&|t| t.fee_bearer = 17), "INVALID_FIELD"),
        (with(&|t| t.minimum = eur("0")), "AMOUNT_NOT_POSITIVE"),
        (with(&|t| t.minimum = eur("-1")), "AMOUNT_NOT_POSITIVE"),
        (with(&|t| t.target = eur("1.005")), "AMOUNT_TOO_PRECISE"),
        (with(&|t| t.target = eur("1,5")), "AMOUNT_MALFORMED"),
        (with(&|t| t.target = money("XXX", "1")), "CURRENCY_UNKNOWN"),
        (
            with(&|t| t.target = money("USD", "100000")),
            "INVALID_FIELD",
        ),
        (terms(&tester.clock, "USD"), "CURRENCY_MISMATCH"),
    ];
    for (terms, reason) in cases {
        refused(revise(&tester, &campaign, terms.clone()).await, reason);
        let request = pb::CreateCampaignRequest {
            terms: Some(terms),
            ..new_campaign(&tester)
        };
        refused(create(&tester, request.clone()).await, reason);
        // A retry is answered alike.
        refused(create(&tester, request).await, reason);
    }
    let request = pb::CreateCampaignRequest {
        terms: None,
        ..new_campaign(&tester)
    };
    refused(create(&tester, request).await, "INVALID_FIELD");

    // The bounds themselves are allowed, and nothing else came into being.
    let equal = with(&|t| {
        t.minimum = eur("7");
        t.target = eur("7");
        t.maximum = eur("7");
        t.card_clearing_days = 0;
        t.direct_debit_clearing_days = 730;
    });
    let revised = revise(&tester, &campaign, equal).await.unwrap();
    assert_eq!(revised.terms.unwrap().version, 2);
    let all = tester
        .treasurer()
        .campaigns()
        .list_campaigns(pb::ListCampaignsRequest::default())
        .await;
    assert_eq!(all.unwrap().into_inner().campaigns.len(), 1);
    tester.must_be_clean(&campaign).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revised_terms_are_a_new_version_until_the_campaign_opens() {
    let tester = Tester::start().await;
    let campaign = Campaign::pledging_with(&tester, terms(&tester.clock, "EUR"), None).await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let first = campaign.pledge(&tester, &member, "10").await;
    let dearer = pb::Terms {
        // What the caller says of the version counts for nothing.
        version: 17,
        target: eur("150000"),
        minimum_members: 3,
        ..terms(&tester.clock, "EUR")
    };
    let revised = revise(&tester, &campaign.name, dearer.clone())
        .await
        .unwrap();
    let in_force = revised.terms.unwrap();
    assert_eq!(
        (
            in_force.version,
            in_force.minimum_members,
            text(&in_force.target)
        ),
        (2, 3, "EUR 150000.00".to_owned())
    );
    assert_eq!(campaign.read(&tester).await.terms, Some(in_force));
    // A pledge stays under the terms that it was made under.
    let second = campaign.pledge(&tester, &member, "20").await;
    assert_eq!(campaign.read_pledge(&tester, &first).await.terms_version, 1);
    assert_eq!(
        campaign.read_pledge(&tester, &second).await.terms_version,
        2
    );

    campaign.move_to_open(&tester).await;
    let late = revise(&tester, &campaign.name, dearer.clone()).await;
    refused(late, "CAMPAIGN_STAGE");
    campaign.cancel(&tester).await;
    let later = revise(&tester, &campaign.name, dearer).await;
    refused(later, "CAMPAIGN_STAGE");
    assert_eq!(campaign.read(&tester).await.terms.unwrap().version, 2);
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_changes_what_its_mask_names_and_minds_the_etag() {
    let tester = Tester::start().await;
    let name = draft(&tester).await;
    let before = get(&tester, &name).await.unwrap();
    let update = |paths: &[&str], etag: &str| pb::UpdateCampaignRequest {
        request_id: id(),
        name: name.clone(),
        display_name: "Our club".to_owned(),
        description: "Another story".to_owned(),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        etag: etag.to_owned(),
        validate_only: false,
    };
    let mut campaigns = tester.treasurer().campaigns();
    let updated = campaigns.update_campaign(update(&["display_name"], &before.etag));
    let updated = updated.await.unwrap().into_inner();
    assert!(updated.outcome.unwrap().entry_numbers.is_empty());
    let updated = updated.campaign.unwrap();
    assert_eq!(updated.display_name, "Our club");
    assert_eq!(updated.description, before.description);
    assert_ne!(updated.etag, before.etag);

    let stale = campaigns.update_campaign(update(&["description"], &before.etag));
    let status = refused(stale.await, "ETAG_MISMATCH");
    assert_eq!(detail(&status, "etag"), updated.etag);
    let odd = campaigns.update_campaign(update(&["description"], "yesterday"));
    refused(odd.await, "INVALID_FIELD");
    for paths in [&[][..], &["terms"], &["display_name", "stage"]] {
        let unmasked = campaigns.update_campaign(update(paths, ""));
        refused(unmasked.await, "UPDATE_MASK");
    }
    let nameless = pb::UpdateCampaignRequest {
        display_name: " ".to_owned(),
        ..update(&["display_name"], "")
    };
    refused(campaigns.update_campaign(nameless).await, "INVALID_FIELD");
    assert_eq!(get(&tester, &name).await.unwrap(), updated);

    // Without an etag, whatever is there is overwritten.
    let both = campaigns.update_campaign(update(&["description", "display_name"], ""));
    let both = both.await.unwrap().into_inner().campaign.unwrap();
    assert_eq!(both.description, "Another story");
    tester.must_be_clean(&name).await;
}
