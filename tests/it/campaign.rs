//! Campaigns: creation, terms, share classes and life cycle.

use pledgebook::{access::Role, grpc::pb, grpc::pb::CampaignStage as Stage};
use time::Duration;
use tonic::Status;

use crate::{
    calls::{day, refused, shares},
    harness::{
        Campaign, Clients, Tester, days_from_now, detail, eur, id, lines, money, terms, text,
    },
};

fn new_campaign(tester: &Tester) -> pb::CreateCampaignRequest {
    pb::CreateCampaignRequest {
        request_id: id(),
        display_name: "We are the club".to_owned(),
        description: "Fans buy their club".to_owned(),
        currency_code: "EUR".to_owned(),
        terms: Some(terms(&tester.clock, "EUR")),
        validate_only: false,
    }
}

async fn create(
    tester: &Tester,
    request: pb::CreateCampaignRequest,
) -> Result<pb::CreateCampaignResponse, Status> {
    let created = tester
        .treasurer()
        .campaigns()
        .create_campaign(request)
        .await;
    Ok(created?.into_inner())
}

/// A new campaign's name, in DRAFT.
async fn draft(tester: &Tester) -> String {
    let created = create(tester, new_campaign(tester)).await.unwrap();
    created.campaign.unwrap().name
}

async fn get(tester: &Tester, name: &str) -> Result<pb::Campaign, Status> {
    let request = pb::GetCampaignRequest {
        name: name.to_owned(),
    };
    let read = tester.treasurer().campaigns().get_campaign(request).await?;
    Ok(read.into_inner().campaign.unwrap())
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Gather,
    Pledge,
    Open,
    Cancel,
}

const STEPS: [Step; 4] = [Step::Gather, Step::Pledge, Step::Open, Step::Cancel];

async fn go(tester: &Tester, name: &str, step: Step) -> Result<pb::Campaign, Status> {
    macro_rules! moved {
        ($method:ident($request:ident $(, $more:ident: $value:expr)*)) => {{
            let request = pb::$request {
                request_id: id(),
                name: name.to_owned(),
                validate_only: false,
                $($more: $value,)*
            };
            let moved = tester.treasurer().campaigns().$method(request).await?;
            Ok(moved.into_inner().campaign.unwrap())
        }};
    }
    match step {
        Step::Gather => moved!(start_gathering(StartGatheringRequest)),
        Step::Pledge => moved!(start_pledging(StartPledgingRequest)),
        Step::Open => moved!(open_campaign(OpenCampaignRequest)),
        Step::Cancel => moved!(cancel_campaign(
            CancelCampaignRequest,
            reason: "given up".to_owned()
        )),
    }
}

async fn revise(tester: &Tester, name: &str, terms: pb::Terms) -> Result<pb::Campaign, Status> {
    let request = pb::ReviseTermsRequest {
        request_id: id(),
        name: name.to_owned(),
        terms: Some(terms),
        reason: "the seller asks for more".to_owned(),
        validate_only: false,
    };
    let revised = tester.treasurer().campaigns().revise_terms(request).await?;
    Ok(revised.into_inner().campaign.unwrap())
}

