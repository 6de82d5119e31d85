//! The ladder of certainty.

use pledgebook::grpc::pb::{self, CertaintyRung, PaymentMethod};
use time::Duration;

use crate::{
    calls::{PaidBy, ReceivedFrom, amount, day, refused},
    ending::Road,
    harness::{Campaign, Tester, eur, id, terms},
};

async fn draw(tester: &Tester, campaign: &str) -> pb::GetCampaignProgressResponse {
    let request = pb::GetCampaignProgressRequest {
        campaign: campaign.to_owned(),
    };
    let report = tester
        .treasurer()
        .reports()
        .get_campaign_progress(request)
        .await;
    report.unwrap().into_inner()
}

/// Members, amount, basis points of minimum and target, expected haircut, a rung a row.
fn rungs(report: &pb::GetCampaignProgressResponse) -> Vec<String> {
    let row = |row: &pb::ProgressRow| {
        format!(
            "{:?} {} {} {} {} {}",
            row.rung(),
            row.members,
            amount(&row.amount),
            row.minimum_basis_points,
            row.target_basis_points,
            row.expected_haircut_basis_points
        )
    };
    report.rows.iter().map(row).collect()
}

/// The rungs on a road.
pub(super) async fn of(road: &Road) -> Vec<String> {
    rungs(&draw(&road.tester, &road.campaign.name).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn money_climbs_from_captured_to_cleared_as_the_days_pass() {
    let tester = Tester::start().await;
    // Cards clear 7 days after they are available, debits 60, transfers 1.
    let usual = pb::Terms {
        minimum: eur("500"),
        target: eur("1000"),
        minimum_members: 2,
        ..terms(&tester.clock, "EUR")
    };
    let campaign = Campaign::open_with(&tester, usual, None).await;
    let sign = pb::SignCampaignRequest {
        request_id: id(),
        campaign: campaign.name.clone(),
        display_name: "A supporter".to_owned(),
        email: "cleo@example.org".to_owned(),
        validate_only: false,
    };
    tester
        .treasurer()
        .members()
        .sign_campaign(sign)
        .await
        .unwrap();
    let ada = campaign.member(&tester, "ada@example.org").await;
    let bob = campaign.member(&tester, "bob@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "250").await;
    let report = draw(&tester, &campaign.name).await;
    assert_eq!(
        rungs(&report),
        [
            "Signed 1  0 0 -1",
            "Pledged 1 250.00 5000 2500 0",
            "Authorised 0 0.00 0 0 -1",
            "Captured 0 0.00 0 0 -1",
            "Available 0 0.00 0 0 -1",
            "Cleared 0 0.00 0 0 0",
            "Allotted 0 0.00 0 0 0",
        ]
    );
    let request = pb::RecordPaymentRequest {
        available_on: day(&tester.clock, 2),
        ..campaign.payment("ch_1", &pledge, "100")
    };
    let paid = campaign.record(&tester, request).await.unwrap();
    campaign
        .fee(&tester, paid.name(), "txn_1", "3")
        .await
        .unwrap();
    let request = pb::RecordPaymentRequest {
        method: PaymentMethod::DirectDebit.into(),
        available_on: day(&tester.clock, 5),
        ..campaign.payment_by("ch_2", Some(PaidBy::Member(bob.clone())), "50")
    };
    campaign.record(&tester, request).await.unwrap();
    let request = campaign.receipt("tx_1", Some(ReceivedFrom::Member(bob)), "33.33");
    campaign.receive(&tester, request).await.unwrap();
    let request = campaign.receipt("tx_2", None, "8");
    campaign.receive(&tester, request).await.unwrap();
    // Paid over what was promised: due back, on no rung.
    campaign.pay(&tester, "ch_3", &pledge, "160").await;

    let report = draw(&tester, &campaign.name).await;
    assert_eq!(report.rows[0].rung(), CertaintyRung::Signed);
    assert_eq!(
        rungs(&report)[1..],
        [
            "Pledged 1 250.00 5000 2500 0",
            "Authorised 0 0.00 0 0 -1",
            "Captured 2 333.33 6666 3333 0",
            "Available 2 183.33 3666 1833 0",
            "Cleared 0 0.00 0 0 0",
            "Allotted 0 0.00 0 0 0",
        ]
    );
    assert_eq!(report.minimum_members, 2);
    assert_eq!(
        [&report.minimum, &report.target, &report.maximum].map(amount),
        ["500.00", "1000.00", "200000.00"]
    );
    assert_eq!(
        [&report.fees, &report.unallocated, &report.refundable].map(amount),
        ["3.00", "8.00", "10.00"]
    );
    for (days, available, cleared) in [
        (
            1,
            "Available 2 183.33 3666 1833 0",
            "Cleared 1 33.33 666 333 0",
        ),
        (
            1,
            "Available 2 283.33 5666 2833 0",
            "Cleared 1 33.33 666 333 0",
        ),
        (
            3,
            "Available 2 333.33 6666 3333 0",
            "Cleared 1 33.33 666 333 0",
        ),
        (
            2,
            "Available 2 333.33 6666 3333 0",
            "Cleared 2 183.33 3666 1833 0",
        ),
        (
            2,
            "Available 2 333.33 6666 3333 0",
            "Cleared 2 283.33 5666 2833 0",
        ),
        (
            55,
            "Available 2 333.33 6666 3333 0",
            "Cleared 2 283.33 5666 2833 0",
        ),
        (
            1,
            "Available 2 333.33 6666 3333 0",
            "Cleared 2 333.33 6666 3333 0",
        ),
    ] {
        tester.clock.shift(Duration::days(days));
        let report = draw(&tester, &campaign.name).await;
        assert_eq!(rungs(&report)[4..6], [available, cleared]);
    }
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 333.33");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_expected_haircut_is_the_campaigns_own_experience() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let kept = campaign.pledge(&tester, &ada, "200").await;
    let cancelled = campaign.pledge(&tester, &ada, "60").await;
    let expired = pb::CreatePledgeRequest {
        expire_time: crate::harness::days_from_now(&tester.clock, 1),
        ..campaign.promise(&ada, "40")
    };
    let expired = tester
        .treasurer()
        .pledges()
        .create_pledge(expired)
        .await
        .unwrap();
    let expired = expired.into_inner().pledge.unwrap().name;
    campaign.pay(&tester, "ch_1", &expired, "10").await;
    campaign.pay(&tester, "ch_2", &kept, "120").await;
    campaign.pay(&tester, "ch_3", &kept, "20").await;
    campaign.cancel_pledge(&tester, &cancelled).await.unwrap();
    tester.clock.shift(Duration::days(1));
    campaign.expire(&tester, 0).await;
    campaign
        .fail(&tester, campaign.failure("ch_3"))
        .await
        .unwrap();
    // 90 of 300 promised closed unpaid; 20 of 150 captured was lost: 13.33… %, rounded up.
    // What the expired promise paid still counts as pledged.
    let report = draw(&tester, &campaign.name).await;
    assert_eq!(
        rungs(&report),
        [
            "Signed 0  0 0 -1",
            "Pledged 1 210.00 42 21 3000",
            "Authorised 0 0.00 0 0 -1",
            "Captured 1 130.00 26 13 1334",
            "Available 1 130.00 26 13 1334",
            "Cleared 0 0.00 0 0 0",
            "Allotted 0 0.00 0 0 0",
        ]
    );
    let request = pb::GetCampaignProgressRequest {
        campaign: format!("campaigns/{}", id()),
    };
    let nobodys = tester
        .treasurer()
        .reports()
        .get_campaign_progress(request)
        .await;
    refused(nobodys, "CAMPAIGN_NOT_FOUND");
    tester.must_be_clean(&campaign.name).await;
}
