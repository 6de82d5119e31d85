//! Campaigns: creation, terms and life cycle.

use pledgebook::grpc::pb;

use crate::harness::{Campaign, Tester, lines, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_for_a_pledge_posts_money_and_releases_the_promise() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &member, "100").await;
    let request = campaign.payment("ch_1", &pledge, "120.50");
    let paid = tester
        .treasurer()
        .payments()
        .record_payment(request)
        .await
        .unwrap()
        .into_inner();
    let payment = paid.payment.unwrap();
    assert_eq!(text(&payment.held), "EUR 100.00");
    assert_eq!(text(&payment.refundable), "EUR 20.50");
    let outcome = paid.outcome.unwrap();
    let entry = campaign.entry(&tester, outcome.entry_numbers[0]).await;
    assert_eq!(
        lines(&entry),
        [
            "Dr 1000 EUR 120.50",
            "Cr 2100 EUR 100.00",
            "Cr 2200 EUR 20.50",
            "Dr 9001 EUR 100.00",
            "Cr 9000 EUR 100.00",
        ]
    );
    tester.must_be_clean(&campaign.name).await;
    let request = pb::GetCoverageRequest {
        campaign: campaign.name.clone(),
        entry_number: 0,
    };
    let coverage = tester
        .treasurer()
        .reports()
        .get_coverage(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(coverage.coverage_basis_points, 10_000);
}
