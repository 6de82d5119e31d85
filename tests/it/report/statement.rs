//! What one member promised, paid and is owed.

use pledgebook::grpc::pb::{self, EntryEvent};

use super::{go_on, story};
use crate::{
    calls::{amount, day, refused},
    harness::{Tester, id},
};

async fn draw(tester: &Tester, member: &str, entry_number: i64) -> pb::GetBackerStatementResponse {
    let request = pb::GetBackerStatementRequest {
        member: member.to_owned(),
        entry_number,
        ..Default::default()
    };
    let report = tester
        .treasurer()
        .reports()
        .get_backer_statement(request)
        .await;
    report.unwrap().into_inner()
}

/// The entry, what changed (promise, held, refundable) and what stood after it.
fn rows(report: &pb::GetBackerStatementResponse) -> Vec<String> {
    let row = |row: &pb::BackerStatementRow| {
        let changes = [&row.promised, &row.held_change, &row.refundable_change];
        let after = [
            &row.outstanding_after,
            &row.held_after,
            &row.refundable_after,
        ];
        format!(
            "{}: {} -> {}",
            row.entry_number,
            changes.map(amount).join(" "),
            after.map(amount).join(" ")
        )
    };
    report.rows.iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_tells_a_members_promises_payments_and_refunds() {
    let tester = Tester::start().await;
    let story = story(&tester).await;
    let report = draw(&tester, &story.ada, 0).await;
    assert_eq!(
        (report.member.as_str(), report.display_name.as_str()),
        (story.ada.as_str(), "ada")
    );
    assert_eq!(
        rows(&report),
        [
            "2: 300.00 0.00 0.00 -> 300.00 0.00 0.00",
            "4: -300.00 300.00 50.00 -> 0.00 300.00 50.00",
        ]
    );
    let [promised, paid] = &report.rows[..] else {
        panic!("{report:?}");
    };
    assert_eq!(
        (promised.event(), &promised.reference),
        (EntryEvent::PledgeCreated, &story.adas)
    );
    assert_eq!(
        (paid.event(), &paid.reference),
        (EntryEvent::PaymentSucceeded, &story.payments[0])
    );
    assert_eq!(
        (paid.object_id.as_str(), paid.value_date.as_str()),
        ("ch_1", day(&tester.clock, -6).as_str())
    );
    let totals = |report: &pb::GetBackerStatementResponse| {
        let totals = [&report.outstanding, &report.held, &report.refundable];
        totals.map(amount).join(" ")
    };
    assert_eq!(totals(&report), "0.00 300.00 50.00");
    assert!(report.shares.is_empty());
    assert_eq!(report.head.unwrap().entry_number, 8);
    let of_bob = draw(&tester, &story.bob, 0).await;
    assert_eq!(
        rows(&of_bob),
        [
            "3: 200.00 0.00 0.00 -> 200.00 0.00 0.00",
            "7: -80.00 80.00 0.00 -> 120.00 80.00 0.00",
        ]
    );
    assert_eq!(of_bob.rows[1].object_id, "tx_1");

    // After the match is reversed, a card payment made and Ada's payment lost.
    go_on(&tester, &story).await;
    let report = draw(&tester, &story.bob, 0).await;
    assert_eq!(
        rows(&report),
        [
            "3: 200.00 0.00 0.00 -> 200.00 0.00 0.00",
            "7: -80.00 80.00 0.00 -> 120.00 80.00 0.00",
            "9: 11.00 0.00 0.00 -> 131.00 80.00 0.00",
            "10: -33.00 33.00 0.00 -> 98.00 113.00 0.00",
            "12: 80.00 -80.00 0.00 -> 178.00 33.00 0.00",
            "16: -11.00 0.00 0.00 -> 167.00 33.00 0.00",
        ]
    );
    assert_eq!(totals(&report), "167.00 33.00 0.00");
    assert_eq!(
        rows(&draw(&tester, &story.ada, 0).await)[2..],
        [
            "13: 0.00 25.00 0.00 -> 0.00 325.00 50.00",
            "14: 300.00 -300.00 -50.00 -> 300.00 25.00 0.00",
        ]
    );
    // As of entry 8 it is as it was.
    let then = draw(&tester, &story.bob, 8).await;
    assert_eq!(
        (then.rows, totals(&of_bob)),
        (of_bob.rows, "120.00 80.00 0.00".to_owned())
    );

    // Page by page it is the same statement.
    let mut request = pb::GetBackerStatementRequest {
        member: story.bob.clone(),
        entry_number: 0,
        page_size: 4,
        page_token: String::new(),
    };
    let mut reports = tester.treasurer().reports();
    let first = reports
        .get_backer_statement(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first.rows, report.rows[..4]);
    assert_eq!(totals(&first), totals(&report));
    request.page_token = first.next_page_token;
    let second = reports
        .get_backer_statement(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(second.rows, report.rows[4..]);
    assert_eq!(second.next_page_token, "");

    let nobody = pb::GetBackerStatementRequest {
        member: format!("{}/members/{}", story.campaign.name, id()),
        ..Default::default()
    };
    refused(reports.get_backer_statement(nobody).await, "NOT_FOUND");
    tester.must_be_clean(&story.campaign.name).await;
}
