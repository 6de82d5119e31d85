//! Members and signatures, and where their names are kept.

use pledgebook::grpc::pb::{self, SignatureState};
use sqlx::AssertSqlSafe;
use tonic::Status;

use crate::{
    calls::refused,
    harness::{Campaign, Tester, id, terms},
};

fn new_member(campaign: &Campaign, name: &str, email: &str) -> pb::CreateMemberRequest {
    pb::CreateMemberRequest {
        request_id: id(),
        campaign: campaign.name.clone(),
        display_name: name.to_owned(),
        email: email.to_owned(),
        validate_only: false,
    }
}

async fn sign(tester: &Tester, campaign: &str, email: &str) -> Result<pb::Signature, Status> {
    let request = pb::SignCampaignRequest {
        request_id: id(),
        campaign: campaign.to_owned(),
        display_name: "A supporter".to_owned(),
        email: email.to_owned(),
        validate_only: false,
    };
    let signed = tester.treasurer().members().sign_campaign(request).await?;
    Ok(signed.into_inner().signature.unwrap())
}

async fn withdraw(tester: &Tester, name: &str) -> Result<pb::Signature, Status> {
    let request = pb::WithdrawSignatureRequest {
        request_id: id(),
        name: name.to_owned(),
        validate_only: false,
    };
    let withdrawn = tester
        .treasurer()
        .members()
        .withdraw_signature(request)
        .await;
    Ok(withdrawn?.into_inner().signature.unwrap())
}

