//! What differs from provider to provider, behind one seam: how a request is
//! verified, how its body splits into events, and what an event means.

use http::HeaderMap;
use time::OffsetDateTime;

use super::{
    signature::{self, SignatureError, SigningSecret},
    stripe,
};
pub use crate::app::webhook::Provider;
use crate::{
    domain::{Money, Payer, payment::Method, payment::MoneyAccount},
    id::CampaignId,
};

/// One event of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// False for the provider's test mode.
    pub livemode: bool,
    /// The provider's id of it.
    pub event_id: String,
    /// The provider's type of it.
    pub event_type: String,
    /// The event as it stands in the body.
    pub payload: String,
    /// The hash of what is the same in every delivery of the event.
    pub payload_hash: [u8; 32],
}

/// A rightly signed body that is no event of the provider's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an event: {0}")]
pub struct NotAnEvent(pub String);

/// Whose account an event is about: nothing of it comes from the event.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The account's campaign.
    pub campaign: CampaignId,
    /// The account at the provider.
    pub account: &'a MoneyAccount,
}

/// What an event means to the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Money arrived.
    Receipt(Arrival),
    /// Nothing to post, and why.
    Ignored(String),
    /// A person must look, and why.
    Review(String),
}

/// Money that arrived, as the provider tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The provider's id of the movement, the same in every event about it.
    pub object_id: String,
    /// How much.
    pub gross: Money,
    /// Who is said to have paid.
    pub payer: Payer,
    /// What the event says of the payer, where it says anything.
    pub named: Option<String>,
    /// How it was paid.
    pub method: Method,
    /// When it arrived.
    pub occurred_at: OffsetDateTime,
}

/// Verifies a request over its raw bytes.
///
/// # Errors
/// [`SignatureError`].
pub fn verify(
    provider: Provider,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[SigningSecret],
    now: i64,
) -> Result<(), SignatureError> {
    match provider {
        Provider::Stripe => {
            let values = headers.get_all(stripe::SIGNATURE).iter();
            let values: Vec<&[u8]> = values.map(http::HeaderValue::as_bytes).collect();
            signature::stripe(&values, body, secrets, now)
        }
    }
}

/// Splits a verified body into its events.
///
/// # Errors
/// [`NotAnEvent`].
pub fn split(provider: Provider, body: &[u8]) -> Result<Vec<Incoming>, NotAnEvent> {
    match provider {
        Provider::Stripe => stripe::split(body),
    }
}

/// What an event means for the account that it came in for.
#[must_use]
pub fn meaning(provider: Provider, payload: &str, whose: Whose<'_>) -> Meaning {
    match provider {
        Provider::Stripe => stripe::meaning(payload, whose),
    }
}
