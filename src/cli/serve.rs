//! `pledgebook serve`.

use std::{process::ExitCode, sync::Arc};

use super::{Failure, open};
use crate::{
    config::Settings,
    grpc::{PeerApi, PeerServers},
    server, telemetry,
};

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
    let peer = match settings.peer {
        None => None,
        Some(address) => Some(server::listen(address).await?),
    };
    let me = match &peer {
        None => None,
        Some(peer) => {
            let secrets = open::secrets(settings, &database)?;
            Some(Arc::new(PeerServers::new(peer.local_addr()?, secrets)))
        }
    };
    let service = open::service(settings, &database, me.clone()).await?;
    let peer = peer.zip(me).map(|(listener, me)| {
        let api = PeerApi::new(service.app.books.clone(), &me, told.clone());
        tokio::spawn(server::serve_peers(listener, api, told.clone()))
    });
    let listener = server::listen(settings.listen).await?;
    // Not the setting: with port 0 only the listener knows the port.
    tracing::info!(address = %listener.local_addr()?, "serving");
    service.serve(listener, told).await?;
    if let Some(peer) = peer {
        peer.await??;
    }
    if let Some(metrics) = metrics {
        metrics.await??;
    }
    database.close().await?;
    Ok(ExitCode::SUCCESS)
}
