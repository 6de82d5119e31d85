//! The general ledger: every line once, with its running balance.

use pledgebook::grpc::pb;

use super::{go_on, story};
use crate::{
    calls::refused,
    harness::{Tester, id},
};

async fn pages(
    tester: &Tester,
    mut request: pb::GetGeneralLedgerRequest,
    mut between: Option<&super::Story>,
) -> (Vec<pb::GeneralLedgerRow>, i64) {
    let mut rows = Vec::new();
    loop {
        let page = tester
            .treasurer()
            .reports()
            .get_general_ledger(request.clone())
            .await;
        let page = page.unwrap().into_inner();
        assert!(request.page_size == 0 || page.rows.len() <= request.page_size.try_into().unwrap());
        rows.extend(page.rows);
        if let Some(story) = between.take() {
            go_on(tester, story).await;
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return (rows, page.head.unwrap().entry_number);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_the_general_ledger_are_all_lines_once() {
    let tester = Tester::start().await;
    let story = story(&tester).await;
    let campaign = &story.campaign;
    let request = pb::GetGeneralLedgerRequest {
        campaign: campaign.name.clone(),
        page_size: 3,
        ..Default::default()
    };
    let entries = campaign.entries(&tester).await;
    let all: Vec<(i64, pb::JournalLine)> = entries
        .iter()
        .flat_map(|entry| entry.lines.iter().map(|line| (entry.number, line.clone())))
        .collect();
    // More is posted after the first page; the pages stay those of one moment.
    let (rows, upto) = pages(&tester, request.clone(), Some(&story)).await;
    assert_eq!(upto, 8);
    let listed: Vec<(i64, pb::JournalLine)> = rows
        .iter()
        .map(|row| (row.entry_number, row.line.clone().unwrap()))
        .collect();
    assert_eq!(listed, all);
    for row in &rows {
        let entry = &entries[usize::try_from(row.entry_number).unwrap() - 1];
        assert_eq!(row.event, entry.event);
        assert_eq!(
            (&row.value_date, &row.occurred_at),
            (&entry.value_date, &entry.occurred_at)
        );
        assert_eq!(row.recorded_at, entry.recorded_at);
    }

    // One account's lines, with what it stood at after each.
    let provider = all.iter().find(|(_, line)| line.code == "1000").unwrap();
    let of_provider = pb::GetGeneralLedgerRequest {
        account: provider.1.account.clone(),
        page_size: 1,
        ..request.clone()
    };
    let (rows, _) = pages(&tester, of_provider.clone(), None).await;
    let running: Vec<(i64, String)> = rows
        .iter()
        .map(|row| {
            let line = row.line.as_ref().unwrap();
            assert_eq!(line.account, provider.1.account);
            (row.entry_number, crate::harness::text(&line.balance_after))
        })
        .collect();
    let expected = [
        (4, "EUR 350.00"),
        (5, "EUR 344.50"),
        (10, "EUR 377.50"),
        (11, "EUR 376.80"),
        (14, "EUR 26.80"),
        (17, "EUR 27.80"),
    ];
    assert_eq!(
        running,
        expected.map(|(entry, after)| (entry, after.to_owned()))
    );
    let as_of = pb::GetGeneralLedgerRequest {
        entry_number: 8,
        ..of_provider.clone()
    };
    assert_eq!(pages(&tester, as_of, None).await.0.len(), 2);

    let mut reports = tester.treasurer().reports();
    let nobodys = pb::GetGeneralLedgerRequest {
        account: format!("{}/accounts/2100.EUR.{}", campaign.name, id()),
        ..request.clone()
    };
    refused(reports.get_general_ledger(nobodys).await, "NOT_FOUND");
    let first = reports
        .get_general_ledger(request)
        .await
        .unwrap()
        .into_inner();
    let other_filter = pb::GetGeneralLedgerRequest {
        page_token: first.next_page_token,
        ..of_provider
    };
    refused(
        reports.get_general_ledger(other_filter).await,
        "TOKEN_INVALID",
    );
    tester.must_be_clean(&campaign.name).await;
}
