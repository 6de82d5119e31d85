//! Reports: each number written out, and the same again when drawn again.

mod coverage;
mod fees;
mod flow;
mod general_ledger;
mod progress;
mod redrawn;
mod refunds;
mod series;
mod shares;
mod statement;
mod trial_balance;

use pledgebook::grpc::pb;

use crate::{
    calls::{MatchedTo, amount, day, shares},
    harness::{Campaign, Tester, terms},
};

/// A campaign in which a little of everything has happened, in eight entries.
///
/// | entry | what | value date |
/// |---|---|---|
/// | 1 | 1,000 shares of 100 are authorised | today |
/// | 2 | Ada promises 300 | today |
/// | 3 | Bob promises 200 | today |
/// | 4 | Ada pays 350 by card | 6 days ago |
/// | 5 | that cost 5.50 | 4 days ago |
/// | 6 | 80 come in at the bank | 5 days ago |
/// | 7 | they are Bob's, on his promise | today |
/// | 8 | 25 come in at the bank, from nobody that is known | yesterday |
struct Story {
    campaign: Campaign,
    ada: String,
    bob: String,
    adas: String,
    bobs: String,
    /// The payments: Ada's, Bob's, nobody's.
    payments: [String; 3],
}

async fn story(tester: &Tester) -> Story {
    let class = Some(shares("100", 0, 0));
    let campaign = Campaign::open_with(tester, terms(&tester.clock, "EUR"), class).await;
    let ada = campaign.member(tester, "ada@example.org").await;
    let bob = campaign.member(tester, "bob@example.org").await;
    let adas = campaign.pledge(tester, &ada, "300").await;
    let bobs = campaign.pledge(tester, &bob, "200").await;
    let on = |days| day(&tester.clock, days);
    let request = pb::RecordPaymentRequest {
        value_date: on(-6),
        ..campaign.payment("ch_1", &adas, "350")
    };
    let first = campaign.record(tester, request).await.unwrap();
    let request = pb::RecordPaymentFeeRequest {
        request_id: crate::harness::id(),
        payment: first.name().to_owned(),
        object_id: "txn_1".to_owned(),
        fee: crate::harness::eur("5.50"),
        value_date: on(-4),
        ..Default::default()
    };
    let mut payments = tester.treasurer().payments();
    payments.record_payment_fee(request).await.unwrap();
    let request = pb::RecordBankReceiptRequest {
        value_date: on(-5),
        ..campaign.receipt("tx_1", None, "80")
    };
    let second = campaign.receive(tester, request).await.unwrap();
    let to_bob = MatchedTo::Pledge(bobs.clone());
    campaign
        .match_to(tester, second.name(), to_bob)
        .await
        .unwrap();
    let request = pb::RecordBankReceiptRequest {
        value_date: on(-1),
        ..campaign.receipt("tx_2", None, "25")
    };
    let third = campaign.receive(tester, request).await.unwrap();
    let payments = [first, second, third].map(|booked| booked.payment.name);
    Story {
        campaign,
        ada,
        bob,
        adas,
        bobs,
        payments,
    }
}

/// Posts more of everything, some of it dated back.
async fn go_on(tester: &Tester, story: &Story) {
    let campaign = &story.campaign;
    let pledge = campaign.pledge(tester, &story.bob, "11").await;
    let request = pb::RecordPaymentRequest {
        value_date: day(&tester.clock, -6),
        ..campaign.payment("ch_2", &story.bobs, "33")
    };
    let paid = campaign.record(tester, request).await.unwrap();
    campaign
        .fee(tester, paid.name(), "txn_2", "0.70")
        .await
        .unwrap();
    campaign.reverse(tester, 7).await.unwrap();
    let to_ada = MatchedTo::Member(story.ada.clone());
    campaign
        .match_to(tester, &story.payments[2], to_ada)
        .await
        .unwrap();
    campaign
        .fail(tester, campaign.failure("ch_1"))
        .await
        .unwrap();
    campaign.cancel_pledge(tester, &pledge).await.unwrap();
    let request = pb::RecordPaymentRequest {
        value_date: day(&tester.clock, -30),
        ..campaign.payment_by("ch_3", None, "1")
    };
    campaign.record(tester, request).await.unwrap();
}

/// A row as text: code, opening, debits and credits of the period, closing.
fn row(row: &pb::TrialBalanceRow) -> String {
    let side = |debit, credit| match (amount(debit), amount(credit)) {
        ("", "") => "0".to_owned(),
        (debit, "") => format!("Dr {debit}"),
        (_, credit) => format!("Cr {credit}"),
    };
    let moved = |money| match amount(money) {
        "" => "0".to_owned(),
        moved => moved.to_owned(),
    };
    format!(
        "{} {} +{} -{} {}",
        row.code,
        side(&row.opening_debit, &row.opening_credit),
        moved(&row.period_debit),
        moved(&row.period_credit),
        side(&row.closing_debit, &row.closing_credit),
    )
}
