//! How fast the posting path is, beside other ways to do the same work, in one run
//! on one machine. README.md explains the table.
//!
//! All contenders run in turn, several rounds over, so that a machine that slows
//! down slows all of them; a ratio is taken within its round.
//!
//! | file | is about |
//! |---|---|
//! | `place` | the cluster of the run and its databases |
//! | `ledger` | a hot campaign, and the commands that are fired at it |
//! | `book` | this ledger's book, in a process of its own |
//! | `naive` | one database transaction a posting |
//! | `copy` | raw COPY of the rows that the book wrote |
//! | `cala` | the crate cala-ledger, a program of its own |
//! | `front` | this ledger and an echo behind gRPC |
//! | `growth` | the same work on 100 thousand and on 10 million entries |
//! | `runs` | an allotment and refunds of everybody, beside live payments and with kills |
//! | `figures` | what was measured: medians, ratios, the table, the file |

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking, prints, and counts in floats; no money is a float"
)]

mod book;
mod cala;
mod copy;
mod direct;
mod figures;
mod front;
mod growth;
mod ledger;
mod naive;
mod place;
mod runs;

use std::time::Duration;

use clap::Parser;

use figures::Figures;
use ledger::Kind;
use place::Place;

/// What the commands are fired at is the same for everybody: so many members.
const MEMBERS: usize = 10_000;
/// Callers that wait for their answers at once, on a hot campaign.
const HOT: usize = 4_096;
/// What deploy/ sets for a server, besides its own settings.
const AS_DEPLOYED: [(&str, &str); 1] = [("MIMALLOC_PURGE_DELAY", "10000")];

#[derive(Parser)]
#[command(about = "Measures the posting path beside other ways to do the same work")]
struct Arguments {
    /// A rough answer in under a minute.
    #[arg(long)]
    quick: bool,
    /// Also measure on 10 million entries; takes as long as it takes.
    #[arg(long)]
    growth: bool,
    /// Only growth, and nothing else.
    #[arg(long)]
    only_growth: bool,
    /// Only an allotment and refunds of so many members, and nothing else.
    #[arg(long)]
    only_runs: Option<usize>,
    /// Only the figures whose names begin so.
    #[arg(long)]
    only: Option<String>,
    /// Entries of the large ledger.
    #[arg(long, default_value_t = 10_000_000)]
    entries: u64,
    /// Rounds; 3, or 1 with --quick.
    #[arg(long)]
    rounds: Option<usize>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
    /// What a process of this program does for another one.
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(clap::Subcommand)]
enum Part {
    /// Posts through a book of its own, and prints how many postings took how long.
    #[command(hide = true)]
    Book(book::Part),
    /// Serves until its standard input ends.
    #[command(hide = true)]
    Serve(front::Part),
}

/// How long things run.
#[derive(Clone, Copy)]
pub struct Plan {
    pub rounds: usize,
    pub warm_up: Duration,
    pub run: Duration,
}

fn main() {
    let arguments = Arguments::parse();
    // Somebody always listens to a server's logs; otherwise each span asks a second way to log.
    // How long a check takes is no news here.
    tracing_subscriber::fmt()
        .with_env_filter("warn,sqlx::query=error")
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        match arguments.part {
            Some(Part::Book(part)) => part.run().await,
            Some(Part::Serve(part)) => part.run().await,
            None => compare(arguments).await,
        }
    });
}

async fn compare(arguments: Arguments) {
    let plan = Plan {
        rounds: arguments
            .rounds
            .unwrap_or(if arguments.quick { 1 } else { 3 }),
        warm_up: Duration::from_millis(if arguments.quick { 250 } else { 1_000 }),
        run: Duration::from_millis(if arguments.quick { 750 } else { 3_000 }),
    };
    let place = Place::start(if arguments.quick { 48 } else { 192 }).await;
    let mut figures = Figures::begin(&place, &arguments.options()).await;
    if let Some(members) = arguments.only_runs {
        runs::measure(&place, members, &mut figures).await;
    } else if !arguments.only_growth {
        rounds(
            &place,
            plan,
            arguments.quick,
            arguments.only.as_deref(),
            &mut figures,
        )
        .await;
    }
    if arguments.growth || arguments.only_growth {
        growth::measure(&place, arguments.entries, plan, &mut figures).await;
    }
    figures.print();
    figures
        .write(arguments.only.is_some() || arguments.only_growth || arguments.only_runs.is_some());
    place.stop().await;
}

impl Arguments {
    fn options(&self) -> String {
        let mut options = Vec::new();
        for (on, name) in [
            (self.quick, "--quick"),
            (self.growth, "--growth"),
            (self.only_growth, "--only-growth"),
        ] {
            if on {
                options.push(name);
            }
        }
        options.join(" ")
    }
}

