//! The cluster of the run, with the settings that the embedded one has, and its databases.

use std::{path::PathBuf, time::Instant};

use pledgebook::{postgres::Cluster, store::schema};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

pub struct Place {
    cluster: Cluster,
    directory: PathBuf,
}

impl Place {
    /// A cluster whose log has so many files that wait to be used.
    pub async fn start(log_files: usize) -> Self {
        let directory =
            std::env::temp_dir().join(format!("pledgebook-bench-{}", std::process::id()));
        let cluster = Cluster::start(Some(directory.clone())).await.unwrap();
        cluster.ensure_roles().await.unwrap();
        let place = Self { cluster, directory };
        place.lay_out_the_log(log_files).await;
        place
    }

    /// A checkpoint keeps the files of the log that were filled before it, to be filled again,
    /// so a server that has been up for a while seldom makes a new one. On a new cluster each
    /// stops every commit for some 30 ms, whoever's turn it is.
    async fn lay_out_the_log(&self, files: usize) {
        let mut connection = self.superuser("postgres").await;
        for _ in 0..files {
            // An empty file is not left for the next one.
            let filled = "SELECT pg_logical_emit_message(true, '', ''); SELECT pg_switch_wal()";
            execute(&mut connection, filled).await;
        }
        execute(&mut connection, "CHECKPOINT").await;
    }

    /// A database with this version's schema.
    pub async fn database(&self, name: &str) {
        self.cluster.ensure_database(name).await.unwrap();
        schema::migrate(&self.url("pledgebook_owner", name))
            .await
            .unwrap();
    }

    /// A database that begins as another one stands now; nobody may be connected to that.
    pub async fn copy(&self, from: &str, to: &str) {
        let mut connection = self.superuser("postgres").await;
        let copy = format!("CREATE DATABASE {to} TEMPLATE {from} OWNER pledgebook_owner");
        execute(&mut connection, &copy).await;
    }

    /// An empty database of another contender's.
    pub async fn empty(&self, name: &str) {
        self.cluster.ensure_database(name).await.unwrap();
    }

    pub fn url(&self, role: &str, database: &str) -> String {
        self.cluster.url(role, database)
    }

    pub async fn superuser(&self, database: &str) -> PgConnection {
        PgConnection::connect(&self.url("postgres", database))
            .await
            .unwrap()
    }

    /// Waits until what earlier runs left to the operating system is on the disk, and has
    /// autovacuum work in no database but the one that is measured next: whoever comes next would
    /// wait for the others' in their place. What it has left undone there is done first. No
    /// checkpoint: after one the first change of every page logs it whole, which a server in use
    /// goes through once in a quarter of an hour.
    pub async fn settle(&self, measured: &str) {
        let mut connection = self.superuser("postgres").await;
        let databases = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate";
        let databases: Vec<String> = sqlx::query_scalar(databases)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        for database in databases {
            let mut connection = self.superuser(&database).await;
            execute(&mut connection, &vacuumed(database == measured)).await;
        }
        let mut connection = self.superuser(measured).await;
        execute(&mut connection, "VACUUM (ANALYZE)").await;
        self.flush().await;
    }

    /// Waits until what was written so far is on the disk. What tables grow by the operating system
    /// keeps for half a minute and writes in one go then, half a gigabyte under load; commits wait
    /// for a tenth to a quarter of a second meanwhile. That is less than a hundredth of the time,
    /// and more than a hundredth of a run.
    pub async fn flush(&self) {
        tokio::task::spawn_blocking(nix::unistd::sync)
            .await
            .unwrap();
    }

    /// Ends the checkpoint that other contenders' thousands of postings have brought about; one is
    /// under way nearly all the time otherwise. For whoever touches every page before it is
    /// measured, as a front does that meets every member.
    pub async fn calm(&self, measured: &str) {
        self.settle(measured).await;
        // After what the vacuum has written.
        let mut connection = self.superuser("postgres").await;
        execute(&mut connection, "CHECKPOINT").await;
    }

    /// What one fdatasync of a small write takes here, in milliseconds: the median of 200.
    pub fn sync_time(&self) -> f64 {
        use std::io::Write;
        let path = std::env::temp_dir().join(format!("pledgebook-sync-{}", std::process::id()));
        let mut file = std::fs::File::create(&path).unwrap();
        let mut times: Vec<f64> = (0..200)
            .map(|_| {
                let begun = Instant::now();
                file.write_all(&[0; 8_192]).unwrap();
                file.sync_data().unwrap();
                begun.elapsed().as_secs_f64() * 1_000.0
            })
            .collect();
        std::fs::remove_file(path).unwrap();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }

    pub async fn version(&self) -> String {
        let mut connection = self.superuser("postgres").await;
        sqlx::query_scalar("SHOW server_version")
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    pub async fn stop(self) {
        self.cluster.stop().await.unwrap();
        std::fs::remove_dir_all(self.directory).unwrap();
    }
}

/// Has autovacuum look after a database's tables, or leave them alone.
fn vacuumed(yes: bool) -> String {
    let setting = if yes {
        "RESET (autovacuum_enabled)"
    } else {
        "SET (autovacuum_enabled = false)"
    };
    format!(
        "DO $$ DECLARE of_these regclass; BEGIN
            FOR of_these IN
                SELECT oid FROM pg_class
                WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                    AND (coalesce(reloptions, '{{}}') @> '{{autovacuum_enabled=false}}') = {yes}
            LOOP
                EXECUTE format('ALTER TABLE %s {setting}', of_these);
            END LOOP;
        END $$"
    )
}

/// Runs statements, in one simple query.
pub async fn execute(connection: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(connection)
        .await
        .unwrap();
}
