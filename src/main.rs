//! The program: parse, run, exit.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    pledgebook::cli::run(pledgebook::cli::Cli::parse()).await
}
