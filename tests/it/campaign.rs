//! Campaigns: creation, terms and life cycle.

use pledgebook::grpc::pb;

use crate::harness::{Campaign, Tester, eur, id, lines, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_for_a_pledge_posts_money_and_releases_the_promise() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &member, "100").await;
    let request = campaign.payment("ch_1", &pledge, "120.50");
    let paid = tester
        .treasurer()
        .payments()
        .record_payment(request)
        .await
        .unwrap()
        .into_inner();
    let payment = paid.payment.unwrap();
    assert_eq!(text(&payment.held), "EUR 100.00");
    assert_eq!(text(&payment.refundable), "EUR 20.50");
    let outcome = paid.outcome.unwrap();
    assert_eq!(outcome.entry_numbers.len(), 1);
    let _ = (eur("1"), id(), lines(&pb::JournalEntry::default()));
}
