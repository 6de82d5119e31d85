//! What every command begins with: the database, its schema, the secret.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::{
    app::App,
    book::{self, Books},
    clock::Clock,
    config::{Profile, Settings},
    grpc::PeerServers,
    postgres::Cluster,
    report::Reports,
    secret::Secrets,
    server::Service,
    store::{Store, schema},
    webhook::Webhooks,
};

/// The database's name in the embedded cluster.
const DATABASE: &str = "pledgebook";

/// Where the database is, as the two roles that serve; with the cluster, when it is ours.
pub(super) struct Database {
    pub(super) app: String,
    pub(super) report: String,
    pub(super) cluster: Option<Cluster>,
}

impl Database {
    /// The database of the settings, or the embedded one, started and migrated.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Failure> {
        let exposed = |url: &secrecy::SecretString| url.expose_secret().to_owned();
        if let Some(app) = &settings.database {
            let app = exposed(app);
            return Ok(Self {
                report: settings
                    .report
                    .as_ref()
                    .map_or_else(|| app.clone(), exposed),
                app,
                cluster: None,
            });
        }
        let cluster = Cluster::start(settings.data.clone()).await?;
        cluster.ensure_roles().await?;
        cluster.ensure_database(DATABASE).await?;
        let url = |role| cluster.url(role, DATABASE);
        schema::migrate(&url("pledgebook_owner")).await?;
        Ok(Self {
            app: url("pledgebook_app"),
            report: url("pledgebook_report"),
            cluster: Some(cluster),
        })
    }

    /// Stops the cluster, when it is ours.
    pub(super) async fn close(self) -> Result<(), Failure> {
        match self.cluster {
            Some(cluster) => Ok(cluster.stop().await?),
            None => Ok(()),
        }
    }
}

/// The store, on a schema that this version knows and a database that is safe.
pub(super) async fn store(settings: &Settings, database: &Database) -> Result<Store, Failure> {
    let store = Store::connect(&database.app, settings.connections).await?;
    schema::must_be_known(store.pool()).await?;
    for problem in schema::unsafe_settings(store.pool()).await? {
        if settings.profile == Profile::Production {
            return Err(problem.into());
        }
        tracing::warn!("{problem}");
    }
    Ok(store)
}

/// The reports, on a few connections of their own.
pub(super) async fn reports(database: &Database) -> Result<Reports, Failure> {
    let store = Store::connect_to_read(&database.report, 4).await?;
    Ok(Reports::new(store.pool().clone()))
}

/// The installation's secret. The development profile makes one.
pub(super) fn secrets(settings: &Settings, database: &Database) -> Result<Secrets, Failure> {
    let own = database
        .cluster
        .as_ref()
        .map(|cluster| cluster.data_dir().join("secret"));
    let path: PathBuf = match (&settings.secret_file, own) {
        (Some(path), _) => path.clone(),
        (None, Some(own)) if settings.profile == Profile::Development => {
            make_secret(&own)?;
            own
        }
        (None, _) => return Err("PLEDGEBOOK_SECRET_FILE is not set".into()),
    };
    let secret = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Secrets::derive(secret.trim_ascii())?)
}

fn make_secret(path: &Path) -> Result<(), Failure> {
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(mut file) => {
            let bytes: [u8; 32] = rand::random();
            file.write_all(hex::encode(bytes).as_bytes())?;
            Ok(file.sync_all()?)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(format!("{}: {error}", path.display()).into()),
    }
}

/// Everything that answers, wired together, beside other servers perhaps.
pub(super) async fn service(
    settings: &Settings,
    database: &Database,
    peers: Option<Arc<PeerServers>>,
) -> Result<Service, Failure> {
    let store = store(settings, database).await?;
    let clock = Clock::default();
    // A book waits for one connection and then holds it for a batch; single reads that
    // pour in would otherwise keep it waiting until it gives up.
    let posting = Store::connect(&database.app, settings.connections).await?;
    let book = book::Settings {
        ahead: settings.ahead,
        ..book::Settings::default()
    };
    let peers = peers.map(|peers| peers as _);
    let books = Books::among(posting, clock.clone(), book, peers);
    let secrets = secrets(settings, database)?;
    // Webhooks that pour in must not take the connections from calls.
    let ingest = Store::connect(&database.app, 4).await?;
    let app = App::new(store, books, clock, secrets);
    Ok(Service {
        webhooks: Webhooks::new(app.clone(), ingest),
        app,
        reports: reports(database).await?,
        reflection: settings.reflection,
        origins: settings.origins.clone(),
    })
}

/// Cancelled by SIGTERM or Ctrl-C.
pub(super) fn until_told() -> Result<CancellationToken, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let told = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
    });
    Ok(token)
}
