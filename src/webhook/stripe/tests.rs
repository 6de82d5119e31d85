use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::{
    domain::{
        Payer,
        payment::{Channel, Method, MoneyAccount},
    },
    id::{CampaignId, MoneyAccountId, PledgeId},
    webhook::signature::tests::vectors,
};

const CREATED: i64 = 1_750_000_000;

struct Here {
    campaign: CampaignId,
    account: MoneyAccount,
}

impl Here {
    fn new() -> Self {
        Self {
            campaign: CampaignId::mint(),
            account: MoneyAccount {
                id: MoneyAccountId::mint(),
                channel: Channel::Provider,
                institution: "stripe".to_owned(),
                external_id: "acct_ours".to_owned(),
                currency: "EUR".parse().unwrap(),
                livemode: false,
            },
        }
    }

    fn meaning(&self, event: &Value) -> Meaning {
        let whose = Whose {
            campaign: self.campaign,
            account: &self.account,
        };
        meaning(&event.to_string(), whose)
    }

    fn arrival(&self, event: &Value) -> Arrival {
        match self.meaning(event) {
            Meaning::Receipt(arrival) => arrival,
            other => panic!("{other:?}"),
        }
    }
}

fn event(kind: &str, object: &Value) -> Value {
    json!({
        "id": "evt_ours", "object": "event", "type": kind, "livemode": false,
        "created": CREATED, "data": { "object": object }, "pending_webhooks": 1,
    })
}

fn intent(pledge: PledgeId) -> Value {
    json!({
        "id": "pi_ours", "object": "payment_intent", "amount": 2500, "amount_received": 2500,
        "currency": "eur", "latest_charge": "ch_ours", "payment_method_types": ["card"],
        "metadata": { "pledge_id": pledge.to_string() },
    })
}

fn charge(pledge: PledgeId) -> Value {
    json!({
        "id": "ch_ours", "object": "charge", "amount": 2500, "amount_captured": 2500,
        "captured": true, "currency": "eur", "payment_intent": "pi_ours",
        "payment_method_details": { "type": "card", "card": {} },
        "metadata": { "pledge_id": pledge.to_string() },
    })
}

fn reviewed(meaning: &Meaning) -> bool {
    matches!(meaning, Meaning::Review(_))
}

fn ignored(meaning: &Meaning) -> bool {
    matches!(meaning, Meaning::Ignored(_))
}

#[test]
fn an_intent_and_its_charge_are_one_movement() {
    let (here, pledge) = (Here::new(), PledgeId::mint());
    let of_intent = here.arrival(&event("payment_intent.succeeded", &intent(pledge)));
    for kind in ["charge.succeeded", "charge.captured"] {
        assert_eq!(here.arrival(&event(kind, &charge(pledge))), of_intent);
    }
    assert_eq!(of_intent.object_id, "ch_ours");
    assert_eq!(of_intent.gross.to_string(), "EUR 25.00");
    assert_eq!(of_intent.payer, Payer::Pledge(pledge));
    assert_eq!(of_intent.method, Method::Card);
    assert_eq!(of_intent.occurred_at, datetime!(2025-06-15 15:06:40 UTC));
}

#[test]
fn a_charge_is_found_in_every_version_of_an_intent() {
    let here = Here::new();
    let mut expanded = intent(PledgeId::mint());
    expanded["latest_charge"] =
        json!({ "id": "ch_ours", "payment_method_details": { "type": "sepa_debit" } });
    expanded["payment_method_types"] = json!(["card", "sepa_debit"]);
    let mut listed = expanded.clone();
    listed["latest_charge"] = Value::Null;
    listed["charges"] = json!({ "data": [
        { "id": "ch_failed", "status": "failed" },
        { "id": "ch_ours", "status": "succeeded", "payment_method_details": { "type": "bacs_debit" } },
    ] });
    let mut bare = expanded.clone();
    bare["latest_charge"] = json!("ch_ours");
    for object in [expanded, listed, bare] {
        let arrival = here.arrival(&event("payment_intent.succeeded", &object));
        assert_eq!(arrival.object_id, "ch_ours");
        assert_eq!(arrival.method, Method::DirectDebit);
    }
    let mut none = intent(PledgeId::mint());
    none["latest_charge"] = Value::Null;
    assert!(reviewed(
        &here.meaning(&event("payment_intent.succeeded", &none))
    ));
}

