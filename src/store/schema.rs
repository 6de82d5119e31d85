//! The schema's versions, and whether a database is one to serve on.

use std::borrow::Cow;

use sqlx::{Connection, PgConnection, PgPool, migrate::Migrator};

/// The migrations of this version.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// The lock of whoever migrates. Any number will do, as long as every Pledgebook
/// takes the same one.
const MIGRATING: i64 = 0x706c_6564_6d69_6772;

/// Why a database's schema is not this version's.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The database.
    #[error("the database's schema cannot be read")]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error("a migration failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// It lacks a migration.
    #[error("the database lacks migration {0}: run `pledgebook migrate` as its owner")]
    Behind(i64),
    /// It has a migration that this version does not know, or another one of the same number.
    #[error("the database has migration {0}, which this version does not know: run a newer one")]
    Ahead(i64),
}

/// The number of this version's last migration.
#[must_use]
pub fn version() -> i64 {
    MIGRATIONS
        .iter()
        .map(|known| known.version)
        .max()
        .unwrap_or(0)
}

/// Brings a database to this version's schema, as its owner.
///
/// # Errors
/// [`SchemaError`].
pub async fn migrate(owner_url: &str) -> Result<(), SchemaError> {
    let mut connection = PgConnection::connect(owner_url).await?;
    // sqlx's own lock ends before the grant, and two grants at once are an error.
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(MIGRATING)
        .execute(&mut connection)
        .await?;
    MIGRATIONS.run(&mut connection).await?;
    // sqlx's own table, by which a server knows whether it knows the schema.
    sqlx::query("GRANT SELECT ON _sqlx_migrations TO pledgebook_app, pledgebook_report")
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}

/// Refuses a schema that is not exactly this version's.
///
/// # Errors
/// [`SchemaError`].
pub async fn must_be_known(pool: &PgPool) -> Result<(), SchemaError> {
    let known: Vec<(i64, Cow<'_, [u8]>)> = MIGRATIONS
        .iter()
        .map(|migration| (migration.version, migration.checksum.clone()))
        .collect();
    let table = sqlx::query_scalar::<_, bool>("SELECT to_regclass('_sqlx_migrations') IS NOT NULL");
    let applied: Vec<(i64, Vec<u8>)> = if table.fetch_one(pool).await? {
        sqlx::query_as(
            "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version",
        )
        .fetch_all(pool)
        .await?
    } else {
        Vec::new()
    };
    for (version, checksum) in &applied {
        if !known.iter().any(|(v, c)| v == version && **c == **checksum) {
            return Err(SchemaError::Ahead(*version));
        }
    }
    match known
        .iter()
        .find(|(version, _)| !applied.iter().any(|(v, _)| v == version))
    {
        Some((version, _)) => Err(SchemaError::Behind(*version)),
        None => Ok(()),
    }
}

/// What nobody changes once it is written, and what triggers alone change.
const WRITTEN_ONCE: [&str; 6] = [
    "journal_entry",
    "line",
    "change",
    "account",
    "balance",
    "account_day",
];
/// What triggers alone write.
const WRITTEN_BY_TRIGGERS: [&str; 2] = ["balance", "account_day"];

/// What makes a database unsafe to keep a ledger in, in words; nothing when all is well.
///
/// # Errors
/// When the database fails.
pub async fn unsafe_settings(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    let mut problems = Vec::new();
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(pool)
            .await?;
        if value == "off" {
            problems.push(format!(
                "PostgreSQL runs with {setting} = off: a crash can lose money"
            ));
        }
    }
    let privileges = sqlx::query_as(
        "SELECT relname::text, privilege
         FROM unnest($1::text[]) AS of (relname)
         CROSS JOIN unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS to_do (privilege)
         -- A grant on one column is one too, and no grant on the table.
         WHERE CASE privilege WHEN 'UPDATE' THEN has_any_column_privilege(relname, privilege)
             ELSE has_table_privilege(relname, privilege) END
         UNION ALL
         SELECT relname::text, 'INSERT' FROM unnest($2::text[]) AS of (relname)
         WHERE has_any_column_privilege(relname, 'INSERT')",
    );
    let privileges: Vec<(String, String)> = privileges
        .bind(WRITTEN_ONCE)
        .bind(WRITTEN_BY_TRIGGERS)
        .fetch_all(pool)
        .await?;
    for (table, privilege) in privileges {
        problems.push(format!("the application's role may {privilege} {table}"));
    }
    Ok(problems)
}
