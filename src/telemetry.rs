//! Logs: to standard error, so that what a command prints stays its own.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::config::{Profile, Settings};

/// Starts logging: lines to read in development, JSON in production.
///
/// # Errors
/// When `PLEDGEBOOK_LOG` is no filter.
pub fn start(settings: &Settings) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(&settings.log)?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second start, in a process that has tests of its own, changes nothing.
    let _ = match settings.profile {
        Profile::Development => logs.compact().try_init(),
        Profile::Production => logs.json().try_init(),
    };
    Ok(())
}