#[test]
fn what_was_captured_counts_and_not_what_was_asked_for() {
    let here = Here::new();
    let mut object = charge(PledgeId::mint());
    object["amount_captured"] = json!(1000);
    let arrival = here.arrival(&event("charge.succeeded", &object));
    assert_eq!(arrival.gross.amount.units(), 1000);
    object["captured"] = json!(false);
    assert!(ignored(&here.meaning(&event("charge.succeeded", &object))));
    let mut object = intent(PledgeId::mint());
    object["amount_received"] = json!(999);
    let arrival = here.arrival(&event("payment_intent.succeeded", &object));
    assert_eq!(arrival.gross.amount.units(), 999);
}

#[test]
fn what_cannot_be_right_is_for_a_person() {
    let here = Here::new();
    for (field, value) in [
        ("currency", json!("btc")),
        ("currency", json!(null)),
        ("amount_received", json!(0)),
        ("amount_received", json!(-5)),
        ("amount_received", json!(25.5)),
        ("amount_received", json!("2500")),
        ("amount_received", json!(i64::MAX)),
        ("amount_received", json!(u64::MAX)),
        ("latest_charge", json!("")),
        ("latest_charge", json!("ch_\u{0}")),
        ("latest_charge", json!(7)),
        ("metadata", json!({ "pledge_id": 7 })),
    ] {
        let mut object = intent(PledgeId::mint());
        object[field] = value.clone();
        let meaning = here.meaning(&event("payment_intent.succeeded", &object));
        assert!(reviewed(&meaning), "{field} {value}: {meaning:?}");
    }
    let mut far = event("charge.succeeded", &charge(PledgeId::mint()));
    far["created"] = json!(i64::MAX);
    assert!(reviewed(&here.meaning(&far)));
    far.as_object_mut().unwrap().remove("data");
    assert!(reviewed(&here.meaning(&far)));
}

#[test]
fn an_event_of_the_other_mode_or_another_account_is_for_a_person() {
    let here = Here::new();
    let mut live = event("charge.succeeded", &charge(PledgeId::mint()));
    live["livemode"] = json!(true);
    assert_eq!(
        here.meaning(&live),
        Meaning::Review("a live event at a test account".to_owned())
    );
    let mut connected = event("charge.succeeded", &charge(PledgeId::mint()));
    connected["account"] = json!("acct_ours");
    here.arrival(&connected);
    connected["account"] = json!("acct_theirs");
    assert!(reviewed(&here.meaning(&connected)));
}

#[test]
fn another_campaigns_money_names_nobody_here() {
    let here = Here::new();
    let mut object = charge(PledgeId::mint());
    object["metadata"]["campaign_id"] = json!(CampaignId::mint().to_string());
    let arrival = here.arrival(&event("charge.succeeded", &object));
    assert_eq!(arrival.payer, Payer::Unknown);
    assert!(arrival.named.unwrap().starts_with("another campaign"));
}

#[test]
fn what_needs_no_entry_is_ignored_and_what_moves_money_is_not() {
    let here = Here::new();
    for (kind, detail) in [
        ("payout.paid", "payout.paid: nothing to post"),
        ("customer.created", "customer.created: nothing to post"),
        ("charge.updated", "charge.updated: nothing to post"),
        ("moon.landed", "moon.landed: unknown type"),
    ] {
        let meaning = here.meaning(&event(kind, &json!({})));
        assert_eq!(meaning, Meaning::Ignored(detail.to_owned()));
    }
    for kind in MOVES {
        assert!(reviewed(&here.meaning(&event(kind, &json!({})))), "{kind}");
    }
}

