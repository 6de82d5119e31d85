//! Logs: to standard error, so that what a command prints stays its own. Metrics: for
//! Prometheus to fetch.

use std::io::IsTerminal;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
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

/// Upper bounds of times, in seconds.
const SECONDS: [f64; 13] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0,
];
/// Upper bounds of batch sizes.
const COMMANDS: [f64; 10] = [
    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0,
];

/// Starts measuring for this process; what is measured before goes nowhere. To be
/// called once, before the books are opened.
///
/// # Errors
/// When the process measures already.
pub fn measure() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_commands".to_owned()), &COMMANDS)?
        .install_recorder()
}
