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

/// What its database is called.
pub const DATABASE: &str = "copied";

/// Changes in one batch.
const BATCH: i64 = 1_000;
/// The most batches that are copied in one run.
const BATCHES: i64 = 60;

/// The tables that take new rows, and how a row of theirs is found by its change.
const TABLES: [(&str, &str); 5] = [
    ("change", "change AS written"),
    ("journal_entry", "journal_entry AS written"),
    (
        "line",
        "line AS written JOIN journal_entry AS change USING (campaign_id, entry_no)",
    ),
    (
        "payment",
        "payment AS written JOIN effect AS change USING (campaign_id, payment_id)",
    ),
    ("effect", "effect AS written"),
];

/// One batch: what goes into each table.
type Batch = Vec<(&'static str, Vec<Vec<u8>>)>;

pub struct Copies {
    url: String,
    taken: HashMap<Kind, Vec<Batch>>,
}

impl Copies {
    pub async fn found(place: &Place) -> Self {
        place.database(DATABASE).await;
        let mut connection = place.superuser(DATABASE).await;
        // What refers to the tables that are emptied, and has no rows here.
        execute(&mut connection, "DROP TABLE refund").await;
        for (table, _) in TABLES {
            execute(
                &mut connection,
                &format!("ALTER TABLE {table} DISABLE TRIGGER ALL"),
            )
            .await;
        }
        Self {
            url: place.url("postgres", DATABASE),
            taken: HashMap::new(),
        }
    }

    /// Has the book write some batches, and takes them out of its database. The accounts
    /// have to be open.
    pub async fn take(&mut self, place: &Place, ledger: &Ledger, kind: Kind, plan: Plan) {
        let mut connection = place.superuser(&ledger.database).await;
        let last = "SELECT change_no FROM campaign_head";
        let first: i64 = sqlx::query_scalar(last)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        ledger.alone(kind, HOT, plan).await;
        let end: i64 = sqlx::query_scalar(last)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let how_many = ((end - first) / BATCH).min(BATCHES);
        for (table, found) in TABLES {
            let change = if found.contains(" AS change") {
                "change"
            } else {
                "written"
            };
            let take = format!(
                "CREATE TEMP TABLE taken_{table} AS
                 SELECT ({change}.change_no - {first} - 1) / {BATCH} AS batch, written FROM {found}
                 WHERE {change}.change_no BETWEEN {first} + 1 AND {first} + {how_many} * {BATCH}"
            );
            execute(&mut connection, &take).await;
        }
        let mut batches = Vec::new();
        for batch in 0..how_many {
            let mut rows_of = Batch::new();
            for (table, _) in TABLES {
                let statement = format!(
                    "COPY (SELECT (written).* FROM taken_{table} WHERE batch = {batch})
                     TO STDOUT (FORMAT binary)"
                );
                let rows = connection.copy_out_raw(&statement).await.unwrap();
                let rows: Vec<Vec<u8>> = rows
                    .map_ok(|bytes| bytes.to_vec())
                    .try_collect()
                    .await
                    .unwrap();
                // The header and the trailer alone are no rows.
                if rows.iter().map(Vec::len).sum::<usize>() > 32 {
                    rows_of.push((table, rows));
                }
            }
            batches.push(rows_of);
        }
        assert!(batches.len() > 3, "only {} batches to copy", batches.len());
        self.taken.insert(kind, batches);
    }

    /// Changes a second.
    pub async fn run(&self, kind: Kind) -> f64 {
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
