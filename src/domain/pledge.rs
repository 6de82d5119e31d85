//! Pledges: promises, in the memo book.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{
    Decision, Promise, Put, Refusal, Rejection, World,
    campaign::{Campaign, words},
    member::{self, Member},
    posting,
    share::ShareClass,
};
use crate::{
    id::{MemberId, PledgeId, ShareClassId},
    ledger::{Code, Event},
    money::Amount,
};

/// How long a failed charge may be retried before its pledge is dropped
/// (domain.md §2; the retry week that Kickstarter gives).
pub const RETRY_PERIOD: Duration = Duration::days(7);

/// The most pledges that one call expires: a command touches a bounded number of rows.
pub const EXPIRE_AT_MOST: i64 = 500;

words! {
    /// Where a pledge is in its life.
    PledgeState {
        /// Promised, nothing paid.
        Committed = "committed",
        /// Partly paid.
        PartPaid = "part_paid",
        /// Paid in full.
        Paid = "paid",
        /// Cancelled by the member.
        Cancelled = "cancelled",
        /// Ran out before it was paid in full.
        Expired = "expired",
        /// A charge failed; may be retried.
        Errored = "errored",
        /// The retries ran out.
        Dropped = "dropped",
        /// Its member took back what was paid.
        Withdrawn = "withdrawn",
        /// The offer ended, and what was paid became refundable.
        Lapsed = "lapsed",
        /// A part of what was promised became shares, and the rest never will.
        PartAllotted = "part_allotted",
        /// All that was promised became shares.
        Allotted = "allotted",
    }
}

/// What happens to a pledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PledgeEvent {
    /// What is promised or paid has changed; it is now paid not at all, in part, in full.
    Paid(Extent),
    /// A charge failed.
    ChargeFailed,
    /// Cancelled by the member.
    Cancel,
    /// Its deadline passed.
    Expire,
    /// Its retries ran out.
    Drop,
    /// Its member takes back all that was paid.
    Withdraw,
    /// The offer is over: what is paid on it now, nothing, a part or all, is shares.
    End(Extent),
}

/// How much of a promise is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Nothing.
    Nothing,
    /// Less than is promised.
    Part,
    /// All.
    Full,
}

impl PledgeState {
    /// The state after an event; nothing when the event is not allowed here.
    #[must_use]
    pub const fn next(self, event: PledgeEvent) -> Option<Self> {
        use PledgeEvent as E;
        match (self, event) {
            (Self::Committed | Self::PartPaid | Self::Paid, E::Paid(Extent::Nothing)) => {
                Some(Self::Committed)
            }
            // Amending an errored promise does not make its charge succeed.
            (Self::Errored, E::Paid(Extent::Nothing)) => Some(Self::Errored),
            (
                Self::Committed | Self::PartPaid | Self::Paid | Self::Errored,
                E::Paid(Extent::Part),
            ) => Some(Self::PartPaid),
            (
                Self::Committed | Self::PartPaid | Self::Paid | Self::Errored,
                E::Paid(Extent::Full),
            ) => Some(Self::Paid),
            (Self::Committed | Self::Errored, E::ChargeFailed) => Some(Self::Errored),
            // What is paid stays paid; the failure is noted beside the state.
            (Self::PartPaid, E::ChargeFailed) => Some(Self::PartPaid),
            (Self::Committed | Self::Errored, E::Cancel) => Some(Self::Cancelled),
            (Self::Committed | Self::PartPaid | Self::Errored, E::Expire) => Some(Self::Expired),
            (Self::Errored, E::Drop) => Some(Self::Dropped),
            (Self::PartPaid | Self::Paid, E::Withdraw) => Some(Self::Withdrawn),
            (
                Self::Committed
                | Self::PartPaid
                | Self::Paid
                | Self::Errored
                | Self::Lapsed
                | Self::PartAllotted
                | Self::Allotted,
                E::End(extent),
            ) => Some(match extent {
                Extent::Nothing => Self::Lapsed,
                Extent::Part => Self::PartAllotted,
                Extent::Full => Self::Allotted,
            }),
            (Self::Paid, E::ChargeFailed | E::Cancel | E::Expire | E::Drop)
            | (Self::PartPaid, E::Cancel | E::Drop)
            | (Self::Committed, E::Drop | E::Withdraw)
            | (Self::Errored, E::Withdraw)
            | (
                Self::Lapsed | Self::PartAllotted | Self::Allotted,
                E::Paid(_) | E::ChargeFailed | E::Cancel | E::Expire | E::Drop | E::Withdraw,
            )
            | (
                Self::Cancelled | Self::Expired | Self::Dropped | Self::Withdrawn,
                E::Paid(_)
                | E::ChargeFailed
                | E::Cancel
                | E::Expire
                | E::Drop
                | E::Withdraw
                | E::End(_),
            ) => None,
        }
    }

