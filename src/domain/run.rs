//! Runs: work on every member, as a frozen list that is worked item by item.
//!
//! The list is written down before anybody approves it: how many items, what they come
//! to, and a hash that chains them, so that what was approved is what is done. Two people
//! approve it. Each item is then a command of its own, which posts and marks the item in
//! one commit: an item is done exactly once, whoever is killed when. An item that is not
//! what it was when the list was made becomes an exception and moves nothing; another run
//! can take it up.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::{
    Decision, Put, Refusal, Rejection, World,
    campaign::{Stage, words},
    refund::{self, Planned},
    share::{self, Method},
};
use crate::{
    id::{self, MemberId, PaymentId, RefundId, RequestId, RunId, ShareClassId},
    money::Amount,
};

words! {
    /// What a run does.
    RunKind {
        /// Turns application money into shares, and what is left of it into refunds.
        Allotment = "allotment",
        /// Makes refunds.
        Refund = "refund",
    }
}

words! {
    /// Where a run is in its life.
    RunState {
        /// Its list is frozen.
        Planned = "planned",
        /// Two people agree.
        Approved = "approved",
        /// Its items are being worked.
        Running = "running",
        /// Stopped for a while.
        Paused = "paused",
        /// All items are done.
        Done = "done",
        /// All items are worked; some could not be done.
        DoneWithExceptions = "done_with_exceptions",
        /// Given up before its end.
        Cancelled = "cancelled",
    }
}

/// What moves a run along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunEvent {
    /// One more person agrees; the flag says whether it is the second.
    Approve(bool),
    /// Begins, or goes on.
    Start,
    /// Stops for a while.
    Pause,
    /// The last item is worked; the flag says whether there are exceptions.
    Finish(bool),
    /// Given up: what is done stays done.
    Cancel,
}

impl RunState {
    /// The state after an event; nothing when the event is not allowed here.
    #[must_use]
    pub const fn next(self, event: RunEvent) -> Option<Self> {
        use RunEvent as E;
        match (self, event) {
            (Self::Planned, E::Approve(second)) => Some(if second {
                Self::Approved
            } else {
                Self::Planned
            }),
            (Self::Approved | Self::Paused, E::Start) => Some(Self::Running),
            (Self::Running, E::Pause) => Some(Self::Paused),
            (Self::Running, E::Finish(exceptions)) => Some(if exceptions {
                Self::DoneWithExceptions
            } else {
                Self::Done
            }),
            (Self::Planned | Self::Approved | Self::Paused, E::Cancel) => Some(Self::Cancelled),
            (Self::Planned, E::Start | E::Pause | E::Finish(_))
            | (Self::Approved, E::Approve(_) | E::Pause | E::Finish(_))
            | (Self::Running, E::Approve(_) | E::Start | E::Cancel)
            | (Self::Paused, E::Approve(_) | E::Pause | E::Finish(_))
            | (
                Self::Done | Self::DoneWithExceptions | Self::Cancelled,
                E::Approve(_) | E::Start | E::Pause | E::Finish(_) | E::Cancel,
            ) => None,
        }
    }
}

/// A frozen list, and how far it is worked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What it does.
    pub kind: RunKind,
    /// How an allotment divides shares when there are too few.
    pub method: Option<Method>,
    /// Where it is in its life.
    pub state: RunState,
    /// How many items.
    pub items: i64,
    /// The shares of all items together.
    pub units: i64,
    /// What of all items becomes shares, or is sent back.
    pub amount: Amount,
    /// What of all items is left over and becomes refundable; of refunds, what members bear.
    pub released: Amount,
    /// The hash of the last item, which chains all.
    pub hash: [u8; 32],
    /// The change as of which the list was made.
    pub as_of_change: i64,
    /// Who agreed.
    pub approved_by: Vec<String>,
    /// How often it was started.
    pub starts: i32,
    /// When it was planned.
    #[serde(with = "time::serde::rfc3339")]
    pub planned_at: OffsetDateTime,
    /// Items that are done; no part of what history keeps.
    #[serde(skip)]
    pub done: i64,
    /// Items that could not be; no part of what history keeps.
    #[serde(skip)]
    pub exceptions: i64,
}

