//! Every error to a status with a stable reason.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::pb::ErrorReason as Reason;
use crate::{
    app::{AppError, RETRY_AFTER},
    book::BookError,
    domain::Refusal,
    money::AmountError,
    report::ReportError,
    store::StoreError,
};

/// Why a call is not answered.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A field is missing or malformed.
    #[error("{field}: {problem}")]
    Field {
        /// Which.
        field: String,
        /// What is wrong with it.
        problem: String,
        /// The reason to give.
        reason: Reason,
    },
    /// No valid credentials.
    #[error("no valid API key was given")]
    Unauthenticated,
    /// The role does not allow the call.
    #[error("the key's role does not allow this call")]
    RoleNotAllowed,
    /// The application.
    #[error(transparent)]
    App(#[from] AppError),
    /// A report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Something that does not exist.
    #[error("{0} does not exist")]
    NotFound(String),
    /// Something that exists already, outside of any campaign.
    #[error("{0}")]
    AlreadyExists(String),
    /// Something that its state forbids, outside of any campaign.
    #[error("{0}")]
    Precondition(String),
}

impl ApiError {
    /// A malformed field.
    pub(super) fn field(field: &str, problem: impl ToString) -> Self {
        Self::Field {
            field: field.to_owned(),
            problem: problem.to_string(),
            reason: Reason::InvalidField,
        }
    }

    /// A text that is no amount.
    pub(super) fn amount(field: &str, error: &AmountError) -> Self {
        Self::Field {
            field: field.to_owned(),
            problem: error.to_string(),
            reason: match error {
                AmountError::Malformed(_) => Reason::AmountMalformed,
                AmountError::TooPrecise { .. } => Reason::AmountTooPrecise,
                AmountError::TooLarge => Reason::AmountTooLarge,
            },
        }
    }
}

impl From<BookError> for ApiError {
    fn from(error: BookError) -> Self {
        Self::App(error.into())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::App(error.into())
    }
}

/// A reason as ErrorInfo has it: the enum's name without its prefix.
fn word(reason: Reason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

/// A status with its reason.
pub(super) fn status(
    code: Code,
    reason: Reason,
    message: &str,
    metadata: HashMap<String, String>,
) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(word(reason), "pledgebook", metadata);
    with_details(code, message, details)
}

fn with_details(code: Code, message: &str, details: ErrorDetails) -> Status {
    Status::with_error_details(code, message, details)
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let message = error.to_string();
        match error {
            ApiError::Field {
                field,
                problem,
                reason,
            } => violation(reason, &message, field, problem),
            ApiError::Unauthenticated => status(
                Code::Unauthenticated,
                Reason::Unauthenticated,
                &message,
                HashMap::new(),
            ),
            ApiError::RoleNotAllowed => status(
                Code::PermissionDenied,
                Reason::RoleNotAllowed,
                &message,
                HashMap::new(),
            ),
            ApiError::NotFound(_) => {
                status(Code::NotFound, Reason::NotFound, &message, HashMap::new())
            }
            ApiError::AlreadyExists(_) => status(
                Code::AlreadyExists,
                Reason::AlreadyExists,
                &message,
                HashMap::new(),
            ),
            ApiError::Precondition(_) => {
                let mut details = ErrorDetails::new();
                details.set_error_info(word(Reason::EventState), "pledgebook", HashMap::new());
                details.add_precondition_failure_violation("EVENT_STATE", "", &message);
                with_details(Code::FailedPrecondition, &message, details)
            }
            ApiError::App(AppError::Refused(refusal)) => refused(&refusal),
            ApiError::App(AppError::Book(error)) => of_book(&error, &message),
            ApiError::App(AppError::Store(error)) => of_store(&error),
            ApiError::Report(ReportError::CampaignNotFound) => {
                of_book(&BookError::CampaignNotFound, &message)
            }
            ApiError::Report(ReportError::NotFound { .. }) => {
                status(Code::NotFound, Reason::NotFound, &message, HashMap::new())
            }
            ApiError::Report(ReportError::AsOfInFuture { .. }) => status(
                Code::FailedPrecondition,
                Reason::AsOfInFuture,
                &message,
                HashMap::new(),
            ),
            ApiError::Report(ReportError::PeriodIsBackwards) => violation(
                Reason::InvalidField,
                &message,
                "period".to_owned(),
                message.clone(),
            ),
            ApiError::Report(ReportError::Database(error)) => of_store(&error.into()),
        }
    }
}

fn violation(reason: Reason, message: &str, field: String, problem: String) -> Status {
    let mut details = ErrorDetails::new();
    let metadata = HashMap::from([("field".to_owned(), field.clone())]);
    details.set_error_info(word(reason), "pledgebook", metadata);
    details.add_bad_request_violation(field, problem);
    with_details(Code::InvalidArgument, message, details)
}

