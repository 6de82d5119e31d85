//! The share register: lots now and then, and the totals that are the ledger's accounts.

use pledgebook::{clock::Clock, grpc::pb};

use crate::{
    calls::{amount, day, refused},
    ending::Road,
    harness::{eur, id, text},
};

async fn draw(road: &Road, entry_number: i64) -> pb::GetShareRegisterResponse {
    page(road, entry_number, 0, "").await
}

async fn page(
    road: &Road,
    entry_number: i64,
    page_size: i32,
    page_token: &str,
) -> pb::GetShareRegisterResponse {
    let request = pb::GetShareRegisterRequest {
        campaign: road.campaign.name.clone(),
        entry_number,
        page_size,
        page_token: page_token.to_owned(),
    };
    let report = road.treasurer.reports().get_share_register(request).await;
    let mut report = report.unwrap().into_inner();
    report.head.as_mut().unwrap().drawn_at = None;
    report
}

/// Member, certificate, shares that stand and were cancelled, nominal value, and when the
/// member came and left.
fn rows(report: &pb::GetShareRegisterResponse) -> Vec<String> {
    let row = |row: &pb::ShareRegisterRow| {
        format!(
            "{} {}: {} of {} -{} {} {}..{}",
            row.member_number,
            row.display_name,
            row.certificate,
            row.units,
            row.cancelled,
            amount(&row.nominal_value),
            row.admitted_on,
            row.left_on,
        )
    };
    report.rows.iter().map(row).collect()
}

/// Authorised, issued, held, cancelled, unissued, and the nominal capital.
fn totals(report: &pb::GetShareRegisterResponse) -> Vec<String> {
    let total = |total: &pb::ShareRegisterTotal| {
        format!(
            "{}: {} {} {} {} {} {}",
            total.display_name,
            total.authorised,
            total.issued,
            total.held,
            total.cancelled,
            total.unissued,
            amount(&total.nominal_capital),
        )
    };
    report.totals.iter().map(total).collect()
}

/// Ada pays twice on one pledge and buys five shares before the allotment; Ben pays once,
/// five more than his shares cost.
async fn allotted() -> Road {
    let class = pb::ShareClass {
        display_name: "Ordinary".to_owned(),
        price: eur("12"),
        nominal: eur("10"),
        authorised: 100,
        ..Default::default()
    };
    let road = Road::open(Road::terms(&Clock::default()), Some(class)).await;
    let (tester, campaign) = (&road.tester, &road.campaign);
    let ada = campaign.member(tester, "ada@example.org").await;
    let pledge = campaign.pledge(tester, &ada, "240").await;
    campaign.pay(tester, "ch_1", &pledge, "180").await;
    campaign.pay(tester, "ch_2", &pledge, "60").await;
    road.pays("ben", "125").await;
    road.payout("po_1", "350", false).await;
    road.buy("300").await;
    let request = pb::PurchaseSharesRequest {
        request_id: id(),
        member: ada,
        share_class: road.class().await,
        units: 5,
        validate_only: false,
    };
    let bought = road.treasurer.shares().purchase_shares(request).await;
    bought.unwrap();
    let planned = road.plan_allotment(pb::AllotmentMethod::WaterFilling).await;
    road.runs_well(&planned).await;
    road
}

