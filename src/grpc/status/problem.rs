//! What is said of an error.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::Reason;
use crate::{app::RETRY_AFTER, grpc::pb};

/// What a caller is told of an error, however it is told.
#[derive(Debug)]
pub(in crate::grpc) struct Problem {
    code: Code,
    reason: Reason,
    message: String,
    /// What a program wants to know of it.
    metadata: Option<(&'static str, String)>,
    /// The field that is wrong, and what is wrong with it.
    violation: Option<(String, String)>,
}

impl Problem {
    pub(in crate::grpc) const fn new(code: Code, reason: Reason, message: String) -> Self {
        Self {
            code,
            reason,
            message,
            metadata: None,
            violation: None,
        }
    }

    /// A field that is wrong by itself.
    pub(super) fn of_field(
        reason: Reason,
        message: String,
        field: String,
        problem: String,
    ) -> Self {
        Self {
            metadata: Some(("field", field.clone())),
            violation: Some((field, problem)),
            ..Self::new(Code::InvalidArgument, reason, message)
        }
    }

    pub(super) fn with(self, key: &'static str, value: String) -> Self {
        Self {
            metadata: Some((key, value)),
            ..self
        }
    }

    /// Whether the caller may simply come again, after a while.
    const fn passes(&self) -> bool {
        matches!(self.code, Code::Unavailable | Code::ResourceExhausted)
    }

    /// It leaves the service now.
    fn count(&self) {
        metrics::counter!("pledgebook_errors_total", "reason" => word(self.reason)).increment(1);
    }

    fn metadata(&self) -> HashMap<String, String> {
        let pair = self.metadata.iter();
        pair.map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect()
    }
}

/// A reason as ErrorInfo has it: the enum's name without its prefix.
fn word(reason: Reason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        problem.count();
        let mut details = ErrorDetails::new();
        details.set_error_info(word(problem.reason), "pledgebook", problem.metadata());
        if problem.passes() {
            details.set_retry_info(Some(RETRY_AFTER));
        }
        if problem.code == Code::FailedPrecondition {
            details.add_precondition_failure_violation(word(problem.reason), "", &problem.message);
        }
        if let Some((field, what)) = problem.violation {
            details.add_bad_request_violation(field, what);
        }
        Self::with_error_details(problem.code, problem.message, details)
    }
}

impl From<Problem> for pb::Refusal {
    fn from(problem: Problem) -> Self {
        problem.count();
        let metadata = problem.metadata();
        Self {
            code: problem.code.into(),
            reason: problem.reason.into(),
            field: metadata.get("field").cloned().unwrap_or_default(),
            metadata,
            // What ran out of time may be recorded or not; to send it again is harmless.
            retryable: problem.passes() || problem.code == Code::DeadlineExceeded,
            message: problem.message,
        }
    }
}
