//! Payments and bank receipts: money that arrived, or failed to.
//!
//! | file | is about |
//! |---|---|
//! | `failure` | charges that fail, and money that its payer's bank takes back |
//! | `flag` | an announced dispute, which keeps a payment's money where it is |
//!
//! Money that arrived is never refused once the campaign has opened. What the
//! campaign takes of it is `taken`; the rest is refundable at once.

mod failure;
mod flag;

pub(super) use failure::{Failure, record_failure};
pub(super) use flag::flag;

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use super::{
    Decision, EffectKey, EffectRow, Money, Payer, Put, Receipt, Refusal, Rejection, World,
    campaign::{Campaign, Stage, words},
    posting,
};
use crate::{
    id::{MemberId, MoneyAccountId, PaymentId, PledgeId},
    ledger::{Code, Event},
    money::{Amount, Currency},
};

words! {
    /// Where a payment is in its life.
    PaymentState {
        /// Taken by the provider or credited by the bank.
        Succeeded = "succeeded",
        /// Failed before any money moved.
        Failed = "failed",
        /// Failed after it had succeeded.
        LateFailed = "late_failed",
        /// Its entry was reversed as a mistake.
        Reversed = "reversed",
    }
}

/// What happens to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentEvent {
    /// The money arrived.
    Succeed,
    /// The charge failed, before or after success.
    Fail,
    /// The entry that booked it is reversed.
    ReverseCapture,
    /// The entry that booked its late failure is reversed.
    ReverseFailure,
}

impl PaymentState {
    /// The state after an event; nothing when the event is not allowed here.
    #[must_use]
    pub const fn next(self, event: PaymentEvent) -> Option<Self> {
        use PaymentEvent as E;
        match (self, event) {
            // A failed attempt may still succeed; a reversed one is recorded rightly.
            (Self::Failed | Self::Reversed, E::Succeed) => Some(Self::Succeeded),
            (Self::Succeeded, E::Fail) => Some(Self::LateFailed),
            (Self::Succeeded, E::ReverseCapture) => Some(Self::Reversed),
            (Self::LateFailed, E::ReverseFailure) => Some(Self::Succeeded),
            (Self::Succeeded, E::Succeed | E::ReverseFailure)
            | (Self::Failed, E::Fail | E::ReverseCapture | E::ReverseFailure)
            | (Self::LateFailed, E::Succeed | E::Fail | E::ReverseCapture)
            | (Self::Reversed, E::Fail | E::ReverseCapture | E::ReverseFailure) => None,
        }
    }
}

words! {
    /// How a payment was made; decides how long it takes to clear.
    Method {
        /// Cards and wallets.
        Card = "card",
        /// Direct debits.
        DirectDebit = "direct_debit",
        /// Bank transfers.
        BankTransfer = "bank_transfer",
    }
}

words! {
    /// Where money arrives.
    Channel {
        /// At a payment provider: account 1000.
        Provider = "provider",
        /// Straight on a bank account: account 1100.
        Bank = "bank",
    }
}

impl Channel {
    /// The account that the money arrives on.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Provider => Code::ProviderBalance,
            Self::Bank => Code::EscrowBank,
        }
    }
}

/// An account at a provider or a bank; it belongs to one campaign for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyAccount {
    /// Its id.
    pub id: MoneyAccountId,
    /// Provider or bank.
    pub channel: Channel,
    /// Which provider or bank.
    pub institution: String,
    /// The account's id there.
    pub external_id: String,
    /// Its currency.
    pub currency: Currency,
    /// False for a provider's test mode.
    pub livemode: bool,
}