async fn rounds(place: &Place, plan: Plan, quick: bool, only: Option<&str>, figures: &mut Figures) {
    let wanted =
        |names: &[&str]| only.is_none_or(|only| names.iter().any(|name| name.starts_with(only)));
    let two_lines = wanted(&["book_vs_copy", "book64_vs_naive", "book64_vs_cala", "bytes"]);
    let payments = wanted(&["payment_vs_copy", "stream_vs_book"]);
    let front = wanted(&["unary_vs_echo", "stream_vs_book", "p99", "rss"]);
    let two = wanted(&["two_servers_vs_one"]);

    println!("setting up: {MEMBERS} members with a pledge each, in every database");
    let hot = ledger::Ledger::found(place, "hot", MEMBERS).await;
    let paid = hot.copied(place, "paid").await;
    let mixed = hot.copied(place, "mixed").await;
    let served = hot.copied(place, "served").await;
    let naive = naive::Naive::found(place).await;
    let mut copies = copy::Copies::found(place).await;
    let mut cala = None;
    if two_lines {
        cala = cala::Cala::build(quick).await;
        // The accounts are opened, and the balances' pages get the room that they keep.
        hot.alone(Kind::Posting, HOT, plan).await;
        let before = book::Sizes::of(place, &hot).await;
        copies.take(place, &hot, Kind::Posting, plan).await;
        before.until(&book::Sizes::of(place, &hot).await, figures);
    }
    if payments {
        paid.alone(Kind::Payment, HOT, plan).await;
        copies.take(place, &paid, Kind::Payment, plan).await;
    }
    let best = if quick {
        8
    } else {
        naive.best_clients(plan).await
    };
    figures.condition("clients of the naive design at its best", best);

    for round in 1..=plan.rounds {
        println!("round {round} of {}", plan.rounds);
        if two_lines {
            place.settle(copy::DATABASE).await;
            let copy = copies.run(Kind::Posting).await;
            place.settle(&hot.database).await;
            let book = hot.alone(Kind::Posting, HOT, plan).await;
            place.settle(&hot.database).await;
            let book64 = hot.alone(Kind::Posting, 64, plan).await;
            place.settle(naive::DATABASE).await;
            let naive_best = naive.run(best, plan).await;
            place.settle(naive::DATABASE).await;
            let naive64 = naive.run(64, plan).await;
            figures.rate("two-line postings, book, 4096 callers", book.per_second());
            figures.rate("two-line postings, book, 64 callers", book64.per_second());
            figures.rate("two-line postings, raw COPY", copy);
            figures.rate("two-line postings, naive, best clients", naive_best);
            figures.rate("two-line postings, naive, 64 clients", naive64);
            figures.count("batch, 4096 callers", book.batch());
            figures.count("batch, 64 callers", book64.batch());
            figures.condition("time of a batch, two lines, 4096 callers", book.split());
            figures.condition("time of a batch, two lines, 64 callers", book64.split());
            figures.ratio("book_vs_copy", book.per_second(), copy);
            figures.ratio("book64_vs_naive", book64.per_second(), naive_best);
            if let Some(cala) = &cala {
                let (single, batch) = cala.run(place, plan).await;
                figures.rate("two-line postings, cala-ledger, 64 tasks", single);
                figures.rate("two-line postings, cala-ledger, its batches", batch);
                figures.ratio("book64_vs_cala", book64.per_second(), single);
                figures.ratio("book_vs_cala_batch", book.per_second(), batch);
            }
        }
        if payments {
            place.settle(copy::DATABASE).await;
            let copy = copies.run(Kind::Payment).await;
            place.settle(&paid.database).await;
            let book = paid.alone(Kind::Payment, HOT, plan).await;
            figures.rate("payments, book, 4096 callers", book.per_second());
            figures.rate("payments, raw COPY", copy);
            figures.count("batch of payments", book.batch());
            figures.condition("time of a batch, payments, 4096 callers", book.split());
            figures.ratio("payment_vs_copy", book.per_second(), copy);
            place.settle(&mixed.database).await;
            let mix = mixed.alone(Kind::Mix, HOT, plan).await;
            figures.rate("realistic mix, book, 4096 callers", mix.per_second());
        }
        if two {
            place.settle(&paid.database).await;
            let one = paid.servers(1, Kind::Payment, plan).await;
            place.settle(&paid.database).await;
            let both = paid.servers(2, Kind::Payment, plan).await;
            figures.rate("payments, one server", one);
            figures.rate("payments, two servers", both);
            figures.ratio("two_servers_vs_one", both, one);
        }
        if front {
            front::measure(place, &served, plan, figures).await;
        }
    }
    let written = if quick {
        vec![mixed]
    } else {
        vec![hot, paid, mixed, served]
    };
    // Each check is one connection's work.
    futures::future::join_all(written.iter().map(ledger::Ledger::must_be_clean)).await;
}
