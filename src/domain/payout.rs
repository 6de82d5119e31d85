//! Payouts: money on its way from a provider to the bank, or back as a top-up.

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use super::{
    Decision, EffectKey, Money, Put, Refusal, Rejection, World,
    campaign::words,
    payment::{self, Channel, dates},
    posting,
};
use crate::{
    id::{MoneyAccountId, PayoutId},
    money::Amount,
};

words! {
    /// Where a payout is in its life.
    PayoutState {
        /// It has left.
        InTransit = "in_transit",
        /// It has arrived.
        Arrived = "arrived",
        /// It went back, before or after it had arrived.
        Failed = "failed",
    }
}

/// What happens to a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayoutEvent {
    /// It arrived.
    Arrive,
    /// It failed or was cancelled; what had arrived was taken back.
    Fail,
}

impl PayoutState {
    /// The state after an event; nothing when the event is not allowed here.
    #[must_use]
    pub const fn next(self, event: PayoutEvent) -> Option<Self> {
        use PayoutEvent as E;
        match (self, event) {
            (Self::InTransit, E::Arrive) => Some(Self::Arrived),
            // A bank can refuse what it had credited (domain.md §2).
            (Self::InTransit | Self::Arrived, E::Fail) => Some(Self::Failed),
            (Self::Arrived, E::Arrive) | (Self::Failed, E::Arrive | E::Fail) => None,
        }
    }
}

/// Money on its way between a provider and a bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// Its id.
    pub id: PayoutId,
    /// The provider's account.
    pub account: MoneyAccountId,
    /// The provider's id of it.
    pub object_id: String,
    /// The bank's account.
    pub bank: MoneyAccountId,
    /// True when the bank tops the provider up.
    pub is_top_up: bool,
    /// Where it is in its life.
    pub state: PayoutState,
    /// How much.
    pub amount: Amount,
    /// The provider's word for why it failed.
    pub failure_code: String,
    /// When it left, by the provider's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub occurred_at: OffsetDateTime,
}

/// A payout that was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPayout {
    /// The id, should it be new.
    pub id: PayoutId,
    /// The provider's account.
    pub account: MoneyAccountId,
    /// The provider's id of it.
    pub object_id: String,
    /// The bank's account.
    pub bank: MoneyAccountId,
    /// True when the bank tops the provider up.
    pub is_top_up: bool,
    /// How much.
    pub amount: Money,
    /// When, by the provider's clock.
    pub occurred_at: Option<OffsetDateTime>,
    /// The day on which it counts.
    pub value_date: Option<Date>,
}

fn key(account: MoneyAccountId, object: &str, effect: &'static str) -> EffectKey {
    EffectKey {
        account,
        object: object.to_owned(),
        effect,
        seq: String::new(),
    }
}

/// Records that it left: 1050 / 1000, of a top-up 1050 / 1100.
pub(super) fn send(
    world: &World,
    payout: &NewPayout,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    campaign.must_be(payout.amount.currency)?;
    world.money_account(payout.account, Channel::Provider)?;
    world.money_account(payout.bank, Channel::Bank)?;
    if !payout.amount.amount.is_positive() {
        return Err(Refusal::field("amount", "more than nothing is paid out").into());
    }
    let key = key(payout.account, &payout.object_id, "payout");
    if let Some(answer) = payment::recorded_before(world, &key, payout.amount)? {
        return Ok(answer);
    }
    let at = dates(payout.occurred_at, payout.value_date, now);
    let sent = Payout {
        id: payout.id,
        account: payout.account,
        object_id: payout.object_id.clone(),
        bank: payout.bank,
        is_top_up: payout.is_top_up,
        state: PayoutState::InTransit,
        amount: payout.amount.amount,
        failure_code: String::new(),
        occurred_at: at.0,
    };
    let entry = posting::payout_sent(campaign, &sent, at)?;
    let claim = payment::claim(world, key, sent.amount, None);
    Ok(Decision::of([Put::Payout(sent), claim]).posting(entry))
}

/// Records that it arrived, or failed with the provider's word for why.
pub(super) fn end(
    world: &World,
    id: PayoutId,
    failure_code: Option<&str>,
    occurred_at: Option<OffsetDateTime>,
    value_date: Option<Date>,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let payout = world.payout(id)?;
    let (event, effect) = match failure_code {
        None => (PayoutEvent::Arrive, "payout_arrived"),
        Some(_) => (PayoutEvent::Fail, "payout_failed"),
    };
    let key = key(payout.account, &payout.object_id, effect);
    if let Some(effect) = world.effects.get(&key) {
        return Ok(Decision::same_as(effect.change));
    }
    let state = payout.state.next(event).ok_or(Refusal::PayoutState {
        state: payout.state,
    })?;
    let at = dates(occurred_at, value_date, now);
    let entry = match event {
        PayoutEvent::Arrive => posting::payout_arrived(campaign, payout, at)?,
        PayoutEvent::Fail => posting::payout_failed(campaign, payout, at)?,
    };
    let ended = Payout {
        state,
        failure_code: failure_code.unwrap_or_default().to_owned(),
        ..payout.clone()
    };
    let claim = payment::claim(world, key, payout.amount, None);
    Ok(Decision::of([Put::Payout(ended), claim]).posting(entry))
}
