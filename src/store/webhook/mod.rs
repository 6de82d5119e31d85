//! Webhook endpoints and the inbox.
//!
//! An event is one row, however often it is delivered. Leases and due times are
//! the database's own time, so servers whose clocks differ agree on them; every
//! lease counts up `attempts`, and only the worker of the last attempt may say
//! what became of the event.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::{
    domain::payment::{Channel, MoneyAccount},
    id::{CampaignId, DeliveryId, EndpointId, MoneyAccountId, WebhookEventId},
};

mod endpoint;
mod inbox;

type Read<T> = Result<T, StoreError>;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventState {
    /// Waits for its turn.
    Pending,
    /// Posted.
    Applied,
    /// Said what was known already.
    Duplicate,
    /// Of a kind that the ledger does not need.
    Ignored,
    /// Waits for something that it depends on.
    Deferred,
    /// A person must look.
    Review,
    /// Failed by a fault of ours.
    Dead,
}

impl EventState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Applied,
        Self::Duplicate,
        Self::Ignored,
        Self::Deferred,
        Self::Review,
        Self::Dead,
    ];

    /// The word that the database keeps.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Applied => "applied",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Deferred => "deferred",
            Self::Review => "review",
            Self::Dead => "dead",
        }
    }

    /// The state of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// Where a provider posts to, with the account whose events come in.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// The account's campaign.
    pub campaign: CampaignId,
    /// The provider account.
    pub account: MoneyAccount,
    /// The signing secrets, sealed.
    pub sealed_secrets: Vec<Vec<u8>>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// A verified delivery, as it came.
#[derive(Clone, Debug)]
pub struct Delivery<'a> {
    /// Its new id.
    pub id: DeliveryId,
    /// Where it came in.
    pub endpoint: &'a Endpoint,
    /// When it came in.
    pub received_at: OffsetDateTime,
    /// The headers that are kept.
    pub headers: serde_json::Value,
    /// The body.
    pub body: &'a [u8],
    /// The body's SHA-256.
    pub body_hash: [u8; 32],
}

/// One event of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id here, should it be new.
    pub id: WebhookEventId,
    /// False for a provider's test mode.
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

/// What became of an event of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The provider's id of it.
    pub event_id: String,
    /// How often it has been delivered now.
    pub deliveries: i32,
    /// True when it was delivered before with another content.
    pub differs: bool,
}

/// An event that a worker has for a while.
#[derive(Clone, Debug)]
pub struct Leased {
    /// Its id.
    pub id: WebhookEventId,
    /// How often a worker has had it, this time included.
    pub attempt: i32,
    /// The endpoint through which it came first.
    pub endpoint: EndpointId,
    /// The account's campaign.
    pub campaign: CampaignId,
    /// The provider account.
    pub account: MoneyAccount,
    /// The provider's id of it.
    pub event_id: String,
    /// The event.
    pub payload: String,
    /// Its hash.
    pub payload_hash: Vec<u8>,
}

/// What a worker says of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which event.
    pub id: WebhookEventId,
    /// The attempt that this is the end of.
    pub attempt: i32,
    /// What became of it.
    pub state: EventState,
    /// Why.
    pub detail: String,
    /// When it is due again, from now; for a deferred one.
    pub wait: Duration,
}

/// An event as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: WebhookEventId,
    /// The endpoint through which it came first.
    pub endpoint: EndpointId,
    /// The endpoint's campaign.
    pub campaign: CampaignId,
    /// The provider's id of it.
    pub event_id: String,
    /// The provider's type of it.
    pub event_type: String,
    /// What became of it.
    pub state: EventState,
    /// Why.
    pub detail: String,
    /// How often it was delivered.
    pub deliveries: i32,
    /// When it first came in.
    pub received_at: OffsetDateTime,
}

/// What asking for a replay came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// The event is pending again.
    Pending(Event),
    /// Its state says that there is nothing to replay.
    NotReplayable(Event),
    /// There is no such event.
    NotFound,
}

struct EndpointRow {
    endpoint_id: Uuid,
    campaign_id: Uuid,
    sealed_secrets: Vec<Vec<u8>>,
    created_at: OffsetDateTime,
    money_account_id: Uuid,
    kind: String,
    institution: String,
    external_id: String,
    currency: String,
    livemode: bool,
}

impl TryFrom<EndpointRow> for Endpoint {
    type Error = StoreError;

    fn try_from(row: EndpointRow) -> Read<Self> {
        let account = AccountRow {
            money_account_id: row.money_account_id,
            kind: row.kind,
            institution: row.institution,
            external_id: row.external_id,
            currency: row.currency,
            livemode: row.livemode,
        };
        Ok(Self {
            id: EndpointId(row.endpoint_id),
            campaign: CampaignId(row.campaign_id),
            account: account.try_into()?,
            sealed_secrets: row.sealed_secrets,
            created_at: row.created_at,
        })
    }
}

struct AccountRow {
    money_account_id: Uuid,
    kind: String,
    institution: String,
    external_id: String,
    currency: String,
    livemode: bool,
}

impl TryFrom<AccountRow> for MoneyAccount {
    type Error = StoreError;

    fn try_from(row: AccountRow) -> Read<Self> {
        let unreadable = || StoreError::unreadable("money account", row.money_account_id);
        Ok(Self {
            id: MoneyAccountId(row.money_account_id),
            channel: Channel::of_word(&row.kind).ok_or_else(unreadable)?,
            institution: row.institution,
            external_id: row.external_id,
            currency: row.currency.parse().map_err(|_| unreadable())?,
            livemode: row.livemode,
        })
    }
}

struct EventRow {
    webhook_event_id: Uuid,
    endpoint_id: Uuid,
    campaign_id: Uuid,
    event_id: String,
    event_type: String,
    state: String,
    detail: String,
    deliveries: i32,
    received_at: OffsetDateTime,
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Read<Self> {
        Ok(Self {
            id: WebhookEventId(row.webhook_event_id),
            endpoint: EndpointId(row.endpoint_id),
            campaign: CampaignId(row.campaign_id),
            event_id: row.event_id,
            event_type: row.event_type,
            state: EventState::of_word(&row.state)
                .ok_or_else(|| StoreError::unreadable("event state", &row.state))?,
            detail: row.detail,
            deliveries: row.deliveries,
            received_at: row.received_at,
        })
    }
}