impl Run {
    /// Items that are still to be worked.
    #[must_use]
    pub const fn pending(&self) -> i64 {
        self.items
            .saturating_sub(self.done)
            .saturating_sub(self.exceptions)
    }
}

words! {
    /// Where an item is.
    RunItemState {
        /// Still to be worked.
        Pending = "pending",
        /// Worked.
        Done = "done",
        /// Could not be done.
        Exception = "exception",
    }
}

/// One item of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunItem {
    /// Its run.
    pub run: RunId,
    /// From 1, dense.
    pub position: i64,
    /// Whose money it is.
    pub member: Option<MemberId>,
    /// The payment that is refunded.
    pub payment: Option<PaymentId>,
    /// The class that is allotted.
    pub share_class: Option<ShareClassId>,
    /// How many shares.
    pub units: i64,
    /// What becomes shares, or is sent back.
    pub amount: Amount,
    /// What is left over and becomes refundable; of a refund, what its member bears.
    pub released: Amount,
    /// The chained hash.
    pub hash: [u8; 32],
    /// Where it is.
    pub state: RunItemState,
    /// Why it could not be done.
    pub problem: String,
    /// The change that worked it.
    pub change: Option<i64>,
}

impl RunItem {
    /// The item's hash: SHA-256 over the hash before and the item's columns, ids as 16
    /// bytes (zero for none) and numbers as 8, big end first.
    #[must_use]
    pub fn chained(&self, before: &[u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(before);
        hash.update(self.position.to_be_bytes());
        for id in [
            self.member.map(|id| id.0),
            self.payment.map(|id| id.0),
            self.share_class.map(|id| id.0),
        ] {
            hash.update(id.unwrap_or_default().as_bytes());
        }
        for number in [self.units, self.amount.units(), self.released.units()] {
            hash.update(number.to_be_bytes());
        }
        hash.finalize().into()
    }

    /// The id under which an item is worked: the same for every attempt since the run was
    /// last started, so that whoever works it again finds it worked.
    #[must_use]
    pub fn request_id(run: RunId, position: i64, starts: i32) -> RequestId {
        RequestId(id::derived(
            "run item",
            &[
                run.0.as_bytes(),
                &position.to_be_bytes(),
                &starts.to_be_bytes(),
            ],
        ))
    }

    fn refund_id(&self) -> RefundId {
        let position = self.position.to_be_bytes();
        RefundId(id::derived(
            "refund of a run",
            &[self.run.0.as_bytes(), &position],
        ))
    }
}

/// A list that is written down and to be frozen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The run's id.
    pub run: RunId,
    /// What it does.
    pub kind: RunKind,
    /// How an allotment divides shares.
    pub method: Option<Method>,
    /// How many items were written.
    pub items: i64,
    /// Their shares.
    pub units: i64,
    /// What becomes shares, or is sent back.
    pub amount: Amount,
    /// What is left over.
    pub released: Amount,
    /// The hash of the last item.
    pub hash: [u8; 32],
    /// The change as of which it was made.
    pub as_of_change: i64,
    /// Why.
    pub reason: String,
}

/// Freezes a list.
pub(super) fn freeze(
    world: &World,
    plan: &Plan,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    must_fit(campaign, plan.kind)?;
    if plan.items < 1 {
        return Err(Refusal::NothingToRun.into());
    }
    if plan.kind == RunKind::Allotment && world.open_allotment {
        return Err(Refusal::RunInTheWay.into());
    }
    let run = Run {
        id: plan.run,
        kind: plan.kind,
        method: plan.method,
        state: RunState::Planned,
        items: plan.items,
        units: plan.units,
        amount: plan.amount,
        released: plan.released,
        hash: plan.hash,
        as_of_change: plan.as_of_change,
        approved_by: Vec::new(),
        starts: 0,
        planned_at: now,
        done: 0,
        exceptions: 0,
    };
    Ok(Decision::of([Put::Run(run)]).because(&plan.reason))
}

