//! Members and signatures.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Decision, Put, Refusal, Rejection, World, campaign::words};
use crate::id::{MemberId, SignatureId};

/// One person or organisation inside one campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The opaque id.
    pub id: MemberId,
    /// Keyed hash of the e-mail address; no part of what history keeps.
    #[serde(skip)]
    pub email_hash: [u8; 32],
    /// When the member was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Pledges that are open or paid; follows from the pledges.
    #[serde(skip)]
    pub live_pledges: i32,
}

/// A name and an e-mail address: all that is known of a person, kept apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// A member's or a signature's id.
    pub subject: uuid::Uuid,
    /// The name.
    pub display_name: String,
    /// The e-mail address.
    pub email: String,
}

words! {
    /// Where a signature is in its life.
    SignatureState {
        /// Given.
        Signed = "signed",
        /// Taken back.
        Withdrawn = "withdrawn",
        /// Followed by a pledge.
        Converted = "converted",
    }
}

/// What happens to a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureEvent {
    /// Given again after it was withdrawn.
    SignAgain,
    /// Taken back.
    Withdraw,
    /// Its person pledges.
    Convert,
}

impl SignatureState {
    /// The state after an event; nothing when the event is not allowed here.
    #[must_use]
    pub const fn next(self, event: SignatureEvent) -> Option<Self> {
        use SignatureEvent as E;
        match (self, event) {
            (Self::Withdrawn, E::SignAgain) => Some(Self::Signed),
            (Self::Signed, E::Withdraw) => Some(Self::Withdrawn),
            (Self::Signed, E::Convert) => Some(Self::Converted),
            (Self::Signed | Self::Converted, E::SignAgain)
            | (Self::Withdrawn | Self::Converted, E::Withdraw | E::Convert) => None,
        }
    }
}

/// Support without money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Its id.
    pub id: SignatureId,
    /// Keyed hash of the e-mail address; no part of what history keeps.
    #[serde(skip)]
    pub email_hash: [u8; 32],
    /// Where it is in its life.
    pub state: SignatureState,
    /// When it was given.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

pub(super) fn create(
    world: &World,
    id: MemberId,
    person: Person,
    email_hash: [u8; 32],
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    world.campaign()?;
    if world.member_of_email(&email_hash).is_some() {
        return Err(Refusal::AlreadyExists {
            what: "a member with this e-mail address".to_owned(),
        }
        .into());
    }
    let member = Member {
        id,
        email_hash,
        created_at: now,
        live_pledges: 0,
    };
    Ok(Decision::of([Put::Member(member), Put::Person(person)]))
}

pub(super) fn sign(
    world: &World,
    id: SignatureId,
    person: Person,
    email_hash: [u8; 32],
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    world.campaign()?.must_take_signatures()?;
    match world.signature_of_email(&email_hash) {
        None => {
            let signature = Signature {
                id,
                email_hash,
                state: SignatureState::Signed,
                created_at: now,
            };
            Ok(Decision::of([
                Put::Signature(signature),
                Put::Person(person),
            ]))
        }
        Some(signature) => after(signature, SignatureEvent::SignAgain).ok_or_else(|| {
            Refusal::AlreadyExists {
                what: "a signature with this e-mail address".to_owned(),
            }
            .into()
        }),
    }
}

pub(super) fn withdraw(world: &World, id: SignatureId) -> Result<Decision, Rejection> {
    world.campaign()?;
    let signature = world.signature(id)?;
    after(signature, SignatureEvent::Withdraw).ok_or_else(|| {
        Refusal::SignatureState {
            state: signature.state,
        }
        .into()
    })
}

/// The signature of a pledging member, converted, where there is one to convert.
pub(super) fn converted(world: &World, member: &Member) -> Option<Put> {
    let signature = world.signature_of_email(&member.email_hash)?;
    let state = signature.state.next(SignatureEvent::Convert)?;
    Some(Put::Signature(Signature {
        state,
        ..signature.clone()
    }))
}

fn after(signature: &Signature, event: SignatureEvent) -> Option<Decision> {
    let state = signature.state.next(event)?;
    Some(Decision::of([Put::Signature(Signature {
        state,
        ..signature.clone()
    })]))
}
