//! This ledger's book, in a process of its own: what it posts, with its callers,
//! competes with nobody but the database.

use std::{process::Stdio, time::Duration};

use pledgebook::id::{CampaignId, MoneyAccountId};
use sqlx::Row;
use tokio::process::Command;

use crate::{
    HOT, Plan,
    figures::Figures,
    ledger::{Kind, Ledger, Loader, Ran},
    place::Place,
};

#[derive(clap::Args)]
pub struct Part {
    #[arg(long)]
    app: String,
    #[arg(long)]
    report: String,
    #[arg(long)]
    campaign: CampaignId,
    #[arg(long)]
    provider: MoneyAccountId,
    #[arg(long)]
    kind: Kind,
    #[arg(long)]
    callers: usize,
    #[arg(long)]
    warm_up_ms: u64,
    #[arg(long)]
    run_ms: u64,
}

impl Part {
    pub async fn run(self) {
        let ledger = Ledger {
            database: String::new(),
            app: self.app,
            report: self.report,
            campaign: self.campaign,
            provider: self.provider,
        };
        let loader = Loader::open(&ledger).await;
        let warm_up = Duration::from_millis(self.warm_up_ms);
        loader.closed_loop(self.kind, self.callers, warm_up).await;
        let before = transactions(&loader).await;
        let run = Duration::from_millis(self.run_ms);
        let ran = loader.closed_loop(self.kind, self.callers, run).await;
        let batches = transactions(&loader).await - before;
        println!("{} {} {batches}", ran.done, ran.took.as_secs_f64());
    }
}

/// The different moments at which changes were recorded: one a batch.
async fn transactions(loader: &Loader) -> i64 {
    let row = sqlx::query("SELECT count(DISTINCT recorded_at) FROM change WHERE campaign_id = $1")
        .bind(loader.ledger.campaign.0);
    row.fetch_one(loader.store.pool()).await.unwrap().get(0)
}

impl Ledger {
    /// The book of a process of its own.
    pub async fn alone(&self, kind: Kind, callers: usize, plan: Plan) -> Ran {
        self.processes(1, kind, callers, plan).await
    }

    /// So many processes at once, with the hot number of callers between them: per second.
    pub async fn servers(&self, how_many: usize, kind: Kind, plan: Plan) -> f64 {
        let ran = self.processes(how_many, kind, HOT / how_many, plan).await;
        ran.per_second()
    }

    async fn processes(&self, how_many: usize, kind: Kind, callers: usize, plan: Plan) -> Ran {
        let children: Vec<_> = (0..how_many)
            .map(|_| {
                Command::new(std::env::current_exe().unwrap())
                    .arg("book")
                    .args(["--app", &self.app])
                    .args(["--report", &self.report])
                    .args(["--campaign", &self.campaign.to_string()])
                    .args(["--provider", &self.provider.to_string()])
                    .args(["--kind", &format!("{kind:?}").to_lowercase()])
                    .args(["--callers", &callers.to_string()])
                    .args(["--warm-up-ms", &plan.warm_up.as_millis().to_string()])
                    .args(["--run-ms", &plan.run.as_millis().to_string()])
                    .stdout(Stdio::piped())
                    .stdin(Stdio::null())
                    .spawn()
                    .unwrap()
            })
            .collect();
        let mut together = Ran::default();
        for child in children {
            let output = child.wait_with_output().await.unwrap();
            assert!(output.status.success(), "{output:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            let mut words = text.split_whitespace();
            together.done += words.next().unwrap().parse::<u64>().unwrap();
            let took: f64 = words.next().unwrap().parse().unwrap();
            together.took = together.took.max(Duration::from_secs_f64(took));
            together.batches += words.next().unwrap().parse::<u64>().unwrap();
        }
        together
    }
}

/// What a two-line posting takes on disk, indexes and all.
pub async fn measure_bytes(place: &Place, ledger: &Ledger, plan: Plan, figures: &mut Figures) {
    // The accounts are opened, and the balances' pages have the room that they keep.
    ledger.alone(Kind::Posting, HOT, plan).await;
    let mut connection = place.superuser(&ledger.database).await;
    let size = "SELECT relname, pg_total_relation_size(oid) FROM pg_class
                WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    let sizes = sqlx::query_as::<_, (String, i64)>(size);
    let before = sizes.fetch_all(&mut connection).await.unwrap();
    let entries = "SELECT sum(entry_no)::bigint FROM campaign_head";
    let entries = || sqlx::query_scalar::<_, i64>(entries);
    let first = entries().fetch_one(&mut connection).await.unwrap();
    ledger.alone(Kind::Posting, HOT, plan).await;
    let posted = entries().fetch_one(&mut connection).await.unwrap() - first;
    let sizes = sqlx::query_as::<_, (String, i64)>(size);
    let after = sizes.fetch_all(&mut connection).await.unwrap();
    let mut all = 0.0;
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        let each = (after - before) as f64 / posted as f64;
        all += each;
        if each > 1.0 {
            figures.count(&format!("bytes a two-line posting, {name}"), each);
        }
    }
    figures.figure("bytes_per_posting", all);
}
