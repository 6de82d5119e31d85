//! What operators watch.

use pledgebook::{access::Role, server};
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{self, Campaign, Tester, id},
    wire,
};

/// The value of a sample, by its name and labels.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("{name} is not in\n{text}"));
    value.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_of_a_posting_is_measured() {
    let tester = Tester::start().await;
    let listener = server::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = server::serve_metrics(listener, harness::metrics(), stop.clone());
    let serving = tokio::spawn(serving);
    let scrape = async || {
        let answer = wire::get(address, "/metrics").await;
        String::from_utf8(answer.body).unwrap()
    };

    let campaign = Campaign::open(&tester, "EUR").await;
    let ada = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &ada, "100").await;
    let before = scrape().await;
    let mut clients = tester.as_role(Role::Treasurer).payments();
    clients
        .record_payment(campaign.payment("ch_1", &pledge, "5"))
        .await
        .unwrap();
    let mut wrong = campaign.payment("ch_2", &pledge, "5");
    wrong.payer = Some(pledgebook::grpc::pb::record_payment_request::Payer::Pledge(
        format!("{}/pledges/{}", campaign.name, id()),
    ));
    clients.record_payment(wrong).await.unwrap_err();
    let after = scrape().await;
    // Other tests of this process are measured as well: at least our own are there.
    for (name, least) in [
        ("pledgebook_outcomes_total{outcome=\"done\"}", 1.0),
        ("pledgebook_outcomes_total{outcome=\"refused\"}", 1.0),
        ("pledgebook_batch_commands_count", 2.0),
        ("pledgebook_queue_seconds_count", 2.0),
        ("pledgebook_batch_seconds_count{step=\"write\"}", 2.0),
        ("pledgebook_batch_seconds_count{step=\"decide\"}", 2.0),
        ("pledgebook_errors_total{reason=\"NOT_FOUND\"}", 1.0),
    ] {
        let earlier = if before.contains(name) {
            sample(&before, name)
        } else {
            0.0
        };
        let more = sample(&after, name) - earlier;
        assert!(more >= least, "{name}: {more} more");
    }
    sample(&after, "pledgebook_queue_depth");
    stop.cancel();
    serving.await.unwrap().unwrap();
    tester.must_be_clean(&campaign.name).await;
}
