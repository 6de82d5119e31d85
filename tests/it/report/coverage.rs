//! Coverage: what is held against what is owed.

use pledgebook::grpc::pb;

use super::story;
use crate::{
    calls::{amount, refused},
    ending::Road,
    harness::{Campaign, Tester},
};

async fn draw(tester: &Tester, campaign: &str) -> pb::GetCoverageResponse {
    let request = pb::GetCoverageRequest {
        campaign: campaign.to_owned(),
        entry_number: 0,
    };
    let report = tester.treasurer().reports().get_coverage(request).await;
    report.unwrap().into_inner()
}

fn rows(report: &pb::GetCoverageResponse) -> Vec<String> {
    let row = |row: &pb::CoverageRow| {
        let counts = if row.counts_as_held { "held" } else { "owed" };
        format!("{} {counts} {}", row.code, amount(&row.amount))
    };
    report.rows.iter().map(row).collect()
}

/// The rows on a road, and what is held of what is owed.
pub(super) async fn of(road: &Road) -> Vec<String> {
    let report = draw(&road.tester, &road.campaign.name).await;
    let mut rows = rows(&report);
    rows.push(format!(
        "= {} of {}, {}",
        amount(&report.held),
        amount(&report.owed),
        report.coverage_basis_points
    ));
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_leave_less_than_everything_to_give_back() {
    let tester = Tester::start().await;
    let story = story(&tester).await;
    let campaign = &story.campaign;
    let report = draw(&tester, &campaign.name).await;
    assert_eq!(
        rows(&report),
        [
            "1000 held 344.50",
            "1100 held 105.00",
            "2100 owed 380.00",
            "2200 owed 50.00",
            "2900 owed 25.00",
        ]
    );
    assert_eq!(
        (amount(&report.held), amount(&report.owed)),
        ("449.50", "455.00")
    );
    // 449.50 / 455.00 = 98.7912… %
    assert_eq!(report.coverage_basis_points, 9_879);
    assert_eq!(
        (
            amount(&report.estimated_missing_fees),
            report.payments_without_fee
        ),
        ("0.00", 0)
    );

    // Two payments whose fees are still to come: the mean so far, twice.
    campaign.pay(&tester, "ch_2", &story.bobs, "40").await;
    let third = campaign.pay(&tester, "ch_3", &story.bobs, "10").await;
    let report = draw(&tester, &campaign.name).await;
    assert_eq!(
        (amount(&report.held), amount(&report.owed)),
        ("499.50", "505.00")
    );
    assert_eq!(report.coverage_basis_points, 9_891);
    assert_eq!(
        (
            amount(&report.estimated_missing_fees),
            report.payments_without_fee
        ),
        ("11.00", 2)
    );
    // The mean of 5.50 and 0.55 is 3.025, for one payment, rounded up.
    campaign
        .fee(&tester, third.name(), "txn_3", "0.55")
        .await
        .unwrap();
    let report = draw(&tester, &campaign.name).await;
    assert_eq!(
        (
            amount(&report.estimated_missing_fees),
            report.payments_without_fee
        ),
        ("3.03", 1)
    );
    // A lost payment owes nothing, and its fee is still gone.
    campaign
        .fail(&tester, campaign.failure("ch_1"))
        .await
        .unwrap();
    let report = draw(&tester, &campaign.name).await;
    assert_eq!(
        (amount(&report.held), amount(&report.owed)),
        ("148.95", "155.00")
    );
    assert_eq!(report.coverage_basis_points, 9_609);
    // As of entry 8 it is as it was.
    let request = pb::GetCoverageRequest {
        campaign: campaign.name.clone(),
        entry_number: 8,
    };
    let then = tester
        .treasurer()
        .reports()
        .get_coverage(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(then.coverage_basis_points, 9_879);
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_owed_is_not_covered_and_not_uncovered() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let report = draw(&tester, &campaign.name).await;
    assert!(report.rows.is_empty());
    assert_eq!(report.coverage_basis_points, -1);
    let paid = campaign.pay(&tester, "ch_1", &pledge, "100").await;
    campaign
        .fee(&tester, paid.name(), "txn_1", "3")
        .await
        .unwrap();
    campaign
        .fail(&tester, campaign.failure("ch_1"))
        .await
        .unwrap();
    // Held is what is missing: less than nothing.
    let report = draw(&tester, &campaign.name).await;
    assert_eq!(
        (amount(&report.held), amount(&report.owed)),
        ("-3.00", "0.00")
    );
    assert_eq!(report.coverage_basis_points, -1);
    let request = pb::GetCoverageRequest {
        campaign: campaign.name.clone(),
        entry_number: 99,
    };
    let future = tester.treasurer().reports().get_coverage(request).await;
    refused(future, "AS_OF_IN_FUTURE");
    tester.must_be_clean(&campaign.name).await;
}
