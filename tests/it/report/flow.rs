//! Cash flow, and with it coverage, the ladder and public progress along a road to shares.

use pledgebook::{clock::Clock, grpc::pb};

use super::{coverage, progress};
use crate::{
    calls::{amount, day, refused},
    ending::Road,
    harness::{Clients, eur},
};

/// A row an account and their total: opening, the movements, closing.
pub(super) async fn of(road: &Road, request: pb::GetCashFlowRequest) -> Vec<String> {
    let request = pb::GetCashFlowRequest {
        campaign: road.campaign.name.clone(),
        ..request
    };
    let report = road.treasurer.reports().get_cash_flow(request).await;
    let report = report.unwrap().into_inner();
    let row = |row: &pb::CashFlowRow| {
        let moved = [
            &row.receipts,
            &row.failures,
            &row.fees,
            &row.refunds,
            &row.transfers,
            &row.seller,
            &row.other,
        ];
        let moved = moved.map(|money| match amount(money) {
            negative if negative.starts_with('-') => negative.to_owned(),
            positive => format!("+{positive}"),
        });
        format!(
            "{}: {} {} {}",
            row.display_name,
            amount(&row.opening),
            moved.join(" "),
            amount(&row.closing)
        )
    };
    report.rows.iter().chain(&report.total).map(row).collect()
}

