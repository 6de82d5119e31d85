//! How a campaign ends: what each of the later steps asks for, and the two that are
//! decided by numbers rather than by whoever asks.

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use super::{Campaign, Stage, StageEvent};
use crate::{
    domain::{
        Decision, EffectKey, Money, Put, Refusal, Rejection, World,
        payment::{self, Channel, dates},
        posting,
    },
    id::MoneyAccountId,
    ledger::Code,
    money::Amount,
};

/// What has cleared: application money that can no longer be taken back in the
/// ordinary course, by the terms' clearing days (domain.md §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// How much.
    pub amount: Amount,
    /// Of how many members.
    pub members: i64,
}

/// The purchase of what the campaign is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purchase {
    /// What it costs altogether.
    pub price: Money,
    /// What the bank has paid now; nothing when the rest stays owed.
    pub paid: Option<Paid>,
    /// When, by the bank's clock.
    pub occurred_at: Option<OffsetDateTime>,
    /// The day on which it counts.
    pub value_date: Option<Date>,
    /// Why, for example the resolution.
    pub reason: String,
}

/// Money that left a bank account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paid {
    /// From which account.
    pub account: MoneyAccountId,
    /// The bank's id of the movement.
    pub object_id: String,
    /// How much.
    pub amount: Money,
}

/// What a step asks for beside its stage.
pub(super) fn must_allow(
    world: &World,
    event: StageEvent,
    now: OffsetDateTime,
) -> Result<(), Refusal> {
    let campaign = world.campaign()?;
    let tally = &world.tally;
    let nothing_left = |amount: Amount, problem: &str| match amount.is_zero() {
        true => Ok(()),
        false => Err(campaign.refuse(problem)),
    };
    match event {
        StageEvent::Close
            if campaign.terms.deadline > now && tally.held < campaign.terms.target =>
        {
            Err(campaign.refuse("its deadline lies ahead, and its target is not reached"))
        }
        StageEvent::FinishAllotment => nothing_left(
            tally.held,
            "application money is left that is neither shares nor refundable",
        ),
        StageEvent::FinishRefunding | StageEvent::Archive => {
            nothing_left(tally.held, "application money is left")?;
            nothing_left(tally.refundable, "refunds are left to be sent")?;
            nothing_left(tally.unallocated, "unallocated receipts are left")?;
            let promised = world.own_balance(Code::CommitmentsContra);
            nothing_left(promised, "promises are left that have run out")
        }
        StageEvent::StartGathering
        | StageEvent::StartPledging
        | StageEvent::Open
        | StageEvent::Close
        | StageEvent::Succeed
        | StageEvent::Fail
        | StageEvent::StartCompleting
        | StageEvent::Acquire
        | StageEvent::LoseAcquisition
        | StageEvent::Cancel
        | StageEvent::StartRefunding => Ok(()),
    }
}

/// The campaign with another stage.
fn in_stage(world: &World, campaign: &Campaign, stage: Stage) -> Campaign {
    Campaign {
        stage,
        suspended_from: None,
        changed_by: world.next_change(),
        ..campaign.clone()
    }
}

/// Success or failure, as the cleared money says: success with the minimum and the
/// headcount cleared; failure when what is held, cleared or not, no longer reaches
/// them; neither while what would decide it is still clearing.
pub(in crate::domain) fn conclude(world: &World, reason: &str) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let terms = &campaign.terms;
    let headcount = i64::from(terms.minimum_members);
    let success = campaign.stage.next(StageEvent::Succeed);
    let failure = campaign.stage.next(StageEvent::Fail);
    let (Some(success), Some(failure)) = (success, failure) else {
        return Err(campaign
            .refuse("only a closing campaign is concluded")
            .into());
    };
    let cleared = world.cleared.ok_or(Rejection::Again)?;
    let stage = if cleared.amount >= terms.minimum && cleared.members >= headcount {
        success
    } else if world.tally.held < terms.minimum || world.tally.paying_members < headcount {
        failure
    } else {
        return Err(campaign
            .refuse("money that decides between success and failure is still clearing")
            .into());
    };
    Ok(Decision::of([Put::Campaign(in_stage(world, campaign, stage))]).because(reason))
}

/// Stops a campaign for a while, or lets it go on where it was. Money that arrives
/// meanwhile is held as it would have been; nothing goes out.
pub(in crate::domain) fn suspend(
    world: &World,
    resume: bool,
    reason: &str,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let moved = match (resume, campaign.suspended_from) {
        (true, Some(stage)) => in_stage(world, campaign, stage),
        (true, None) => return Err(campaign.refuse("it is not suspended").into()),
        (false, None) if campaign.stage.is_active() => Campaign {
            suspended_from: Some(campaign.stage),
            ..in_stage(world, campaign, Stage::Suspended)
        },
        (false, _) => {
            return Err(campaign
                .refuse("nothing goes on that could be suspended")
                .into());
        }
    };
    Ok(Decision::of([Put::Campaign(moved)]).because(reason))
}

/// The purchase: 1450 T / 1400 the deposit, 1100 what is paid now, 2400 the rest.
pub(in crate::domain) fn complete_purchase(
    world: &World,
    purchase: &Purchase,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    campaign.must_be(purchase.price.currency)?;
    let price = purchase.price.amount;
    let paid = purchase.paid.as_ref();
    let key = paid.map(|paid| EffectKey {
        account: paid.account,
        object: paid.object_id.clone(),
        effect: "purchase",
        seq: String::new(),
    });
    if let (Some(key), Some(paid)) = (&key, paid)
        && let Some(answer) = payment::recorded_before(world, key, paid.amount)?
    {
        return Ok(answer);
    }
    let stage = campaign
        .stage
        .next(StageEvent::Acquire)
        .ok_or_else(|| campaign.refuse("its purchase is not under way"))?;
    if !price.is_positive() {
        return Err(Refusal::field("price", "more than nothing was bought").into());
    }
    if let Some(paid) = paid {
        campaign.must_be(paid.amount.currency)?;
        world.money_account(paid.account, Channel::Bank)?;
        if !paid.amount.amount.is_positive() {
            return Err(Refusal::field("paid", "more than nothing was paid").into());
        }
    }
    let paid_now = paid.map_or(Amount::ZERO, |paid| paid.amount.amount);
    let deposit = world.own_balance(Code::SellerDeposit);
    let owed = price.saturating_sub(deposit).saturating_sub(paid_now);
    if owed < Amount::ZERO {
        return Err(Refusal::field("price", "less than the deposit and what is paid now").into());
    }
    let at = dates(purchase.occurred_at, purchase.value_date, now);
    let bank = paid.map(|paid| (paid.account, paid_now));
    let entry = posting::purchase(campaign, price, deposit, bank, owed, at)?;
    let claim = key.map(|key| payment::claim(world, key, paid_now, None));
    Ok(
        Decision::of([Put::Campaign(in_stage(world, campaign, stage))])
            .also(claim)
            .posting(entry)
            .because(&purchase.reason),
    )
}