async fn add_class(
    tester: &Tester,
    campaign: &str,
    class: pb::ShareClass,
) -> Result<pb::AddShareClassResponse, Status> {
    let request = pb::AddShareClassRequest {
        request_id: id(),
        campaign: campaign.to_owned(),
        share_class: Some(class),
        validate_only: false,
    };
    let added = tester
        .treasurer()
        .campaigns()
        .add_share_class(request)
        .await;
    Ok(added?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_goes_its_way_step_by_step_and_no_other() {
    let tester = Tester::start().await;
    // The way to each stage, its name, and the one step beside CANCELLED that leads on.
    let stages: [(&[Step], &str, Option<(Step, Stage)>); 5] = [
        (&[], "draft", Some((Step::Gather, Stage::Gathering))),
        (
            &[Step::Gather],
            "gathering",
            Some((Step::Pledge, Stage::Pledging)),
        ),
        (
            &[Step::Gather, Step::Pledge],
            "pledging",
            Some((Step::Open, Stage::Open)),
        ),
        (&[Step::Gather, Step::Pledge, Step::Open], "open", None),
        (&[Step::Cancel], "cancelled", None),
    ];
    for (way, stage, on) in stages {
        let name = draft(&tester).await;
        for step in way {
            go(&tester, &name, *step).await.unwrap();
        }
        let before = get(&tester, &name).await.unwrap();
        let leads_on = |step: Step| {
            let next = on.is_some_and(|(next, _)| format!("{next:?}") == format!("{step:?}"));
            next || (matches!(step, Step::Cancel) && stage != "cancelled")
        };
        for step in STEPS.into_iter().filter(|step| !leads_on(*step)) {
            let status = refused(go(&tester, &name, step).await, "CAMPAIGN_STAGE");
            assert_eq!(detail(&status, "stage"), stage, "{step:?}");
        }
        // What is refused changes nothing, the etag included.
        assert_eq!(get(&tester, &name).await.unwrap(), before);
        assert_eq!(before.open_time.is_some(), stage == "open");
        if let Some((step, next)) = on {
            assert_eq!(go(&tester, &name, step).await.unwrap().stage(), next);
        }
        if stage != "cancelled" {
            let cancelled = go(&tester, &name, Step::Cancel).await.unwrap();
            assert_eq!(cancelled.stage(), Stage::Cancelled);
        }
        tester.must_be_clean(&name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_does_not_open_without_a_fee_bearer_or_after_its_deadline() {
    let tester = Tester::start().await;
    let undecided = pb::Terms {
        fee_bearer: 0,
        ..terms(&tester.clock, "EUR")
    };
    let campaign = Campaign::pledging_with(&tester, undecided, None).await;
    refused(
        go(&tester, &campaign.name, Step::Open).await,
        "FEE_BEARER_REQUIRED",
    );
    assert_eq!(campaign.read(&tester).await.stage(), Stage::Pledging);
    let decided = pb::Terms {
        fee_bearer: pb::FeeBearer::MembersDisclosed.into(),
        fee_bearer_note: "2.5 % when the campaign fails".to_owned(),
        ..terms(&tester.clock, "EUR")
    };
    revise(&tester, &campaign.name, decided).await.unwrap();
    let opened = go(&tester, &campaign.name, Step::Open).await.unwrap();
    assert_eq!(opened.stage(), Stage::Open);

    let late = Campaign::pledging_with(&tester, terms(&tester.clock, "EUR"), None).await;
    tester.clock.shift(Duration::days(31));
    refused(go(&tester, &late.name, Step::Open).await, "DEADLINE_PASSED");
    tester.must_be_clean(&campaign.name).await;
    tester.must_be_clean(&late.name).await;
}

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

#[tokio::test(flavor = "multi_thread")]
async fn a_share_class_posts_its_authorised_shares_in_the_units_book() {
    let tester = Tester::start().await;
    let campaign = Campaign::pledging_with(&tester, terms(&tester.clock, "EUR"), None).await;
    let class = shares("25", 1, 40);
    let added = add_class(&tester, &campaign.name, class.clone())
        .await
        .unwrap();
    let made = added.share_class.unwrap();
    assert_eq!(campaign.read(&tester).await.share_classes, [made.clone()]);
    assert_eq!(
        (made.authorised, text(&made.price), text(&made.nominal)),
        (1_000, "EUR 25.00".to_owned(), "EUR 10.00".to_owned())
    );
    let entry = campaign
        .entry(&tester, added.outcome.unwrap().entry_numbers[0])
        .await;
    assert_eq!(entry.event(), pb::EntryEvent::SharesAuthorised);
    assert_eq!(entry.value_date, day(&tester.clock, 0));
    assert_eq!(lines(&entry), ["Dr 8020 1000", "Cr 8010 1000"]);
    for line in &entry.lines {
        assert_eq!(line.book(), pb::Book::Units);
        assert_eq!(line.share_class, made.name);
        assert_eq!(text(&line.balance_after), "1000");
    }

    let same_name = pb::ShareClass {
        authorised: 5,
        minimum_per_member: 0,
        maximum_per_member: 0,
        ..class.clone()
    };
    let status = refused(
        add_class(&tester, &campaign.name, same_name).await,
        "ALREADY_EXISTS",
    );
    assert!(status.message().contains("Members' shares"), "{status:?}");
    let with = |change: &dyn Fn(&mut pb::ShareClass)| {
        let mut class = pb::ShareClass {
            display_name: "Another".to_owned(),
            ..class.clone()
        };
        change(&mut class);
        class
    };
    let cases = [
        (with(&|c| c.nominal = eur("25.01")), "SHARE_CLASS"),
        (with(&|c| c.authorised = 0), "SHARE_CLASS"),
        (with(&|c| c.authorised = -5), "SHARE_CLASS"),
        (with(&|c| c.authorised = i64::MAX), "SHARE_CLASS"),
        (with(&|c| c.minimum_per_member = -1), "SHARE_CLASS"),
        (with(&|c| c.maximum_per_member = -1), "SHARE_CLASS"),
        (with(&|c| c.minimum_per_member = 41), "SHARE_CLASS"),
        (with(&|c| c.maximum_per_member = 1_001), "SHARE_CLASS"),
        (with(&|c| c.nominal = eur("0")), "AMOUNT_NOT_POSITIVE"),
        (with(&|c| c.price = None), "INVALID_FIELD"),
        (with(&|c| c.display_name = String::new()), "INVALID_FIELD"),
        (with(&|c| c.price = money("USD", "25")), "INVALID_FIELD"),
        (
            with(&|c| {
                c.price = money("USD", "25");
                c.nominal = money("USD", "10");
            }),
            "CURRENCY_MISMATCH",
        ),
    ];
    for (class, reason) in cases {
        refused(add_class(&tester, &campaign.name, class).await, reason);
    }
    let liability = with(&|c| c.liability = true);
    let second = add_class(&tester, &campaign.name, liability).await.unwrap();
    assert!(second.share_class.unwrap().liability);

    campaign.move_to_open(&tester).await;
    let late = add_class(&tester, &campaign.name, with(&|c| c.display_name.push('!'))).await;
    refused(late, "CAMPAIGN_STAGE");
    assert_eq!(campaign.entries(&tester).await.len(), 2);
    assert_eq!(campaign.read(&tester).await.share_classes.len(), 2);
    tester.must_be_clean(&campaign.name).await;
}

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

    let nobody = pb::GetPublicProgressRequest {
        name: format!("campaigns/{}", id()),
    };
    refused(
        anybody.campaigns().get_public_progress(nobody).await,
        "NOT_FOUND",
    );
}
