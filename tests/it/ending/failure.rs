//! Every cent goes back.

use pledgebook::{clock::Clock, grpc::pb};

use super::{Road, cast::step};
use crate::{
    harness::{eur, id, reason, text},
    peers::Turn,
};

/// Refunds everybody and closes the books.
async fn refund_everybody(road: &Road, sent: usize) {
    use pb::CampaignStage as Stage;
    assert_eq!(
        step!(road, start_refunding, StartRefundingRequest).unwrap(),
        Stage::Refunding
    );
    let run = road.plan_refunds().await;
    road.runs_well(&run).await;
    let early = step!(road, finish_refunding, FinishRefundingRequest).unwrap_err();
    assert_eq!(reason(&early), "CAMPAIGN_STAGE");
    assert_eq!(road.bridge().await, sent);
    assert_eq!(
        step!(road, finish_refunding, FinishRefundingRequest).unwrap(),
        Stage::Refunded
    );
    assert_eq!(
        step!(road, archive_campaign, ArchiveCampaignRequest).unwrap(),
        Stage::Closed
    );
}

/// A campaign whose failure is borne by somebody.
async fn borne_by(bearer: pb::FeeBearer) -> Road {
    let terms = pb::Terms {
        fee_bearer: bearer.into(),
        ..Road::terms(&Clock::default())
    };
    Road::open(terms, None).await
}

async fn too_little(road: Road) -> Road {
    use pb::CampaignStage as Stage;
    let ada = road.pays("ada", "60").await;
    road.pays("ben", "30").await;
    road.fee(&ada, "2.04").await;
    road.days(40);
    assert_eq!(
        step!(road, close_campaign, CloseCampaignRequest).unwrap(),
        Stage::Closing
    );
    assert_eq!(
        step!(road, conclude_campaign, ConcludeCampaignRequest).unwrap(),
        Stage::Failed
    );
    road
}

/// The same, and the server that is called carries nothing of it out.
#[tokio::test(flavor = "multi_thread")]
async fn failure_on_another_server_gives_every_cent_back() {
    let road = borne_by(pb::FeeBearer::Underwriter).await;
    let turn = Turn::of_another(&road.tester, &road.campaign.name).await;
    underwritten(too_little(road).await).await;
    turn.must_not_have_been_awaited().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_with_an_underwriter_gives_every_cent_back() {
    underwritten(too_little(borne_by(pb::FeeBearer::Underwriter).await).await).await;
}

async fn underwritten(road: Road) {
    road.bank("advance", pb::BankPurpose::UnderwritersAdvance, "5")
        .await;
    road.by_hand("2510", "4000", "2.04").await;
    road.payout("tu_1", "2.04", true).await;
    refund_everybody(&road, 2).await;
    // What the underwriter gave too much goes back.
    road.by_hand("2510", "1150", "2.96").await;
    road.bank("advance back", pb::BankPurpose::OutgoingPayment, "2.96")
        .await;
    assert_eq!(
        road.balances().await,
        ["4000 Cr EUR 2.04", "5400 Dr EUR 2.04"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_borne_by_members_gives_back_what_was_disclosed() {
    let road = too_little(borne_by(pb::FeeBearer::MembersDisclosed).await).await;
    // One more fee is told when the offer has failed already: it is an expense until its
    // payment's member bears it.
    let request = pb::ListPaymentsRequest {
        campaign: road.campaign.name.clone(),
        ..Default::default()
    };
    let listed = road.treasurer.payments().list_payments(request).await;
    let payments = listed.unwrap().into_inner().payments;
    road.fee(&payments[1].name, "1.10").await;
    refund_everybody(&road, 2).await;
    let none: [&str; 0] = [];
    assert_eq!(road.balances().await, none);
    let refunds = road.refunds().await;
    let amounts: Vec<String> = refunds.iter().map(|refund| text(&refund.amount)).collect();
    assert_eq!(amounts, ["EUR 57.96", "EUR 28.90"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acquisition_that_is_lost_before_the_allotment_is_an_ordinary_refund() {
    use pb::CampaignStage as Stage;
    let road = Road::open(Road::terms(&Clock::default()), None).await;
    road.pays("ada", "600").await;
    road.pays("ben", "500").await;
    road.days(10);
    // Its target is reached: it need not wait for its deadline.
    step!(road, close_campaign, CloseCampaignRequest).unwrap();
    step!(road, conclude_campaign, ConcludeCampaignRequest).unwrap();
    step!(road, start_completion, StartCompletionRequest).unwrap();
    road.payout("po_1", "1000", false).await;
    road.bank("deposit", pb::BankPurpose::SellerDeposit, "100")
        .await;
    assert_eq!(
        step!(road, lose_acquisition, LoseAcquisitionRequest).unwrap(),
        Stage::AcquisitionFailed
    );
    road.bank(
        "deposit back",
        pb::BankPurpose::SellerDepositReturned,
        "100",
    )
    .await;
    road.payout("tu_1", "1000", true).await;
    refund_everybody(&road, 2).await;
    let none: [&str; 0] = [];
    assert_eq!(road.balances().await, none);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_is_cancelled_while_open_gives_everything_back() {
    let road = Road::open(Road::terms(&Clock::default()), None).await;
    road.pays("ada", "60").await;
    // Promised, and never paid: it ends with the offer, long before its deadline.
    let ben = road.campaign.member(&road.tester, "ben@example.org").await;
    road.campaign.pledge(&road.tester, &ben, "25").await;
    let unknown = pb::RecordPaymentRequest {
        payer: None,
        ..road.campaign.payment("ch_nobody", "", "7")
    };
    road.treasurer
        .payments()
        .record_payment(unknown)
        .await
        .unwrap();
    let request = pb::CancelCampaignRequest {
        request_id: id(),
        name: road.campaign.name.clone(),
        ..Default::default()
    };
    road.treasurer
        .campaigns()
        .cancel_campaign(request)
        .await
        .unwrap();
    // What arrives now is refundable at once.
    let late = road.campaign.payment("ch_late", "", "5");
    let member = road.members().await[0].clone();
    let late = pb::RecordPaymentRequest {
        payer: Some(pb::record_payment_request::Payer::Member(member)),
        ..late
    };
    road.treasurer
        .payments()
        .record_payment(late)
        .await
        .unwrap();
    step!(road, start_refunding, StartRefundingRequest).unwrap();
    let run = road.plan_refunds().await;
    road.runs_well(&run).await;
    road.bridge().await;
    let promised = step!(road, finish_refunding, FinishRefundingRequest).unwrap_err();
    assert_eq!(reason(&promised), "CAMPAIGN_STAGE");
    let request = pb::ExpirePledgesRequest {
        request_id: id(),
        campaign: road.campaign.name.clone(),
        ..Default::default()
    };
    road.treasurer
        .pledges()
        .expire_pledges(request)
        .await
        .unwrap();
    step!(road, finish_refunding, FinishRefundingRequest).unwrap();
    step!(road, archive_campaign, ArchiveCampaignRequest).unwrap();
    let none: [&str; 0] = [];
    assert_eq!(road.balances().await, none);
    let refunds = road.refunds().await;
    assert_eq!(refunds.len(), 3);
    assert_eq!(refunds[1].amount, eur("7.00"));
}