/// Money that arrived, or failed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// The account.
    pub account: MoneyAccountId,
    /// The provider's or bank's id of the movement.
    pub object_id: String,
    /// Where it is in its life.
    pub state: PaymentState,
    /// How it was made.
    pub method: Method,
    /// The gross amount.
    pub gross: Amount,
    /// What of it stands in 2100.
    pub held: Amount,
    /// What of it stands in 2200.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refundable: Amount,
    /// What of it stands in 2900.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unallocated: Amount,
    /// What the provider charged so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fee: Amount,
    /// Whether the provider has told a fee.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fee_known: bool,
    /// The part of the fee that stands in 1500.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fee_deferred: Amount,
    /// What of it became shares: 3000 or 2300, and 3010.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub allotted: Amount,
    /// What of it was sent back and has not come back again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refunded: Amount,
    /// What of it stands in 2210.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub returned: Amount,
    /// What its member bore of a failure's fees.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub charged: Amount,
    /// What was gone already when the payer's bank took it back: 5200.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: Amount,
    /// What refunds that have not been sent yet lay claim to.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reserved: Amount,
    /// Whether a dispute is announced.
    #[serde(default, skip_serializing_if = "is_false")]
    pub flagged: bool,
    /// Whose it is.
    pub member: Option<MemberId>,
    /// On which pledge.
    pub pledge: Option<PledgeId>,
    /// When it happened, by the provider's or bank's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub occurred_at: OffsetDateTime,
    /// The day on which the money counts.
    pub value_date: Date,
    /// The day from which the provider pays it out.
    pub available_on: Date,
    /// The provider's word for why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure_code: String,
    /// The entry that booked it, 0 for none.
    pub entry: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(amount: &Amount) -> bool {
    amount.is_zero()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Payment {
    /// What of it nothing lays claim to yet: it may be refunded or allotted. Nothing
    /// while a dispute is announced.
    #[must_use]
    pub fn free(&self) -> Amount {
        if self.flagged {
            return Amount::ZERO;
        }
        let stands = self.held.saturating_add(self.refundable);
        stands
            .saturating_add(self.unallocated)
            .saturating_sub(self.reserved)
    }

    /// What of it may become shares: application money that no refund lays claim to.
    #[must_use]
    pub fn allottable(&self) -> Amount {
        if self.flagged {
            return Amount::ZERO;
        }
        let due = self.refundable.saturating_add(self.unallocated);
        let claimed = self.reserved.saturating_sub(due).max(Amount::ZERO);
        self.held.saturating_sub(claimed)
    }

    pub(super) fn refuse(&self, problem: &str) -> Rejection {
        Refusal::PaymentState {
            state: self.state,
            problem: problem.to_owned(),
        }
        .into()
    }

    pub(super) fn emptied(&self, state: PaymentState) -> Self {
        Self {
            state,
            held: Amount::ZERO,
            refundable: Amount::ZERO,
            unallocated: Amount::ZERO,
            returned: Amount::ZERO,
            reserved: Amount::ZERO,
            flagged: false,
            ..self.clone()
        }
    }
}

/// What the campaign takes of a payment G: min(G, outstanding of its pledge, room
/// under the member's cap and the campaign's maximum), domain.md §4. Nothing
/// unless it takes money.
pub(super) fn taken(
    world: &World,
    gross: Amount,
    member: MemberId,
    pledge: Option<PledgeId>,
) -> Result<Amount, Rejection> {
    if !world.campaign()?.takes_money() {
        return Ok(Amount::ZERO);
    }
    let mut most = gross.min(room(world, member)?);
    if let Some(pledge) = pledge {
        most = most.min(world.pledge(pledge)?.outstanding());
    }
    Ok(most.max(Amount::ZERO))
}

/// The room for a member's money, under the member's cap and the campaign's maximum.
pub(super) fn room(world: &World, member: MemberId) -> Result<Amount, Refusal> {
    let campaign = world.campaign()?;
    let room = campaign.terms.maximum.saturating_sub(world.tally.held);
    let Some(cap) = campaign.member_cap() else {
        return Ok(room);
    };
    let held = world.member_balance(member, Code::ApplicationMoney);
    Ok(room.min(cap.saturating_sub(held)))
}

pub(super) fn register(world: &World, account: &MoneyAccount) -> Result<Decision, Rejection> {
    world.campaign()?.must_be(account.currency)?;
    if world.is_taken(account) {
        // Whose it is stays unsaid: it may be another campaign's.
        return Err(Refusal::AlreadyExists {
            what: format!(
                "the account {} at {}",
                account.external_id, account.institution
            ),
        }
        .into());
    }
    Ok(Decision::of([Put::MoneyAccount(account.clone())]))
}

/// Who a payer is: a member, a pledge, both or nobody.
fn payer(
    world: &World,
    payer: Payer,
    or_nobody: bool,
) -> Result<(Option<MemberId>, Option<PledgeId>), Rejection> {
    let known = match payer {
        Payer::Unknown => Ok((None, None)),
        Payer::Member(member) => world.member(member).map(|member| (Some(member.id), None)),
        Payer::Pledge(pledge) => {
            let found = world.pledge(pledge);
            found.map(|pledge| (Some(pledge.member), Some(pledge.id)))
        }
    };
    match known {
        Err(Refusal::NotFound { .. }) if or_nobody => Ok((None, None)),
        known => Ok(known?),
    }
}

/// Answers for a movement that was recorded before: its first answer when the
/// amount is the same, a refusal when it is not.
pub(super) fn recorded_before(
    world: &World,
    key: &EffectKey,
    given: Money,
) -> Result<Option<Decision>, Rejection> {
    match world.effects.get(key) {
        None => Ok(None),
        Some(effect) if effect.amount == given.amount => Ok(Some(Decision::same_as(effect.change))),
        Some(effect) => {
            let recorded = Money {
                amount: effect.amount,
                ..given
            };
            Err(Refusal::MovementDiffers {
                recorded: recorded.to_string(),
                given: given.to_string(),
            }
            .into())
        }
    }
}

pub(super) fn claim(
    world: &World,
    key: EffectKey,
    amount: Amount,
    payment: Option<PaymentId>,
) -> Put {
    Put::Effect(
        key,
        EffectRow {
            amount,
            payment,
            change: world.next_change(),
        },
    )
}

/// The dates of an event: when it happened, and the day on which it counts.
pub(super) fn dates(
    occurred_at: Option<OffsetDateTime>,
    value_date: Option<Date>,
    now: OffsetDateTime,
) -> (OffsetDateTime, Date) {
    let occurred_at = occurred_at.unwrap_or(now);
    (occurred_at, value_date.unwrap_or(occurred_at.date()))
}

pub(super) fn record(
    world: &World,
    receipt: &Receipt,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    campaign.must_have_opened()?;
    let account = world.money_account(receipt.account, receipt.channel)?;
    campaign.must_be(receipt.gross.currency)?;
    let gross = receipt.gross.amount;
    if !gross.is_positive() {
        return Err(Refusal::field("gross", "more than nothing has arrived").into());
    }
    let before = world.payment_of_object(receipt.account, &receipt.object_id);
    let key = EffectKey {
        account: receipt.account,
        object: receipt.object_id.clone(),
        effect: "capture",
        seq: receipt
            .corrects
            .map_or_else(String::new, |entry| entry.to_string()),
    };
    if let Some(answer) = recorded_before(world, &key, receipt.gross)? {
        return Ok(answer);
    }
    if let Some(entry) = receipt.corrects
        && !before.is_some_and(|p| p.state == PaymentState::Reversed && p.entry == entry)
    {
        return Err(
            Refusal::field("corrects_entry", "not the reversed entry of this movement").into(),
        );
    }
    let state = match before {
        None => PaymentState::Succeeded,
        Some(payment) => payment
            .state
            .next(PaymentEvent::Succeed)
            .ok_or_else(|| payment.refuse("it cannot succeed again"))?,
    };
    let (member, pledge) = payer(world, receipt.payer, receipt.unknown_payer_is_unallocated)?;
    let (occurred_at, value_date) = dates(receipt.occurred_at, receipt.value_date, now);
    let held = member.map_or(Ok(Amount::ZERO), |member| {
        taken(world, gross, member, pledge)
    })?;
    let refundable = member.map_or(Amount::ZERO, |_| gross.saturating_sub(held));
    let unallocated = if member.is_none() {
        gross
    } else {
        Amount::ZERO
    };
    let mut payment = Payment {
        id: before.map_or(receipt.payment, |payment| payment.id),
        account: account.id,
        object_id: receipt.object_id.clone(),
        state,
        method: receipt.method,
        gross,
        held,
        refundable,
        unallocated,
        fee: before.map_or(Amount::ZERO, |payment| payment.fee),
        fee_known: before.is_some_and(|payment| payment.fee_known),
        fee_deferred: before.map_or(Amount::ZERO, |payment| payment.fee_deferred),
        allotted: Amount::ZERO,
        refunded: Amount::ZERO,
        returned: Amount::ZERO,
        charged: Amount::ZERO,
        lost: Amount::ZERO,
        reserved: Amount::ZERO,
        flagged: false,
        member,
        pledge,
        occurred_at,
        value_date,
        available_on: receipt.available_on.unwrap_or(value_date),
        failure_code: String::new(),
        entry: world.next_entry(),
    };
    if payment.available_on < payment.value_date {
        payment.available_on = payment.value_date;
    }
    let entry = posting::receipt(campaign, receipt.channel, &payment)?;
    let claim = claim(world, key, gross, Some(payment.id));
    let paid = paid_on(world, &payment)?;
    Ok(Decision::of([Put::Payment(payment), claim])
        .also(paid)
        .posting(entry))
}

/// The payment's pledge with what the payment brings.
fn paid_on(world: &World, payment: &Payment) -> Result<Option<Put>, Rejection> {
    let Some(pledge) = payment.pledge.filter(|_| payment.held.is_positive()) else {
        return Ok(None);
    };
    let pledge = world.pledge(pledge)?;
    let paid = pledge
        .paid
        .checked_add(payment.held)
        .ok_or(Refusal::AmountTooLarge)?;
    Ok(Some(Put::Pledge(pledge.with_paid(paid))))
}

pub(super) fn match_receipt(
    world: &World,
    id: PaymentId,
    whose: Payer,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let payment = world.payment(id)?;
    if !payment.unallocated.is_positive() {
        return Err(payment.refuse("none of its money is unallocated"));
    }
    if payment.reserved.is_positive() || payment.refunded.is_positive() {
        return Err(payment.refuse("it goes back, or a part of it has gone"));
    }
    let (Some(member), pledge) = payer(world, whose, false)? else {
        return Err(Refusal::field("payer", "a member or a pledge").into());
    };
    let held = taken(world, payment.unallocated, member, pledge)?;
    let matched = Payment {
        held,
        refundable: payment.unallocated.saturating_sub(held),
        unallocated: Amount::ZERO,
        member: Some(member),
        pledge,
        ..payment.clone()
    };
    let entry = posting::receipt_allocated(campaign, &matched, now)?;
    let paid = paid_on(world, &matched)?;
    Ok(Decision::of([Put::Payment(matched)])
        .also(paid)
        .posting(entry))
}

pub(super) fn record_fee(
    world: &World,
    id: PaymentId,
    object_id: &str,
    fee: Money,
    occurred_at: Option<OffsetDateTime>,
    value_date: Option<Date>,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    campaign.must_be(fee.currency)?;
    let payment = world.payment(id)?;
    world.money_account(payment.account, Channel::Provider)?;
    let key = EffectKey {
        account: payment.account,
        object: object_id.to_owned(),
        effect: "fee",
        seq: String::new(),
    };
    let of_another = |effect: &EffectRow| effect.payment != Some(id);
    if world.effects.get(&key).is_some_and(of_another) {
        return Err(Refusal::field("object_id", "the fee of another payment").into());
    }
    if let Some(answer) = recorded_before(world, &key, fee)? {
        return Ok(answer);
    }
    let cost = cost_of_fee(campaign, payment);
    let deferred = cost == Code::DeferredIssueCosts;
    let more = |sum: Amount, more| sum.checked_add(more).ok_or(Refusal::AmountTooLarge);
    let charged = Payment {
        fee: more(payment.fee, fee.amount)?,
        fee_known: true,
        fee_deferred: if deferred {
            more(payment.fee_deferred, fee.amount)?
        } else {
            payment.fee_deferred
        },
        ..payment.clone()
    };
    let (occurred_at, value_date) = dates(occurred_at, value_date, now);
    let entry = posting::fee(
        campaign,
        &charged,
        fee.amount,
        cost,
        occurred_at,
        value_date,
    )?;
    let claim = claim(world, key, fee.amount, Some(payment.id));
    Ok(Decision::of([Put::Payment(charged), claim]).posting(entry))
}

/// What a fee is a cost of (domain.md §4): of the issue, deferred while its payment's
/// money waits for shares and against equity once it is shares; of an offer that came to
/// nothing for this payment, otherwise.
fn cost_of_fee(campaign: &Campaign, payment: &Payment) -> Code {
    if payment.state == PaymentState::Succeeded && payment.allotted.is_positive() {
        return Code::IssueCosts;
    }
    let gone = payment.held.is_zero() && payment.refunded.is_positive();
    let stage = campaign.taking_stage();
    let over = stage.is_abandoned() || matches!(stage, Stage::Allotted | Stage::Closed);
    if over || gone || payment.state != PaymentState::Succeeded {
        Code::AbandonedIssueCosts
    } else {
        Code::DeferredIssueCosts
    }
}

/// The entry events that book a payment's arrival.
pub(super) const CAPTURES: [Event; 4] = [
    Event::PaymentSucceeded,
    Event::PaymentUnallocated,
    Event::ReceiptMatched,
    Event::ReceiptUnallocated,
];
