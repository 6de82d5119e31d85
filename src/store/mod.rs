//! All writing SQL, and what the write path reads: one named, measured door to
//! the database, one file a noun.
//!
//! | file | is about |
//! |---|---|
//! | `world` | reading the rows that a batch needs |
//! | `batch` | writing what a batch changed, set by set |
//! | `answer` | an outcome as it was given, from immutable rows |
//! | `run` | lists of runs, and who works them |
//! | `noun` | single nouns and pages of them, for Get and List |
//! | `api_key`, `webhook` | reference data outside the campaigns, the inbox |
//!
//! Every statement of a batch names one campaign. Statements with nothing to
//! write are skipped.

mod answer;
mod api_key;
pub(crate) mod batch;
mod noun;
pub mod run;
pub mod schema;
pub mod webhook;
pub(crate) mod world;

use std::{str::FromStr, time::Duration};

use sqlx::{
    Acquire, PgConnection, Postgres, Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};

pub use answer::Given;

/// A database transaction.
pub type Tx<'c> = Transaction<'c, Postgres>;

/// A connection for a book, batch after batch: PostgreSQL keeps with it the plans of
/// the statements and what they look up, and each acquiring would ask it first whether
/// it still answers.
#[derive(Debug)]
pub struct Held(PoolConnection<Postgres>);

impl Held {
    /// Begins a database transaction, as [`Store::begin`] does.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin(&mut self) -> Result<Tx<'_>, StoreError> {
        Ok(self.0.begin().await?)
    }

    /// For reading what is committed when each statement begins.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.0
    }

    /// Carries a statement out as a database transaction of its own.
    ///
    /// # Errors
    /// When the database refuses it, or does not answer.
    pub(crate) async fn carry_out(
        &mut self,
        statement: batch::Statement,
    ) -> Result<(), StoreError> {
        statement.execute(&mut self.0).await
    }
}

/// The door to the database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It did not answer in time, or not at all: the outcome may be recorded or
    /// not, and the request id tells.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// It refused a row: the second lock on the door.
    #[error("the database refuses: {constraint}")]
    Refused {
        /// The constraint that is broken.
        constraint: String,
        /// The database's error.
        #[source]
        source: sqlx::Error,
    },
    /// Our own mistake.
    #[error("a statement failed")]
    Fault(#[source] sqlx::Error),
    /// A stored row that this version cannot read.
    #[error("a stored row cannot be read: {0}")]
    Unreadable(String),
}

impl StoreError {
    /// Whether the batch does not follow the campaign's last one, by the numbers of its changes,
    /// entries or accounts or by what it was decided on: another batch has come between, or the
    /// one before it is not there yet.
    pub(crate) fn is_out_of_turn(&self) -> bool {
        let Self::Refused { constraint, .. } = self else {
            return false;
        };
        constraint == "a_change_names_the_next_entries"
            || constraint == "change_numbers_are_dense_and_time_goes_on"
            || constraint == "a_batch_follows_what_it_was_decided_on"
            || constraint == "lines_are_of_the_next_entries"
            || constraint == "account_numbers_are_dense"
    }

    /// Whether the database took it back itself, so that it stood in nobody's way: it can be
    /// tried again at once.
    pub(crate) fn gave_way(&self) -> bool {
        let Self::Unavailable(sqlx::Error::Database(error)) = self else {
            return false;
        };
        // serialization failure, deadlock
        error
            .code()
            .is_some_and(|code| code == "40001" || code == "40P01")
    }

    fn unreadable(what: &str, value: impl std::fmt::Debug) -> Self {
        Self::Unreadable(format!("{what}: {value:?}"))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                if let Some(constraint) = database.constraint()
                    && code.starts_with("23")
                {
                    let constraint = constraint.to_owned();
                    return Self::Refused {
                        constraint,
                        source: error,
                    };
                }
                match code.as_ref() {
                    // serialization failure, deadlock, lock not available, cancelled by a timeout,
                    // too many connections, read-only (a standby), idle in transaction
                    "40001" | "40P01" | "55P03" | "57014" | "53300" | "25006" | "25P03" => {
                        Self::Unavailable(error)
                    }
                    // connection exceptions; operator intervention (shutdown, crash)
                    code if code.starts_with("08") || code.starts_with("57P") => {
                        Self::Unavailable(error)
                    }
                    _ => Self::Fault(error),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => Self::Unavailable(error),
            _ => Self::Fault(error),
        }
    }
}

impl Store {
    /// Opens the door. Connections are made as they are needed, at most `most`.
    ///
    /// # Errors
    /// When the address is none, or the database does not answer.
    pub async fn connect(url: &str, most: u32) -> Result<Self, StoreError> {
        let settings = [
            // A hung server must not stop a campaign for longer than the first of these;
            // in its turn it may for longer, see turn_in_tx().
            ("idle_in_transaction_session_timeout", "2s"),
            ("lock_timeout", "10s"),
            ("statement_timeout", "30s"),
            // Every statement here finds its rows by an index, whatever the statistics of
            // a table that has grown since they were taken; and planning a batch's arrays
            // anew each time takes longer than most of the statements.
            ("enable_seqscan", "off"),
            ("plan_cache_mode", "force_generic_plan"),
            ("jit", "off"),
            // None is large enough for a second worker to be worth its start.
            ("max_parallel_workers_per_gather", "0"),
        ];
        Self::connect_with(url, most, settings).await
    }

    /// Opens the door for reports: they lock nothing, and a check of a large
    /// campaign takes its time.
    ///
    /// # Errors
    /// When the address is none, or the database does not answer.
    pub async fn connect_to_read(url: &str, most: u32) -> Result<Self, StoreError> {
        let settings = [
            ("idle_in_transaction_session_timeout", "60s"),
            ("default_transaction_read_only", "on"),
            ("statement_timeout", "15min"),
        ];
        Self::connect_with(url, most, settings).await
    }

    async fn connect_with<const SETTINGS: usize>(
        url: &str,
        most: u32,
        settings: [(&str, &str); SETTINGS],
    ) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("pledgebook")
            // What a batch writes has a text for each set of parts and columns; a hundred would do
            // for the usual ones, and each that is not kept is planned anew.
            .statement_cache_capacity(400);
        let pool = PgPoolOptions::new()
            .max_connections(most)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(options.options(settings))
            .await?;
        Ok(Self { pool })
    }

    /// The pool, for what reads beside the book.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Begins a database transaction, READ COMMITTED: each statement sees what is
    /// committed when it begins, so a read after the head's lock is fresh.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub async fn begin(&self) -> Result<Tx<'static>, StoreError> {
        Ok(self.pool.begin().await?)
    }

    /// Takes a connection out of the pool.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn hold(&self) -> Result<Held, StoreError> {
        Ok(Held(self.pool.acquire().await?))
    }

    /// True while nobody else has to wait for a connection.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.pool.num_idle() > 0 || self.pool.size() < self.pool.options().get_max_connections()
    }

    /// Begins a read-only database transaction on one snapshot.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub async fn snapshot(&self) -> Result<Tx<'static>, StoreError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        Ok(self.pool.begin_with(begin).await?)
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
