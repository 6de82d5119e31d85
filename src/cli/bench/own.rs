//! The service that a run starts for itself: a cluster in a folder, and a server in
//! this process, which is called over TCP like any other.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    access::{KeySecret, Role},
    app::App,
    cli::{Failure, keys, open},
    config::{Profile, Settings},
    server::{self, ServerError},
};

/// A service of a run's own.
pub(super) struct Own {
    pub(super) address: String,
    pub(super) key: KeySecret,
    app: App,
    database: open::Database,
    serving: JoinHandle<Result<(), ServerError>>,
    stop: CancellationToken,
    /// Last, so that it goes when everything in it has stopped.
    _folder: Option<Folder>,
}

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "could not be removed");
        }
    }
}

impl Own {
    /// Starts it: in `data`, which stays, or in a folder that goes with it. Whatever
    /// the settings say of a database is left alone: nobody's books are loaded by
    /// accident.
    pub(super) async fn start(settings: &Settings, data: Option<PathBuf>) -> Result<Self, Failure> {
        let (data, folder) = match data {
            Some(data) => (data, None),
            None => {
                let name = format!("pledgebook-bench-{}", std::process::id());
                let made = std::env::temp_dir().join(name);
                std::fs::create_dir(&made)?;
                (made.clone(), Some(Folder(made)))
            }
        };
        let settings = Settings {
            database: None,
            report: None,
            migrate: None,
            secret_file: None,
            profile: Profile::Development,
            data: Some(data),
            ..settings.clone()
        };
        let listener = server::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let database = open::Database::open(&settings).await?;
        let service = open::service(&settings, &database, None).await?;
        let app = service.app.clone();
        let key = keys::create(&app.store, &app.clock, Role::Treasurer, "load", None).await?;
        let stop = CancellationToken::new();
        Ok(Self {
            address,
            key,
            app,
            database,
            serving: tokio::spawn(service.serve(listener, stop.clone())),
            stop,
            _folder: folder,
        })
    }

    /// Drains the server and stops the cluster.
    pub(super) async fn end(self) -> Result<(), Failure> {
        self.stop.cancel();
        self.serving.await??;
        // Waits for connections on their way back, which a stopping database would cut.
        self.app.store.close().await;
        self.database.close().await
    }
}
