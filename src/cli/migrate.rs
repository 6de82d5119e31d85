//! `pledgebook migrate`.

use std::process::ExitCode;

use secrecy::ExposeSecret;

use super::{Failure, open::Database, print};
use crate::{config::Settings, store::schema};

pub(super) async fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    // The owner's address alone is enough; the application's is not to be had where this runs.
    match (&settings.migrate, &settings.database) {
        (Some(owner), _) => schema::migrate(owner.expose_secret()).await?,
        (None, Some(_)) => {
            return Err("DATABASE_MIGRATE_URL is not set: migrations run as the owner".into());
        }
        // Opening the embedded cluster migrates it.
        (None, None) => Database::open(settings).await?.close().await?,
    }
    let version = schema::MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max();
    print(format_args!(
        "the schema is at migration {}",
        version.unwrap_or(0)
    ));
    Ok(ExitCode::SUCCESS)
}
