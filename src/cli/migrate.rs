//! `pledgebook migrate`.

use std::process::ExitCode;

use super::{Failure, open::Database, print};
use crate::{config::Settings, store::schema};

pub(super) async fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    // Opening the embedded cluster migrates it.
    let database = Database::open(settings).await?;
    let owner = database.owner.clone();
    let owner = owner.ok_or("DATABASE_MIGRATE_URL is not set: migrations run as the owner")?;
    schema::migrate(&owner).await?;
    let version = schema::MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max();
    print(format_args!(
        "the schema is at migration {}",
        version.unwrap_or(0)
    ));
    database.close().await?;
    Ok(ExitCode::SUCCESS)
}
