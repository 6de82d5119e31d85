//! Refunds: money that goes back.
//!
//! | file | is about |
//! |---|---|
//! | `request` | asking, agreeing, turning down |
//! | `send` | what a bridge and the bank tell, and sending again |
//! | `back` | what a run does with one payment |
//!
//! A refund is of one payment, since that is how money goes back the way it came. From
//! the moment it is requested its amount is reserved on the payment, so that two refunds,
//! a refund and an allotment, or a refund and a dispute cannot have the same money. It
//! becomes an instruction when somebody else approves it; a bridge executes that under a
//! key which stays the same for each attempt, and tells what came of it. What was sent
//! and came back stands in 2210 until it is sent again, or stays there unclaimed.

mod back;
mod request;
mod send;

pub(super) use back::send_back;
pub use back::{Planned, plan};
pub(super) use request::{approve, reject, request};
pub(super) use send::{fail, give_up, given_up, send_again, settle, submit};

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::{Refusal, Rejection, campaign::words};
use crate::{
    id::{self, MemberId, MoneyAccountId, PaymentId, RefundId, RunId},
    money::Amount,
};

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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Movement {
    /// The provider's or bank's id of it.
    pub object_id: String,
    /// When it happened, by the provider's or bank's clock.
    pub occurred_at: Option<OffsetDateTime>,
    /// The day on which it counts.
    pub value_date: Option<Date>,
}
