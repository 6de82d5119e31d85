//! One typed id a kind of thing, so that a pledge's id cannot stand where a
//! payment's belongs. New ids are UUIDs of version 7: they sort by time, which
//! keeps index pages warm.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id.
            #[must_use]
            pub fn mint() -> Self {
                Self(mint())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse(text).map(Self)
            }
        }
    )*};
}

ids! {
    /// A campaign.
    CampaignId,
    /// A member of one campaign.
    MemberId,
    /// A signature.
    SignatureId,
    /// A pledge.
    PledgeId,
    /// A payment.
    PaymentId,
    /// A class of shares.
    ShareClassId,
    /// A provider or bank account.
    MoneyAccountId,
    /// A payout.
    PayoutId,
    /// A refund.
    RefundId,
    /// A run over many members.
    RunId,
    /// An API key.
    ApiKeyId,
    /// A webhook endpoint.
    EndpointId,
    /// A delivery of a webhook.
    DeliveryId,
    /// An event that came in by webhook.
    WebhookEventId,
    /// What a caller gives every attempt of one request.
    RequestId,
}

/// A new UUID of version 7.
fn mint() -> Uuid {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that mints"
    )]
    Uuid::now_v7()
}

/// A text that is no id of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID in its canonical form, 36 characters with hyphens")]
pub struct IdError;

/// Reads a UUID in its one canonical form; `{…}`, `urn:uuid:` and bare hex have
/// the same meaning and would make two names of one thing.
fn parse(text: &str) -> Result<Uuid, IdError> {
    match Uuid::try_parse(text) {
        Ok(id) if text.len() == 36 => Ok(id),
        _ => Err(IdError),
    }
}

/// An id that follows from what it is made of: the same parts give the same id.
/// A retry of a call that creates something finds what its first attempt made.
#[must_use]
pub fn derived(purpose: &str, parts: &[&[u8]]) -> Uuid {
    let mut name = Vec::new();
    for part in [purpose.as_bytes()].iter().chain(parts) {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        name.extend_from_slice(&length.to_be_bytes());
        name.extend_from_slice(part);
    }
    // The namespace is arbitrary and fixed: it only keeps our names apart from others'.
    Uuid::new_v5(
        &Uuid::from_u128(0x9b1c_5f0e_6a64_5f0b_9c55_0d1f_2b7a_7e31),
        &name,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = MemberId::mint();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.0.simple().to_string().parse::<MemberId>().is_err());
        assert!(format!("urn:uuid:{id}").parse::<MemberId>().is_err());
    }

    #[test]
    fn derived_ids_keep_their_parts_apart() {
        assert_ne!(derived("x", &[b"ab", b"c"]), derived("x", &[b"a", b"bc"]));
        assert_eq!(derived("x", &[b"a"]), derived("x", &[b"a"]));
    }
}
