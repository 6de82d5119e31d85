//! Webhooks through the real port: signed by the test's own second
//! implementation, posted once through the same book as gRPC.

use std::time::Duration;

use aws_lc_rs::hmac;
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use pledgebook::grpc::pb;
use serde_json::{Value, json};

use crate::harness::{Campaign, Tester, id, lines, reason, text};

const SECRET: &str = "whsec_a_secret_of_the_test";

struct Hook {
    tester: Tester,
    campaign: Campaign,
    path: String,
}

/// Where an event ended up: its state, and why.
type Fate = (pb::WebhookEventState, String);

impl Hook {
    async fn start() -> Self {
        let tester = Tester::start().await;
        let campaign = Campaign::open(&tester, "EUR").await;
        let request = pb::CreateWebhookEndpointRequest {
            request_id: id(),
            money_account: campaign.provider.clone(),
            signing_secrets: vec![SECRET.to_owned(), "whsec_the_next_one".to_owned()],
        };
        let made = tester
            .admin()
            .webhooks()
            .create_webhook_endpoint(request.clone())
            .await;
        let endpoint = made.unwrap().into_inner().webhook_endpoint.unwrap();
        assert_eq!(endpoint.secret_count, 2);
        // The same request finds the same endpoint; with another secret it is refused.
        let again = tester
            .admin()
            .webhooks()
            .create_webhook_endpoint(request.clone())
            .await;
        assert_eq!(
            again.unwrap().into_inner().webhook_endpoint.unwrap(),
            endpoint
        );
        let mut other = request;
        other.signing_secrets.pop();
        let refused = tester
            .admin()
            .webhooks()
            .create_webhook_endpoint(other)
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
        Self {
            tester,
            campaign,
            path: endpoint.path,
        }
    }

    fn now(&self) -> i64 {
        self.tester.clock.now().unix_timestamp()
    }