#[test]
fn a_body_is_one_event() {
    let body = event("charge.succeeded", &charge(PledgeId::mint())).to_string();
    let events = split(body.as_bytes()).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event_id, "evt_ours");
    assert_eq!(events[0].event_type, "charge.succeeded");
    assert!(!events[0].livemode);
    assert_eq!(events[0].payload, body);
    let nested = format!(
        "{{\"id\":\"e\",\"type\":\"t\",\"livemode\":true,\"x\":{}",
        "[".repeat(9999)
    );
    for body in [
        b"".as_slice(),
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        br#"{"id":"","type":"t","livemode":true}"#,
        br#"{"id":"a b","type":"t","livemode":true}"#,
        br#"{"id":"e","type":"t\u0000","livemode":true}"#,
        br#"{"id":"e","type":"t"}"#,
        br#"{"id":"e","type":"t","livemode":true} {}"#,
        nested.as_bytes(),
    ] {
        assert!(split(body).is_err(), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_delivery_again_has_the_same_content_and_another_amount_has_not() {
    let hash = |event: &Value| split(event.to_string().as_bytes()).unwrap()[0].payload_hash;
    let first = event("charge.succeeded", &charge(PledgeId::mint()));
    let mut again = first.clone();
    again["pending_webhooks"] = json!(0);
    again["data"]["object"]["receipt_url"] = json!("https://example.org/another");
    assert_eq!(hash(&first), hash(&again));
    again["data"]["object"]["amount"] = json!(2501);
    assert_ne!(hash(&first), hash(&again));
}

/// An object that a provider published, with what it means inside an event.
fn published(file: &str, kind: &str) -> Option<Meaning> {
    let path = vectors("payloads")?.join(file);
    let object: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let event = event(kind, &object);
    split(event.to_string().as_bytes()).unwrap();
    Some(Here::new().meaning(&event))
}

#[test]
fn published_objects_mean_what_they_say() {
    // Asked for and never captured: 100 US cents on hold.
    if let Some(meaning) = published("stripe_fixture_charge.json", "charge.succeeded") {
        assert!(ignored(&meaning), "{meaning:?}");
    }
    // It has no charge yet.
    let file = "stripe_fixture_payment_intent.json";
    if let Some(meaning) = published(file, "payment_intent.succeeded") {
        let no_charge = Meaning::Review("a payment intent without a charge".to_owned());
        assert_eq!(meaning, no_charge);
    }
    // Captured, and of it nothing: the file contradicts itself.
    let file = "stripe_djstripe_charge_ch_fakefakefakefakefake0001.json";
    if let Some(meaning) = published(file, "charge.succeeded") {
        let nothing = "ch_fakefakefakefakefake0001: an amount of 0";
        assert_eq!(meaning, Meaning::Review(nothing.to_owned()));
    }
    // An intent of an old version, with its charge inside.
    let file = "stripe_djstripe_payment_intent_pi_fakefakefakefakefake0001.json";
    if let Some(meaning) = published(file, "payment_intent.succeeded") {
        let Meaning::Receipt(arrival) = meaning else {
            panic!("{meaning:?}");
        };
        assert_eq!(arrival.object_id, "ch_fakefakefakefakefake0001");
        assert_eq!(arrival.gross.to_string(), "USD 20.00");
        assert_eq!((arrival.payer, arrival.named), (Payer::Unknown, None));
        assert_eq!(arrival.method, Method::Card);
    }
}

#[test]
fn published_objects_of_other_kinds_are_read_past() {
    for (file, kind) in [
        ("stripe_fixture_refund.json", "refund.updated"),
        ("stripe_fixture_dispute.json", "charge.dispute.created"),
        ("stripe_fixture_payout.json", "payout.paid"),
        ("stripe_fixture_mandate.json", "mandate.updated"),
        (
            "stripe_fixture_checkout.session.json",
            "checkout.session.completed",
        ),
        (
            "stripe_fixture_balance_transaction.json",
            "balance.available",
        ),
        (
            "stripe_djstripe_payout_custom_bank_account.json",
            "payout.updated",
        ),
        (
            "stripe_djstripe_dispute_dp_fakefakefakefake02.json",
            "charge.dispute.closed",
        ),
    ] {
        if let Some(meaning) = published(file, kind) {
            assert!(ignored(&meaning), "{file}: {meaning:?}");
        }
    }
    if let Some(folder) = vectors("payloads") {
        let body = std::fs::read(folder.join("stripe_fixture_event.json")).unwrap();
        let events = split(&body).unwrap();
        let whose = Here::new();
        let meaning = whose.meaning(&serde_json::from_str(&events[0].payload).unwrap());
        assert_eq!(
            meaning,
            Meaning::Ignored("plan.created: unknown type".to_owned())
        );
    }
}
