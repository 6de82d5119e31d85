//! Accounts and their balances: now, as of an entry, as of a value date.

use pledgebook::grpc::pb::{self, get_balance_request::AsOf};
use tonic::Status;

use crate::{
    calls::{PaidBy, day, refused, shares},
    harness::{Campaign, Tester, id, terms, text},
};

async fn balance(
    tester: &Tester,
    account: &str,
    as_of: Option<AsOf>,
) -> Result<pb::GetBalanceResponse, Status> {
    let request = pb::GetBalanceRequest {
        account: account.to_owned(),
        as_of,
    };
    let read = tester.treasurer().ledger().get_balance(request).await?;
    Ok(read.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_listed_by_code_and_member_page_by_page() {
    let tester = Tester::start().await;
    let class = Some(shares("25", 0, 0));
    let campaign = Campaign::open_with(&tester, terms(&tester.clock, "EUR"), class).await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let bob = campaign.member(&tester, "bob@example.org").await;
    for (n, member) in [&ada, &bob].into_iter().enumerate() {
        let pledge = campaign.pledge(&tester, member, "10").await;
        campaign
            .pay(&tester, &format!("ch_{n}"), &pledge, "12.50")
            .await;
    }
    let request = campaign.receipt("tx_1", None, "3");
    let waiting = campaign.receive(&tester, request).await.unwrap();

    let mut ledger = tester.treasurer().ledger();
    for (code, member, page_size, expected) in [
        (
            "",
            "",
            3,
            &[
                "1000 20.00 Dr",
                "1100 3.00 Dr",
                "2100",
                "2100",
                "2200",
                "2200",
                "2900",
                "8010",
                "8020",
                "9000",
                "9000",
                "9001",
            ][..],
        ),
        ("2100", "", 1, &["2100", "2100"]),
        ("", ada.as_str(), 2, &["2100", "2200", "9000"]),
        ("2200", bob.as_str(), 0, &["2200"]),
        ("1500", "", 0, &[]),
    ] {
        let (mut listed, mut token): (Vec<pb::Account>, _) = (Vec::new(), String::new());
        loop {
            let request = pb::ListAccountsRequest {
                campaign: campaign.name.clone(),
                code: code.to_owned(),
                member: member.to_owned(),
                page_size,
                page_token: token,
            };
            let page = ledger.list_accounts(request).await.unwrap().into_inner();
            listed.extend(page.accounts);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let codes: Vec<&str> = listed.iter().map(|account| account.code.as_str()).collect();
        let expected: Vec<&str> = expected.iter().map(|code| &code[..4]).collect();
        assert_eq!(codes, expected);
        if !member.is_empty() {
            assert!(listed.iter().all(|account| account.member == member));
        }
        for account in &listed {
            // A list's balance is the account's.
            let read = balance(&tester, &account.name, None).await.unwrap();
            assert_eq!(read.balance, account.balance);
            assert_eq!(read.normal_side, account.normal_side);
            let expected = match account.code.as_str() {
                "1000" => ("EUR 25.00", &campaign.provider, &account.money_account),
                "1100" => ("EUR 3.00", &campaign.bank, &account.money_account),
                "2900" => ("EUR 3.00", &waiting.payment.name, &account.payment),
                "2100" => ("EUR 10.00", &account.member, &account.member),
                "2200" => ("EUR 2.50", &account.member, &account.member),
                "8010" | "8020" => ("1000", &account.share_class, &account.share_class),
                _ => ("EUR 0.00", &account.name, &account.name),
            };
            assert_eq!(text(&account.balance), expected.0, "{account:?}");
            assert_eq!(expected.1, expected.2);
        }
    }
    for (code, member, reason) in [
        ("4711", "", "INVALID_FIELD"),
        ("", "campaigns/x", "INVALID_FIELD"),
    ] {
        let request = pb::ListAccountsRequest {
            campaign: campaign.name.clone(),
            code: code.to_owned(),
            member: member.to_owned(),
            ..Default::default()
        };
        refused(ledger.list_accounts(request).await, reason);
    }
    let request = pb::ListAccountsRequest {
        campaign: format!("campaigns/{}", id()),
        ..Default::default()
    };
    refused(ledger.list_accounts(request).await, "CAMPAIGN_NOT_FOUND");
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_is_read_as_of_an_entry_and_as_of_a_value_date() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let clock = &tester.clock;
    // Recorded in this order, and counting in another.
    let mut booked = Vec::new();
    for (object, amount, days) in [("ch_1", "100", -2), ("ch_2", "20", -10), ("ch_3", "3", 4)] {
        let request = pb::RecordPaymentRequest {
            value_date: day(clock, days),
            ..campaign.payment_by(object, Some(PaidBy::Member(ada.clone())), amount)
        };
        booked.push(campaign.record(&tester, request).await.unwrap());
    }
    let failed = campaign
        .fail(&tester, campaign.failure("ch_1"))
        .await
        .unwrap();
    let entry = campaign.entry(&tester, booked[0].entry()).await;
    let held = &entry.lines[1].account;

    for (number, expected) in [
        (1, "EUR 100.00"),
        (2, "EUR 120.00"),
        (3, "EUR 123.00"),
        (4, "EUR 23.00"),
        (0, "EUR 23.00"),
    ] {
        let read = balance(&tester, held, Some(AsOf::EntryNumber(number)))
            .await
            .unwrap();
        assert_eq!(text(&read.balance), expected, "as of entry {number}");
        assert_eq!(read.entry_number, if number == 0 { 4 } else { number });
    }
    for (days, expected) in [
        (-11, ["EUR 0.00", "EUR 0.00", "EUR 0.00"]),
        (-10, ["EUR 20.00", "EUR 0.00", "EUR 20.00"]),
        (-3, ["EUR 20.00", "EUR 0.00", "EUR 20.00"]),
        (-2, ["EUR 120.00", "EUR 0.00", "EUR 120.00"]),
        (0, ["EUR 20.00", "EUR 100.00", "EUR 120.00"]),
        (4, ["EUR 23.00", "EUR 100.00", "EUR 123.00"]),
    ] {
        let at = AsOf::ValueDate(day(clock, days));
        let read = balance(&tester, held, Some(at)).await.unwrap();
        let found = [&read.balance, &read.debits, &read.credits].map(text);
        assert_eq!(found, expected, "as of day {days}");
        assert_eq!(read.entry_number, 4);
    }
    let now = balance(&tester, held, None).await.unwrap();
    assert_eq!(
        [&now.balance, &now.debits, &now.credits].map(text),
        ["EUR 23.00", "EUR 100.00", "EUR 123.00"]
    );
    assert_eq!(now.normal_side(), pb::Side::Credit);

    let future = balance(&tester, held, Some(AsOf::EntryNumber(5))).await;
    refused(future, "AS_OF_IN_FUTURE");
    let dayless = balance(&tester, held, Some(AsOf::ValueDate(String::new()))).await;
    refused(dayless, "INVALID_FIELD");
    let nobodys = format!("{}/accounts/2100.EUR.{}", campaign.name, id());
    refused(balance(&tester, &nobodys, None).await, "NOT_FOUND");
    for odd in ["2100.EUR", "4711.EUR", "2100.XXX.1", "1500.EUR."] {
        let odd = format!("{}/accounts/{odd}", campaign.name);
        let read = balance(&tester, &odd, None).await;
        assert!(read.is_err(), "{odd}");
    }
    // A back-dated correction is seen on its day, and not as of the entries before it.
    campaign.reverse(&tester, failed.entry()).await.unwrap();
    campaign.reverse(&tester, booked[1].entry()).await.unwrap();
    let read = |as_of| balance(&tester, held, Some(as_of));
    let on_the_day = read(AsOf::ValueDate(day(clock, -10))).await.unwrap();
    assert_eq!(text(&on_the_day.balance), "EUR 0.00");
    let as_of_then = read(AsOf::EntryNumber(2)).await.unwrap();
    assert_eq!(text(&as_of_then.balance), "EUR 120.00");
    tester.must_be_clean(&campaign.name).await;
}