    /// True while something may still be paid on it, or all is paid.
    #[must_use]
    pub const fn is_live(self) -> bool {
        match self {
            Self::Committed | Self::PartPaid | Self::Paid | Self::Errored => true,
            Self::Cancelled
            | Self::Expired
            | Self::Dropped
            | Self::Withdrawn
            | Self::Lapsed
            | Self::PartAllotted
            | Self::Allotted => false,
        }
    }

    /// True while it is live, and once it has become shares: it counts for its member.
    #[must_use]
    pub const fn stands(self) -> bool {
        self.is_live() || matches!(self, Self::PartAllotted | Self::Allotted)
    }
}

/// A promise to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pledge {
    /// Its id.
    pub id: PledgeId,
    /// Whose promise.
    pub member: MemberId,
    /// Where it is in its life.
    pub state: PledgeState,
    /// What is promised.
    pub amount: Amount,
    /// What is paid on it and held.
    pub paid: Amount,
    /// Of which class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_class: Option<ShareClassId>,
    /// Promised shares, 0 when an amount is promised.
    pub units: i64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it runs out.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// When a charge last failed, while none has succeeded since.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub errored_at: Option<OffsetDateTime>,
    /// The terms it was made under.
    pub terms_version: i32,
}

impl Pledge {
    /// What is promised and unpaid: zero once it is closed.
    #[must_use]
    pub const fn outstanding(&self) -> Amount {
        if self.state.is_live() {
            self.amount.saturating_sub(self.paid)
        } else {
            Amount::ZERO
        }
    }

    fn extent(&self) -> Extent {
        if self.paid.is_zero() {
            Extent::Nothing
        } else if self.paid < self.amount {
            Extent::Part
        } else {
            Extent::Full
        }
    }

    /// The pledge with another amount paid; a closed one keeps its state.
    pub(super) fn with_paid(&self, paid: Amount) -> Self {
        let mut pledge = Self {
            paid,
            ..self.clone()
        };
        if paid > self.paid {
            pledge.errored_at = None;
        }
        if let Some(state) = self.state.next(PledgeEvent::Paid(pledge.extent())) {
            pledge.state = state;
        }
        pledge
    }

    /// The pledge once the offer is over for it; one that was closed before keeps its state.
    pub(super) fn ended(&self) -> Self {
        let state = self.state.next(PledgeEvent::End(self.extent()));
        Self {
            state: state.unwrap_or(self.state),
            ..self.clone()
        }
    }

    /// The pledge once the offer has come to nothing; one that was closed before keeps its
    /// state.
    pub(super) fn lapsed(&self) -> Self {
        let state = self.state.next(PledgeEvent::End(Extent::Nothing));
        Self {
            state: state.unwrap_or(self.state),
            ..self.clone()
        }
    }