fn of_book(error: &BookError, message: &str) -> Status {
    let plain = |code, reason| status(code, reason, message, HashMap::new());
    match error {
        BookError::CampaignNotFound => plain(Code::NotFound, Reason::CampaignNotFound),
        BookError::Overloaded => retry(Code::ResourceExhausted, Reason::Overloaded, message),
        BookError::DeadlineExceeded => plain(Code::DeadlineExceeded, Reason::DeadlineExceeded),
        BookError::ShuttingDown => retry(Code::Unavailable, Reason::ShuttingDown, message),
        BookError::Unavailable => retry(Code::Unavailable, Reason::Unavailable, message),
        BookError::Fault { incident } => internal(&incident.to_string()),
    }
}

fn of_store(error: &StoreError) -> Status {
    match error {
        StoreError::Unavailable(_) => {
            tracing::warn!(?error, "the database is not available");
            retry(
                Code::Unavailable,
                Reason::Unavailable,
                "the database is not available",
            )
        }
        StoreError::Refused { .. } | StoreError::Fault(_) | StoreError::Unreadable(_) => {
            let incident = format!("{:032x}", rand::random::<u128>());
            tracing::error!(?error, incident, "a read failed");
            internal(&incident)
        }
    }
}

/// The caller's time is over; what was queued is carried out all the same.
pub(super) fn out_of_time() -> Status {
    let message = "the call's deadline passed; the same request id tells what became of it";
    let reason = Reason::DeadlineExceeded;
    status(Code::DeadlineExceeded, reason, message, HashMap::new())
}

/// Says that it is our fault and under which id it is logged, and nothing else.
fn internal(incident: &str) -> Status {
    let message = format!("a fault of this service; it is logged as incident {incident}");
    let metadata = HashMap::from([("incident".to_owned(), incident.to_owned())]);
    status(Code::Internal, Reason::Internal, &message, metadata)
}

fn retry(code: Code, reason: Reason, message: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(word(reason), "pledgebook", HashMap::new());
    details.set_retry_info(Some(RETRY_AFTER));
    with_details(code, message, details)
}

/// A refusal: which code and reason each rule of the domain has, and what a
/// program wants to know of it.
fn refused(refusal: &Refusal) -> Status {
    let message = refusal.to_string();
    let (code, reason, metadata): (Code, Reason, Option<(&str, String)>) = match refusal {
        Refusal::InvalidField { field, problem } => {
            return violation(
                Reason::InvalidField,
                &message,
                field.clone(),
                problem.clone(),
            );
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
        Refusal::ShareClass { .. } => (Code::InvalidArgument, Reason::ShareClass, None),
    };
    let metadata: HashMap<String, String> = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let mut details = ErrorDetails::new();
    details.set_error_info(word(reason), "pledgebook", metadata);
    if code == Code::FailedPrecondition {
        details.add_precondition_failure_violation(word(reason), "", &message);
    }
    with_details(code, &message, details)
}

/// What tonic says of a request that it cannot read: prost's complaint, a broken
/// frame, a broken compression, no message at all.
const UNREADABLE: [&str; 4] = [
    "decod",
    "decompress",
    "protocol error",
    "Missing request message",
];

/// Gives an error that was not made here (an unknown method, a message that is
/// none) a reason too, and a code that says whose mistake it is. tonic calls a
/// message that it cannot decode an internal error.
pub(super) fn completed(status: &Status) -> Status {
    let message = status.message();
    let (code, reason) = match status.code() {
        // The code that the gRPC specification has for an unknown compression, too.
        Code::Unimplemented if message.contains("compressed") => {
            (Code::Unimplemented, Reason::MessageMalformed)
        }
        Code::Unimplemented => (Code::Unimplemented, Reason::MethodUnknown),
        Code::OutOfRange | Code::ResourceExhausted => {
            (Code::InvalidArgument, Reason::MessageTooLarge)
        }
        Code::Internal if UNREADABLE.iter().any(|part| message.contains(part)) => {
            (Code::InvalidArgument, Reason::MessageMalformed)
        }
        Code::Cancelled | Code::DeadlineExceeded => {
            (Code::DeadlineExceeded, Reason::DeadlineExceeded)
        }
        Code::Unavailable => (Code::Unavailable, Reason::Unavailable),
        _ => (status.code(), Reason::Internal),
    };
    let mut completed = self::status(code, reason, message, HashMap::new());
    // Which compressions are understood, for one.
    *completed.metadata_mut() = status.metadata().clone();
    completed
}

/// The answer to a call of what does not exist.
pub(super) fn unknown() -> Status {
    completed(&Status::unimplemented("there is no such method"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_a_reason_and_no_detail_of_the_database() {
        let fault = StoreError::Unreadable("secret_column".to_owned());
        let status = Status::from(ApiError::from(fault));
        assert_eq!(status.code(), Code::Internal);
        assert!(!format!("{status:?}").contains("secret_column"));
        let info = status.get_details_error_info();
        assert_eq!(info.map(|info| info.reason), Some("INTERNAL".to_owned()));
    }
}
