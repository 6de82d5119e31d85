//! Stub.
/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// What is asked about does not exist.
    #[error("{what} does not exist")]
    NotFound {
        /// What, as a resource name.
        what: String,
    },
    /// The ledger has not come to this entry yet.
    #[error("the ledger has no entry {entry} yet")]
    AsOfInFuture {
        /// The entry that was asked for.
        entry: i64,
    },
    /// A period that ends before it begins.
    #[error("the period ends before it begins")]
    PeriodIsBackwards,
    /// The database failed, or holds what this version does not know.
    #[error("the database gave no answer")]
    Database(#[from] sqlx::Error),
}
/// Stub.
#[derive(Clone, Debug)]
pub struct Reports {
    pool: sqlx::PgPool,
}
impl Reports {
    /// Stub.
    pub const fn new(pool: sqlx::PgPool) -> Self {
        Self { pool }
    }
}
