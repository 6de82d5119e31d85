//! `pledgebook demo`, as a newcomer runs it: the program itself, on an empty database.

use pledgebook::{book::Settings, grpc::pb};

use crate::{
    harness::{Database, Tester, text},
    property::process::program,
};

/// Plays the demonstration to its end, and gives what it printed.
async fn play(database: &Database, arguments: &[&str]) -> String {
    let mut command = program(database);
    let played = command.arg("demo").args(arguments).output().await.unwrap();
    let complaints = String::from_utf8_lossy(&played.stderr);
    assert!(played.status.success(), "{complaints}");
    String::from_utf8(played.stdout).unwrap()
}

/// What was printed without what another play may have otherwise: the day it is played on,
/// how long it took, and ids, which derive from the run.
fn story(printed: &str, run: &str) -> Vec<String> {
    let not_told = |line: &&str| {
        !["Two collective", "Played in", "to entry"]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let without_date = |line: &str| match line.trim_start().get(..10) {
        Some(date) if date.starts_with("20") && date.ends_with(|of: char| of.is_ascii_digit()) => {
            line.replacen(date, "DATE", 1)
        }
        _ => line.to_owned(),
    };
    let lines = printed.lines().filter(not_told);
    lines
        .map(|line| without_date(line).replace(run, "RUN"))
        .collect()
}

/// Whether these words were printed, however they were set.
fn has(printed: &str, words: &str) -> bool {
    let flat = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    flat.contains(words)
}

async fn campaigns(tester: &Tester) -> Vec<pb::Campaign> {
    let listed = tester
        .treasurer()
        .campaigns()
        .list_campaigns(pb::ListCampaignsRequest::default())
        .await
        .unwrap();
    listed.into_inner().campaigns
}

/// The closing balances in money that are not zero: `1100 Dr 12.50`.
async fn balances(tester: &Tester, campaign: &str) -> Vec<String> {
    let request = pb::GetTrialBalanceRequest {
        campaign: campaign.to_owned(),
        ..Default::default()
    };
    let mut reports = tester.treasurer().reports();
    let report = reports.get_trial_balance(request).await.unwrap();
    let rows = report.into_inner().rows;
    let money = rows.iter().filter(|row| row.book() == pb::Book::Financial);
    money
        .filter_map(|row| match (&row.closing_debit, &row.closing_credit) {
            (Some(_), _) => Some(format!("{} Dr {}", row.code, text(&row.closing_debit))),
            (_, Some(_)) => Some(format!("{} Cr {}", row.code, text(&row.closing_credit))),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_ends_in_shares_and_in_refunds_and_tells_the_same_story_twice() {
    // No server beside it: its workers would do things of the story at their own time.
    let database = Database::create().await;
    let first = play(&database, &[]).await;
    for words in [
        "the campaign has SUCCEEDED",
        "ACQUIRED",
        "members are allotted 11,500 shares",
        "refunds have arrived. ALLOTTED, and CLOSED.",
        "SHARE REGISTER",
        "the campaign has FAILED",
        "comes back: the card has expired",
        "REFUNDED, and CLOSED.",
        "REFUND RUN",
        "Gwen Griffiths 100.00 bank 2 settled expired_card",
        "SETTLED · #WeAreTwitter: nobody is owed anything.",
        "SETTLED · Harbour Lane FC supporters: nobody is owed anything.",
    ] {
        assert!(has(&first, words), "{words}\n{first}");
    }
    assert_eq!(first.matches(": 0 differences").count(), 2);

    let second = play(&database, &[]).await;
    assert!(second.contains("Seed 2016, run 2."));
    assert_eq!(story(&first, "2016-1"), story(&second, "2016-2"));

    let tester = Tester::start_on(database, Settings::default()).await;
    let played = campaigns(&tester).await;
    assert_eq!(played.len(), 4);
    for campaign in &played {
        assert_eq!(campaign.stage(), pb::CampaignStage::Closed);
        tester.must_be_clean(&campaign.name).await;
        let left = balances(&tester, &campaign.name).await;
        let codes: Vec<&str> = left.iter().map(|line| &line[..7]).collect();
        match campaign.currency_code.as_str() {
            "USD" => assert_eq!(
                codes,
                [
                    "1100 Dr", "1450 Dr", "3000 Cr", "3010 Cr", "3100 Dr", "5400 Dr"
                ]
            ),
            // What the offer cost, and the underwriter's gift of as much.
            _ => assert_eq!(left, ["4000 Cr GBP 352.20", "5400 Dr GBP 352.20"]),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_seed_is_another_story_with_the_same_endings() {
    let database = Database::create().await;
    let told = play(&database, &["--seed", "7"]).await;
    assert!(!has(&told, "members are allotted 11,500 shares"));
    for words in [
        "the campaign has SUCCEEDED",
        "ALLOTTED, and CLOSED.",
        "the campaign has FAILED",
        "REFUNDED, and CLOSED.",
    ] {
        assert!(has(&told, words), "{words}\n{told}");
    }
    assert_eq!(told.matches("nobody is owed anything").count(), 2);
}
