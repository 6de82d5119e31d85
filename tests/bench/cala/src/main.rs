//! Posts what the posting benchmark posts, through cala-ledger instead: two
//! lines a posting, one hot account, its counterparties in turn, an external id
//! each. Prints one line of JSON.

mod ledger;
mod load;

use std::{error::Error, num::NonZeroU32, sync::Arc, time::Duration};

use clap::{Parser, ValueEnum};

use crate::{
    ledger::Ledger,
    load::{Done, Load},
};

/// Whatever stops a run: nothing is measured then, so nobody tells them apart.
type Failure = Box<dyn Error + Send + Sync>;

/// What cala-ledger posts a second on this machine.
#[derive(Parser)]
struct Arguments {
    /// An empty database; cala-ledger's schema is made in it.
    #[arg(long)]
    database: String,
    /// How postings are handed over.
    #[arg(long, value_enum)]
    mode: Mode,
    /// Tasks that post at once.
    #[arg(long, default_value = "64")]
    tasks: NonZeroU32,
    /// Stops after so many postings.
    #[arg(long)]
    postings: NonZeroU32,
    /// Accounts that the hot account posts against, in turn.
    #[arg(long, default_value = "10000")]
    counterparties: NonZeroU32,
    /// Postings a call with `--mode batch`.
    #[arg(long, default_value = "500")]
    batch: NonZeroU32,
    /// Hands out no more postings after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Connections of the pool.
    // Few are fastest, as the hot account's lock lets one posting or batch through at a time. One
    // run each, 64 tasks, two cores that others used as well, so only the trend counts: with 3, 5,
    // 9, 17, 33, 66 connections 174, 176, 168, 111, 153, 127 a second singly; in batches of 500
    // with 3, 4, 5, 9, 17, 66 connections 2,283, 2,621, 2,218, 1,812, 1,072, 1,444.
    #[arg(long, default_value = "4")]
    connections: NonZeroU32,
}

/// How postings are handed over.
#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// `post_transaction`: a database transaction each.
    Single,
    /// `post_transactions`: a database transaction for a batch.
    Batch,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Batch => "batch",
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let ledger = Ledger::create(
        &arguments.database,
        arguments.connections,
        arguments.counterparties,
    )
    .await?;
    let ledger = Arc::new(ledger);
    let load = Load {
        tasks: arguments.tasks,
        at_once: arguments.connections,
        per_call: match arguments.mode {
            Mode::Single => None,
            Mode::Batch => Some(arguments.batch),
        },
        postings: arguments.postings,
        limit: arguments.seconds.map(Duration::from_secs),
    };
    let done = load.post(&ledger).await?;
    ledger.must_hold(done.postings).await?;
    print(&arguments, &done)
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what the program is for"
)]
#[expect(
    clippy::float_arithmetic,
    reason = "a rate of a load generator, not money"
)]
fn print(arguments: &Arguments, done: &Done) -> Result<(), Failure> {
    let seconds = done.took.as_secs_f64();
    let line = serde_json::json!({
        "postings": done.postings,
        "seconds": seconds,
        "per_second": f64::from(done.postings) / seconds,
        "mode": arguments.mode.name(),
        "tasks": arguments.tasks,
        "version": format!("cala-ledger {}", locked_version("cala-ledger")?),
    });
    println!("{line}");
    Ok(())
}

/// The version of a package that this program was built with.
fn locked_version(package: &str) -> Result<&'static str, Failure> {
    include_str!("../Cargo.lock")
        .split_once(&format!("name = \"{package}\"\nversion = \""))
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(version, _)| version)
        .ok_or_else(|| format!("{package} is not in Cargo.lock").into())
}
