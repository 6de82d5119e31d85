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
mod ahead;
mod architecture;
mod attacks;
mod bench;
mod book;
mod calls;
mod campaign;
mod check;
mod demo;
mod domain;
mod ending;
mod harness;
mod ledger;
mod member;
mod metrics;
mod payment;
mod peers;
mod pledge;
mod property;
mod requests;
mod schema;
mod report;
mod webhook;
mod wire;
