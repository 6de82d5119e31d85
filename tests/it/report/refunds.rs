//! Refund runs, and what explains 2200 and 2210.

use pledgebook::{clock::Clock, grpc::pb};

use super::{coverage, flow};
use crate::{
    calls::{amount, refused},
    ending::{Road, step},
    harness::id,
};

async fn draw(road: &Road, run: &pb::Run, page_size: i32, token: &str) -> pb::GetRefundRunResponse {
    let request = pb::GetRefundRunRequest {
        run: run.name.clone(),
        page_size,
        page_token: token.to_owned(),
    };
    let report = road.treasurer.reports().get_refund_run(request).await;
    report.unwrap().into_inner()
}

/// Amount, what the member bears, rail, attempt, item, refund, movement and failure.
fn rows(report: &pb::GetRefundRunResponse) -> Vec<String> {
    let row = |row: &pb::RefundRunRow| {
        let known = if row.member.is_empty() {
            "nobody"
        } else {
            "member"
        };
        format!(
            "{} {known} {} -{} {:?} {} {:?} {:?} {} {}{}",
            row.position,
            amount(&row.amount),
            amount(&row.borne),
            row.rail(),
            row.attempt,
            row.item_state(),
            row.refund_state(),
            row.object_id,
            row.failure_code,
            row.problem,
        )
    };
    report.rows.iter().map(row).collect()
}

fn totals(report: &pb::GetRefundRunResponse) -> Vec<String> {
    let total = |total: &pb::RefundRunTotal| {
        let states = (total.item_state(), total.refund_state());
        format!(
            "{:?} {:?} {} {}",
            states.0,
            states.1,
            total.items,
            amount(&total.amount)
        )
    };
    report.totals.iter().map(total).collect()
}

/// 2200, 2210; unsent, returned, unrequested; what is not explained.
fn tie(report: &pb::GetRefundRunResponse) -> [&str; 6] {
    let tie = report.tie.as_ref().unwrap();
    [
        &tie.refunds_payable,
        &tie.refunds_returned,
        &tie.unsent,
        &tie.returned,
        &tie.refundable_unrequested,
        &tie.difference,
    ]
    .map(amount)
}

/// Ada has paid 60 of which 2.04 were a fee, Ben 30, nobody that is known 7; members bear
/// the fees. The offer is cancelled.
async fn cancelled() -> Road {
    let terms = pb::Terms {
        fee_bearer: pb::FeeBearer::MembersDisclosed.into(),
        ..Road::terms(&Clock::default())
    };
    let road = Road::open(terms, None).await;
    let ada = road.pays("ada", "60").await;
    road.fee(&ada, "2.04").await;
    road.pays("ben", "30").await;
    let (tester, campaign) = (&road.tester, &road.campaign);
    let unknown = campaign.payment_by("ch_nobody", None, "7");
    campaign.record(tester, unknown).await.unwrap();
    campaign.cancel(tester).await;
    step!(road, start_refunding, StartRefundingRequest).unwrap();
    road
}