async fn collected(road: &Road) -> (String, i64) {
    let request = pb::GetPublicProgressRequest {
        name: road.campaign.name.clone(),
    };
    let anybody = Clients::new(road.tester.server.channel(), None);
    let progress = anybody.campaigns().get_public_progress(request).await;
    let progress = progress.unwrap().into_inner();
    (
        amount(&progress.collected).to_owned(),
        progress.collected_basis_points,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_road_to_shares_in_cash_coverage_and_certainty() {
    let class = pb::ShareClass {
        display_name: "Ordinary".to_owned(),
        price: eur("10"),
        nominal: eur("10"),
        authorised: 100,
        ..Default::default()
    };
    let road = Road::open(Road::terms(&Clock::default()), Some(class)).await;
    let (tester, campaign) = (&road.tester, &road.campaign);
    let begun = of(&road, pb::GetCashFlowRequest::default()).await;
    assert_eq!(
        begun,
        [": 0.00 +0.00 +0.00 +0.00 +0.00 +0.00 +0.00 +0.00 0.00"]
    );
    let ada = road.pays("ada", "200").await;
    road.pays("ben", "105").await;
    road.pays("cyd", "20").await;
    road.fee(&ada, "3.20").await;
    campaign
        .fail(tester, campaign.failure("ch_cyd"))
        .await
        .unwrap();
    assert_eq!(
        coverage::of(&road).await,
        [
            "1000 held 301.80",
            "2100 owed 305.00",
            "= 301.80 of 305.00, 9895"
        ]
    );
    road.payout("po_1", "300", false).await;
    assert_eq!(
        coverage::of(&road).await,
        [
            "1000 held 1.80",
            "1050 held 0.00",
            "1100 held 300.00",
            "2100 owed 305.00",
            "= 301.80 of 305.00, 9895",
        ]
    );
    let paid_out = campaign.entries(tester).await.last().unwrap().number;
    let first_day = day(&tester.clock, 0);

    road.buy("250").await;
    // The money became the thing bought: what it is owed for is not there any more.
    assert_eq!(
        coverage::of(&road).await,
        [
            "1000 held 1.80",
            "1050 held 0.00",
            "1100 held 50.00",
            "2100 owed 305.00",
            "= 51.80 of 305.00, 1698",
        ]
    );
    assert_eq!(collected(&road).await, ("305.00".to_owned(), 30_500));
    let before = progress::of(&road).await;
    assert_eq!(
        before[2..],
        [
            "Authorised 0 0.00 0 0 -1",
            "Captured 2 305.00 30500 3050 616",
            "Available 2 305.00 30500 3050 616",
            "Cleared 2 305.00 30500 3050 0",
            "Allotted 0 0.00 0 0 0",
        ]
    );
    let planned = road.plan_allotment(pb::AllotmentMethod::WaterFilling).await;
    road.runs_well(&planned).await;
    assert_eq!(
        coverage::of(&road).await[3..],
        [
            "2100 owed 0.00",
            "2200 owed 5.00",
            "= 51.80 of 5.00, 103600"
        ]
    );
    assert_eq!(collected(&road).await, ("300.00".to_owned(), 30_000));
    assert_eq!(
        progress::of(&road).await[2..],
        [
            "Authorised 0 0.00 0 0 -1",
            "Captured 2 300.00 30000 3000 616",
            "Available 2 300.00 30000 3000 616",
            "Cleared 2 300.00 30000 3000 0",
            "Allotted 2 300.00 30000 3000 0",
        ]
    );
    let refunds = road.plan_refunds().await;
    road.runs_well(&refunds).await;
    assert_eq!(road.bridge().await, 1);

    // Opening, receipts, failures, fees, refunds, transfers, seller, other, closing.
    assert_eq!(
        of(&road, pb::GetCashFlowRequest::default()).await,
        [
            "stripe: 0.00 +325.00 -20.00 -3.20 -5.00 -300.00 +0.00 +0.00 -3.20",
            "triodos: 0.00 +0.00 +0.00 +0.00 +0.00 +300.00 -250.00 +0.00 50.00",
            ": 0.00 +325.00 -20.00 -3.20 -5.00 +0.00 -250.00 +0.00 46.80",
        ]
    );
    let later = [
        "stripe: 1.80 +0.00 +0.00 +0.00 -5.00 +0.00 +0.00 +0.00 -3.20",
        "triodos: 300.00 +0.00 +0.00 +0.00 +0.00 +0.00 -250.00 +0.00 50.00",
        ": 301.80 +0.00 +0.00 +0.00 -5.00 +0.00 -250.00 +0.00 46.80",
    ];
    let after_payout = pb::GetCashFlowRequest {
        after_entry_number: paid_out,
        ..Default::default()
    };
    assert_eq!(of(&road, after_payout).await, later);
    let by_day = |after: &str, until: &str| pb::GetCashFlowRequest {
        date_basis: pb::DateBasis::ValueDate.into(),
        after_value_date: after.to_owned(),
        value_date: until.to_owned(),
        ..Default::default()
    };
    let last_day = day(&tester.clock, 0);
    assert_eq!(of(&road, by_day(&first_day, &last_day)).await, later);
    let earlier = [
        "stripe: 0.00 +325.00 -20.00 -3.20 +0.00 -300.00 +0.00 +0.00 1.80",
        "triodos: 0.00 +0.00 +0.00 +0.00 +0.00 +300.00 +0.00 +0.00 300.00",
        ": 0.00 +325.00 -20.00 -3.20 +0.00 +0.00 +0.00 +0.00 301.80",
    ];
    assert_eq!(of(&road, by_day("", &first_day)).await, earlier);
    // As it was after the payout, whatever came later or was dated back to that day.
    let charge = pb::RecordBankMovementRequest {
        request_id: crate::harness::id(),
        bank_account: campaign.bank.clone(),
        object_id: "charge".to_owned(),
        purpose: pb::BankPurpose::BankCharge.into(),
        amount: eur("1"),
        value_date: first_day.clone(),
        ..Default::default()
    };
    let mut payments = road.treasurer.payments();
    payments.record_bank_movement(charge).await.unwrap();
    for request in [
        pb::GetCashFlowRequest::default(),
        by_day("", &first_day),
        by_day("", &last_day),
    ] {
        let then = pb::GetCashFlowRequest {
            entry_number: paid_out,
            ..request
        };
        assert_eq!(of(&road, then).await, earlier);
    }
    assert_eq!(
        of(&road, by_day("", &first_day)).await[1],
        "triodos: 0.00 +0.00 +0.00 -1.00 +0.00 +300.00 +0.00 +0.00 299.00"
    );
    for backwards in [
        pb::GetCashFlowRequest {
            after_entry_number: 5,
            entry_number: 4,
            ..Default::default()
        },
        by_day(&last_day, &first_day),
    ] {
        let request = pb::GetCashFlowRequest {
            campaign: campaign.name.clone(),
            ..backwards
        };
        let mut reports = road.treasurer.reports();
        refused(reports.get_cash_flow(request).await, "INVALID_FIELD");
    }
    tester.must_be_clean(&campaign.name).await;
}
