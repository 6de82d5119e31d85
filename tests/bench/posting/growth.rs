//! The same work on a small ledger and on a large one, with the number of accounts
//! held: what posting costs, and what reading takes.

use std::time::{Duration, Instant};

use pledgebook::{
    ledger::{AccountKey, Code, Owner},
    money::Commodity,
    report::{AsOf, LineCursor, Period, Reports, TrialBalanceQuery},
    store::Store,
};

use crate::{
    HOT, MEMBERS, Plan,
    figures::Figures,
    ledger::{Kind, Ledger, Loader},
    place::Place,
};

/// Entries of the small ledger.
const SMALL: u64 = 100_000;
/// How often a read is repeated; its median counts.
const READS: usize = 30;

struct Sized {
    ledger: Ledger,
    reports: Reports,
    entries: i64,
}

impl Sized {
    async fn of(place: &Place, database: &str, entries: u64) -> Self {
        let ledger = Ledger::found(place, database, MEMBERS).await;
        let loader = Loader::open(&ledger).await;
        let begun = Instant::now();
        let step = entries.div_ceil(20).max(1);
        let mut filled = 0;
        while filled < entries {
            let part = step.min(entries - filled);
            loader.fill(Kind::Posting, part).await;
            filled += part;
            let rate = filled as f64 / begun.elapsed().as_secs_f64();
            println!("  {database}: {filled} of {entries} entries, {rate:.0}/s");
        }
        loader.books.drain().await;
        let store = Store::connect_to_read(&ledger.report, 2).await.unwrap();
        let reports = Reports::new(store.pool().clone());
        let entries = reports.last_entry(ledger.campaign).await.unwrap();
        let mut connection = place.superuser(database).await;
        sqlx::query("ANALYZE")
            .execute(&mut connection)
            .await
            .unwrap();
        Self {
            ledger,
            reports,
            entries,
        }
    }

    fn hot(&self) -> AccountKey {
        AccountKey {
            code: Code::Reserve,
            commodity: Commodity::Currency("EUR".parse().unwrap()),
            owner: Owner::Nobody,
        }
    }

    async fn balance(&self) -> Duration {
        let today = pledgebook::clock::Clock::default().now().date();
        median(async |_| {
            let as_of = AsOf::ValueDate(today);
            let found = self
                .reports
                .balance(self.ledger.campaign, self.hot(), as_of);
            assert!(found.await.unwrap().balance.debits.is_positive());
        })
        .await
    }

    async fn statement(&self) -> Duration {
        median(async |n| {
            let after = LineCursor {
                entry: self.entries / READS as i64 * n as i64,
                line: 0,
            };
            let page = self.reports.general_ledger(
                self.ledger.campaign,
                Some(self.hot()),
                None,
                after,
                100,
            );
            assert_eq!(page.await.unwrap().page.rows.len(), 100);
        })
        .await
    }

    async fn trial_balance(&self) -> Duration {
        median(async |n| {
            let query = TrialBalanceQuery {
                campaign: self.ledger.campaign,
                period: Period::Entries { after: 0 },
                as_of: Some(self.entries / 2 + n as i64),
                by_sub_account: false,
            };
            let drawn = self.reports.trial_balance(query).await.unwrap();
            assert!(!drawn.rows.is_empty());
        })
        .await
    }
}

async fn median(read: impl AsyncFn(usize)) -> Duration {
    let mut times = Vec::new();
    // The last page would have too few rows.
    for n in 0..READS - 1 {
        let begun = Instant::now();
        read(n).await;
        times.push(begun.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

pub async fn measure(place: &Place, entries: u64, plan: Plan, figures: &mut Figures) {
    println!("growth: {SMALL} and {entries} entries");
    let small = Sized::of(place, "small", SMALL).await;
    let large = Sized::of(place, "large", entries).await;
    figures.condition("entries of the large ledger", large.entries);
    for _ in 0..plan.rounds {
        // Reads first: the small ledger is not small any more after the writes.
        let reads = [
            (
                "growth_balance",
                small.balance().await,
                large.balance().await,
            ),
            (
                "growth_statement",
                small.statement().await,
                large.statement().await,
            ),
            (
                "growth_trial_balance",
                small.trial_balance().await,
                large.trial_balance().await,
            ),
        ];
        for (name, on_small, on_large) in reads {
            figures.time(&format!("{name}, small"), on_small);
            figures.time(&format!("{name}, large"), on_large);
            figures.ratio(name, on_large.as_secs_f64(), on_small.as_secs_f64());
        }
        let on_small = small
            .ledger
            .alone(Kind::Posting, HOT, plan)
            .await
            .per_second();
        let on_large = large
            .ledger
            .alone(Kind::Posting, HOT, plan)
            .await
            .per_second();
        figures.rate("postings on the small ledger", on_small);
        figures.rate("postings on the large ledger", on_large);
        figures.ratio("growth_write", on_small, on_large);
    }
}
