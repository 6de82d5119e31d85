//! Refunds: money that goes back.
//!
//! A refund is of one payment, since that is how money goes back the way it came. From
//! the moment it is requested its amount is reserved on the payment, so that two refunds,
//! a refund and an allotment, or a refund and a dispute cannot have the same money. It
//! becomes an instruction when somebody else approves it; a bridge executes that under a
//! key which stays the same for each attempt, and tells what came of it. What was sent
//! and came back stands in 2210 until it is sent again, or stays there unclaimed.

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::{
    Decision, EffectKey, Put, Refusal, Rejection, World,
    campaign::{Campaign, FeeBearer, Stage, words},
    payment::{self, Payment, PaymentState, dates},
    posting::{self, Used},
};
use crate::{
    id::{self, MemberId, MoneyAccountId, PaymentId, RefundId, RunId},
    ledger::Code,
    money::Amount,
};

use super::Money;

words! {
    /// Where a refund is in its life.
    RefundState {
        /// Asked for; its amount is reserved.
        Requested = "requested",
        /// An instruction for a bridge.
        Approved = "approved",
        /// Sent.
        Submitted = "submitted",
        /// Arrived, as far as the provider or the bank knows.
        Settled = "settled",
        /// Came back; it needs other details, or another way.
        Failed = "failed",
        /// Came back, and nobody is found to take it: it stays owed.
        Unclaimed = "unclaimed",
        /// Turned down, or its payment was lost before it was sent.
        Rejected = "rejected",
    }
}

/// What happens to a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundEvent {
    /// Somebody else than who asked agrees.
    Approve,
    /// It is turned down.
    Reject,
    /// A bridge has sent it.
    Submit,
    /// It has arrived.
    Settle,
    /// It came back.
    Fail,
    /// It is to be sent again.
    SendAgain,
    /// Nobody is found to take it.
    GiveUp,
    /// The payer's bank took the whole payment back.
    LosePayment,
}

impl RefundState {
    /// The state after an event; nothing when the event is not allowed here.
    #[must_use]
    pub const fn next(self, event: RefundEvent) -> Option<Self> {
        use RefundEvent as E;
        match (self, event) {
            (Self::Requested, E::Approve) => Some(Self::Approved),
            (Self::Requested | Self::Approved, E::Reject) => Some(Self::Rejected),
            (Self::Approved, E::Submit) => Some(Self::Submitted),
            (Self::Submitted, E::Settle) => Some(Self::Settled),
            // What has settled can still come back.
            (Self::Submitted | Self::Settled, E::Fail) => Some(Self::Failed),
            (Self::Failed | Self::Unclaimed, E::SendAgain) => Some(Self::Approved),
            (Self::Failed, E::GiveUp) => Some(Self::Unclaimed),
            (Self::Requested | Self::Approved | Self::Failed | Self::Unclaimed, E::LosePayment) => {
                Some(Self::Rejected)
            }
            (Self::Requested, E::Submit | E::Settle | E::Fail | E::SendAgain | E::GiveUp)
            | (Self::Approved, E::Approve | E::Settle | E::Fail | E::SendAgain | E::GiveUp)
            | (
                Self::Submitted,
                E::Approve | E::Reject | E::Submit | E::SendAgain | E::GiveUp | E::LosePayment,
            )
            | (
                Self::Settled,
                E::Approve
                | E::Reject
                | E::Submit
                | E::Settle
                | E::SendAgain
                | E::GiveUp
                | E::LosePayment,
            )
            | (Self::Failed, E::Approve | E::Reject | E::Submit | E::Settle | E::Fail)
            | (
                Self::Unclaimed,
                E::Approve | E::Reject | E::Submit | E::Settle | E::Fail | E::GiveUp,
            )
            | (
                Self::Rejected,
                E::Approve
                | E::Reject
                | E::Submit
                | E::Settle
                | E::Fail
                | E::SendAgain
                | E::GiveUp
                | E::LosePayment,
            ) => None,
        }
    }
}

/// Money that goes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its id.
    pub id: RefundId,
    /// Of which payment.
    pub payment: PaymentId,
    /// To whom; nobody that is known.
    pub member: Option<MemberId>,
    /// How much.
    pub amount: Amount,
    /// Where it is in its life.
    pub state: RefundState,
    /// Where it is sent from.
    pub account: MoneyAccountId,
    /// From 1: how often it was to be sent.
    pub attempt: i32,
    /// The provider's or bank's id of the movement, once it is sent.
    pub object_id: String,
    /// The provider's or bank's word for why it came back.
    pub failure_code: String,
    /// The run that made it.
    pub run: Option<RunId>,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub requested_at: OffsetDateTime,
}

