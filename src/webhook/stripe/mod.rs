//! Stripe: every fact about it stands in this folder and, for the signature, in
//! [`super::signature::stripe`].
//!
//! | event | meaning |
//! |---|---|
//! | `payment_intent.succeeded` | money arrived: the capture of its latest charge |
//! | `charge.succeeded`, captured; `charge.captured` | the same capture of the same charge |
//! | refunds, dispute funds, payouts | money moved that this version does not post: a person must look |
//! | anything else | nothing to post |
//!
//! One charge is told by up to three events in any order; they name the same
//! object, the charge, so the ledger posts it once. They count as of the event's
//! own time, the moment of success: an intent is created days before a direct
//! debit succeeds, a charge at once.
//!
//! Our own reference is in the metadata: `pledge_id` or `member_id`, each an id
//! or a resource name, and optionally `campaign_id`.

mod amount;
mod object;
mod reference;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use self::object::{Capture, Charge, Intent};
use super::provider::{Arrival, Incoming, Meaning, NotAnEvent, Whose};

/// The header of the signature.
pub(super) const SIGNATURE: &str = "stripe-signature";

/// Keys whose value may differ from delivery to delivery of one event: how many
/// endpoints still wait, which version of the API an endpoint reads, and links
/// that carry a token of their own.
const VOLATILE: [&str; 3] = ["pending_webhooks", "api_version", "receipt_url"];

/// Events of money that moved and that this version does not post.
const MOVES: &[&str] = &[
    "refund.created",
    "refund.failed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "payout.created",
    "payout.failed",
    "payout.canceled",
];

/// The families of events that are known to need nothing.
const KNOWN: &[&str] = &[
    "account.",
    "balance.",
    "charge.",
    "checkout.session.",
    "customer.",
    "invoice.",
    "mandate.",
    "payment_intent.",
    "payment_method.",
    "payout.",
    "price.",
    "product.",
    "radar.",
    "refund.",
    "review.",
    "setup_intent.",
];

/// What every event has, whatever it is about.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    livemode: bool,
}

/// The rest of it, looked at when the event is worked.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    livemode: bool,
    created: i64,
    /// The account it is about, where an endpoint hears of several.
    #[serde(borrow)]
    account: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
}

/// A body of Stripe's is one event.
pub(super) fn split(body: &[u8]) -> Result<Vec<Incoming>, NotAnEvent> {
    let no_event = |error: &dyn std::fmt::Display| NotAnEvent(error.to_string());
    let payload = std::str::from_utf8(body).map_err(|error| no_event(&error))?;
    let event: Envelope<'_> = serde_json::from_str(payload).map_err(|error| no_event(&error))?;
    if !is_word(&event.id) || !is_word(&event.kind) {
        return Err(NotAnEvent("its id or type is no word".to_owned()));
    }
    let mut content: Value = serde_json::from_str(payload).map_err(|error| no_event(&error))?;
    drop_volatile(&mut content);
    Ok(vec![Incoming {
        livemode: event.livemode,
        event_id: event.id.into_owned(),
        event_type: event.kind.into_owned(),
        payload: payload.to_owned(),
        payload_hash: Sha256::digest(content.to_string().as_bytes()).into(),
    }])
}

/// An id or a type: it becomes a key, so it has no blanks and no strange letters.
fn is_word(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn drop_volatile(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !VOLATILE.contains(&key.as_str()));
            fields.values_mut().for_each(drop_volatile);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_volatile),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What an event means for an account.
pub(super) fn meaning(payload: &str, whose: Whose<'_>) -> Meaning {
    let unreadable = |error: serde_json::Error| Meaning::Review(format!("unreadable: {error}"));
    let event: Event<'_> = match serde_json::from_str(payload) {
        Ok(event) => event,
        Err(error) => return unreadable(error),
    };
    if let Some(doubt) = doubt(&event, whose) {
        return Meaning::Review(doubt);
    }
    let object = event.data.object.get();
    let capture = match event.kind.as_ref() {
        "payment_intent.succeeded" => {
            serde_json::from_str(object).map(|intent: Intent| intent.capture())
        }
        "charge.succeeded" | "charge.captured" => match serde_json::from_str(object) {
            Ok(charge) if Charge::is_only_authorised(&charge) => {
                return Meaning::Ignored("authorised, not captured".to_owned());
            }
            charge => charge.map(Charge::capture),
        },
        kind => return nothing_to_post(kind),
    };
    match capture {
        Ok(Ok(capture)) => arrival(capture, event.created, whose),
        Ok(Err(problem)) => Meaning::Review(problem.to_owned()),
        Err(error) => unreadable(error),
    }
}

/// Why an event should not have come in here.
fn doubt(event: &Event<'_>, whose: Whose<'_>) -> Option<String> {
    let mode = |livemode| if livemode { "live" } else { "test" };
    if event.livemode != whose.account.livemode {
        let (theirs, ours) = (mode(event.livemode), mode(whose.account.livemode));
        return Some(format!("a {theirs} event at a {ours} account"));
    }
    let account = event.account.as_deref();
    account
        .filter(|account| *account != whose.account.external_id)
        .map(|account| format!("about another account, {account}"))
}

fn nothing_to_post(kind: &str) -> Meaning {
    if MOVES.contains(&kind) {
        return Meaning::Review(format!(
            "{kind} moves money that this version does not post"
        ));
    }
    if KNOWN.iter().any(|family| kind.starts_with(family)) {
        return Meaning::Ignored(format!("{kind}: nothing to post"));
    }
    Meaning::Ignored(format!("{kind}: unknown type"))
}

fn arrival(capture: Capture, created: i64, whose: Whose<'_>) -> Meaning {
    if !is_word(&capture.charge) {
        return Meaning::Review("the charge has no id that could be a key".to_owned());
    }
    let gross = match amount::money(capture.amount, &capture.currency) {
        Ok(gross) => gross,
        Err(error) => return Meaning::Review(format!("{}: {error}", capture.charge)),
    };
    let Ok(occurred_at) = OffsetDateTime::from_unix_timestamp(created) else {
        return Meaning::Review(format!("{}: created at {created}", capture.charge));
    };
    let (payer, named) = reference::payer(&capture.metadata, whose.campaign);
    Meaning::Receipt(Arrival {
        object_id: capture.charge,
        gross,
        payer,
        named,
        method: capture.method,
        occurred_at,
    })
}

#[cfg(test)]
mod tests;
