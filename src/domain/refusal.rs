//! Every way in which a command is refused, named as the rule that it breaks.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    campaign::Stage, member::SignatureState, payment::PaymentState, payout::PayoutState,
    pledge::PledgeState, refund::RefundState, run::RunState,
};
use crate::{ledger::EntryError, money::Currency};

/// A refusal by a rule of the domain. It is an outcome: recorded with the
/// request id, and the same for every retry. Its text reaches the caller, so it
/// says nothing about anybody but the caller's own request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Refusal {
    /// A field does not make sense by itself.
    #[error("{field}: {problem}")]
    InvalidField {
        /// The field, as the API has it.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An amount over what one entry may move, or a balance that would leave its range.
    #[error("the amount is larger than the ledger can move")]
    AmountTooLarge,
    /// Another currency than the campaign's.
    #[error("the campaign's currency is {expected}, not {given}")]
    CurrencyMismatch {
        /// What was given.
        given: Currency,
        /// The campaign's.
        expected: Currency,
    },
    /// The named thing does not exist in this campaign.
    #[error("{what} does not exist in this campaign")]
    NotFound {
        /// Its resource name, or its kind.
        what: String,
    },
    /// The request id was used before with another body.
    #[error("the request id was used before with another {field}")]
    RequestIdReused {
        /// What differs.
        field: String,
    },
    /// The campaign's stage does not allow it.
    #[error("the campaign is in stage {stage:?}: {problem}")]
    CampaignStage {
        /// The stage.
        stage: Stage,
        /// What it rules out.
        problem: String,
    },
    /// The pledge's state does not allow it.
    #[error("the pledge is {state:?}: {problem}")]
    PledgeState {
        /// The state.
        state: PledgeState,
        /// What it rules out.
        problem: String,
    },
    /// The payment's state does not allow it.
    #[error("the payment is {state:?}: {problem}")]
    PaymentState {
        /// The state.
        state: PaymentState,
        /// What it rules out.
        problem: String,
    },
    /// The signature's state does not allow it.
    #[error("the signature is {state:?} already")]
    SignatureState {
        /// The state.
        state: SignatureState,
    },
    /// The deadline lies in the past.
    #[error("the deadline, {deadline}, lies in the past")]
    DeadlinePassed {
        /// The deadline.
        #[serde(with = "time::serde::rfc3339")]
        deadline: OffsetDateTime,
    },
    /// The terms contradict each other.
    #[error("the terms contradict each other: {problem}")]
    TermsContradictory {
        /// How.
        problem: String,
    },
    /// The terms do not say who bears the fees of a failure.
    #[error("before it opens, the terms must say who bears the fees if the campaign fails")]
    FeeBearerRequired,
    /// It exists already.
    #[error("{what} exists already")]
    AlreadyExists {
        /// What it is.
        what: String,
    },
    /// The movement was recorded before, with another amount.
    #[error("this movement was recorded before with {recorded}, not {given}")]
    MovementDiffers {
        /// The amount in the journal, as text with its currency.
        recorded: String,
        /// The amount given now, as text with its currency.
        given: String,
    },
    /// Under a member's minimum.
    #[error("a member holds at least {minimum}")]
    BelowMemberMinimum {
        /// The minimum, in words.
        minimum: String,
    },
    /// Over a member's maximum.
    #[error("a member holds at most {maximum}")]
    AboveMemberMaximum {
        /// The maximum, in words.
        maximum: String,
    },
    /// The entry was reversed before.
    #[error("the entry was reversed by entry {by}")]
    EntryAlreadyReversed {
        /// The reversing entry's number.
        by: i64,
    },
    /// The entry has its own way back, or can no longer go back.
    #[error("the entry cannot be reversed: {instead}")]
    EntryNotReversible {
        /// What to do instead.
        instead: String,
    },
    /// An account would fall under its floor: the money has moved on.
    #[error("account {account} would fall under its floor: the money has moved on")]
    AccountFloor {
        /// The account.
        account: String,
    },
    /// An account that an entry by hand may not touch.
    #[error("account {account} is kept by the calls that change what stands behind it")]
    AccountNotByHand {
        /// The account.
        account: String,
    },
    /// Debits and credits differ.
    #[error("the entry's debits and credits differ")]
    EntryUnbalanced,
    /// A pledge or payment of another member.
    #[error("{what} belongs to another member")]
    MemberMismatch {
        /// What was named.
        what: String,
    },
    /// The etag is not the current one.
    #[error("the campaign has changed since it was read; its etag is now {current}")]
    EtagMismatch {
        /// The current one.
        current: String,
    },
    /// The refund's state does not allow it.
    #[error("the refund is {state:?}: {problem}")]
    RefundState {
        /// The state.
        state: RefundState,
        /// What it rules out.
        problem: String,
    },
    /// More than may be refunded of the payment, counted over every refund under way.
    #[error("at most {refundable} of the payment can be refunded")]
    RefundExceeds {
        /// What is left.
        refundable: String,
    },
    /// Whoever asked for it cannot also approve it.
    #[error("a second person has to approve")]
    SecondPersonRequired,
    /// The payout's state does not allow it.
    #[error("the payout is {state:?} already")]
    PayoutState {
        /// The state.
        state: PayoutState,
    },
    /// The run's state does not allow it.
    #[error("the run is {state:?}")]
    RunState {
        /// The state.
        state: RunState,
    },
    /// The item was worked before.
    #[error("the item has been worked already")]
    RunItemWorked,
    /// There is nothing for a run to do.
    #[error("there is nothing for a run to do")]
    NothingToRun,
    /// An allotment is under way.
    #[error("an allotment is planned and not over yet")]
    RunInTheWay,
    /// The money is not what it was when the run was planned.
    #[error("the member's money has moved since the run was planned")]
    MoneyHasMoved,
    /// The member's money does not reach.
    #[error("the member's money does not reach: {missing} is missing")]
    NotEnoughHeld {
        /// What is missing.
        missing: String,
    },
    /// There are not so many shares.
    #[error("only {left} shares of the class are unissued")]
    NotEnoughShares {
        /// How many there are.
        left: i64,
    },
    /// The share class does not fit.
    #[error("share class: {problem}")]
    ShareClass {
        /// How.
        problem: String,
    },
}

impl Refusal {
    /// A field that does not make sense.
    #[must_use]
    pub fn field(field: &str, problem: &str) -> Self {
        Self::InvalidField {
            field: field.to_owned(),
            problem: problem.to_owned(),
        }
    }

    /// Something that does not exist.
    #[must_use]
    pub fn not_found(what: impl ToString) -> Self {
        Self::NotFound {
            what: what.to_string(),
        }
    }
}

/// Why a command was not executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A rule of the domain: an outcome.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What it would be decided on has changed within its own batch: no outcome, and the
    /// same request can be sent again at once.
    #[error("what decides this is changing: ask again")]
    Again,
    /// Our own mistake: an entry that does not balance. No outcome, an alarm.
    #[error("a posting is wrong: {0}")]
    Fault(#[from] EntryError),
}
