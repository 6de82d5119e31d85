//! The design that one writes first: one database transaction a posting. Insert
//! the entry under its unique request id, insert two lines, and update two balances,
//! the hot one last so that its lock is held for as short as can be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use sqlx::{PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::{
    MEMBERS, Plan,
    place::{Place, execute},
};

/// What its database is called.
pub const DATABASE: &str = "naive";

const SCHEMA: &str = "
CREATE TABLE balance (account int PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 50);
CREATE TABLE entry (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id uuid NOT NULL UNIQUE,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE line (
    account int NOT NULL REFERENCES balance,
    entry bigint NOT NULL REFERENCES entry,
    amount bigint NOT NULL,
    balance bigint NOT NULL,
    PRIMARY KEY (account, entry)
);
INSERT INTO balance SELECT n, 0 FROM generate_series(0, 10000) AS n;
";

pub struct Naive {
    url: String,
    next: Arc<AtomicU64>,
}

impl Naive {
    pub async fn found(place: &Place) -> Self {
        place.empty(DATABASE).await;
        let mut connection = place.superuser(DATABASE).await;
        execute(&mut connection, SCHEMA).await;
        Self {
            url: place.url("postgres", DATABASE),
            next: Arc::default(),
        }
    }

    /// The number of clients with which it posts most.
    pub async fn best_clients(&self, plan: Plan) -> usize {
        let mut best = (0.0, 0);
        for clients in [2, 4, 8, 16] {
            let rate = self.run(clients, plan).await;
            if rate > best.0 {
                best = (rate, clients);
            }
        }
        best.1
    }

    /// Postings a second.
    pub async fn run(&self, clients: usize, plan: Plan) -> f64 {
        let pool = PgPoolOptions::new()
            .min_connections(clients as u32)
            .max_connections(clients as u32)
            .connect(&self.url)
            .await
            .unwrap();
        self.clients(&pool, clients, plan.warm_up).await;
        let begun = Instant::now();
        let done = self.clients(&pool, clients, plan.run).await;
        let rate = done as f64 / begun.elapsed().as_secs_f64();
        pool.close().await;
        rate
    }

    async fn clients(&self, pool: &PgPool, clients: usize, run: std::time::Duration) -> u64 {
        let until = Instant::now() + run;
        let tasks: Vec<_> = (0..clients)
            .map(|_| {
                let (pool, next) = (pool.clone(), Arc::clone(&self.next));
                tokio::spawn(async move {
                    let mut done = 0;
                    while Instant::now() < until {
                        post(&pool, next.fetch_add(1, Ordering::Relaxed)).await;
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        let mut done = 0;
        for task in tasks {
            done += task.await.unwrap();
        }
        done
    }
}

async fn post(pool: &PgPool, n: u64) {
    let other = 1 + (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as i32 % MEMBERS as i32;
    let other = other.abs().max(1);
    let mut tx = pool.begin().await.unwrap();
    let entry: i64 =
        sqlx::query_scalar("INSERT INTO entry (request_id) VALUES ($1) RETURNING entry")
            .bind(Uuid::now_v7())
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    for (account, amount) in [(other, -1_000_i64), (0, 1_000)] {
        let balance: i64 = sqlx::query_scalar(
            "UPDATE balance SET balance = balance + $2 WHERE account = $1 RETURNING balance",
        )
        .bind(account)
        .bind(amount)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        sqlx::query("INSERT INTO line (account, entry, amount, balance) VALUES ($1, $2, $3, $4)")
            .bind(account)
            .bind(entry)
            .bind(amount)
            .bind(balance)
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
}
