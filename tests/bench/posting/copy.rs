//! Raw COPY of the very rows that the book wrote: the same columns into the same
//! tables and indexes, in one stream of batches of 1,000 changes, without triggers
//! and foreign keys. Its tables are emptied before each run, which favours it.

use std::{collections::HashMap, time::Instant};

use futures::TryStreamExt;
use sqlx::{Connection, PgConnection};

use crate::{
    HOT, Plan,
    ledger::{Kind, Ledger},
    place::{Place, execute},
};

/// Changes in one batch.
const BATCH: i64 = 1_000;
/// The most batches that are copied in one run.
const BATCHES: usize = 60;

/// The tables that take new rows, and how a change's rows in them are found.
const TABLES: [(&str, &str); 6] = [
    ("change", "change_no BETWEEN $from AND $to"),
    ("history", "change_no BETWEEN $from AND $to"),
    ("journal_entry", "change_no BETWEEN $from AND $to"),
    (
        "line",
        "entry_no IN (SELECT entry_no FROM journal_entry WHERE change_no BETWEEN $from AND $to)",
    ),
    (
        "payment",
        "payment_id IN (SELECT payment_id FROM effect WHERE change_no BETWEEN $from AND $to)",
    ),
    ("effect", "change_no BETWEEN $from AND $to"),
];

/// One batch: what goes into each table.
type Batch = Vec<(&'static str, Vec<Vec<u8>>)>;

pub struct Copies {
    url: String,
    taken: HashMap<Kind, Vec<Batch>>,
}

impl Copies {
    pub async fn found(place: &Place) -> Self {
        place.database("copied").await;
        let mut connection = place.superuser("copied").await;
        for (table, _) in TABLES {
            execute(
                &mut connection,
                &format!("ALTER TABLE {table} DISABLE TRIGGER ALL"),
            )
            .await;
        }
        Self {
            url: place.url("postgres", "copied"),
            taken: HashMap::new(),
        }
    }

    /// Has the book write some batches, and takes them out of its database.
    pub async fn take(&mut self, place: &Place, ledger: &Ledger, kind: Kind, plan: Plan) {
        let mut connection = place.superuser(&ledger.database).await;
        let last = "SELECT change_no FROM campaign_head";
        // The accounts are opened by then.
        ledger.alone(kind, HOT, plan).await;
        let first: i64 = sqlx::query_scalar(last)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        ledger.alone(kind, HOT, plan).await;
        let end: i64 = sqlx::query_scalar(last)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let mut batches = Vec::new();
        let mut from = first + 1;
        while from + BATCH - 1 <= end && batches.len() < BATCHES {
            let mut batch = Batch::new();
            for (table, of) in TABLES {
                let of = of
                    .replace("$from", &from.to_string())
                    .replace("$to", &(from + BATCH - 1).to_string());
                let statement =
                    format!("COPY (SELECT * FROM {table} WHERE {of}) TO STDOUT (FORMAT binary)");
                let rows = connection.copy_out_raw(&statement).await.unwrap();
                let rows: Vec<Vec<u8>> = rows
                    .map_ok(|bytes| bytes.to_vec())
                    .try_collect()
                    .await
                    .unwrap();
                // The header and the trailer alone are no rows.
                if rows.iter().map(Vec::len).sum::<usize>() > 32 {
                    batch.push((table, rows));
                }
            }
            batches.push(batch);
            from += BATCH;
        }
        assert!(batches.len() > 3, "only {} batches to copy", batches.len());
        self.taken.insert(kind, batches);
    }

    /// Changes a second.
    pub async fn run(&self, _of: &Ledger, kind: Kind) -> f64 {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let tables: Vec<&str> = TABLES.iter().map(|(table, _)| *table).collect();
        let empty = format!("TRUNCATE {}", tables.join(", "));
        execute(&mut connection, &empty).await;
        let batches = &self.taken[&kind];
        let begun = Instant::now();
        for batch in batches {
            let mut tx = connection.begin().await.unwrap();
            for (table, rows) in batch {
                let statement = format!("COPY {table} FROM STDIN (FORMAT binary)");
                let mut copy = tx.copy_in_raw(&statement).await.unwrap();
                for bytes in rows {
                    copy.send(bytes.as_slice()).await.unwrap();
                }
                copy.finish().await.unwrap();
            }
            tx.commit().await.unwrap();
        }
        let took = begun.elapsed().as_secs_f64();
        (batches.len() as f64) * BATCH as f64 / took
    }
}
