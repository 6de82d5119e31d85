//! Entries by hand.

use pledgebook::grpc::pb::{self, EntryEvent, Side};
use tonic::Status;

use crate::{
    calls::{day, refused},
    harness::{Campaign, Tester, detail, eur, id, lines, money},
};

pub(super) fn line(
    campaign: &Campaign,
    account: &str,
    side: Side,
    amount: Option<pb::Money>,
) -> pb::ManualLine {
    pb::ManualLine {
        account: format!("{}/accounts/{account}", campaign.name),
        side: side.into(),
        amount,
    }
}

pub(super) fn entry(campaign: &Campaign, lines: Vec<pb::ManualLine>) -> pb::PostEntryRequest {
    pb::PostEntryRequest {
        request_id: id(),
        campaign: campaign.name.clone(),
        lines,
        reason: "the notary's bill 2041".to_owned(),
        occurred_at: None,
        value_date: String::new(),
        validate_only: false,
    }
}

pub(super) async fn post(
    tester: &Tester,
    request: pb::PostEntryRequest,
) -> Result<pb::PostEntryResponse, Status> {
    let posted = tester.treasurer().ledger().post_entry(request).await?;
    Ok(posted.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_by_hand_is_posted_once_and_reversed_exactly() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let member = ada.rsplit('/').next().unwrap();
    let request = pb::PostEntryRequest {
        value_date: day(&tester.clock, -3),
        ..entry(
            &campaign,
            vec![
                line(&campaign, "3200.EUR", Side::Debit, eur("7.50")),
                line(&campaign, "5500.EUR", Side::Debit, eur("2.50")),
                line(
                    &campaign,
                    &format!("2800.EUR.{member}"),
                    Side::Credit,
                    eur("10"),
                ),
            ],
        )
    };
    let asked = pb::PostEntryRequest {
        validate_only: true,
        request_id: id(),
        ..request.clone()
    };
    let before = campaign.entries(&tester).await.len();
    let proposed = post(&tester, asked).await.unwrap().entry.unwrap();
    assert_eq!(proposed.number, 0);
    assert_eq!(campaign.entries(&tester).await.len(), before);

    let posted = post(&tester, request.clone()).await.unwrap();
    let written = posted.entry.unwrap();
    assert_eq!(written.event(), EntryEvent::ManualEntry);
    assert_eq!(written.value_date, day(&tester.clock, -3));
    let expected = ["Dr 3200 EUR 7.50", "Dr 5500 EUR 2.50", "Cr 2800 EUR 10.00"];
    assert_eq!(lines(&written), expected);
    assert_eq!(lines(&proposed), expected);
    assert_eq!(campaign.entry(&tester, written.number).await, written);
    let again = post(&tester, request).await.unwrap();
    assert!(again.outcome.unwrap().replayed);
    assert_eq!(again.entry.unwrap(), written);
    assert_eq!(campaign.stands(&tester, "2800").await, "Cr 10.00");

    // What was paid out of it by hand keeps it from being reversed: the floor holds.
    let paid = entry(
        &campaign,
        vec![
            line(
                &campaign,
                &format!("2800.EUR.{member}"),
                Side::Debit,
                eur("4"),
            ),
            line(&campaign, "1150.EUR", Side::Credit, eur("4")),
        ],
    );
    let paid = post(&tester, paid).await.unwrap().entry.unwrap().number;
    let floor = campaign.reverse(&tester, written.number).await;
    refused(floor, "ACCOUNT_FLOOR");
    campaign.reverse(&tester, paid).await.unwrap();
    let reversed = campaign.reverse(&tester, written.number).await.unwrap();
    assert_eq!(
        lines(&reversed.entry.unwrap()),
        ["Cr 3200 EUR 7.50", "Cr 5500 EUR 2.50", "Dr 2800 EUR 10.00"]
    );
    for code in ["1150", "2800", "3200", "5500"] {
        assert_eq!(campaign.stands(&tester, code).await, "0");
    }
    let why: Vec<String> = sqlx::query_scalar(
        "SELECT reason FROM change WHERE reason <> '' AND method IN ('PostEntry', 'ReverseEntry')
         ORDER BY change_no",
    )
    .fetch_all(&tester.database.pool("pledgebook_report").await)
    .await
    .unwrap();
    let bill = "the notary's bill 2041";
    assert_eq!(why, [bill, bill, "a mistake", "a mistake"]);
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_calls_keep_and_what_does_not_balance_is_not_written_by_hand() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let other = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let ada = ada.rsplit('/').next().unwrap();
    let before = campaign.entries(&tester).await;
    let two = |account: &str, amount: Option<pb::Money>| {
        entry(
            &campaign,
            vec![
                line(&campaign, account, Side::Debit, amount),
                line(&campaign, "2500.EUR", Side::Credit, eur("5")),
            ],
        )
    };
    let kept = [
        "1000.EUR.6f1fd5a6-7b4c-4c65-9d0c-52bd0b6a5e7c".to_owned(),
        "1500.EUR".to_owned(),
        "3010.EUR".to_owned(),
        "9001.EUR".to_owned(),
        format!("2100.EUR.{ada}"),
        format!("3000.EUR.{ada}"),
    ];
    for account in kept {
        let status = refused(
            post(&tester, two(&account, eur("5"))).await,
            "ACCOUNT_NOT_BY_HAND",
        );
        assert_eq!(detail(&status, "account"), account);
    }
    let nobody = two("2800.EUR.6f1fd5a6-7b4c-4c65-9d0c-52bd0b6a5e7c", eur("5"));
    refused(post(&tester, nobody).await, "NOT_FOUND");
    refused(
        post(&tester, two("5000.EUR", eur("5.01"))).await,
        "ENTRY_UNBALANCED",
    );
    refused(
        post(&tester, two("5000.EUR", eur("5.001"))).await,
        "AMOUNT_TOO_PRECISE",
    );
    refused(
        post(&tester, two("5000.USD", eur("5"))).await,
        "CURRENCY_MISMATCH",
    );
    refused(
        post(&tester, two("5000.EUR", money("USD", "5"))).await,
        "CURRENCY_MISMATCH",
    );
    for nothing in ["0", "-5"] {
        let status = post(&tester, two("5000.EUR", eur(nothing)))
            .await
            .unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    }
    let mut alone = two("5000.EUR", eur("5"));
    alone.lines.pop();
    refused(post(&tester, alone).await, "INVALID_FIELD");
    let mut many = two("5000.EUR", eur("5"));
    many.lines = vec![many.lines[0].clone(); 101];
    refused(post(&tester, many).await, "INVALID_FIELD");
    let mut sideless = two("5000.EUR", eur("5"));
    sideless.lines[0].side = 0;
    refused(post(&tester, sideless).await, "INVALID_FIELD");
    let mut theirs = two("5000.EUR", eur("5"));
    theirs.lines[0].account = format!("{}/accounts/5000.EUR", other.name);
    refused(post(&tester, theirs).await, "NOT_FOUND");
    let mut unreasoned = two("5000.EUR", eur("5"));
    unreasoned.reason = String::new();
    refused(post(&tester, unreasoned).await, "INVALID_FIELD");

    assert_eq!(campaign.entries(&tester).await, before);
    tester.must_be_clean(&campaign.name).await;
}
