//! A report as of an old entry, drawn again after more was posted, is the same.

use pledgebook::grpc::pb::{self, DateBasis};

use super::{Story, go_on, story};
use crate::{calls::day, harness::Tester};

/// Every report as of an entry, without the moment at which it was drawn; by
/// value date the days after the first up to the second.
async fn drawn(
    tester: &Tester,
    story: &Story,
    entry_number: i64,
    (after, until): &(String, String),
) -> Vec<String> {
    let campaign = &story.campaign.name;
    let mut reports = tester.treasurer().reports();
    let mut drawn = Vec::new();
    macro_rules! draw {
        ($method:ident($request:expr)) => {{
            let mut report = reports.$method($request).await.unwrap().into_inner();
            let head = report.head.as_mut().unwrap();
            assert_eq!(head.entry_number, entry_number);
            assert!(head.drawn_at.take().is_some());
            drawn.push(format!("{report:#?}"));
        }};
    }
    for by_sub_account in [false, true] {
        let by_entry = pb::GetTrialBalanceRequest {
            campaign: campaign.clone(),
            entry_number,
            by_sub_account,
            ..Default::default()
        };
        draw!(get_trial_balance(by_entry.clone()));
        draw!(get_trial_balance(pb::GetTrialBalanceRequest {
            after_entry_number: 3,
            ..by_entry.clone()
        }));
        draw!(get_trial_balance(pb::GetTrialBalanceRequest {
            date_basis: DateBasis::ValueDate.into(),
            value_date: until.clone(),
            after_value_date: after.clone(),
            ..by_entry
        }));
    }
    draw!(get_general_ledger(pb::GetGeneralLedgerRequest {
        campaign: campaign.clone(),
        entry_number,
        page_size: 1_000,
        ..Default::default()
    }));
    for member in [&story.ada, &story.bob] {
        draw!(get_backer_statement(pb::GetBackerStatementRequest {
            member: member.clone(),
            entry_number,
            ..Default::default()
        }));
    }
    let flow = pb::GetCashFlowRequest {
        campaign: campaign.clone(),
        entry_number,
        ..Default::default()
    };
    draw!(get_cash_flow(flow.clone()));
    draw!(get_cash_flow(pb::GetCashFlowRequest {
        date_basis: DateBasis::ValueDate.into(),
        value_date: until.clone(),
        after_value_date: after.clone(),
        ..flow
    }));
    draw!(get_fees(pb::GetFeesRequest {
        campaign: campaign.clone(),
        entry_number,
    }));
    draw!(get_share_register(pb::GetShareRegisterRequest {
        campaign: campaign.clone(),
        entry_number,
        ..Default::default()
    }));
    draw!(get_coverage(pb::GetCoverageRequest {
        campaign: campaign.clone(),
        entry_number,
    }));
    drawn
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_as_of_an_old_entry_are_drawn_again_to_the_cent() {
    let tester = Tester::start().await;
    let story = story(&tester).await;
    let campaign = &story.campaign;
    // With a payment whose fee is still to come, so that the estimate says something.
    campaign.pay(&tester, "ch_9", &story.bobs, "12").await;
    // Fixed once: the clock is moved below, over midnight at some hours.
    let days = (day(&tester.clock, -5), day(&tester.clock, 0));
    let before = drawn(&tester, &story, 9, &days).await;
    // All that the story has is posted again, on top.
    campaign.reverse(&tester, 9).await.unwrap();
    let pledge = campaign.pledge(&tester, &story.ada, "500").await;
    let request = pb::RecordPaymentRequest {
        value_date: day(&tester.clock, -20),
        ..campaign.payment("ch_5", &pledge, "450")
    };
    let paid = campaign.record(&tester, request).await.unwrap();
    campaign
        .fee(&tester, paid.name(), "txn_5", "7")
        .await
        .unwrap();
    campaign.reverse(&tester, 5).await.unwrap();
    go_on_after(&tester, &story).await;
    let again = drawn(&tester, &story, 9, &days).await;
    for (before, again) in before.iter().zip(&again) {
        assert_eq!(before, again);
    }
    assert_eq!(before.len(), again.len());
    let entries = campaign.entries(&tester).await;
    assert!(entries.len() > 15);
    let now = drawn(&tester, &story, entries.last().unwrap().number, &days).await;
    assert!(now.iter().zip(&before).all(|(now, before)| now != before));
    tester.must_be_clean(&campaign.name).await;
}

async fn go_on_after(tester: &Tester, story: &Story) {
    tester.clock.shift(time::Duration::hours(1));
    go_on(tester, story).await;
}
