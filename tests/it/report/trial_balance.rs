//! The trial balance, on both date bases.

use pledgebook::grpc::pb::{self, Book, DateBasis};
use tonic::Status;

use super::{go_on, row, story};
use crate::{
    calls::{amount, day, refused},
    harness::Tester,
};

async fn draw(
    tester: &Tester,
    request: pb::GetTrialBalanceRequest,
) -> Result<pb::GetTrialBalanceResponse, Status> {
    let report = tester
        .treasurer()
        .reports()
        .get_trial_balance(request)
        .await;
    Ok(report?.into_inner())
}

fn rows(report: &pb::GetTrialBalanceResponse) -> Vec<String> {
    report.rows.iter().map(row).collect()
}

/// Each total as text, having seen that its debits are its credits.
fn totals(report: &pb::GetTrialBalanceResponse) -> Vec<String> {
    let total = |total: &pb::TrialBalanceTotal| {
        assert_eq!(total.closing_debit, total.closing_credit);
        assert_eq!(total.period_debit, total.period_credit);
        let (period, closing) = (amount(&total.period_debit), amount(&total.closing_debit));
        format!("{:?} +{period} {closing}", total.book())
    };
    report.totals.iter().map(total).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_balance_by_entries_has_every_account_and_balances() {
    let tester = Tester::start().await;
    let story = story(&tester).await;
    let campaign = &story.campaign;
    let all = pb::GetTrialBalanceRequest {
        campaign: campaign.name.clone(),
        ..Default::default()
    };
    let report = draw(&tester, all.clone()).await.unwrap();
    assert_eq!(
        rows(&report),
        [
            "1000 0 +350.00 -5.50 Dr 344.50",
            "1100 0 +105.00 -0 Dr 105.00",
            "1500 0 +5.50 -0 Dr 5.50",
            "2100 0 +0 -380.00 Cr 380.00",
            "2200 0 +0 -50.00 Cr 50.00",
            "2900 0 +80.00 -105.00 Cr 25.00",
            "8010 0 +0 -1000 Cr 1000",
            "8020 0 +1000 -0 Dr 1000",
            "9000 0 +500.00 -380.00 Dr 120.00",
            "9001 0 +380.00 -500.00 Cr 120.00",
        ]
    );
    assert_eq!(
        totals(&report),
        [
            "Financial +540.50 455.00",
            "Memo +880.00 120.00",
            "Units +1000 1000",
        ]
    );
    let row = |code: &str| report.rows.iter().find(|row| row.code == code).unwrap();
    assert_eq!(row("2100").sub_accounts, 2);
    assert_eq!(row("2200").sub_accounts, 1);
    assert_eq!(row("2900").sub_accounts, 2);
    assert_eq!(row("2100").display_name, "Share application money");
    assert_eq!(
        (row("2100").book(), row("9000").book()),
        (Book::Financial, Book::Memo)
    );
    assert_eq!(
        ["1000", "2100", "8010", "9000"].map(|code| row(code).account_type.as_str()),
        ["asset", "liability", "units", "memo"]
    );
    assert_eq!(row("8010").share_class, campaign.class(&tester).await);
    let head = report.head.unwrap();
    let last = campaign.entry(&tester, 8).await;
    assert_eq!(
        (head.campaign, head.entry_number),
        (campaign.name.clone(), 8)
    );
    assert_eq!(
        (head.digest, head.entry_recorded_at),
        (last.digest, last.recorded_at)
    );
    assert_eq!(
        (head.display_name.as_str(), head.currency_code.as_str()),
        ("We are the club", "EUR")
    );

    // A period: after entry 4, up to entry 6.
    let period = pb::GetTrialBalanceRequest {
        after_entry_number: 4,
        entry_number: 6,
        date_basis: DateBasis::Recorded.into(),
        ..all.clone()
    };
    let report = draw(&tester, period.clone()).await.unwrap();
    assert_eq!(
        rows(&report),
        [
            "1000 Dr 350.00 +0 -5.50 Dr 344.50",
            "1100 0 +80.00 -0 Dr 80.00",
            "1500 0 +5.50 -0 Dr 5.50",
            "2100 Cr 300.00 +0 -0 Cr 300.00",
            "2200 Cr 50.00 +0 -0 Cr 50.00",
            "2900 0 +0 -80.00 Cr 80.00",
            "8010 Cr 1000 +0 -0 Cr 1000",
            "8020 Dr 1000 +0 -0 Dr 1000",
            "9000 Dr 200.00 +0 -0 Dr 200.00",
            "9001 Cr 200.00 +0 -0 Cr 200.00",
        ]
    );
    totals(&report);
    let backwards = pb::GetTrialBalanceRequest {
        after_entry_number: 7,
        ..period.clone()
    };
    refused(draw(&tester, backwards).await, "INVALID_FIELD");
    let future = pb::GetTrialBalanceRequest {
        entry_number: 9,
        ..period.clone()
    };
    refused(draw(&tester, future).await, "AS_OF_IN_FUTURE");
    let mixed = pb::GetTrialBalanceRequest {
        value_date: day(&tester.clock, 0),
        ..period
    };
    refused(draw(&tester, mixed).await, "INVALID_FIELD");

    // By sub-account: the codes' rows are their sums, one row an account.
    let by_account = pb::GetTrialBalanceRequest {
        by_sub_account: true,
        ..all
    };
    let report = draw(&tester, by_account).await.unwrap();
    let held: Vec<&pb::TrialBalanceRow> = report
        .rows
        .iter()
        .filter(|row| row.code == "2100")
        .collect();
    let mut closing: Vec<&str> = held.iter().map(|row| amount(&row.closing_credit)).collect();
    closing.sort_unstable();
    assert_eq!(closing, ["300.00", "80.00"]);
    assert_eq!(report.rows.len(), 13);
    for row in &report.rows {
        assert_eq!(row.sub_accounts, 1);
        assert!(
            row.account
                .starts_with(&format!("{}/accounts/{}.", campaign.name, row.code))
        );
    }
    assert_eq!(
        totals(&report),
        [
            "Financial +540.50 455.00",
            "Memo +880.00 120.00",
            "Units +1000 1000",
        ]
    );
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_balance_by_value_date_counts_on_the_day_that_money_counts() {
    let tester = Tester::start().await;
    let story = story(&tester).await;
    let on = |days| day(&tester.clock, days);
    let until = |days| pb::GetTrialBalanceRequest {
        campaign: story.campaign.name.clone(),
        date_basis: DateBasis::ValueDate.into(),
        value_date: on(days),
        ..Default::default()
    };
    let report = draw(&tester, until(-5)).await.unwrap();
    // Promises are of today; what Ada paid already takes its part from them.
    let five_days_ago = [
        "1000 0 +350.00 -0 Dr 350.00",
        "1100 0 +80.00 -0 Dr 80.00",
        "2100 0 +0 -300.00 Cr 300.00",
        "2200 0 +0 -50.00 Cr 50.00",
        "2900 0 +0 -80.00 Cr 80.00",
        "9000 0 +0 -300.00 Cr 300.00",
        "9001 0 +300.00 -0 Dr 300.00",
    ];
    assert_eq!(rows(&report), five_days_ago);
    assert_eq!(
        totals(&report),
        ["Financial +430.00 430.00", "Memo +300.00 300.00"]
    );
    let head = report.head.unwrap();
    assert_eq!(
        (head.date_basis(), head.value_date, head.entry_number),
        (DateBasis::ValueDate, on(-5), 8)
    );

    let period = pb::GetTrialBalanceRequest {
        after_value_date: on(-6),
        ..until(-1)
    };
    let report = draw(&tester, period.clone()).await.unwrap();
    assert_eq!(
        rows(&report),
        [
            "1000 Dr 350.00 +0 -5.50 Dr 344.50",
            "1100 0 +105.00 -0 Dr 105.00",
            "1500 0 +5.50 -0 Dr 5.50",
            "2100 Cr 300.00 +0 -0 Cr 300.00",
            "2200 Cr 50.00 +0 -0 Cr 50.00",
            "2900 0 +0 -105.00 Cr 105.00",
            "9000 Cr 300.00 +0 -0 Cr 300.00",
            "9001 Dr 300.00 +0 -0 Dr 300.00",
        ]
    );
    totals(&report);
    // As of an entry before the receipts, they do not count yet, whatever their day.
    let as_of = pb::GetTrialBalanceRequest {
        entry_number: 5,
        ..until(0)
    };
    let report = draw(&tester, as_of).await.unwrap();
    assert!(
        report
            .rows
            .iter()
            .all(|row| row.code != "1100" && row.code != "2900")
    );
    totals(&report);

    for wrong in [
        pb::GetTrialBalanceRequest {
            value_date: String::new(),
            ..until(0)
        },
        pb::GetTrialBalanceRequest {
            after_value_date: on(1),
            ..until(0)
        },
        pb::GetTrialBalanceRequest {
            after_entry_number: 3,
            ..until(0)
        },
    ] {
        refused(draw(&tester, wrong).await, "INVALID_FIELD");
    }
    // Dated back, later entries count on that day, unless it is as of entry 8.
    go_on(&tester, &story).await;
    let as_of = pb::GetTrialBalanceRequest {
        entry_number: 8,
        ..until(-5)
    };
    let again = draw(&tester, as_of).await.unwrap();
    assert_eq!(rows(&again), five_days_ago);
    let now = draw(&tester, until(-5)).await.unwrap();
    assert_eq!(rows(&now)[0], "1000 0 +384.00 -0 Dr 384.00");
    totals(&now);
    tester.must_be_clean(&story.campaign.name).await;
}
