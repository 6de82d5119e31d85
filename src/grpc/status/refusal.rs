//! The rules of the domain: one exhaustive match.

use tonic::Code;

use super::{Problem, Reason};
use crate::domain::Refusal;

/// A refusal: which code and reason each rule of the domain has, and what a
/// program wants to know of it.
pub(super) fn problem(refusal: &Refusal) -> Problem {
    let message = refusal.to_string();
    let (code, reason, metadata): (Code, Reason, Option<(&'static str, String)>) = match refusal {
        Refusal::InvalidField { field, problem } => {
            let (field, problem) = (field.clone(), problem.clone());
            return Problem::of_field(Reason::InvalidField, message, field, problem);
        }
        Refusal::AmountTooLarge => (Code::InvalidArgument, Reason::AmountTooLarge, None),
        Refusal::CurrencyMismatch { expected, .. } => (
            Code::InvalidArgument,
            Reason::CurrencyMismatch,
            Some(("expected", expected.to_string())),
        ),
        Refusal::NotFound { what } => (
            Code::NotFound,
            Reason::NotFound,
            Some(("resource", what.clone())),
        ),
        Refusal::RequestIdReused { field } => (
            Code::AlreadyExists,
            Reason::RequestIdReused,
            Some(("field", field.clone())),
        ),
        Refusal::CampaignStage { stage, .. } => (
            Code::FailedPrecondition,
            Reason::CampaignStage,
            Some(("stage", stage.word().to_owned())),
        ),
        Refusal::PledgeState { state, .. } => (
            Code::FailedPrecondition,
            Reason::PledgeState,
            Some(("state", state.word().to_owned())),
        ),
        Refusal::PaymentState { state, .. } => (
            Code::FailedPrecondition,
            Reason::PaymentState,
            Some(("state", state.word().to_owned())),
        ),
        Refusal::SignatureState { state } => (
            Code::FailedPrecondition,
            Reason::SignatureState,
            Some(("state", state.word().to_owned())),
        ),
        Refusal::DeadlinePassed { .. } => (Code::FailedPrecondition, Reason::DeadlinePassed, None),
        Refusal::TermsContradictory { .. } => {
            (Code::InvalidArgument, Reason::TermsContradictory, None)
        }
        Refusal::FeeBearerRequired => (Code::FailedPrecondition, Reason::FeeBearerRequired, None),
        Refusal::AlreadyExists { .. } => (Code::AlreadyExists, Reason::AlreadyExists, None),
        Refusal::MovementDiffers { recorded, .. } => (
            Code::AlreadyExists,
            Reason::MovementDiffers,
            Some(("recorded", recorded.clone())),
        ),
        Refusal::BelowMemberMinimum { minimum } => (
            Code::FailedPrecondition,
            Reason::BelowMemberMinimum,
            Some(("minimum", minimum.clone())),
        ),
        Refusal::AboveMemberMaximum { maximum } => (
            Code::FailedPrecondition,
            Reason::AboveMemberMaximum,
            Some(("maximum", maximum.clone())),
        ),
        Refusal::EntryAlreadyReversed { by } => (
            Code::FailedPrecondition,
            Reason::EntryAlreadyReversed,
            Some(("by", by.to_string())),
        ),
        Refusal::EntryNotReversible { .. } => {
            (Code::FailedPrecondition, Reason::EntryNotReversible, None)
        }
        Refusal::AccountFloor { account } => (
            Code::FailedPrecondition,
            Reason::AccountFloor,
            Some(("account", account.clone())),
        ),
        Refusal::AccountNotByHand { account } => (
            Code::InvalidArgument,
            Reason::AccountNotByHand,
            Some(("account", account.clone())),
        ),
        Refusal::EntryUnbalanced => (Code::InvalidArgument, Reason::EntryUnbalanced, None),
        Refusal::MemberMismatch { .. } => (Code::InvalidArgument, Reason::MemberMismatch, None),
        Refusal::EtagMismatch { current } => (
            Code::FailedPrecondition,
            Reason::EtagMismatch,
            Some(("etag", current.clone())),
        ),
        Refusal::RefundState { state, .. } => (
            Code::FailedPrecondition,
            Reason::RefundState,
            Some(("state", state.word().to_owned())),
        ),
        Refusal::RefundExceeds { refundable } => (
            Code::FailedPrecondition,
            Reason::RefundExceeds,
            Some(("refundable", refundable.clone())),
        ),
        Refusal::SecondPersonRequired => {
            (Code::FailedPrecondition, Reason::SecondPersonRequired, None)
        }
        Refusal::PayoutState { state } => (
            Code::FailedPrecondition,
            Reason::PayoutState,
            Some(("state", state.word().to_owned())),
        ),
        Refusal::RunState { state } => (
            Code::FailedPrecondition,
            Reason::RunState,
            Some(("state", state.word().to_owned())),
        ),
        Refusal::RunItemWorked => (Code::FailedPrecondition, Reason::RunItemWorked, None),
        Refusal::NothingToRun => (Code::FailedPrecondition, Reason::NothingToRun, None),
        Refusal::RunInTheWay => (Code::FailedPrecondition, Reason::RunInTheWay, None),
        Refusal::MoneyHasMoved => (Code::FailedPrecondition, Reason::MoneyHasMoved, None),
        Refusal::NotEnoughHeld { missing } => (
            Code::FailedPrecondition,
            Reason::NotEnoughHeld,
            Some(("missing", missing.clone())),
        ),
        Refusal::NotEnoughShares { left } => (
            Code::FailedPrecondition,
            Reason::NotEnoughShares,
            Some(("left", left.to_string())),
        ),
        Refusal::ShareClass { .. } => (Code::InvalidArgument, Reason::ShareClass, None),
    };
    let problem = Problem::new(code, reason, message);
    match metadata {
        None => problem,
        Some((key, value)) => problem.with(key, value),
    }
}