impl Refund {
    /// The key under which a bridge executes this attempt: the same however often the
    /// instruction is read, another one for another attempt.
    #[must_use]
    pub fn instruction_key(&self) -> Uuid {
        let attempt = self.attempt.to_be_bytes();
        id::derived("refund instruction", &[self.id.0.as_bytes(), &attempt])
    }

    /// True when what it sends came back before, and stands in 2210.
    const fn is_sent_again(&self) -> bool {
        self.attempt > 1
    }

    fn refuse(&self, problem: &str) -> Rejection {
        Refusal::RefundState {
            state: self.state,
            problem: problem.to_owned(),
        }
        .into()
    }

    fn moved(&self, event: RefundEvent, problem: &str) -> Result<Self, Rejection> {
        let state = self.state.next(event).ok_or_else(|| self.refuse(problem))?;
        Ok(Self {
            state,
            ..self.clone()
        })
    }
}

/// Money that a bridge has moved, or the bank: which movement, and when.
#[derive(Clone, Debug)]
pub struct Movement {
    /// The provider's or bank's id of it.
    pub object_id: String,
    /// When it happened, by the provider's or bank's clock.
    pub occurred_at: Option<OffsetDateTime>,
    /// The day on which it counts.
    pub value_date: Option<Date>,
}

/// Asks for a refund of what is free of a payment; all of it when no amount is said.
pub(super) fn request(
    world: &World,
    id: RefundId,
    payment: PaymentId,
    amount: Option<Money>,
    by: &str,
    reason: &str,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let payment = world.payment(payment)?;
    if payment.state != PaymentState::Succeeded {
        return Err(payment.refuse("there is nothing of it to send back"));
    }
    if payment.flagged {
        return Err(payment.refuse("a dispute of it is announced"));
    }
    let mut most = payment.free();
    if !gives_up_application_money(campaign.stage) {
        most = most.saturating_sub(payment.allottable());
    }
    if let Some(amount) = amount {
        campaign.must_be(amount.currency)?;
    }
    let amount = amount.map_or(most, |amount| amount.amount);
    if amount > most || !amount.is_positive() {
        return Err(Refusal::RefundExceeds {
            refundable: format!("{} {}", campaign.currency, most.display(campaign.currency)),
        }
        .into());
    }
    let refund = Refund {
        id,
        payment: payment.id,
        member: payment.member,
        amount,
        state: RefundState::Requested,
        account: payment.account,
        attempt: 1,
        object_id: String::new(),
        failure_code: String::new(),
        run: None,
        requested_by: by.to_owned(),
        requested_at: now,
    };
    let reserved = Payment {
        reserved: payment.reserved.saturating_add(amount),
        ..payment.clone()
    };
    Ok(Decision::of([Put::Refund(refund), Put::Payment(reserved)]).because(reason))
}

/// True in the stages in which application money may go back one by one. Between success
/// and the purchase it is spoken for; while an offer that came to nothing is refunded, its
/// run sends it back and shares the costs out. What stands there after all of that, since
/// a late failure was taken back as a mistake, has no other way out.
fn gives_up_application_money(stage: Stage) -> bool {
    matches!(
        stage,
        Stage::Open
            | Stage::Closing
            | Stage::Acquired
            | Stage::Allotted
            | Stage::Refunded
            | Stage::Closed
    )
}