async fn submit(road: &Road, refund: &pb::Refund, object: &str) {
    let request = pb::SubmitRefundRequest {
        request_id: id(),
        refund: refund.name.clone(),
        object_id: object.to_owned(),
        ..Default::default()
    };
    let sent = road.treasurer.refunds().submit_refund(request).await;
    sent.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_refunds_is_tied_to_what_the_ledger_owes() {
    let road = cancelled().await;
    let run = road.plan_refunds().await;
    let planned = draw(&road, &run, 0, "").await;
    assert_eq!(
        rows(&planned),
        [
            "1 member 57.96 -2.04 Provider 0 Pending Unspecified  ",
            "2 member 30.00 -0.00 Provider 0 Pending Unspecified  ",
            "3 nobody 7.00 -0.00 Provider 0 Pending Unspecified  ",
        ]
    );
    assert_eq!(totals(&planned), ["Pending Unspecified 3 94.96"]);
    // Application money is not refundable before its item is worked.
    assert_eq!(
        tie(&planned),
        ["0.00", "0.00", "0.00", "0.00", "0.00", "0.00"]
    );

    road.runs_well(&run).await;
    let approved = draw(&road, &run, 0, "").await;
    assert_eq!(totals(&approved), ["Done Approved 3 94.96"]);
    assert_eq!(
        tie(&approved),
        ["87.96", "0.00", "87.96", "0.00", "0.00", "0.00"]
    );

    // Ada's comes back; meanwhile five more arrive, which no refund asks for yet.
    let [adas, bens, _] = &road.refunds().await[..] else {
        panic!("three refunds");
    };
    submit(&road, adas, "re_ada").await;
    let request = pb::FailRefundRequest {
        request_id: id(),
        refund: adas.name.clone(),
        object_id: "failure of re_ada".to_owned(),
        failure_code: "card_closed".to_owned(),
        ..Default::default()
    };
    let mut refunds = road.treasurer.refunds();
    refunds.fail_refund(request).await.unwrap();
    submit(&road, bens, "re_ben").await;
    let late = pb::RecordPaymentRequest {
        payer: Some(pb::record_payment_request::Payer::Member(
            adas.member.clone(),
        )),
        ..road.campaign.payment_by("ch_late", None, "5")
    };
    road.campaign.record(&road.tester, late).await.unwrap();
    let returned = draw(&road, &run, 0, "").await;
    assert_eq!(
        rows(&returned),
        [
            "1 member 57.96 -2.04 Provider 1 Done Failed re_ada card_closed",
            "2 member 30.00 -0.00 Provider 1 Done Submitted re_ben ",
            "3 nobody 7.00 -0.00 Provider 1 Done Approved  ",
        ]
    );
    assert_eq!(
        totals(&returned),
        [
            "Done Approved 1 7.00",
            "Done Failed 1 57.96",
            "Done Submitted 1 30.00",
        ]
    );
    assert_eq!(
        tie(&returned),
        ["5.00", "57.96", "0.00", "57.96", "5.00", "0.00"]
    );
    // What came back is held and owed again, and so is what names nobody.
    assert_eq!(
        coverage::of(&road).await,
        [
            "1000 held 69.96",
            "2100 owed 0.00",
            "2200 owed 5.00",
            "2210 owed 57.96",
            "2900 owed 7.00",
            "= 69.96 of 69.96, 10000",
        ]
    );

    // It goes by bank now, and is on its way until the bank's debit is known.
    road.payout("po_1", "57.96", false).await;
    let request = pb::ResendRefundRequest {
        request_id: id(),
        refund: adas.name.clone(),
        money_account: road.campaign.bank.clone(),
        validate_only: false,
    };
    refunds.resend_refund(request).await.unwrap();
    let again = draw(&road, &run, 1, "").await;
    assert_eq!(
        rows(&again),
        ["1 member 57.96 -2.04 Bank 2 Done Approved  card_closed"]
    );
    assert_eq!(tie(&again), tie(&returned));
    submit(&road, adas, "sepa_ada").await;
    assert_eq!(
        coverage::of(&road).await,
        [
            "1000 held 12.00",
            "1050 held 0.00",
            "1100 held 57.96",
            "1150 held -57.96",
            "2100 owed 0.00",
            "2200 owed 5.00",
            "2210 owed 0.00",
            "2900 owed 7.00",
            "= 12.00 of 12.00, 10000",
        ]
    );
    // Opening, receipts, failures, fees, refunds, transfers, seller, other, closing.
    assert_eq!(
        flow::of(&road, pb::GetCashFlowRequest::default()).await,
        [
            "stripe: 0.00 +102.00 +0.00 -2.04 -30.00 -57.96 +0.00 +0.00 12.00",
            "triodos: 0.00 +0.00 +0.00 +0.00 +0.00 +57.96 +0.00 +0.00 57.96",
            "Outgoing payments clearing: 0.00 +0.00 +0.00 +0.00 -57.96 +0.00 +0.00 +0.00 -57.96",
            ": 0.00 +102.00 +0.00 -2.04 -87.96 +0.00 +0.00 +0.00 12.00",
        ]
    );
    let sent = draw(&road, &run, 0, "").await;
    assert_eq!(tie(&sent), ["5.00", "0.00", "0.00", "0.00", "5.00", "0.00"]);
    road.tester.must_be_clean(&road.campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_run_is_paged_and_no_other_run_is_one() {
    let road = cancelled().await;
    let run = road.plan_refunds().await;
    let all = draw(&road, &run, 0, "").await;
    let first = draw(&road, &run, 2, "").await;
    assert_eq!(first.rows, all.rows[..2]);
    let second = draw(&road, &run, 2, &first.next_page_token).await;
    assert_eq!(second.rows, all.rows[2..]);
    assert!(second.totals.is_empty() && second.tie.is_none());
    assert_eq!(second.next_page_token, "");
    let request = pb::GetRefundRunRequest {
        run: format!("{}/runs/{}", road.campaign.name, id()),
        ..Default::default()
    };
    let mut reports = road.treasurer.reports();
    refused(reports.get_refund_run(request).await, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_refund_explains_shows_as_a_difference() {
    let road = cancelled().await;
    let run = road.plan_refunds().await;
    road.runs_well(&run).await;
    // What no command can do: an instruction is gone, and its money is still reserved.
    let statement = "UPDATE refund SET state = 'rejected' WHERE amount = 3000";
    let tester = &road.tester;
    tester
        .database
        .execute("postgres", statement)
        .await
        .unwrap();
    let report = draw(&road, &run, 0, "").await;
    assert_eq!(
        tie(&report),
        ["87.96", "0.00", "57.96", "0.00", "0.00", "30.00"]
    );
}
