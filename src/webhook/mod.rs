//! Stub.
use crate::{app::App, store::Store};
use tokio_util::sync::CancellationToken;
/// Stub.
#[derive(Clone, Debug)]
pub struct Webhooks {
    app: App,
    ingest: Store,
}
impl Webhooks {
    /// Stub.
    pub fn new(app: App, ingest: Store) -> Self {
        Self { app, ingest }
    }
}
/// Stub.
pub fn router(_: Webhooks) -> axum::Router {
    axum::Router::new()
}
/// Stub.
pub async fn work(_: Webhooks, shutdown: CancellationToken) {
    shutdown.cancelled().await
}