/// Agrees to a refund that somebody else asked for. What of it is still application money
/// becomes refundable.
pub(super) fn approve(
    world: &World,
    id: RefundId,
    by: &str,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    if campaign.stage == Stage::Suspended {
        return Err(campaign.refuse("nothing goes out").into());
    }
    let refund = world.refund(id)?;
    let approved = refund.moved(RefundEvent::Approve, "only what is requested is approved")?;
    if refund.requested_by == by {
        return Err(Refusal::SecondPersonRequired.into());
    }
    let payment = world.payment(refund.payment)?;
    if payment.flagged {
        return Err(payment.refuse("a dispute of it is announced"));
    }
    let others: Amount = world
        .refunds
        .values()
        .filter(|other| {
            other.payment == payment.id
                && other.state == RefundState::Approved
                && !other.is_sent_again()
        })
        .map(|other| other.amount)
        .sum();
    let due = payment.refundable.saturating_add(payment.unallocated);
    let free = due.saturating_sub(others).max(Amount::ZERO);
    let released = refund.amount.saturating_sub(free).max(Amount::ZERO);
    if released.is_positive() && !gives_up_application_money(campaign.stage) {
        return Err(campaign
            .refuse("application money goes back while it is collected, or by a run")
            .into());
    }
    let used = Used {
        payment: payment.clone(),
        shares: Amount::ZERO,
        released,
    };
    let mut decision = Decision::of([Put::Refund(approved)]);
    if released.is_positive() {
        let after = Put::Payment(used.after());
        let pledge = payment
            .pledge
            .map(|pledge| world.pledge(pledge))
            .transpose()?;
        let lowered = pledge.map(|pledge| Put::Pledge(pledge.without(released)));
        let used = [used];
        decision = decision
            .also([after])
            .also(lowered)
            .postings(posting::released(campaign, &used, now)?)
            .postings(posting::costs_of_issue(campaign, &used, now)?);
    }
    Ok(decision)
}

/// Turns a refund down, or takes it back before it is sent.
pub(super) fn reject(world: &World, id: RefundId, reason: &str) -> Result<Decision, Rejection> {
    world.campaign()?;
    let refund = world.refund(id)?;
    if refund.is_sent_again() {
        return Err(refund.refuse("it was sent before: it fails, or is sent again"));
    }
    let rejected = refund.moved(RefundEvent::Reject, "it has been sent")?;
    let payment = world.payment(refund.payment)?;
    let free = Payment {
        reserved: payment.reserved.saturating_sub(refund.amount),
        ..payment.clone()
    };
    Ok(Decision::of([Put::Refund(rejected), Put::Payment(free)]).because(reason))
}

/// Records that a bridge has sent it: 2200\[m\], 2210\[m\] when sent again or 2900 of an
/// unknown payer / 1000, or 1150 from a bank.
pub(super) fn submit(
    world: &World,
    id: RefundId,
    movement: &Movement,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let refund = world.refund(id)?;
    let key = EffectKey {
        account: refund.account,
        object: movement.object_id.clone(),
        effect: "refund",
        seq: String::new(),
    };
    let amount = Money {
        amount: refund.amount,
        currency: campaign.currency,
    };
    if world
        .refund_of_movement(&key)
        .is_some_and(|of| of != refund.payment)
    {
        return Err(Refusal::field("object_id", "the refund of another payment").into());
    }
    if let Some(answer) = payment::recorded_before(world, &key, amount)? {
        return Ok(answer);
    }
    let sent = Refund {
        object_id: movement.object_id.clone(),
        ..refund.moved(RefundEvent::Submit, "it is not to be sent")?
    };
    let payment = world.payment(refund.payment)?;
    let from = source(refund, payment);
    let at = dates(movement.occurred_at, movement.value_date, now);
    let channel = world.channel(refund.account)?;
    let entry = posting::refund_sent(campaign, channel, refund, payment, from, at)?;
    let less = |part: Amount, code: Code| {
        if from == code {
            part.saturating_sub(refund.amount)
        } else {
            part
        }
    };
    let again = from == Code::RefundsReturned;
    let after = Payment {
        refundable: less(payment.refundable, Code::RefundsPayable),
        returned: less(payment.returned, Code::RefundsReturned),
        unallocated: less(payment.unallocated, Code::UnallocatedReceipts),
        refunded: payment.refunded.saturating_add(refund.amount),
        reserved: if again {
            payment.reserved
        } else {
            payment.reserved.saturating_sub(refund.amount)
        },
        ..payment.clone()
    };
    let claim = payment::claim(world, key, refund.amount, Some(payment.id));
    let expensed = posting::cost_of_gone(campaign, &after, now)?;
    let after = Payment {
        fee_deferred: if expensed.is_some() {
            Amount::ZERO
        } else {
            after.fee_deferred
        },
        ..after
    };
    Ok(
        Decision::of([Put::Refund(sent), Put::Payment(after), claim])
            .posting(entry)
            .postings(expensed),
    )
}

/// The account that a refund's money stands on before it is sent.
fn source(refund: &Refund, payment: &Payment) -> Code {
    if payment.member.is_none() {
        Code::UnallocatedReceipts
    } else if refund.is_sent_again() {
        Code::RefundsReturned
    } else {
        Code::RefundsPayable
    }
}

