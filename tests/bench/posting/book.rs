//! This ledger's book, in a process of its own: what it posts, with its callers,
//! competes with nobody but the database.

use std::{io::Read, process::Stdio, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use pledgebook::{
    grpc::{PeerApi, PeerServers},
    id::{CampaignId, MoneyAccountId},
    secret::Secrets,
    server, telemetry,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};
use tokio_util::sync::CancellationToken;

use crate::{
    AS_DEPLOYED, HOT, Plan,
    figures::Figures,
    ledger::{Kind, Ledger, Loader, Ran, STEPS},
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
        let measured = telemetry::measure().unwrap();
        let secrets = Secrets::derive(&[7; 32]).unwrap();
        let listener = server::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let me = Arc::new(PeerServers::new(listener.local_addr().unwrap(), secrets));
        let loader = Loader::among(&ledger, Some(me.clone())).await;
        let shutdown = CancellationToken::new();
        let peers = PeerApi::new(loader.books.clone(), &me, shutdown.clone());
        let serving = tokio::spawn(server::serve_peers(listener, peers, shutdown.clone()));
        let warm_up = Duration::from_millis(self.warm_up_ms);
        // A server that has been up for a while knows the campaign's members; a rough answer
        // has no time for all of them.
        if warm_up >= Duration::from_secs(1) {
            loader.meet(self.kind).await;
        }
        // By many, however few there are to be.
        loader.closed_loop(self.kind, HOT, warm_up).await;
        let before = Measured::of(&measured);
        let run = Duration::from_millis(self.run_ms);
        let mut ran = loader.closed_loop(self.kind, self.callers, run).await;
        let after = Measured::of(&measured);
        ran.batches = after.batches - before.batches;
        for (step, (before, after)) in before.steps.iter().zip(after.steps).enumerate() {
            ran.steps[step] = after - before;
        }
        println!("{}", serde_json::to_string(&ran).unwrap());
        // Others may still be handing over to this one.
        let told = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
        told.await.unwrap().unwrap();
        shutdown.cancel();
        serving.await.unwrap().unwrap();
        loader.books.drain().await;
    }
}

/// What the book's own metrics say so far.
struct Measured {
    batches: u64,
    steps: [f64; STEPS.len()],
}

impl Measured {
    fn of(metrics: &PrometheusHandle) -> Self {
        let metrics = metrics.render();
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            line.map_or(0.0, |value| value.trim().parse::<f64>().unwrap())
        };
        Self {
            batches: value("pledgebook_batch_commands_count ") as u64,
            steps: STEPS
                .map(|step| value(&format!("pledgebook_batch_seconds_sum{{step=\"{step}\"}} "))),
        }
    }
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
        let mut children: Vec<_> = (0..how_many)
            .map(|_| {
                Command::new(std::env::current_exe().unwrap())
                    .envs(AS_DEPLOYED)
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
                    .stdin(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        let mut together = Ran::default();
        for child in &mut children {
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let ran = lines.next_line().await.unwrap().unwrap();
            let ran: Ran = serde_json::from_str(&ran).unwrap();
            together.done += ran.done;
            together.took = together.took.max(ran.took);
            together.batches += ran.batches;
            for (sum, step) in together.steps.iter_mut().zip(ran.steps) {
                *sum += step;
            }
        }
        for child in children {
            // It ends with its standard input.
            let output = child.wait_with_output().await.unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        together
    }
}

/// What a ledger takes on disk, table by table, and the entries that are in it.
pub struct Sizes {
    tables: Vec<(String, i64)>,
    entries: i64,
}

impl Sizes {
    pub async fn of(place: &Place, ledger: &Ledger) -> Self {
        let mut connection = place.superuser(&ledger.database).await;
        let tables = "SELECT relname, pg_total_relation_size(oid) FROM pg_class
                      WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
        let entries = "SELECT sum(entry_no)::bigint FROM campaign_head";
        Self {
            tables: sqlx::query_as(tables)
                .fetch_all(&mut connection)
                .await
                .unwrap(),
            entries: sqlx::query_scalar(entries)
                .fetch_one(&mut connection)
                .await
                .unwrap(),
        }
    }

    /// What each two-line posting since has taken, indexes and all.
    pub fn until(&self, after: &Self, figures: &mut Figures) {
        let posted = after.entries - self.entries;
        let mut all = 0.0;
        for ((name, before), (_, after)) in self.tables.iter().zip(&after.tables) {
            let each = (after - before) as f64 / posted as f64;
            all += each;
            if each > 1.0 {
                figures.count(&format!("bytes a two-line posting, {name}"), each);
            }
        }
        figures.figure("bytes_per_posting", all);
    }
}
