//! Asking for a refund, agreeing to it, and turning it down.

use time::OffsetDateTime;

use super::{Refund, RefundEvent, RefundState};
use crate::{
    domain::{
        Decision, Money, Put, Refusal, Rejection, World,
        campaign::Stage,
        payment::{Payment, PaymentState},
        posting::{self, Used},
    },
    id::{PaymentId, RefundId},
    money::Amount,
};

/// Asks for a refund of what is free of a payment; all of it when no amount is said.
pub(in crate::domain) fn request(
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
pub(in crate::domain) fn approve(
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
pub(in crate::domain) fn reject(
    world: &World,
    id: RefundId,
    reason: &str,
) -> Result<Decision, Rejection> {
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
