//! The load generator against a real server, and its own protections against lying.

use std::time::Duration;

use pledgebook::{
    access::Role,
    book::Settings,
    cli::bench::{self, Load, Report},
    grpc::pb,
};

use crate::harness::{Campaign, Tester};

fn load_of(profile: &str, rate: u32, seconds: u64) -> Load {
    Load::of(
        profile.parse().unwrap(),
        Some(rate),
        Duration::from_secs(seconds),
        None,
    )
}

async fn run(tester: &Tester, load: &Load) -> Report {
    let target = format!("http://{}", tester.server.address);
    bench::load(&target, tester.key(Role::Treasurer), load)
        .await
        .unwrap()
}

/// The one campaign that the run made.
async fn campaign_of(tester: &Tester) -> String {
    let listed = tester
        .treasurer()
        .campaigns()
        .list_campaigns(pb::ListCampaignsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.campaigns.len(), 1);
    listed.campaigns[0].name.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_ends_with_every_acknowledged_cent_in_the_ledger() {
    let tester = Tester::start().await;
    let report = run(&tester, &load_of("village-shop", 100, 2)).await;
    assert_eq!(report.complaints(), [""; 0]);
    let [payments, fees, failures, duplicates] = &report.figures;
    assert_eq!(report.charges, 200);
    assert_eq!(payments.sent + failures.sent, 200);
    assert_eq!(fees.done, payments.sent);
    assert_eq!(failures.done, failures.sent);
    assert!(failures.sent > 0 && duplicates.sent > 0);
    let told = [payments, duplicates].map(|of| [of.done, of.replayed, of.recorded_before]);
    let [done, replayed, before] = std::array::from_fn(|i| told[0][i] + told[1][i]);
    // Each payment once, whichever telling came first; the others found it recorded.
    assert_eq!(done, payments.sent);
    assert_eq!(replayed + before, duplicates.sent);
    let sent: u64 = report.figures.iter().map(|of| of.sent).sum();
    assert_eq!(sent, u64::try_from(report.calls).unwrap());
    for figures in &report.figures {
        assert_eq!(figures.latency.len(), figures.sent);
        assert!(figures.refused.is_empty());
    }
    // A pledge each and nothing else before the clock started.
    let pledges = i64::try_from(report.load.members).unwrap();
    let posted = i64::try_from(payments.sent + fees.sent).unwrap();
    assert_eq!(report.ledger.entries, pledges + posted);
    assert!(report.ledger.held > 0 && report.ledger.provider < report.ledger.held);
    tester.must_be_clean(&campaign_of(&tester).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_service_refuses_and_its_books_still_agree() {
    let settings = Settings {
        batch_cap: 1,
        queue: 2,
        ..Settings::default()
    };
    let tester = Tester::start_with(settings).await;
    let mut load = load_of("football-club", 100, 1);
    load.members = 20;
    let report = run(&tester, &load).await;
    assert_eq!(report.complaints(), [""; 0]);
    let refused = |of: &bench::Figures| of.refused.get("OVERLOADED").copied().unwrap_or(0);
    let [payments, fees, ..] = &report.figures;
    assert!(refused(payments) > 0, "{payments:?}");
    // What was refused is not in the ledger, and its fee was never sent.
    assert!(report.fees_unsent > 0);
    let posted = i64::try_from(payments.done + fees.done + report.figures[3].done).unwrap();
    assert_eq!(report.ledger.entries, 20 + posted);
    tester.must_be_clean(&campaign_of(&tester).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bound_holds_up_is_counted_and_sent() {
    let tester = Tester::start().await;
    let mut load = load_of("monzo", 40, 1);
    load.in_flight = 1;
    load.connections = 1;
    let report = run(&tester, &load).await;
    assert_eq!(report.complaints(), [""; 0]);
    // 15 in the first 30 ms, one at a time.
    assert!(report.paced.not_in_time > 10, "{:?}", report.paced);
    let sent: u64 = report.figures.iter().map(|of| of.sent).sum();
    assert_eq!(sent, u64::try_from(report.calls).unwrap());
}

/// The control: money that no call of the generator brought must be complained of.
#[tokio::test(flavor = "multi_thread")]
async fn money_that_was_not_acknowledged_is_complained_of() {
    let tester = Tester::start().await;
    let report = run(&tester, &load_of("packers", 50, 1)).await;
    assert_eq!(report.complaints(), [""; 0]);

    let mut a_cent_more = report.clone();
    a_cent_more.ledger.held += 1;
    let mut an_entry_less = report.clone();
    an_entry_less.ledger.entries -= 1;
    let mut unexpected = report.clone();
    unexpected.unexpected = 1;
    let mut unsettled = report.clone();
    unsettled.unsettled = 1;
    let mut unclean = report;
    unclean.checked.differences.push(Default::default());
    for wrong in [a_cent_more, an_entry_less, unexpected, unsettled, unclean] {
        assert_eq!(wrong.complaints().len(), 1);
    }
}

/// The control in the ledger itself: somebody else pays into the campaign while it is loaded.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_from_elsewhere_makes_the_books_disagree() {
    let tester = Tester::start().await;
    let load = load_of("village-shop", 60, 3);
    let (report, ()) = tokio::join!(run(&tester, &load), pay_from_elsewhere(&tester));
    assert_eq!(
        report.complaints(),
        ["the ledger is not what was acknowledged"]
    );
    assert_eq!(report.ledger.entries - report.acknowledged.entries, 1);
    assert_eq!(report.ledger.provider - report.acknowledged.provider, 77);
    tester.must_be_clean(&campaign_of(&tester).await).await;
}

async fn pay_from_elsewhere(tester: &Tester) {
    let clients = tester.treasurer();
    let loaded = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let campaigns = clients
                .campaigns()
                .list_campaigns(pb::ListCampaignsRequest::default())
                .await;
            let Some(campaign) = campaigns.unwrap().into_inner().campaigns.pop() else {
                continue;
            };
            let request = pb::ListPaymentsRequest {
                campaign: campaign.name,
                page_size: 1,
                ..Default::default()
            };
            let listed = clients.payments().list_payments(request).await.unwrap();
            if let Some(payment) = listed.into_inner().payments.pop() {
                return payment;
            }
        }
    };
    let payment = loaded.await;
    let campaign = payment.name.split("/payments/").next().unwrap().to_owned();
    let from_elsewhere = Campaign {
        name: campaign,
        currency: "GBP".to_owned(),
        provider: payment.money_account.clone(),
        bank: String::new(),
    }
    .payment("from elsewhere", &payment.pledge, "0.77");
    clients
        .payments()
        .record_payment(from_elsewhere)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_key_that_may_not_pay_in_ends_the_run_before_it_begins() {
    let tester = Tester::start().await;
    let target = format!("http://{}", tester.server.address);
    let load = load_of("village-shop", 100, 1);
    let refused = bench::load(&target, tester.key(Role::Auditor), &load).await;
    assert!(refused.unwrap_err().to_string().contains("role"));
    let listed = tester.treasurer();
    let listed = listed
        .campaigns()
        .list_campaigns(pb::ListCampaignsRequest::default())
        .await;
    assert!(listed.unwrap().into_inner().campaigns.is_empty());
}