/// Refuses a run in a stage in which there is nothing for it to do.
fn must_fit(campaign: &super::campaign::Campaign, kind: RunKind) -> Result<(), Refusal> {
    match kind {
        RunKind::Allotment if campaign.stage != Stage::Acquired => {
            Err(campaign.refuse("shares are allotted once the purchase is made"))
        }
        RunKind::Refund if campaign.stage == Stage::Suspended => {
            Err(campaign.refuse("nothing goes out"))
        }
        RunKind::Allotment | RunKind::Refund => Ok(()),
    }
}

/// Moves a run along.
pub(super) fn move_along(
    world: &World,
    id: RunId,
    event: RunEvent,
    by: &str,
    reason: &str,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let run = world.run(id)?;
    let refuse = || Refusal::RunState { state: run.state };
    let event = match event {
        RunEvent::Approve(_) => {
            if run.approved_by.iter().any(|approver| approver == by) {
                return Err(Refusal::SecondPersonRequired.into());
            }
            RunEvent::Approve(!run.approved_by.is_empty())
        }
        RunEvent::Start => {
            must_fit(campaign, run.kind)?;
            event
        }
        RunEvent::Pause | RunEvent::Finish(_) | RunEvent::Cancel => event,
    };
    let mut moved = Run {
        state: run.state.next(event).ok_or_else(refuse)?,
        ..run.clone()
    };
    match event {
        RunEvent::Approve(_) => moved.approved_by.push(by.to_owned()),
        RunEvent::Start => moved.starts = moved.starts.saturating_add(1),
        RunEvent::Pause | RunEvent::Finish(_) | RunEvent::Cancel => {}
    }
    Ok(Decision::of([Put::Run(moved)]).because(reason))
}

/// Works one item: posts what it says, or marks it as an exception that moves nothing.
///
/// # Errors
/// [`Refusal::RunState`] when the run is not running, [`Refusal::RunItemWorked`] when the
/// item is not pending: whoever works it comes too late.
pub(super) fn work(
    world: &World,
    id: RunId,
    position: i64,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let run = world.run(id)?;
    if run.state != RunState::Running {
        return Err(Refusal::RunState { state: run.state }.into());
    }
    must_fit(campaign, run.kind)?;
    let item = world.run_item(id, position)?;
    if item.state != RunItemState::Pending {
        return Err(Refusal::RunItemWorked.into());
    }
    let worked = match run.kind {
        RunKind::Allotment => allot(world, item, now),
        RunKind::Refund => send_back(world, item, now),
    };
    let (decision, state, problem) = match worked {
        Ok(decision) => (decision, RunItemState::Done, String::new()),
        Err(Rejection::Refused(refusal)) => {
            let problem = refusal.to_string();
            (Decision::default(), RunItemState::Exception, problem)
        }
        Err(other) => return Err(other),
    };
    let item = RunItem {
        state,
        problem,
        change: Some(world.next_change()),
        ..item.clone()
    };
    let finished = (run.pending() == 1).then(|| {
        let exceptions = run.exceptions > 0 || state == RunItemState::Exception;
        let finished = run.state.next(RunEvent::Finish(exceptions));
        Put::Run(Run {
            state: finished.unwrap_or(run.state),
            ..run.clone()
        })
    });
    Ok(decision.also([Put::RunItem(item)]).also(finished))
}

fn allot(world: &World, item: &RunItem, now: OffsetDateTime) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let member = item
        .member
        .ok_or_else(|| Refusal::not_found("the member"))?;
    let held: Amount = share::payments_for(world, member, item.share_class)
        .iter()
        .map(|payment| payment.allottable())
        .sum();
    if held != item.amount.saturating_add(item.released) {
        return Err(Refusal::MoneyHasMoved.into());
    }
    let class = item
        .share_class
        .map(|class| {
            campaign
                .share_class(class)
                .ok_or_else(|| Refusal::not_found("the share class"))
        })
        .transpose()?;
    share::allot(world, member, class, item.units, true, now)
}

fn send_back(world: &World, item: &RunItem, now: OffsetDateTime) -> Result<Decision, Rejection> {
    let payment = item
        .payment
        .ok_or_else(|| Refusal::not_found("the payment"))?;
    let planned = Planned {
        amount: item.amount,
        charge: item.released,
    };
    refund::send_back(world, payment, &planned, item.refund_id(), item.run, now)
}