/// Signed, withdrawn and converted.
async fn counts(tester: &Tester, campaign: &Campaign) -> [i64; 3] {
    let request = pb::CountSignaturesRequest {
        campaign: campaign.name.clone(),
    };
    let counted = tester.treasurer().members().count_signatures(request).await;
    let counted = counted.unwrap().into_inner();
    [counted.signed, counted.withdrawn, counted.converted]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_made_read_and_listed() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let mut names = Vec::new();
    for who in ["ada", "bob", "cleo"] {
        names.push(
            campaign
                .member(&tester, &format!("{who}@example.org"))
                .await,
        );
    }
    let mut members = tester.treasurer().members();
    let read = members.get_member(pb::GetMemberRequest {
        name: names[1].clone(),
    });
    let read = read.await.unwrap().into_inner().member.unwrap();
    assert_eq!(
        (read.name, read.display_name, read.email),
        (
            names[1].clone(),
            "bob".to_owned(),
            "bob@example.org".to_owned()
        )
    );
    assert!(read.create_time.is_some());

    let mut request = pb::ListMembersRequest {
        campaign: campaign.name.clone(),
        page_size: 2,
        page_token: String::new(),
    };
    let first = members.list_members(request.clone()).await.unwrap();
    let first = first.into_inner();
    request.page_token = first.next_page_token;
    let second = members.list_members(request).await.unwrap().into_inner();
    assert_eq!(second.next_page_token, "");
    let listed: Vec<String> = [first.members, second.members]
        .concat()
        .into_iter()
        .map(|member| member.name)
        .collect();
    assert_eq!(listed, names);

    let nobody = names[1].replace(names[1].rsplit('/').next().unwrap(), &id());
    let missing = members.get_member(pb::GetMemberRequest { name: nobody });
    refused(missing.await, "NOT_FOUND");
    // Members are no money.
    assert!(campaign.entries(&tester).await.is_empty());
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_address_is_one_member_whatever_its_capitals() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    campaign.member(&tester, "ada@example.org").await;
    let mut members = tester.treasurer().members();
    for email in ["ada@example.org", "Ada@Example.ORG", " ada@example.org "] {
        let again = members.create_member(new_member(&campaign, "Ada", email));
        refused(again.await, "ALREADY_EXISTS");
    }
    for email in [
        "",
        "ada",
        "@example.org",
        "ada@",
        "a da@example.org",
        "a@b@c",
    ] {
        let wrong = members.create_member(new_member(&campaign, "Ada", email));
        refused(wrong.await, "INVALID_FIELD");
    }
    // Another campaign's members are other people.
    let other = Campaign::open(&tester, "EUR").await;
    other.member(&tester, "ada@example.org").await;
    tester.must_be_clean(&campaign.name).await;
    tester.must_be_clean(&other.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_given_withdrawn_given_again_and_converted_by_a_pledge() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let signature = sign(&tester, &campaign.name, "ada@example.org")
        .await
        .unwrap();
    assert_eq!(signature.state(), SignatureState::Signed);
    assert_eq!(counts(&tester, &campaign).await, [1, 0, 0]);
    refused(
        sign(&tester, &campaign.name, "ADA@example.org").await,
        "ALREADY_EXISTS",
    );

    let withdrawn = withdraw(&tester, &signature.name).await.unwrap();
    assert_eq!(withdrawn.state(), SignatureState::Withdrawn);
    assert_eq!(counts(&tester, &campaign).await, [0, 1, 0]);
    refused(withdraw(&tester, &signature.name).await, "SIGNATURE_STATE");

    let again = sign(&tester, &campaign.name, "ada@example.org")
        .await
        .unwrap();
    assert_eq!(again.name, signature.name);
    assert_eq!(again.state(), SignatureState::Signed);
    assert_eq!(counts(&tester, &campaign).await, [1, 0, 0]);

    // A withdrawn signature is not brought back by a pledge, and a stranger's not touched.
    let bobs = sign(&tester, &campaign.name, "bob@example.org")
        .await
        .unwrap();
    withdraw(&tester, &bobs.name).await.unwrap();
    sign(&tester, &campaign.name, "cleo@example.org")
        .await
        .unwrap();
    for email in ["Ada@Example.org", "bob@example.org", "dora@example.org"] {
        let member = campaign.member(&tester, email).await;
        campaign.pledge(&tester, &member, "10").await;
        campaign.pledge(&tester, &member, "20").await;
    }
    assert_eq!(counts(&tester, &campaign).await, [1, 1, 1]);
    refused(withdraw(&tester, &signature.name).await, "SIGNATURE_STATE");
    refused(
        sign(&tester, &campaign.name, "ada@example.org").await,
        "ALREADY_EXISTS",
    );
    // Six pledges posted, and no signature did.
    assert_eq!(campaign.entries(&tester).await.len(), 6);
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_taken_from_gathering_until_the_campaign_is_cancelled() {
    let tester = Tester::start().await;
    let request = pb::CreateCampaignRequest {
        request_id: id(),
        display_name: "A draft".to_owned(),
        currency_code: "EUR".to_owned(),
        terms: Some(terms(&tester.clock, "EUR")),
        ..Default::default()
    };
    let draft = tester
        .treasurer()
        .campaigns()
        .create_campaign(request)
        .await;
    let draft = draft.unwrap().into_inner().campaign.unwrap().name;
    refused(
        sign(&tester, &draft, "ada@example.org").await,
        "CAMPAIGN_STAGE",
    );

    let campaign = Campaign::open(&tester, "EUR").await;
    sign(&tester, &campaign.name, "ada@example.org")
        .await
        .unwrap();
    campaign.cancel(&tester).await;
    refused(
        sign(&tester, &campaign.name, "bob@example.org").await,
        "CAMPAIGN_STAGE",
    );
    tester.must_be_clean(&campaign.name).await;
    tester.must_be_clean(&draft).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_a_members_creation_answers_without_name_and_address() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let request = new_member(&campaign, "Ada Lovelace", "ada@example.org");
    let mut members = tester.treasurer().members();
    let made = members.create_member(request.clone()).await.unwrap();
    let made = made.into_inner().member.unwrap();
    assert_eq!(
        (made.display_name.as_str(), made.email.as_str()),
        ("Ada Lovelace", "ada@example.org")
    );
    let again = members.create_member(request.clone()).await.unwrap();
    let again = again.into_inner();
    assert!(again.outcome.unwrap().replayed);
    let again = again.member.unwrap();
    assert_eq!(
        (
            again.name,
            again.display_name.as_str(),
            again.email.as_str()
        ),
        (made.name, "", "")
    );
    let other = pb::CreateMemberRequest {
        email: "other@example.org".to_owned(),
        ..request
    };
    let status = refused(members.create_member(other).await, "REQUEST_ID_REUSED");
    assert_eq!(crate::harness::detail(&status, "field"), "email");
    tester.must_be_clean(&campaign.name).await;
}

/// The tables with a row that holds a text, as such or as hexadecimal bytes.
async fn tables_with(tester: &Tester, text: &str) -> Vec<String> {
    let database = tester.database.pool("postgres").await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
    )
    .fetch_all(&database)
    .await
    .unwrap();
    assert!(tables.len() > 20, "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT count(*) FROM {table} AS stored
             WHERE strpos(lower(stored::text), lower($1)) > 0
                OR strpos(lower(stored::text), encode(convert_to($1, 'UTF8'), 'hex')) > 0"
        )))
        .bind(text)
        .fetch_one(&database)
        .await
        .unwrap();
        if count > 0 {
            found.push(table);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_addresses_are_nowhere_but_in_person() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let email = "Zephyrine.Quux@example.org";
    let mut members = tester.treasurer().members();
    let request = new_member(&campaign, "Zephyrine von Quuxheim", email);
    let member = members.create_member(request.clone()).await.unwrap();
    let member = member.into_inner().member.unwrap().name;
    // Everything that is kept for ever: outcomes, refusals, history, postings.
    sign(&tester, &campaign.name, email).await.unwrap();
    refused(sign(&tester, &campaign.name, email).await, "ALREADY_EXISTS");
    let again = new_member(&campaign, "Zephyrine von Quuxheim", email);
    refused(members.create_member(again).await, "ALREADY_EXISTS");
    members.create_member(request).await.unwrap();
    let pledge = campaign.pledge(&tester, &member, "50").await;
    campaign.pay(&tester, "ch_1", &pledge, "60").await;

    assert_eq!(tables_with(&tester, email).await, ["person"]);
    assert_eq!(tables_with(&tester, "Quuxheim").await, ["person"]);
    // The search finds what other tables hold.
    assert!(
        tables_with(&tester, "ch_1")
            .await
            .contains(&"payment".to_owned())
    );
    tester.must_be_clean(&campaign.name).await;
}
