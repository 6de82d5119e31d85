//! Errors that were not made here, but by what reads the wire for us.

use tonic::{Code, Status};

use super::{Problem, Reason};

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
pub(in crate::grpc) fn completed(status: &Status) -> Status {
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
    let mut completed = Status::from(Problem::new(code, reason, message.to_owned()));
    // Which compressions are understood, for one.
    *completed.metadata_mut() = status.metadata().clone();
    completed
}

/// The answer to a call of what does not exist.
pub(in crate::grpc) fn unknown() -> Status {
    completed(&Status::unimplemented("there is no such method"))
}
