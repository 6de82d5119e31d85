//! Every error to what is said of it, with a stable reason: by a status that ends
//! the call, or beside one item of a stream.
//!
//! | file | is about |
//! |---|---|
//! | `problem` | what is said, as a status and as a stream's refusal |
//! | `refusal` | the rules of the domain |
//! | `foreign` | errors that were not made here |

mod foreign;
mod problem;
mod refusal;

use tonic::{Code, Status};

pub(super) use foreign::{completed, unknown};
pub(super) use problem::Problem;

use super::pb::ErrorReason as Reason;
use crate::{
    app::AppError, book::BookError, money::AmountError, report::ReportError, store::StoreError,
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

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let message = error.to_string();
        let plain = |code, reason| Self::new(code, reason, message.clone());
        match error {
            ApiError::Field {
                field,
                problem,
                reason,
            } => Self::of_field(reason, message, field, problem),
            ApiError::Unauthenticated => plain(Code::Unauthenticated, Reason::Unauthenticated),
            ApiError::RoleNotAllowed => plain(Code::PermissionDenied, Reason::RoleNotAllowed),
            ApiError::NotFound(_) => plain(Code::NotFound, Reason::NotFound),
            ApiError::AlreadyExists(_) => plain(Code::AlreadyExists, Reason::AlreadyExists),
            ApiError::Precondition(_) => plain(Code::FailedPrecondition, Reason::EventState),
            ApiError::App(AppError::Refused(refusal)) => refusal::problem(&refusal),
            ApiError::App(AppError::Book(error)) => of_book(&error),
            ApiError::App(AppError::Store(error)) => of_store(&error),
            ApiError::Report(ReportError::CampaignNotFound) => {
                of_book(&BookError::CampaignNotFound)
            }
            ApiError::Report(ReportError::NotFound { .. }) => {
                plain(Code::NotFound, Reason::NotFound)
            }
            ApiError::Report(
                ReportError::AsOfInFuture { .. } | ReportError::ChangeInFuture { .. },
            ) => plain(Code::FailedPrecondition, Reason::AsOfInFuture),
            ApiError::Report(ReportError::PeriodIsBackwards) => {
                let field = "period".to_owned();
                Self::of_field(Reason::InvalidField, message.clone(), field, message)
            }
            ApiError::Report(ReportError::Database(error)) => of_store(&error.into()),
        }
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        Problem::from(error).into()
    }
}

fn of_book(error: &BookError) -> Problem {
    let (code, reason) = match error {
        BookError::CampaignNotFound => (Code::NotFound, Reason::CampaignNotFound),
        BookError::Overloaded => (Code::ResourceExhausted, Reason::Overloaded),
        BookError::DeadlineExceeded => (Code::DeadlineExceeded, Reason::DeadlineExceeded),
        BookError::ShuttingDown => (Code::Unavailable, Reason::ShuttingDown),
        BookError::Unavailable => (Code::Unavailable, Reason::Unavailable),
        BookError::Fault { incident } => return internal(incident.to_string()),
    };
    Problem::new(code, reason, error.to_string())
}

fn of_store(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable(_) => {
            tracing::warn!(?error, "the database is not available");
            let message = "the database is not available".to_owned();
            Problem::new(Code::Unavailable, Reason::Unavailable, message)
        }
        StoreError::Refused { .. } | StoreError::Fault(_) | StoreError::Unreadable(_) => {
            let incident = format!("{:032x}", rand::random::<u128>());
            tracing::error!(?error, incident, "a read failed");
            internal(incident)
        }
    }
}

/// The caller's time is over; what was queued is carried out all the same.
pub(super) fn out_of_time() -> Status {
    let message = "the call's deadline passed; the same request id tells what became of it";
    let reason = Reason::DeadlineExceeded;
    Problem::new(Code::DeadlineExceeded, reason, message.to_owned()).into()
}

/// The server ends and takes its streams along; each can be resumed elsewhere.
pub(super) fn shutting_down() -> ApiError {
    ApiError::from(BookError::ShuttingDown)
}

/// Says that it is our fault and under which id it is logged, and nothing else.
fn internal(incident: String) -> Problem {
    let message = format!("a fault of this service; it is logged as incident {incident}");
    Problem::new(Code::Internal, Reason::Internal, message).with("incident", incident)
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

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
