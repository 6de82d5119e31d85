//! Everything through the real gRPC server and a real PostgreSQL: one test
//! binary, so that one cluster serves them all.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    reason = "tests say what they expect by failing"
)]

mod access;
mod architecture;
mod attacks;
mod book;
mod campaign;
mod domain;
mod harness;
mod property;
mod requests;
mod schema;
mod webhook;
mod wire;