    async fn post(&self, path: &str, signature: Option<String>, body: Vec<u8>) -> StatusCode {
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let address = self.tester.server.address;
        let mut request = http::Request::post(format!("http://{address}{path}"));
        if let Some(signature) = signature {
            request = request.header("Stripe-Signature", signature);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let response = client.request(request).await.unwrap();
        let status = response.status();
        let said = response.into_body().collect().await.unwrap().to_bytes();
        // What is said helps nobody to forge the next one.
        assert!(said.len() < 200, "{said:?}");
        status
    }

    /// Posts an event as the provider would.
    async fn deliver(&self, event: &Value) -> StatusCode {
        let body = event.to_string().into_bytes();
        let signature = sign(SECRET, self.now(), &body);
        self.post(&self.path, Some(signature), body).await
    }

    /// What became of an event, once it is settled.
    async fn fate(&self, event_id: &str) -> Fate {
        for _ in 0..600 {
            let request = pb::ListWebhookEventsRequest {
                campaign: self.campaign.name.clone(),
                page_size: 1000,
                ..Default::default()
            };
            let listed = self
                .tester
                .treasurer()
                .webhooks()
                .list_webhook_events(request)
                .await;
            let events = listed.unwrap().into_inner().webhook_events;
            let found = events.into_iter().find(|event| event.event_id == event_id);
            if let Some(event) = found
                && event.state() != pb::WebhookEventState::Pending
            {
                return (event.state(), event.detail);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{event_id} is not settled");
    }

    async fn must_be_fate(&self, event_id: &str, state: pb::WebhookEventState) {
        let fate = self.fate(event_id).await;
        assert_eq!(fate.0, state, "{event_id}: {}", fate.1);
    }

    async fn payments(&self) -> Vec<pb::Payment> {
        let request = pb::ListPaymentsRequest {
            campaign: self.campaign.name.clone(),
            page_size: 1000,
            ..Default::default()
        };
        let listed = self
            .tester
            .treasurer()
            .payments()
            .list_payments(request)
            .await
            .unwrap();
        listed.into_inner().payments
    }

    async fn pledge(&self, email: &str, amount: &str) -> String {
        let member = self.campaign.member(&self.tester, email).await;
        self.campaign.pledge(&self.tester, &member, amount).await
    }

    fn intent(&self, event: &str, charge: &str, cents: i64, pledge: &str) -> Value {
        json!({
            "id": event, "object": "event", "type": "payment_intent.succeeded",
            "created": self.now() - 5, "livemode": true,
            "data": {"object": {
                "id": format!("pi_{charge}"), "object": "payment_intent", "amount": cents,
                "amount_received": cents, "currency": "eur", "latest_charge": charge,
                "created": self.now() - 9, "livemode": true, "status": "succeeded",
                "payment_method_types": ["card"], "metadata": {"pledge_id": pledge},
            }},
        })
    }

    fn charge(&self, event: &str, charge: &str, cents: i64, pledge: &str) -> Value {
        json!({
            "id": event, "object": "event", "type": "charge.succeeded",
            "created": self.now() - 5, "livemode": true,
            "data": {"object": {
                "id": charge, "object": "charge", "amount": cents, "amount_captured": cents,
                "captured": true, "paid": true, "status": "succeeded", "currency": "eur",
                "created": self.now() - 7, "livemode": true,
                "payment_intent": format!("pi_{charge}"),
                "payment_method_details": {"type": "card"}, "metadata": {"pledge_id": pledge},
            }},
        })
    }
}

fn sign(secret: &str, at: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = [format!("{at}.").as_bytes(), body].concat();
    format!("t={at},v1={}", hex::encode(hmac::sign(&key, &signed)))
}

use pb::WebhookEventState as State;

#[tokio::test(flavor = "multi_thread")]
async fn one_charge_posts_once_however_it_is_told() {
    let hook = Hook::start().await;
    let pledge = hook.pledge("ada@example.org", "50").await;
    let intent = hook.intent("evt_1", "ch_1", 5_000, &pledge);
    // The charge's own event first, out of order; the intent's three times, twice at once.
    assert_eq!(
        hook.deliver(&hook.charge("evt_2", "ch_1", 5_000, &pledge))
            .await,
        StatusCode::OK
    );
    hook.must_be_fate("evt_2", State::Applied).await;
    let (one, two) = tokio::join!(hook.deliver(&intent), hook.deliver(&intent));
    assert_eq!((one, two), (StatusCode::OK, StatusCode::OK));
    hook.must_be_fate("evt_1", State::Duplicate).await;
    assert_eq!(hook.deliver(&intent).await, StatusCode::OK);
    let payments = hook.payments().await;
    assert_eq!(payments.len(), 1);
    assert_eq!(text(&payments[0].held), "EUR 50.00");
    assert_eq!(payments[0].pledge, pledge);
    // RecordPayment of the same charge gets the webhook's answer.
    let request = hook.campaign.payment("ch_1", &pledge, "50");
    let recorded = hook
        .tester
        .treasurer()
        .payments()
        .record_payment(request)
        .await
        .unwrap();
    let outcome = recorded.into_inner().outcome.unwrap();
    assert!(outcome.already_recorded);
    let entry = hook
        .campaign
        .entry(&hook.tester, outcome.entry_numbers[0])
        .await;
    assert_eq!(
        lines(&entry),
        [
            "Dr 1000 EUR 50.00",
            "Cr 2100 EUR 50.00",
            "Dr 9001 EUR 50.00",
            "Cr 9000 EUR 50.00",
        ]
    );
    hook.tester.must_be_clean(&hook.campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_by_webhook_and_by_call_at_once_posts_once() {
    let hook = Hook::start().await;
    let pledge = hook.pledge("ada@example.org", "1000").await;
    for n in 0..12 {
        let charge = format!("ch_{n}");
        let event = hook.intent(&format!("evt_{n}"), &charge, 1_000, &pledge);
        let mut payments = hook.tester.treasurer().payments();
        let called = payments.record_payment(hook.campaign.payment(&charge, &pledge, "10"));
        let (delivered, called) = tokio::join!(hook.deliver(&event), called);
        assert_eq!(delivered, StatusCode::OK);
        called.unwrap();
        let (state, detail) = hook.fate(&format!("evt_{n}")).await;
        assert!(
            [State::Applied, State::Duplicate].contains(&state),
            "{state:?} {detail}"
        );
    }
    let payments = hook.payments().await;
    assert_eq!(payments.len(), 12);
    let read = pb::GetPledgeRequest { name: pledge };
    let pledge = hook
        .tester
        .treasurer()
        .pledges()
        .get_pledge(read)
        .await
        .unwrap();
    assert_eq!(
        text(&pledge.into_inner().pledge.unwrap().paid),
        "EUR 120.00"
    );
    hook.tester.must_be_clean(&hook.campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forged_stale_or_truncated_is_refused_and_nothing_is_kept() {
    let hook = Hook::start().await;
    let pledge = hook.pledge("ada@example.org", "50").await;
    let body = hook
        .intent("evt_1", "ch_1", 5_000, &pledge)
        .to_string()
        .into_bytes();
    let now = hook.now();
    let good = sign(SECRET, now, &body);
    let mut flipped = body.clone();
    flipped[10] ^= 1;
    let truncated = body[..body.len() - 1].to_vec();
    let refused: Vec<(&str, Option<String>, Vec<u8>)> = vec![
        (
            "another secret",
            Some(sign("whsec_somebody_else", now, &body)),
            body.clone(),
        ),
        ("one bit", Some(good.clone()), flipped),
        ("truncated", Some(good.clone()), truncated),
        (
            "a newline more",
            Some(good.clone()),
            [body.clone(), b"\n".to_vec()].concat(),
        ),
        ("no header", None, body.clone()),
        ("an empty header", Some(String::new()), body.clone()),
        ("only v0", Some(good.replace("v1=", "v0=")), body.clone()),
        ("stale", Some(sign(SECRET, now - 400, &body)), body.clone()),
        (
            "from the future",
            Some(sign(SECRET, now + 400, &body)),
            body.clone(),
        ),
        (
            "a time of no time",
            Some(good.replace(&format!("t={now}"), "t=-9223372036854775808")),
            body.clone(),
        ),
        ("no event", Some(sign(SECRET, now, b"{}")), b"{}".to_vec()),
    ];
    for (why, signature, body) in refused {
        let status = hook.post(&hook.path, signature, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{why}");
    }
    let unknown = format!("/webhooks/{}", id());
    let status = hook.post(&unknown, Some(good.clone()), body.clone()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let status = hook
        .post("/webhooks/x", Some(good.clone()), body.clone())
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let large = vec![b' '; 2 * 1024 * 1024 + 1];
    let status = hook
        .post(&hook.path, Some(sign(SECRET, now, &large)), large)
        .await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM webhook_delivery")
        .fetch_one(&hook.tester.database.pool("postgres").await)
        .await
        .unwrap();
    assert_eq!(kept, 0);
    assert!(hook.payments().await.is_empty());
    // The same body, rightly signed, goes through: the refusals were about the signatures.
    assert_eq!(
        hook.post(&hook.path, Some(good), body).await,
        StatusCode::OK
    );
    hook.must_be_fate("evt_1", State::Applied).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_fits_nowhere_is_kept_and_a_person_looks() {
    let hook = Hook::start().await;
    let pledge = hook.pledge("ada@example.org", "50").await;
    // A pledge that does not exist here: the money is booked, to nobody yet.
    let strange = id();
    hook.deliver(&hook.intent("evt_1", "ch_1", 1_234, &strange))
        .await;
    hook.must_be_fate("evt_1", State::Review).await;
    let payment = hook.payments().await.remove(0);
    assert_eq!(text(&payment.unallocated), "EUR 12.34");
    // Another amount than was booked: the first stands, a person looks.
    hook.deliver(&hook.charge("evt_2", "ch_1", 1_235, &strange))
        .await;
    hook.must_be_fate("evt_2", State::Review).await;
    // Another currency, test mode: not booked, not lost.
    let mut dollars = hook.intent("evt_3", "ch_3", 500, &pledge);
    dollars["data"]["object"]["currency"] = json!("usd");
    hook.deliver(&dollars).await;
    hook.must_be_fate("evt_3", State::Review).await;
    let mut test_mode = hook.intent("evt_4", "ch_4", 500, &pledge);
    test_mode["livemode"] = json!(false);
    test_mode["data"]["object"]["livemode"] = json!(false);
    hook.deliver(&test_mode).await;
    hook.must_be_fate("evt_4", State::Review).await;
    // What the ledger does not need.
    let mut other = hook.intent("evt_5", "ch_5", 500, &pledge);
    other["type"] = json!("customer.created");
    hook.deliver(&other).await;
    hook.must_be_fate("evt_5", State::Ignored).await;
    assert_eq!(hook.payments().await.len(), 1);
    // The treasurer matches the money and replays the event.
    let request = pb::MatchReceiptRequest {
        request_id: id(),
        payment: payment.name,
        payer: Some(pb::match_receipt_request::Payer::Pledge(pledge)),
        validate_only: false,
    };
    let matched = hook
        .tester
        .treasurer()
        .payments()
        .match_receipt(request)
        .await
        .unwrap();
    assert_eq!(
        text(&matched.into_inner().payment.unwrap().held),
        "EUR 12.34"
    );
    let list = pb::ListWebhookEventsRequest {
        campaign: hook.campaign.name.clone(),
        state: State::Review.into(),
        ..Default::default()
    };
    let treasurer = hook.tester.treasurer();
    let events = treasurer
        .webhooks()
        .list_webhook_events(list)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(events.webhook_events.len(), 4);
    let first = events
        .webhook_events
        .iter()
        .find(|event| event.event_id == "evt_1")
        .unwrap();
    let replay = pb::ReplayWebhookEventRequest {
        name: first.name.clone(),
    };
    treasurer
        .webhooks()
        .replay_webhook_event(replay.clone())
        .await
        .unwrap();
    hook.must_be_fate("evt_1", State::Applied).await;
    let refused = treasurer
        .webhooks()
        .replay_webhook_event(replay)
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "EVENT_STATE");
    hook.tester.must_be_clean(&hook.campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_id_with_two_contents_raises_the_alarm() {
    let hook = Hook::start().await;
    let pledge = hook.pledge("ada@example.org", "50").await;
    let mut ignored = hook.intent("evt_1", "ch_1", 1_000, &pledge);
    ignored["type"] = json!("customer.created");
    hook.deliver(&ignored).await;
    hook.must_be_fate("evt_1", State::Ignored).await;
    assert_eq!(
        hook.deliver(&hook.intent("evt_1", "ch_1", 2_000, &pledge))
            .await,
        StatusCode::OK
    );
    hook.must_be_fate("evt_1", State::Review).await;
    assert!(hook.payments().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_nobody_ends_runs_out() {
    let hook = Hook::start().await;
    let pledge = hook.pledge("ada@example.org", "50").await;
    let mut paused = hook.intent("evt_1", "ch_1", 1_000, &pledge);
    // Keep the event from this process's worker as one that died would: leased, not done.
    paused["type"] = json!("payment_intent.succeeded");
    let lease = "CREATE FUNCTION lease() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.leased_until = now() + interval '3 seconds'; RETURN NEW; END $$;
        CREATE TRIGGER lease BEFORE INSERT ON webhook_event FOR EACH ROW EXECUTE FUNCTION lease()";
    hook.tester
        .database
        .execute("postgres", lease)
        .await
        .unwrap();
    assert_eq!(hook.deliver(&paused).await, StatusCode::OK);
    hook.must_be_fate("evt_1", State::Applied).await;
    assert_eq!(hook.payments().await.len(), 1);
}
