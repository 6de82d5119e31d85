//! Currencies of no, two, three and four decimals, from a promise to a report.

use pledgebook::grpc::pb;

use crate::{
    calls::{parts, refused},
    harness::{Campaign, Tester, money, text},
};

struct Case {
    currency: &'static str,
    /// The pledge, what is paid, what of it is over, the fee; and what is left at the provider.
    amounts: [&'static str; 5],
    too_precise: &'static str,
    smallest: &'static str,
}

const CASES: [Case; 4] = [
    Case {
        currency: "JPY",
        amounts: ["12345", "12350", "5", "446", "11904"],
        too_precise: "1.0",
        smallest: "1",
    },
    Case {
        currency: "EUR",
        amounts: ["123.45", "123.50", "0.05", "4.46", "119.04"],
        too_precise: "1.000",
        smallest: "0.01",
    },
    Case {
        currency: "KWD",
        amounts: ["12.345", "12.350", "0.005", "0.446", "11.904"],
        too_precise: "1.0000",
        smallest: "0.001",
    },
    Case {
        currency: "CLF",
        amounts: ["1.2345", "1.2350", "0.0005", "0.0446", "1.1904"],
        too_precise: "1.00000",
        smallest: "0.0001",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn currencies_of_all_exponents_go_through_whole() {
    let tester = Tester::start().await;
    let request = pb::ListCurrenciesRequest {};
    let known = tester.treasurer().ledger().list_currencies(request).await;
    let known = known.unwrap().into_inner().currencies;
    for case in CASES {
        let Case {
            currency,
            amounts: [promised, gross, over, fee, left],
            ..
        } = case;
        let smallest = known.iter().find(|known| known.currency_code == currency);
        assert_eq!(
            text(&smallest.unwrap().smallest),
            format!("{currency} {}", case.smallest)
        );
        let campaign = Campaign::open(&tester, currency).await;
        let ada = campaign.member(&tester, "ada@example.org").await;
        let pledge = campaign.pledge(&tester, &ada, promised).await;
        let paid = campaign.pay(&tester, "ch_1", &pledge, gross).await;
        assert_eq!(parts(&paid.payment)[..2], [promised, over]);
        assert_eq!(
            campaign.posted(&tester, paid.entry()).await,
            [
                format!("Dr 1000 {currency} {gross}"),
                format!("Cr 2100 {currency} {promised}"),
                format!("Cr 2200 {currency} {over}"),
                format!("Dr 9001 {currency} {promised}"),
                format!("Cr 9000 {currency} {promised}"),
            ]
        );
        let charged = campaign
            .fee(&tester, paid.name(), "txn_1", fee)
            .await
            .unwrap();
        assert_eq!(
            campaign.posted(&tester, charged.entry()).await,
            [
                format!("Dr 1500 {currency} {fee}"),
                format!("Cr 1000 {currency} {fee}"),
            ]
        );
        assert_eq!(campaign.stands(&tester, "1000").await, format!("Dr {left}"));
        // More decimals than it has are another currency's, and so is another code.
        let request = pb::RecordPaymentRequest {
            gross: money(currency, case.too_precise),
            ..campaign.payment("ch_2", &pledge, "1")
        };
        refused(
            campaign.record(&tester, request).await,
            "AMOUNT_TOO_PRECISE",
        );
        let request = pb::RecordPaymentRequest {
            gross: money("CHF", "1"),
            ..campaign.payment("ch_2", &pledge, "1")
        };
        refused(campaign.record(&tester, request).await, "CURRENCY_MISMATCH");
        let failed = campaign
            .fail(&tester, campaign.failure("ch_1"))
            .await
            .unwrap();
        assert_eq!(failed.outcome.entry_numbers.len(), 2);
        assert_eq!(campaign.stands(&tester, "1000").await, format!("Cr {fee}"));
        tester.must_be_clean(&campaign.name).await;
    }
}
