//! The commands, one file each.

pub mod bench;
mod check;
mod client;
mod demo;
mod draw;
mod fee;
mod keys;
mod migrate;
mod open;
mod serve;
mod tables;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{config::Settings, telemetry};

/// The funding ledger of a collective buyout.
///
/// Settings come from the environment; deploy/example.env lists them. Without
/// DATABASE_URL the program runs a private PostgreSQL cluster of its own.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve gRPC, gRPC-Web and webhooks until SIGTERM or Ctrl-C.
    Serve,
    /// Play the demonstration: a buyout from the first signature to the reports.
    Demo(demo::Arguments),
    /// Load the service as a campaign would, through the front door, and check the books.
    Bench(Box<bench::Arguments>),
    /// Bring the database to this version's schema, as its owner.
    Migrate,
    /// Recompute every stored number and name what differs; exit 1 when something does.
    Check(check::Arguments),
    /// Make, list and revoke API keys.
    Keys(keys::Arguments),
}

/// What ends a command.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs a command line to its exit status. Errors are printed with their causes.
pub async fn run(cli: Cli) -> ExitCode {
    let done = async {
        let settings = Settings::from_environment()?;
        telemetry::start(&settings)?;
        match cli.command {
            Command::Serve => serve::run(&settings).await,
            Command::Demo(arguments) => demo::run(&settings, &arguments).await,
            Command::Bench(arguments) => bench::run(&settings, &arguments).await,
            Command::Migrate => migrate::run(&settings).await,
            Command::Check(arguments) => check::run(&settings, &arguments).await,
            Command::Keys(arguments) => keys::run(&settings, &arguments).await,
        }
    };
    match done.await {
        Ok(code) => code,
        Err(failure) => {
            say(&failure);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command line's own words")]
fn say(failure: &Failure) {
    eprintln!("pledgebook: {failure}");
    let mut cause = failure.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
}

/// Prints a line of a command's answer.
#[expect(clippy::print_stdout, reason = "what the user asked for")]
fn print(line: impl std::fmt::Display) {
    println!("{line}");
}
