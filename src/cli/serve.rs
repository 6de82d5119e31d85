//! `pledgebook serve`.

use std::process::ExitCode;

use super::{Failure, open};
use crate::{config::Settings, server};

pub(super) async fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let told = open::until_told()?;
    let database = open::Database::open(settings).await?;
    let service = open::service(settings, &database).await?;
    let listener = server::listen(settings.listen).await?;
    tracing::info!(address = %settings.listen, "serving");
    service.serve(listener, told).await?;
    database.close().await?;
    Ok(ExitCode::SUCCESS)
}
