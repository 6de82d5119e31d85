//! Payment webhooks: a provider tells us of money that moved.
//!
//! | step | where | what |
//! |---|---|---|
//! | receive | `ingress` | raw bytes, capped; the endpoint alone says whose they are |
//! | verify | `signature` | over the raw bytes, before anything is read from them |
//! | keep | `store::webhook` | the delivery and its events in one database transaction; 200 after its commit |
//! | work | `inbox` | lease, normalise, send through the book, note what became of it |
//! | normalise | `provider`, `stripe` | every fact about a provider in one place |
//!
//! **Never twice, never lost.** An event is one row however often it comes, and
//! what it does to the ledger is claimed by the identity of the money that
//! moved, not of the event: two events about one charge post it once. A 200 says
//! that the event is committed here; everything else makes the provider come
//! again. A worker that dies leaves a lease that runs out.
//!
//! **Nothing waits for a book while holding a database transaction.** A lease is
//! committed before the work begins, and the outcome is noted after it, by the
//! number of the attempt, so that a late worker cannot overrule a later one.
//!
//! **What is deliberately absent.** No choice by anything in an unverified body;
//! no cache of secrets, which would outlive their rotation; no order of events,
//! since no provider keeps one.

mod inbox;
mod ingress;
pub mod provider;
pub mod signature;
mod stripe;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, routing::post};
use tokio::sync::{Notify, Semaphore};

use crate::{app::App, store::Store};

pub use inbox::work;

/// The largest body; the largest batch of any provider stays far under it.
pub const BODY_CAP: usize = 2 * 1024 * 1024;

/// So many bytes of deliveries are being kept at once; more are told to come
/// again, before they fill the memory behind a database that is slow.
const ROOM: usize = 64 * 1024 * 1024;

/// Everything that the ingress and the worker need. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Webhooks {
    app: App,
    /// Connections of its own: a flood of deliveries leaves the book its own.
    ingest: Store,
    /// Wakes the worker of this process.
    wake: Arc<Notify>,
    /// A permit a byte.
    room: Arc<Semaphore>,
}

impl Webhooks {
    /// Webhooks over the application; `ingest` is a store with few connections
    /// for what comes in.
    #[must_use]
    pub fn new(app: App, ingest: Store) -> Self {
        Self {
            app,
            ingest,
            wake: Arc::new(Notify::new()),
            room: Arc::new(Semaphore::new(ROOM)),
        }
    }

    /// Wakes the worker of this process, for an event that was made pending again.
    pub fn wake(&self) {
        self.wake.notify_one();
    }
}

/// The one route: `POST /webhooks/{endpoint}`.
pub fn router(hooks: Webhooks) -> Router {
    Router::new()
        .route("/webhooks/{endpoint}", post(ingress::receive))
        .layer(DefaultBodyLimit::max(BODY_CAP))
        .with_state(hooks)
}
