//! What a bridge and the bank tell of a refund, and sending it again.

use time::OffsetDateTime;

use super::{Movement, Refund, RefundEvent, RefundState};
use crate::{
    domain::{
        Decision, EffectKey, Money, Put, Refusal, Rejection, World,
        campaign::Stage,
        payment::{self, Channel, Payment, PaymentState, dates},
        posting,
    },
    id::{MoneyAccountId, PaymentId, RefundId},
    ledger::Code,
    money::Amount,
};

/// The claim of a movement that a refund's bridge or bank tells of, and its answer when it
/// was told before.
fn told(
    world: &World,
    refund: &Refund,
    movement: &Movement,
    effect: &'static str,
) -> Result<(EffectKey, Option<Decision>), Rejection> {
    let key = EffectKey {
        account: refund.account,
        object: movement.object_id.clone(),
        effect,
        seq: String::new(),
    };
    let of_another = world
        .refund_of_movement(&key)
        .is_some_and(|payment| payment != refund.payment);
    if of_another {
        return Err(Refusal::field("object_id", "the refund of another payment").into());
    }
    let amount = Money {
        amount: refund.amount,
        currency: world.campaign()?.currency,
    };
    let answer = payment::recorded_before(world, &key, amount)?;
    Ok((key, answer))
}

/// Records that a bridge has sent it: 2200\[m\], 2210\[m\] when sent again or 2900 of an
/// unknown payer / 1000, or 1150 from a bank.
pub(in crate::domain) fn submit(
    world: &World,
    id: RefundId,
    movement: &Movement,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let refund = world.refund(id)?;
    let (key, answer) = told(world, refund, movement, "refund")?;
    if let Some(answer) = answer {
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
pub(in crate::domain) fn settle(
    world: &World,
    id: RefundId,
    movement: &Movement,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let refund = world.refund(id)?;
    let settle = || refund.moved(RefundEvent::Settle, "it is not on its way");
    match world.channel(refund.account)? {
        Channel::Provider => Ok(Decision::of([Put::Refund(settle()?)])),
        Channel::Bank => {
            let (key, answer) = told(world, refund, movement, "refund_debited")?;
            if let Some(answer) = answer {
                return Ok(answer);
            }
            let at = dates(movement.occurred_at, movement.value_date, now);
            let entry = posting::refund_debited(campaign, refund, at)?;
            let claim = payment::claim(world, key, refund.amount, Some(refund.payment));
            Ok(Decision::of([Put::Refund(settle()?), claim]).posting(entry))
        }
    }
}

/// Records that it came back: 1000, 1100 once debited or 1150 before / 2210\[m\], or 2900 of
/// an unknown payer. Of a payment that was taken back meanwhile it makes the loss smaller.
pub(in crate::domain) fn fail(
    world: &World,
    id: RefundId,
    code: &str,
    movement: &Movement,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let refund = world.refund(id)?;
    let (key, answer) = told(world, refund, movement, "refund_failed")?;
    if let Some(answer) = answer {
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
pub(in crate::domain) fn send_again(
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
pub(in crate::domain) fn give_up(
    world: &World,
    id: RefundId,
    reason: &str,
) -> Result<Decision, Rejection> {
    world.campaign()?;
    let unclaimed = world
        .refund(id)?
        .moved(RefundEvent::GiveUp, "only what came back can be unclaimed")?;
    Ok(Decision::of([Put::Refund(unclaimed)]).because(reason))
}

/// The refunds that can no longer be sent, since their payment was taken back.
pub(in crate::domain) fn given_up(world: &World, payment: PaymentId) -> Vec<Put> {
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
