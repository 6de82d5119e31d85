//! One member's money into shares, and back.
//!
//! A member's payments are used oldest first, and what each gave is recorded with it, so
//! that every line of the money names its payment. Where a share is paid by two payments,
//! its nominal value and its premium are divided between them by the running total, which
//! loses nothing.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{Lot, ShareClass};
use crate::{
    domain::{
        Decision, Put, Refusal, Rejection, World,
        campaign::Stage,
        payment::{Payment, PaymentState},
        pledge::Pledge,
        posting::{self, Used},
    },
    id::{MemberId, PledgeId, ShareClassId},
    money::Amount,
};

/// The payments of a member whose money may become shares of a class, oldest first.
pub(in crate::domain) fn payments_for(
    world: &World,
    member: MemberId,
    class: Option<ShareClassId>,
) -> Vec<&Payment> {
    let mut payments: Vec<&Payment> = world
        .payments
        .values()
        .filter(|payment| {
            payment.member == Some(member)
                && payment.state == PaymentState::Succeeded
                && payment.allottable().is_positive()
                && world.class_of(payment) == class
        })
        .collect();
    payments.sort_by_key(|payment| (payment.entry, payment.id));
    payments
}

/// Turns `units` shares' worth of a member's money into shares. With `release` what is
/// left of those payments becomes refundable and their pledges end: that is a run. Without
/// it what is left stays as it is.
///
/// # Errors
/// [`Refusal`] when the money does not reach, or the shares do not.
pub(in crate::domain) fn allot(
    world: &World,
    member: MemberId,
    class: Option<&ShareClass>,
    units: i64,
    release: bool,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let payments = payments_for(world, member, class.map(|class| class.id));
    let cost = class.map_or(Ok(Amount::ZERO), |class| class.cost(units))?;
    let mut left = cost;
    let mut used = Vec::new();
    for payment in payments {
        let shares = payment.allottable().min(left);
        left = left.saturating_sub(shares);
        let released = if release {
            payment.allottable().saturating_sub(shares)
        } else {
            Amount::ZERO
        };
        if shares.is_positive() || released.is_positive() {
            used.push(Used {
                payment: payment.clone(),
                shares,
                released,
            });
        }
    }
    if left.is_positive() {
        return Err(Refusal::NotEnoughHeld {
            missing: format!("{} {}", campaign.currency, left.display(campaign.currency)),
        }
        .into());
    }
    let pledges = pledges_after(world, &used)?;
    let mut decision = Decision::default();
    if let Some(class) = class.filter(|_| units > 0) {
        if units > world.unissued(class.id) {
            return Err(Refusal::NotEnoughShares {
                left: world.unissued(class.id),
            }
            .into());
        }
        let entry = posting::allotment(campaign, member, class, units, &used, &pledges, now)?;
        let lot = Lot {
            certificate: world.tally.certificates + 1,
            member,
            share_class: class.id,
            units,
            cancelled: 0,
            entry: world.next_entry(),
            allotted_at: now,
        };
        decision = decision.also([Put::Lot(lot)]).posting(entry);
    } else {
        // Nothing becomes a share: the promises are let go with the money.
        decision = decision.postings(posting::lapse(campaign, &pledges, now)?);
    }
    decision = decision.postings(posting::released(campaign, &used, now)?);
    decision = decision.postings(posting::costs_of_issue(campaign, &used, now)?);
    let payments = used.into_iter().map(|used| Put::Payment(used.after()));
    let pledges = pledges.into_values().map(|(_, after)| Put::Pledge(after));
    Ok(decision.also(payments).also(pledges))
}

/// The pledges of these payments that change, before and after: each ends when nothing
/// that may still become shares is left on it.
fn pledges_after<'a>(
    world: &'a World,
    used: &[Used],
) -> Result<BTreeMap<PledgeId, (&'a Pledge, Pledge)>, Refusal> {
    let mut pledges: BTreeMap<PledgeId, (&Pledge, Pledge)> = BTreeMap::new();
    let mut left: BTreeMap<PledgeId, Amount> = BTreeMap::new();
    for part in used {
        let Some(id) = part.payment.pledge else {
            continue;
        };
        let before = world.pledge(id)?;
        let (_, after) = pledges
            .entry(id)
            .or_insert_with(|| (before, before.clone()));
        after.paid = after.paid.saturating_sub(part.released);
        let left = left.entry(id).or_insert_with(|| world.allottable_on(id));
        *left = left
            .saturating_sub(part.shares)
            .saturating_sub(part.released);
    }
    for (id, (_, after)) in &mut pledges {
        if left.get(id).is_some_and(|left| left.is_zero()) {
            *after = after.ended();
        }
    }
    pledges.retain(|_, (before, after)| *before != after);
    Ok(pledges)
}

/// Shares for a member whose money is held, beside any run.
pub(in crate::domain) fn purchase(
    world: &World,
    member: MemberId,
    class: ShareClassId,
    units: i64,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    if campaign.stage != Stage::Acquired {
        return Err(campaign
            .refuse("shares are allotted once the purchase is made")
            .into());
    }
    if world.open_allotment {
        return Err(Refusal::RunInTheWay.into());
    }
    let member = world.member(member)?.id;
    let class = campaign
        .share_class(class)
        .ok_or_else(|| Refusal::not_found("the share class"))?;
    if units < 1 {
        return Err(Refusal::field("units", "at least one share").into());
    }
    let held = world.shares_held(member, class.id);
    let after = held.saturating_add(units);
    if after < class.minimum_per_member {
        return Err(Refusal::BelowMemberMinimum {
            minimum: format!(
                "{} shares of {}",
                class.minimum_per_member, class.display_name
            ),
        }
        .into());
    }
    if class.maximum_per_member > 0 && after > class.maximum_per_member {
        return Err(Refusal::AboveMemberMaximum {
            maximum: format!(
                "{} shares of {}",
                class.maximum_per_member, class.display_name
            ),
        }
        .into());
    }
    allot(world, member, Some(class), units, false, now)
}

/// Shares that go back with the money that paid them.
pub(in crate::domain) struct TakenBack {
    pub(in crate::domain) class: ShareClass,
    pub(in crate::domain) units: i64,
    pub(in crate::domain) money: Amount,
    /// The lots without them, the latest first.
    pub(in crate::domain) lots: Vec<Lot>,
}

/// The whole shares that a payment paid and its member still holds.
pub(in crate::domain) fn taken_back(world: &World, payment: &Payment) -> Option<TakenBack> {
    let member = payment.member?;
    let campaign = world.campaign.as_ref()?;
    let class = campaign.share_class(world.class_of(payment)?)?;
    let held = world.shares_held(member, class.id);
    let units = class.affords(payment.allotted).min(held);
    let money = class.cost(units).ok()?;
    let mut left = units;
    let mut lots = Vec::new();
    let of_class = |lot: &&Lot| lot.member == member && lot.share_class == class.id;
    for lot in world.lots.values().rev().filter(of_class) {
        let cancelled = lot.standing().min(left);
        if cancelled == 0 {
            continue;
        }
        left -= cancelled;
        lots.push(Lot {
            cancelled: lot.cancelled + cancelled,
            ..lot.clone()
        });
    }
    (units > 0 && left == 0).then(|| TakenBack {
        class: class.clone(),
        units,
        money,
        lots,
    })
}
