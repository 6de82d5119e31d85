//! The daily series.

use pledgebook::{clock::Clock, grpc::pb};
use time::Duration;

use crate::{
    calls::{amount, day, refused},
    ending::{Road, step},
    harness::id,
};

async fn draw(road: &Road, request: pb::GetDailySeriesRequest) -> pb::GetDailySeriesResponse {
    let request = pb::GetDailySeriesRequest {
        campaign: road.campaign.name.clone(),
        ..request
    };
    let report = road.treasurer.reports().get_daily_series(request).await;
    report.unwrap().into_inner()
}

/// Signatures; pledges, payments, ended pledges and refunds; pledged and held so far.
fn row(row: &pb::DailySeriesRow) -> String {
    format!(
        "{} | {} {} | {} {} | {} | {} {} | {} {}",
        row.signatures,
        row.pledges,
        amount(&row.pledged),
        row.payments,
        amount(&row.paid),
        row.pledges_ended,
        row.refunds,
        amount(&row.refunded),
        amount(&row.cumulative_pledged),
        amount(&row.cumulative_held),
    )
}

async fn sign(road: &Road, who: &str) {
    let request = pb::SignCampaignRequest {
        request_id: id(),
        campaign: road.campaign.name.clone(),
        display_name: who.to_owned(),
        email: format!("{who}@example.org"),
        validate_only: false,
    };
    let mut members = road.treasurer.members();
    members.sign_campaign(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_over_says_the_same_for_ever() {
    let road = Road::open(Road::terms(&Clock::default()), None).await;
    let (tester, campaign) = (&road.tester, &road.campaign);
    let next = || tester.clock.shift(Duration::days(1));
    let first = day(&tester.clock, 0);
    sign(&road, "ada").await;
    sign(&road, "eve").await;
    road.pays("ada", "60").await;
    next();
    let ben = campaign.member(tester, "ben@example.org").await;
    let given_up = campaign.pledge(tester, &ben, "30").await;
    campaign.pledge(tester, &ben, "12").await;
    next();
    next();
    campaign.cancel_pledge(tester, &given_up).await.unwrap();
    let receipt = campaign.receipt("tx_1", None, "7");
    let wrong = campaign.receive(tester, receipt).await.unwrap();
    next();
    campaign.reverse(tester, wrong.entry()).await.unwrap();
    sign(&road, "fay").await;
    let last = day(&tester.clock, 0);
    let until = pb::GetDailySeriesRequest {
        last_date: last.clone(),
        ..Default::default()
    };
    let so_far = draw(&road, until.clone()).await;
    let expected = [
        "2 | 1 60.00 | 1 60.00 | 0 | 0 0.00 | 60.00 60.00",
        "0 | 2 42.00 | 0 0.00 | 0 | 0 0.00 | 102.00 60.00",
        "0 | 0 0.00 | 0 0.00 | 0 | 0 0.00 | 102.00 60.00",
        "0 | 0 0.00 | 1 7.00 | 1 | 0 0.00 | 72.00 60.00",
        "1 | 0 0.00 | -1 -7.00 | 0 | 0 0.00 | 72.00 60.00",
    ];
    let rows: Vec<String> = so_far.rows.iter().map(row).collect();
    assert_eq!(rows, expected);
    assert_eq!(so_far.rows[0].date, first);
    assert_eq!(so_far.rows[4].date, last);

    // Everything goes back later, and the days before say what they said.
    next();
    campaign.cancel(tester).await;
    step!(road, start_refunding, StartRefundingRequest).unwrap();
    let run = road.plan_refunds().await;
    road.runs_well(&run).await;
    assert_eq!(road.bridge().await, 1);
    let again = draw(&road, until).await;
    assert_eq!(again.rows, so_far.rows);
    let whole = draw(&road, pb::GetDailySeriesRequest::default()).await;
    assert_eq!(whole.rows[..5], so_far.rows);
    assert_eq!(whole.rows.len(), 6);
    assert_eq!(
        row(&whole.rows[5]),
        "0 | 0 0.00 | 0 0.00 | 0 | 1 60.00 | 72.00 0.00"
    );
    assert_eq!(campaign.stands(tester, "2100").await, "0");
    tester.must_be_clean(&campaign.name).await;

    // In pages, from a day in the middle on.
    let from = pb::GetDailySeriesRequest {
        first_date: whole.rows[1].date.clone(),
        page_size: 3,
        ..Default::default()
    };
    let one = draw(&road, from.clone()).await;
    assert_eq!(one.rows, whole.rows[1..4]);
    let two = pb::GetDailySeriesRequest {
        page_token: one.next_page_token,
        ..from
    };
    let two = draw(&road, two).await;
    assert_eq!(two.rows, whole.rows[4..]);
    assert_eq!(two.next_page_token, "");

    let backwards = pb::GetDailySeriesRequest {
        campaign: campaign.name.clone(),
        first_date: last,
        last_date: first,
        ..Default::default()
    };
    let mut reports = road.treasurer.reports();
    refused(reports.get_daily_series(backwards).await, "INVALID_FIELD");
}