    /// The pledge without an amount that its member takes back: lowered by it, and closed
    /// when it was all that was promised.
    pub(super) fn without(&self, amount: Amount) -> Self {
        let paid = self.paid.saturating_sub(amount);
        let lowered = self.amount.saturating_sub(amount);
        match self.state.next(PledgeEvent::Withdraw) {
            Some(state) if !lowered.is_positive() => Self {
                state,
                paid,
                ..self.clone()
            },
            Some(_) => Self {
                amount: lowered,
                // A number of shares that is no longer paid for is an amount from here on.
                units: 0,
                ..self.clone()
            }
            .with_paid(paid),
            None => self.with_paid(paid),
        }
    }

    /// The pledge after a failed charge, where its state takes notice of one.
    pub(super) fn after_failed_charge(&self, now: OffsetDateTime) -> Self {
        match self.state.next(PledgeEvent::ChargeFailed) {
            Some(state) => Self {
                state,
                errored_at: Some(now),
                ..self.clone()
            },
            None => self.clone(),
        }
    }

    fn refuse(&self, problem: &str) -> Rejection {
        Refusal::PledgeState {
            state: self.state,
            problem: problem.to_owned(),
        }
        .into()
    }

    fn moved(&self, event: PledgeEvent, problem: &str) -> Result<Self, Rejection> {
        let state = self.state.next(event).ok_or_else(|| self.refuse(problem))?;
        Ok(Self {
            state,
            ..self.clone()
        })
    }
}

/// What a promise comes to: an amount, and a number of shares or none.
fn worth(
    campaign: &Campaign,
    promise: Promise,
    class: Option<&ShareClass>,
) -> Result<(Amount, i64), Rejection> {
    let (amount, units) = match promise {
        Promise::Amount(money) => {
            campaign.must_be(money.currency)?;
            (money.amount, 0)
        }
        Promise::Units(units) => {
            let class = class.ok_or_else(|| Refusal::ShareClass {
                problem: "a number of shares needs a class".to_owned(),
            })?;
            (class.cost(units)?, units)
        }
    };
    if !amount.is_positive() {
        return Err(Refusal::field("promise", "more than nothing is promised").into());
    }
    if amount > Amount::MAX {
        return Err(Refusal::AmountTooLarge.into());
    }
    if let Some(class) = class {
        let (least, most) = (class.minimum_per_member, class.maximum_per_member);
        if amount < class.cost(least)? {
            return Err(Refusal::BelowMemberMinimum {
                minimum: format!("{least} shares of {}", class.display_name),
            }
            .into());
        }
        if most > 0 && amount > class.cost(most)? {
            return Err(Refusal::AboveMemberMaximum {
                maximum: format!("{most} shares of {}", class.display_name),
            }
            .into());
        }
    }
    Ok((amount, units))
}

/// Refuses what would take a member over the cap, promises and money together.
fn must_fit_the_cap(world: &World, member: &Member, more: Amount) -> Result<(), Rejection> {
    let campaign = world.campaign()?;
    let Some(cap) = campaign.member_cap() else {
        return Ok(());
    };
    let promised = world.member_balance(member.id, Code::Commitments);
    let held = world.member_balance(member.id, Code::ApplicationMoney);
    if promised.saturating_add(held).saturating_add(more) > cap {
        return Err(Refusal::AboveMemberMaximum {
            maximum: format!("{} {}", campaign.currency, cap.display(campaign.currency)),
        }
        .into());
    }
    Ok(())
}

pub(super) fn create(
    world: &World,
    id: PledgeId,
    member: MemberId,
    promise: Promise,
    share_class: Option<ShareClassId>,
    expires_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    campaign.must_take_pledges(now)?;
    let member = world.member(member)?;
    let class = share_class
        .map(|class| {
            campaign
                .share_class(class)
                .ok_or_else(|| Refusal::not_found("the share class"))
        })
        .transpose()?;
    let (amount, units) = worth(campaign, promise, class)?;
    must_fit_the_cap(world, member, amount)?;
    let expires_at = expires_at.unwrap_or(campaign.terms.deadline);
    if expires_at <= now {
        return Err(Refusal::DeadlinePassed {
            deadline: expires_at,
        }
        .into());
    }
    if expires_at > campaign.terms.deadline {
        return Err(Refusal::field("expire_time", "after the campaign's deadline").into());
    }
    let pledge = Pledge {
        id,
        member: member.id,
        state: PledgeState::Committed,
        amount,
        paid: Amount::ZERO,
        share_class,
        units,
        created_at: now,
        expires_at,
        errored_at: None,
        terms_version: campaign.terms.version,
    };
    let entry = posting::promise(Event::PledgeCreated, campaign, &pledge, amount, now)?;
    let decision = Decision::of([Put::Pledge(pledge)]).posting(entry);
    Ok(decision.also(member::converted(world, member)))
}