/// Records that it has arrived. From a bank its debit is now known: 1150 / 1100.
pub(super) fn settle(
    world: &World,
    id: RefundId,
    movement: &Movement,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let refund = world.refund(id)?;
    let channel = world.channel(refund.account)?;
    let amount = Money {
        amount: refund.amount,
        currency: campaign.currency,
    };
    let key = EffectKey {
        account: refund.account,
        object: movement.object_id.clone(),
        effect: "refund_debited",
        seq: String::new(),
    };
    let debit = channel == payment::Channel::Bank;
    if debit {
        if world
            .refund_of_movement(&key)
            .is_some_and(|of| of != refund.payment)
        {
            return Err(Refusal::field("object_id", "the refund of another payment").into());
        }
        if let Some(answer) = payment::recorded_before(world, &key, amount)? {
            return Ok(answer);
        }
    }
    let settled = refund.moved(RefundEvent::Settle, "it is not on its way")?;
    let mut decision = Decision::of([Put::Refund(settled)]);
    if debit {
        let at = dates(movement.occurred_at, movement.value_date, now);
        let entry = posting::refund_debited(campaign, refund, at)?;
        let claim = payment::claim(world, key, refund.amount, Some(refund.payment));
        decision = decision.also([claim]).posting(entry);
    }
    Ok(decision)
}

/// Records that it came back: 1000, 1100 once debited or 1150 before / 2210\[m\], or 2900 of
/// an unknown payer. Of a payment that was taken back meanwhile it makes the loss smaller.
pub(super) fn fail(
    world: &World,
    id: RefundId,
    code: &str,
    movement: &Movement,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let refund = world.refund(id)?;
    let key = EffectKey {
        account: refund.account,
        object: movement.object_id.clone(),
        effect: "refund_failed",
        seq: String::new(),
    };
    let amount = Money {
        amount: refund.amount,
        currency: campaign.currency,
    };
    if world
        .refund_of_movement(&key)
        .is_some_and(|of| of != refund.payment)
    {
        return Err(Refusal::field("object_id", "the refund of another payment").into());
    }
    if let Some(answer) = payment::recorded_before(world, &key, amount)? {
        return Ok(answer);
    }
    let failed = Refund {
        failure_code: code.to_owned(),
        ..refund.moved(RefundEvent::Fail, "it is not on its way")?
    };
    let payment = world.payment(refund.payment)?;
    let channel = world.channel(refund.account)?;
    let debited = refund.state == RefundState::Settled;
    let at = dates(movement.occurred_at, movement.value_date, now);
    let lost = payment.state == PaymentState::LateFailed;
    let entry = posting::refund_failed(campaign, channel, refund, payment, debited, at)?;
    let refunded = payment.refunded.saturating_sub(refund.amount);
    let (after, failed) = if lost {
        let after = Payment {
            refunded,
            lost: payment.lost.saturating_sub(refund.amount),
            ..payment.clone()
        };
        let nothing_to_send = Refund {
            state: RefundState::Rejected,
            ..failed
        };
        (after, nothing_to_send)
    } else if payment.member.is_some() {
        let after = Payment {
            refunded,
            returned: payment.returned.saturating_add(refund.amount),
            ..payment.clone()
        };
        (after, failed)
    } else {
        let after = Payment {
            refunded,
            unallocated: payment.unallocated.saturating_add(refund.amount),
            reserved: payment.reserved.saturating_add(refund.amount),
            ..payment.clone()
        };
        (after, failed)
    };
    let claim = payment::claim(world, key, refund.amount, Some(payment.id));
    Ok(Decision::of([Put::Refund(failed), Put::Payment(after), claim]).posting(entry))
}

/// Sends what came back again, from this account: the same way, or by bank.
pub(super) fn send_again(
    world: &World,
    id: RefundId,
    account: MoneyAccountId,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    if campaign.stage == Stage::Suspended {
        return Err(campaign.refuse("nothing goes out").into());
    }
    world.channel(account)?;
    let refund = world.refund(id)?;
    let again = Refund {
        account,
        attempt: refund.attempt.saturating_add(1),
        object_id: String::new(),
        ..refund.moved(RefundEvent::SendAgain, "only what came back is sent again")?
    };
    Ok(Decision::of([Put::Refund(again)]))
}

