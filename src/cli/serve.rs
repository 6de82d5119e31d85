//! `pledgebook serve`.

use std::process::ExitCode;

use super::{Failure, open};
use crate::{config::Settings, server, telemetry};

pub(super) async fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let told = open::until_told()?;
    let metrics = match settings.metrics {
        None => None,
        Some(address) => {
            let handle = telemetry::measure()?;
            let listener = server::listen(address).await?;
            tracing::info!(%address, "metrics");
            Some(server::serve_metrics(listener, handle, told.clone()))
        }
    };
    let metrics = metrics.map(tokio::spawn);
    let database = open::Database::open(settings).await?;
    let service = open::service(settings, &database).await?;
    let listener = server::listen(settings.listen).await?;
    // Not the setting: with port 0 only the listener knows the port.
    tracing::info!(address = %listener.local_addr()?, "serving");
    service.serve(listener, told).await?;
    if let Some(metrics) = metrics {
        metrics.await??;
    }
    database.close().await?;
    Ok(ExitCode::SUCCESS)
}