pub(super) fn amend(
    world: &World,
    id: PledgeId,
    promise: Promise,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    campaign.must_take_pledges(now)?;
    let pledge = world.pledge(id)?;
    if !pledge.state.is_live() {
        return Err(pledge.refuse("it is closed"));
    }
    let as_units = matches!(promise, Promise::Units(_));
    if as_units != (pledge.units > 0) {
        return Err(Refusal::ShareClass {
            problem: "a promise of shares stays one, and so does a promise of an amount".to_owned(),
        }
        .into());
    }
    let class = pledge
        .share_class
        .and_then(|class| campaign.share_class(class));
    let (amount, units) = worth(campaign, promise, class)?;
    if amount < pledge.paid {
        return Err(
            pledge.refuse("more than that is paid on it; what is paid goes back as a refund")
        );
    }
    let more = amount.saturating_sub(pledge.amount);
    if more.is_zero() {
        return Err(Refusal::field("promise", "this is what is promised already").into());
    }
    if more.is_positive() {
        must_fit_the_cap(world, world.member(pledge.member)?, more)?;
    }
    let entry = posting::promise(Event::PledgeAmended, campaign, pledge, more, now)?;
    let amended = Pledge {
        amount,
        units,
        ..pledge.clone()
    };
    let amended = amended.with_paid(pledge.paid);
    Ok(Decision::of([Put::Pledge(amended)]).posting(entry))
}

pub(super) fn cancel(
    world: &World,
    id: PledgeId,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let pledge = world.pledge(id)?;
    let cancelled = pledge.moved(
        PledgeEvent::Cancel,
        "only an open pledge on which nothing is paid can be cancelled; \
         amend it down to what is paid, or ask for a refund",
    )?;
    let release = pledge.outstanding().negated();
    let entry = posting::promise(Event::PledgeCancelled, campaign, pledge, release, now)?;
    Ok(Decision::of([Put::Pledge(cancelled)]).posting(entry))
}

/// Expires what ran out among the candidates that were read; the oldest first.
pub(super) fn expire(
    world: &World,
    limit: i64,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let mut decision = Decision::default();
    let limit = usize::try_from(limit).unwrap_or(0);
    for pledge in world.run_out(now).take(limit) {
        let event = if campaign.offer_is_over() || pledge.expires_at <= now {
            PledgeEvent::Expire
        } else {
            PledgeEvent::Drop
        };
        let closed = pledge.moved(event, "it cannot run out")?;
        let release = pledge.outstanding().negated();
        let entry = posting::promise(Event::PledgeExpired, campaign, pledge, release, now)?;
        decision = decision.also(Some(Put::Pledge(closed))).posting(entry);
    }
    Ok(decision)
}

/// True when a pledge's time ran out, or its retries did, or the offer is over.
pub(super) fn has_run_out(pledge: &Pledge, offer_is_over: bool, now: OffsetDateTime) -> bool {
    let over = offer_is_over || pledge.expires_at <= now;
    let expired = over && pledge.state.next(PledgeEvent::Expire).is_some();
    let retries_over = pledge.errored_at.is_some_and(|at| at + RETRY_PERIOD <= now);
    expired || (retries_over && pledge.state.next(PledgeEvent::Drop).is_some())
}