/// Keeps what came back as owed, while nobody is found to take it.
pub(super) fn give_up(world: &World, id: RefundId, reason: &str) -> Result<Decision, Rejection> {
    world.campaign()?;
    let unclaimed = world
        .refund(id)?
        .moved(RefundEvent::GiveUp, "only what came back can be unclaimed")?;
    Ok(Decision::of([Put::Refund(unclaimed)]).because(reason))
}

/// The refunds that can no longer be sent, since their payment was taken back.
pub(super) fn given_up(world: &World, payment: PaymentId) -> Vec<Put> {
    let of_it = world
        .refunds
        .values()
        .filter(|refund| refund.payment == payment);
    let given_up = of_it.filter_map(|refund| {
        let state = refund.state.next(RefundEvent::LosePayment)?;
        Some(Put::Refund(Refund {
            state,
            ..refund.clone()
        }))
    });
    given_up.collect()
}

/// What a refund run does with one payment: what is application money becomes refundable
/// where the offer is over, its fee is charged to the member or expensed as the terms say,
/// and the rest is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What is sent.
    pub amount: Amount,
    /// What its member bears of the fees.
    pub charge: Amount,
}

/// What a refund run would send of a payment now.
#[must_use]
pub fn plan(campaign: &Campaign, payment: &Payment) -> Planned {
    let mut whole = payment.free();
    if campaign.stage != Stage::Refunding {
        whole = whole.saturating_sub(payment.allottable());
    }
    let charge = charge(campaign, payment).min(whole);
    Planned {
        amount: whole.saturating_sub(charge),
        charge,
    }
}

/// What a payment's member bears of its fee: the deferred fee of an offer that is over,
/// where the terms disclosed it.
fn charge(campaign: &Campaign, payment: &Payment) -> Amount {
    let disclosed = campaign.terms.fee_bearer == FeeBearer::MembersDisclosed;
    if disclosed && campaign.stage == Stage::Refunding && payment.member.is_some() {
        payment.fee_deferred
    } else {
        Amount::ZERO
    }
}

/// Works one item of a refund run. Refuses when the payment is not what it was when the
/// run was planned.
pub(super) fn send_back(
    world: &World,
    payment: PaymentId,
    planned: &Planned,
    id: RefundId,
    run: RunId,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let payment = world.payment(payment)?;
    if payment.flagged {
        return Err(payment.refuse("a dispute of it is announced"));
    }
    let due = plan(campaign, payment);
    let whole = due.amount.saturating_add(due.charge);
    if (due.amount, due.charge) != (planned.amount, planned.charge) || !whole.is_positive() {
        return Err(payment.refuse("its money has moved since the run was planned"));
    }
    let over = campaign.stage == Stage::Refunding;
    let used = Used {
        payment: payment.clone(),
        shares: Amount::ZERO,
        released: if over {
            payment.allottable()
        } else {
            Amount::ZERO
        },
    };
    // While the offer goes on, what stays of the payment keeps its fee deferred.
    let released = if over {
        used.after_charge(due.charge)
    } else {
        payment.clone()
    };
    let after = Payment {
        reserved: released.reserved.saturating_add(due.amount),
        ..released
    };
    let refund = due.amount.is_positive().then(|| Refund {
        id,
        payment: payment.id,
        member: payment.member,
        amount: due.amount,
        state: RefundState::Approved,
        account: payment.account,
        attempt: 1,
        object_id: String::new(),
        failure_code: String::new(),
        run: Some(run),
        requested_by: format!("run:{run}"),
        requested_at: now,
    });
    let mut decision = Decision::of([Put::Payment(after)]).also(refund.map(Put::Refund));
    if let Some(pledge) = payment.pledge.filter(|_| used.released.is_positive()) {
        let pledge = world.pledge(pledge)?;
        let less = super::pledge::Pledge {
            paid: pledge.paid.saturating_sub(used.released),
            ..pledge.clone()
        };
        // Its other payments go back too: it is over with the first of them.
        let lapsed = less.lapsed();
        decision = decision.postings(posting::promise_released(campaign, pledge, &lapsed, now)?);
        decision = decision.also([Put::Pledge(lapsed)]);
    }
    let used = [used];
    decision = decision.postings(posting::released(campaign, &used, now)?);
    decision = if due.charge.is_positive() {
        decision.posting(posting::fee_charged(campaign, payment, due.charge, now)?)
    } else {
        decision
    };
    if over {
        let costs = posting::costs_after_charge(campaign, payment, due.charge, now)?;
        decision = decision.postings(costs);
    }
    Ok(decision)
}
