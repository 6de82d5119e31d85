//! Entries in lists and streams.

use std::{collections::HashSet, time::Duration};

use futures::future::join_all;
use pledgebook::{access::Role, grpc::pb};
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    calls::refused,
    harness::{Campaign, Tester, all, id},
    wire::published_reason,
};

async fn stream(
    tester: &Tester,
    campaign: &str,
    token: &str,
) -> tonic::Streaming<pb::StreamEntriesResponse> {
    let request = pb::StreamEntriesRequest {
        campaign: campaign.to_owned(),
        resume_token: token.to_owned(),
    };
    let stream = tester.treasurer().ledger().stream_entries(request).await;
    stream.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_listed_in_order_and_by_account() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let bob = campaign.member(&tester, "bob@example.org").await;
    let mut of_ada = Vec::new();
    for (n, member) in [&ada, &bob, &ada, &bob].into_iter().enumerate() {
        let pledge = campaign.pledge(&tester, member, "10").await;
        let paid = campaign
            .pay(&tester, &format!("ch_{n}"), &pledge, "10")
            .await;
        if member == &ada {
            of_ada.push(paid.entry());
        }
    }
    let held = campaign.entry(&tester, of_ada[0]).await.lines[1]
        .account
        .clone();
    let mut ledger = tester.treasurer().ledger();
    for (account, page_size, expected) in [
        ("", 3, (1..=8).collect::<Vec<i64>>()),
        (held.as_str(), 1, of_ada),
    ] {
        let (mut listed, mut token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListEntriesRequest {
                campaign: campaign.name.clone(),
                account: account.to_owned(),
                page_size,
                page_token: token,
            };
            let page = ledger.list_entries(request).await.unwrap().into_inner();
            listed.extend(page.entries);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let numbers: Vec<i64> = listed.iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, expected);
        for entry in &listed {
            assert_eq!(campaign.entry(&tester, entry.number).await, *entry);
        }
    }
    // Each entry has a digest of its own.
    let entries = campaign.entries(&tester).await;
    let digests: HashSet<&str> = entries.iter().map(|entry| entry.digest.as_str()).collect();
    assert_eq!(digests.len(), entries.len());
    for digest in digests {
        assert!(digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()));
    }
    for number in ["0", "9", "-1"] {
        let request = pb::GetEntryRequest {
            name: format!("{}/entries/{number}", campaign.name),
        };
        refused(ledger.get_entry(request).await, "NOT_FOUND");
    }
    let nobodys = pb::ListEntriesRequest {
        campaign: campaign.name.clone(),
        account: format!("{}/accounts/2100.EUR.{}", campaign.name, id()),
        ..Default::default()
    };
    refused(ledger.list_entries(nobodys).await, "NOT_FOUND");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_cut_goes_on_in_the_same_snapshot() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let member = campaign.member(&tester, "ada@example.org").await;
    // Of nothing there is nothing but the totals.
    let [empty] = &all(stream(&tester, &campaign.name, "").await).await[..] else {
        panic!("one message");
    };
    let totals = empty.totals.clone().unwrap();
    assert_eq!((totals.entry_count, totals.digest), (0, "0".repeat(64)));

    let pledges = tester.treasurer().pledges();
    let make = || {
        let mut pledges = pledges.clone();
        let request = campaign.promise(&member, "1");
        async move { pledges.create_pledge(request).await.unwrap() }
    };
    join_all((0..620).map(|_| make())).await;
    let mut cut = stream(&tester, &campaign.name, "").await;
    let first = cut.message().await.unwrap().unwrap();
    drop(cut);
    // What comes in meanwhile belongs to another snapshot.
    join_all((0..7).map(|_| make())).await;
    let rest = all(stream(&tester, &campaign.name, &first.resume_token).await).await;
    let (last, batches) = rest.split_last().unwrap();
    assert!(!batches.is_empty());

    let mut entries = first.entries.clone();
    for batch in batches {
        assert_eq!(batch.totals, None);
        entries.extend(batch.entries.clone());
    }
    let numbers: Vec<i64> = entries.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (1..=620).collect::<Vec<i64>>());
    assert!(last.entries.is_empty());
    let totals = last.totals.clone().unwrap();
    assert_eq!(totals.entry_count, 620);
    assert_eq!(totals.digest, entries.last().unwrap().digest);
    assert_eq!(entries[619], campaign.entry(&tester, 620).await);
    // From the end there are the same totals again.
    let end = all(stream(&tester, &campaign.name, &last.resume_token).await).await;
    assert_eq!(end[0].totals, last.totals);
    assert_eq!(end.len(), 1);
    // A new stream has them all.
    let whole = all(stream(&tester, &campaign.name, "").await).await;
    let whole: Vec<pb::JournalEntry> = whole.into_iter().flat_map(|m| m.entries).collect();
    assert_eq!(whole.len(), 627);
    assert_eq!(whole[..620], entries);

    let other = Campaign::open(&tester, "EUR").await;
    for (campaign, token) in [
        (&other.name, first.resume_token.as_str()),
        (&campaign.name, "AAAA"),
    ] {
        let request = pb::StreamEntriesRequest {
            campaign: campaign.clone(),
            resume_token: token.to_owned(),
        };
        let forged = tester.treasurer().ledger().stream_entries(request).await;
        assert_eq!(
            forged.err().map(|e| crate::harness::reason(&e)).as_deref(),
            Some("TOKEN_INVALID")
        );
    }
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_entries_ends_with_its_server_and_goes_on_at_another() {
    let mut tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    campaign.pledge(&tester, &ada, "10").await;
    let entries = campaign.entries(&tester).await.len();
    let other = tester.another_server().await;
    // The stream cannot read a page before this is over.
    let mut held = tester
        .database
        .pool("postgres")
        .await
        .begin()
        .await
        .unwrap();
    sqlx::query("LOCK TABLE line IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *held)
        .await
        .unwrap();
    let mut cut = stream(&tester, &campaign.name, "").await;
    tester.database.until_somebody_waits().await;
    let stopping = tokio::time::timeout(Duration::from_secs(10), tester.server.stop());
    let (stopped, ended) = tokio::join!(stopping, cut.message());
    stopped.expect("an open stream keeps no server");
    let status = ended.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(published_reason(&status), "SHUTTING_DOWN");
    assert!(status.get_details_retry_info().is_some());

    held.rollback().await.unwrap();
    let request = pb::StreamEntriesRequest {
        campaign: campaign.name.clone(),
        resume_token: String::new(),
    };
    let there = tester.as_role_on(&other, Role::Treasurer);
    let stream = there.ledger().stream_entries(request).await;
    let mut stream = stream.unwrap().into_inner();
    let mut totals = None;
    while let Some(message) = stream.message().await.unwrap() {
        totals = message.totals;
    }
    let streamed = usize::try_from(totals.unwrap().entry_count).unwrap();
    assert_eq!((streamed, entries), (1, 1));
}
