//! Charges that fail before or after they succeeded, and where the money of the latter
//! comes from.

use time::{Date, OffsetDateTime};

use super::{Channel, Method, Payment, PaymentEvent, PaymentState, claim, dates, payer};
use crate::{
    domain::{
        Decision, EffectKey, Money, Payer, Put, Refusal, Rejection, World,
        posting::{self, Split},
        refund, share,
    },
    id::{MoneyAccountId, PaymentId, PledgeId},
    money::Amount,
};

/// A failure to record, as its caller gave it.
pub(in crate::domain) struct Failure<'a> {
    pub(in crate::domain) new_id: PaymentId,
    pub(in crate::domain) account: MoneyAccountId,
    pub(in crate::domain) object_id: &'a str,
    pub(in crate::domain) code: &'a str,
    pub(in crate::domain) gross: Option<Money>,
    pub(in crate::domain) pledge: Option<PledgeId>,
    pub(in crate::domain) occurred_at: Option<OffsetDateTime>,
    pub(in crate::domain) value_date: Option<Date>,
}

impl Failure<'_> {
    fn key(&self, effect: &'static str, seq: String) -> EffectKey {
        EffectKey {
            account: self.account,
            object: self.object_id.to_owned(),
            effect,
            seq,
        }
    }
}

pub(in crate::domain) fn record_failure(
    world: &World,
    failure: &Failure<'_>,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    campaign.must_have_opened()?;
    let account = world.money_account(failure.account, Channel::Provider)?;
    if let Some(gross) = failure.gross {
        campaign.must_be(gross.currency)?;
    }
    let early = failure.key("failure", String::new());
    let told_before = world
        .effects
        .get(&early)
        .map(|effect| Decision::same_as(effect.change));
    match world.payment_of_object(account.id, failure.object_id) {
        None => failed_at_once(world, failure, early, now),
        Some(payment) => match payment.state {
            PaymentState::Failed => {
                told_before.ok_or_else(|| payment.refuse("it has failed already"))
            }
            PaymentState::Succeeded => {
                // News of the attempt that failed before this one succeeded says nothing new.
                let stale = failure
                    .occurred_at
                    .is_some_and(|at| at < payment.occurred_at);
                match told_before {
                    Some(answer) if stale => Ok(answer),
                    // Unheard of until now, it still cannot take back what came after it.
                    None if stale => Err(payment.refuse("the charge has succeeded since")),
                    _ => failed_late(world, failure, payment, now),
                }
            }
            PaymentState::LateFailed => {
                let late = failure.key("late_failure", payment.entry.to_string());
                let effect = world.effects.get(&late);
                effect
                    .map(|effect| Decision::same_as(effect.change))
                    .ok_or_else(|| payment.refuse("it has failed already"))
            }
            PaymentState::Reversed => Err(payment.refuse("its entry was reversed as a mistake")),
        },
    }
}

fn failed_at_once(
    world: &World,
    failure: &Failure<'_>,
    key: EffectKey,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let gross = failure
        .gross
        .filter(|gross| gross.amount.is_positive())
        .ok_or_else(|| Refusal::field("gross", "needed for a charge that never succeeded"))?;
    let (member, pledge) = payer(
        world,
        failure.pledge.map_or(Payer::Unknown, Payer::Pledge),
        false,
    )?;
    let (occurred_at, value_date) = dates(failure.occurred_at, failure.value_date, now);
    let payment = Payment {
        id: failure.new_id,
        account: failure.account,
        object_id: failure.object_id.to_owned(),
        state: PaymentState::Failed,
        method: Method::Card,
        gross: gross.amount,
        held: Amount::ZERO,
        refundable: Amount::ZERO,
        unallocated: Amount::ZERO,
        fee: Amount::ZERO,
        fee_known: false,
        fee_deferred: Amount::ZERO,
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
        available_on: value_date,
        failure_code: failure.code.to_owned(),
        entry: 0,
    };
    let claim = claim(world, key, gross.amount, Some(payment.id));
    let errored = pledge
        .map(|pledge| world.pledge(pledge))
        .transpose()?
        .filter(|pledge| pledge.state.is_live())
        .map(|pledge| Put::Pledge(pledge.after_failed_charge(now)));
    Ok(Decision::of([Put::Payment(payment), claim]).also(errored))
}

/// The money goes back: split(D) of domain.md §4, with D the whole payment.
fn failed_late(
    world: &World,
    failure: &Failure<'_>,
    payment: &Payment,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    // Each capture can fail late once: a corrected one again.
    let key = failure.key("late_failure", payment.entry.to_string());
    if let Some(effect) = world.effects.get(&key) {
        return Ok(Decision::same_as(effect.change));
    }
    let state = payment
        .state
        .next(PaymentEvent::Fail)
        .ok_or_else(|| payment.refuse("it cannot fail"))?;
    if let Some(gross) = failure.gross.filter(|gross| gross.amount != payment.gross) {
        let recorded = Money {
            amount: payment.gross,
            ..gross
        };
        return Err(Refusal::MovementDiffers {
            recorded: recorded.to_string(),
            given: gross.to_string(),
        }
        .into());
    }
    let (occurred_at, value_date) = dates(failure.occurred_at, failure.value_date, now);
    let pledge = payment
        .pledge
        .map(|pledge| world.pledge(pledge))
        .transpose()?;
    let taken_back = share::taken_back(world, payment);
    let allotted = payment
        .allotted
        .saturating_sub(taken_back.as_ref().map_or(Amount::ZERO, |b| b.money));
    let split = Split {
        shares: taken_back
            .as_ref()
            .map(|back| (back.class.clone(), back.units)),
        lost: allotted
            .saturating_add(payment.refunded)
            .saturating_add(payment.charged),
        // What is paid on a pledge is what its payments hold or have turned into shares.
        unpaid: payment
            .held
            .saturating_add(payment.allotted)
            .saturating_sub(allotted),
    };
    let entry = posting::late_failure(
        campaign,
        Channel::Provider,
        payment,
        &split,
        pledge,
        (occurred_at, value_date),
    )?;
    let failed = Payment {
        failure_code: failure.code.to_owned(),
        fee_deferred: Amount::ZERO,
        allotted,
        lost: split.lost,
        ..payment.emptied(state)
    };
    let claim = claim(world, key, payment.gross, Some(payment.id));
    let unpaid = pledge.filter(|_| split.unpaid.is_positive());
    let unpaid = unpaid.map(|pledge| {
        let unpaid = pledge.with_paid(pledge.paid.saturating_sub(split.unpaid));
        Put::Pledge(unpaid.after_failed_charge(now))
    });
    let lots = taken_back
        .into_iter()
        .flat_map(|back| back.lots)
        .map(Put::Lot);
    let refunds = refund::given_up(world, payment.id);
    let mut decision = Decision::of([Put::Payment(failed), claim])
        .also(unpaid)
        .also(lots)
        .also(refunds)
        .posting(entry);
    if payment.fee_deferred.is_positive() {
        let expensed = posting::fee_expensed(campaign, payment, occurred_at, value_date)?;
        decision = decision.posting(expensed);
    }
    Ok(decision)
}
