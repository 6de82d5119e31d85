//! What a refund run does with one payment.

use time::OffsetDateTime;

use super::{Refund, RefundState};
use crate::{
    domain::{
        Decision, Put, Rejection, World,
        campaign::{Campaign, FeeBearer, Stage},
        payment::Payment,
        pledge::Pledge,
        posting::{self, Used},
    },
    id::{PaymentId, RefundId, RunId},
    money::Amount,
};

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

/// What a payment's member still bears of its fee, deferred or expensed already: of an
/// offer that came to nothing, where the terms disclosed it.
fn charge(campaign: &Campaign, payment: &Payment) -> Amount {
    let disclosed = campaign.terms.fee_bearer == FeeBearer::MembersDisclosed;
    if disclosed && campaign.stage == Stage::Refunding && payment.member.is_some() {
        payment.fee.saturating_sub(payment.charged)
    } else {
        Amount::ZERO
    }
}

/// Works one item of a refund run. Refuses when the payment is not what it was when the
/// run was planned.
pub(in crate::domain) fn send_back(
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
        let less = Pledge {
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
