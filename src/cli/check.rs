//! `pledgebook demo`.
use super::Failure;
use crate::config::Settings;
use std::process::ExitCode;
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}
pub(super) async fn run(_settings: &Settings, _arguments: &Arguments) -> Result<ExitCode, Failure> {
    Ok(ExitCode::SUCCESS)
}
