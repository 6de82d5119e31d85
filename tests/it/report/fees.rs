//! Fees: what was charged, where it stands and who bore it.

use pledgebook::{clock::Clock, grpc::pb};

use crate::{
    calls::{PaidBy, amount, refused},
    ending::{Road, step},
};

async fn draw(road: &Road, entry_number: i64) -> pb::GetFeesResponse {
    let request = pb::GetFeesRequest {
        campaign: road.campaign.name.clone(),
        entry_number,
    };
    let report = road.treasurer.reports().get_fees(request).await;
    let mut report = report.unwrap().into_inner();
    report.head.as_mut().unwrap().drawn_at = None;
    report
}

/// Kind, method, count, volume, fee, returned, effective rate.
fn rows(report: &pb::GetFeesResponse) -> Vec<String> {
    let row = |row: &pb::FeeRow| {
        format!(
            "{:?} {:?} {} of {}: {} -{} {}",
            row.kind(),
            row.method(),
            row.count,
            amount(&row.volume),
            amount(&row.fee),
            amount(&row.returned),
            row.effective_basis_points,
        )
    };
    report.rows.iter().map(row).collect()
}

fn balances(report: &pb::GetFeesResponse) -> Vec<String> {
    let balance = |row: &pb::FeeBalance| format!("{} {}", row.code, amount(&row.amount));
    report.balances.iter().map(balance).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_say_what_they_were_for_where_they_stand_and_who_bore_them() {
    let terms = pb::Terms {
        fee_bearer: pb::FeeBearer::MembersDisclosed.into(),
        ..Road::terms(&Clock::default())
    };
    let road = Road::open(terms, None).await;
    let (tester, campaign) = (&road.tester, &road.campaign);
    assert!(draw(&road, 0).await.rows.is_empty());
    let ada = road.pays("ada", "200").await;
    road.fee(&ada, "3.20").await;
    let ben = campaign.member(tester, "ben@example.org").await;
    let request = pb::RecordPaymentRequest {
        method: pb::PaymentMethod::DirectDebit.into(),
        ..campaign.payment_by("dd_ben", Some(PaidBy::Member(ben)), "100")
    };
    let bens = campaign.record(tester, request).await.unwrap();
    road.fee(bens.name(), "1").await;
    // A payment without a fee is no volume.
    road.pays("cyd", "50").await;
    let dov = road.pays("dov", "33.33").await;
    let wrong = campaign.fee(tester, &dov, "txn_dov", "0.50").await.unwrap();
    let before = draw(&road, 0).await;
    assert_eq!(
        rows(&before),
        [
            // 3.70 of 233.33 are 1.5857… %
            "Payment Card 2 of 233.33: 3.70 -0.00 159",
            "Payment DirectDebit 1 of 100.00: 1.00 -0.00 100",
        ]
    );
    campaign.reverse(tester, wrong.entry()).await.unwrap();
    campaign
        .fee(tester, &dov, "txn_dov_2", "0.60")
        .await
        .unwrap();
    road.bank("charge", pb::BankPurpose::BankCharge, "2").await;
    road.by_hand("5100", "2500", "15").await;
    road.by_hand("2510", "4000", "1.50").await;
    let report = draw(&road, 0).await;
    assert_eq!(
        rows(&report),
        [
            // 3.80 of 233.33 are 1.6285… %
            "Payment Card 2 of 233.33: 4.30 -0.50 163",
            "Payment DirectDebit 1 of 100.00: 1.00 -0.00 100",
            "Bank Unspecified 1 of : 2.00 -0.00 -1",
            "Dispute Unspecified 1 of : 15.00 -0.00 -1",
        ]
    );
    assert_eq!(
        balances(&report),
        [
            "1500 4.80",
            "3100 0.00",
            "5000 2.00",
            "5100 15.00",
            "5400 0.00"
        ]
    );
    assert_eq!(
        [&report.borne_by_members, &report.cover].map(amount),
        ["0.00", "1.50"]
    );

    // The offer ends: members bear what was disclosed, and nothing is deferred any more.
    campaign.cancel(tester).await;
    step!(road, start_refunding, StartRefundingRequest).unwrap();
    let run = road.plan_refunds().await;
    road.runs_well(&run).await;
    let after = draw(&road, 0).await;
    assert_eq!(rows(&after), rows(&report));
    assert_eq!(
        balances(&after),
        [
            "1500 0.00",
            "3100 0.00",
            "5000 2.00",
            "5100 15.00",
            "5400 0.00"
        ]
    );
    assert_eq!(amount(&after.borne_by_members), "4.80");
    for report in [&before, &report, &after] {
        let entry = report.head.as_ref().unwrap().entry_number;
        assert_eq!(&draw(&road, entry).await, report);
    }
    let request = pb::GetFeesRequest {
        campaign: campaign.name.clone(),
        entry_number: 999,
    };
    let mut reports = road.treasurer.reports();
    refused(reports.get_fees(request).await, "AS_OF_IN_FUTURE");
    tester.must_be_clean(&campaign.name).await;
}