#[tokio::test(flavor = "multi_thread")]
async fn the_register_is_the_ledgers_shares_now_and_as_of_an_entry() {
    let road = allotted().await;
    let (tester, campaign) = (&road.tester, &road.campaign);
    let today = day(&tester.clock, 0);
    let full = draw(&road, 0).await;
    assert_eq!(
        rows(&full),
        [
            format!("1 ada: 1 of 5 -0 50.00 {today}.."),
            format!("1 ada: 2 of 15 -0 150.00 {today}.."),
            format!("3 ben: 3 of 10 -0 100.00 {today}.."),
        ]
    );
    assert_eq!(totals(&full), ["Ordinary: 100 30 30 0 70 300.00"]);
    assert_eq!(
        [&full.share_capital, &full.liability_shares].map(text),
        ["EUR 300.00", "EUR 0.00"]
    );

    // Ada's second payment goes back, then her first: the latest lot is cancelled first.
    let mut drawn = vec![full];
    for (object, after) in [("ch_2", 3), ("ch_1", 2)] {
        tester.clock.shift(time::Duration::days(after));
        let failed = campaign.fail(tester, campaign.failure(object)).await;
        failed.unwrap();
        drawn.push(draw(&road, 0).await);
    }
    let left = day(&tester.clock, 0);
    assert_eq!(
        rows(&drawn[1]),
        [
            format!("1 ada: 1 of 5 -0 50.00 {today}.."),
            format!("1 ada: 2 of 10 -5 100.00 {today}.."),
            format!("3 ben: 3 of 10 -0 100.00 {today}.."),
        ]
    );
    assert_eq!(totals(&drawn[1]), ["Ordinary: 100 30 25 5 70 250.00"]);
    assert_eq!(
        rows(&drawn[2]),
        [
            format!("1 ada: 1 of 0 -5 0.00 {today}..{left}"),
            format!("1 ada: 2 of 0 -15 0.00 {today}..{left}"),
            format!("3 ben: 3 of 10 -0 100.00 {today}.."),
        ]
    );
    assert_eq!(totals(&drawn[2]), ["Ordinary: 100 30 10 20 70 100.00"]);
    let mut stand = Vec::new();
    for code in ["8020", "8000", "8030", "8010", "3000"] {
        stand.push(campaign.stands(tester, code).await);
    }
    assert_eq!(stand, ["Dr 100", "Cr 10", "Cr 20", "Cr 70", "Cr 100.00"]);

    // Each is drawn again as it was; before the first lot nobody holds anything.
    for report in &drawn {
        let entry = report.head.as_ref().unwrap().entry_number;
        assert_eq!(&draw(&road, entry).await, report);
    }
    let empty = draw(&road, 1).await;
    assert!(empty.rows.is_empty());
    assert_eq!(totals(&empty), ["Ordinary: 100 0 0 0 100 0.00"]);
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_the_register_are_of_one_moment() {
    let road = allotted().await;
    let (tester, campaign) = (&road.tester, &road.campaign);
    let full = draw(&road, 0).await;
    let first = page(&road, 0, 2, "").await;
    assert_eq!(first.rows, full.rows[..2]);
    assert_eq!(first.totals, full.totals);
    let failed = campaign.fail(tester, campaign.failure("ch_ben")).await;
    failed.unwrap();
    let second = page(&road, 0, 2, &first.next_page_token).await;
    assert_eq!(second.rows, full.rows[2..]);
    assert_eq!(second.head, full.head);
    assert!(second.totals.is_empty() && second.share_capital.is_none());
    assert_eq!(second.next_page_token, "");

    let request = pb::GetShareRegisterRequest {
        campaign: campaign.name.clone(),
        entry_number: 2,
        page_token: first.next_page_token,
        ..Default::default()
    };
    let mut reports = road.treasurer.reports();
    refused(reports.get_share_register(request).await, "TOKEN_INVALID");
    let request = pb::GetShareRegisterRequest {
        campaign: campaign.name.clone(),
        entry_number: 999,
        ..Default::default()
    };
    refused(reports.get_share_register(request).await, "AS_OF_IN_FUTURE");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_register_that_the_capital_does_not_bear_out_is_not_drawn() {
    let road = allotted().await;
    // What no command can do: the class's nominal is another one than what was posted.
    let statements = "ALTER TABLE share_class DISABLE TRIGGER ALL;
        UPDATE share_class SET nominal = 900;
        ALTER TABLE share_class ENABLE TRIGGER ALL;";
    let tester = &road.tester;
    tester
        .database
        .execute("postgres", statements)
        .await
        .unwrap();
    let request = pb::GetShareRegisterRequest {
        campaign: road.campaign.name.clone(),
        ..Default::default()
    };
    let report = road.treasurer.reports().get_share_register(request).await;
    assert_eq!(report.unwrap_err().code(), tonic::Code::Internal);
}
