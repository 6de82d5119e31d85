//! The schema is the one that the program was written for, and a server serves
//! on no other.

use std::path::PathBuf;

use pledgebook::{
    ledger::{Code, Side},
    postgres::Cluster,
    store::schema::{self, SchemaError},
};
use sqlx::PgPool;

use crate::harness::Database;

#[tokio::test(flavor = "multi_thread")]
async fn the_databases_chart_of_accounts_is_the_programs() {
    let database = Database::create().await;
    let pool = database.pool("pledgebook_app").await;
    type Row = (i16, String, String, String, i16, i16, String);
    let stored: Vec<Row> = sqlx::query_as(
        "SELECT code, name, book, kind, normal_side, guard, owner_kind FROM chart_account
         ORDER BY code",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let sign = |side: Side| i16::try_from(side.sign()).unwrap();
    let known: Vec<Row> = Code::ALL
        .iter()
        .map(|code| {
            (
                code.number(),
                code.name().to_owned(),
                code.book().letter().to_owned(),
                code.kind().word().to_owned(),
                sign(code.normal_side()),
                // The guard is the side on which it may stand.
                code.never().map_or(0, |never| -sign(never)),
                code.owner_kind().word().to_owned(),
            )
        })
        .collect();
    assert_eq!(stored, known);
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_again_changes_nothing() {
    let database = Database::create().await;
    let pool = database.pool("postgres").await;
    let all = "SELECT version, description, checksum, installed_on::text FROM _sqlx_migrations
               ORDER BY version";
    type Row = (i64, String, Vec<u8>, String);
    let before: Vec<Row> = sqlx::query_as(all).fetch_all(&pool).await.unwrap();
    assert_eq!(before.len(), schema::MIGRATIONS.iter().count());
    for _ in 0..2 {
        schema::migrate(&database.url("pledgebook_owner"))
            .await
            .unwrap();
    }
    let after: Vec<Row> = sqlx::query_as(all).fetch_all(&pool).await.unwrap();
    assert_eq!(after, before);
    schema::must_be_known(&database.pool("pledgebook_app").await)
        .await
        .unwrap();
    schema::must_be_known(&database.pool("pledgebook_report").await)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_migrate_at_once_do_it_once() {
    let database = Database::create().await;
    let empty = "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pledgebook_owner";
    database.execute("postgres", empty).await.unwrap();
    let url = database.url("pledgebook_owner");
    let (one, two) = tokio::join!(schema::migrate(&url), schema::migrate(&url));
    one.unwrap();
    two.unwrap();
    let pool = database.pool("pledgebook_app").await;
    schema::must_be_known(&pool).await.unwrap();
}

/// A database in which this was kept before a migration, with all of them.
async fn migrated_with(kept: &str, version: i64) -> Database {
    let database = Database::create().await;
    let empty = "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pledgebook_owner";
    database.execute("postgres", empty).await.unwrap();
    for migration in schema::MIGRATIONS.iter() {
        if migration.version == version {
            database.execute("postgres", kept).await.unwrap();
        }
        let migrated = database.execute("pledgebook_owner", migration.sql.as_str());
        migrated.await.unwrap();
    }
    database
}

/// Outcomes that were recorded while history had a table of its own.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_of_a_change_moves_over_to_it() {
    let kept = r#"ALTER TABLE change DISABLE TRIGGER ALL; ALTER TABLE history DISABLE TRIGGER ALL;
        INSERT INTO change (campaign_id, change_no, request_id, method, principal, fields, recorded_at)
        SELECT '01900000-0000-7000-8000-000000000000', n, gen_random_uuid(), 'Kept', 'me', '', now()
        FROM generate_series(1, 3) AS n;
        INSERT INTO history (campaign_id, change_no, ordinal, subject_id, snapshot)
        SELECT '01900000-0000-7000-8000-000000000000', change_no, ordinal,
            ('01900000-0000-7000-8000-00000000000' || ordinal)::uuid, snapshot::json
        FROM (VALUES (1, 3, '{"noun": "pledge",  "paid":1.50}'), (1, 1, '{"noun":"payment"}'),
            (3, 2, '{"noun":"member"}')) AS old (change_no, ordinal, snapshot)"#;
    let database = migrated_with(kept, 11).await;
    let pool = database.pool("pledgebook_report").await;
    type Row = (i64, i16, String, String);
    let stands: Vec<Row> = sqlx::query_as(
        "SELECT change_no, ordinal, right(subject_id::text, 1), snapshot::text FROM history
         ORDER BY change_no, ordinal",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let row = |change, ordinal, subject: &str, snapshot: &str| -> Row {
        (change, ordinal, subject.to_owned(), snapshot.to_owned())
    };
    // In their order, whose gaps meant nothing, and letter by letter.
    let expected = [
        row(1, 1, "1", r#"{"noun":"payment"}"#),
        row(1, 2, "3", r#"{"noun": "pledge",  "paid":1.50}"#),
        row(3, 1, "2", r#"{"noun":"member"}"#),
    ];
    assert_eq!(stands, expected);
    let made_nothing = "SELECT history IS NULL FROM change WHERE change_no = 2";
    let made_nothing: bool = sqlx::query_scalar(made_nothing)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(made_nothing);
}

/// Numbers that were kept while the tally had a table of its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_tally_moves_over_to_the_head() {
    let kept = "ALTER TABLE tally DISABLE TRIGGER ALL;
        INSERT INTO campaign_head (campaign_id) VALUES
            ('01900000-0000-7000-8000-000000000001'), ('01900000-0000-7000-8000-000000000002');
        INSERT INTO tally (campaign_id, signed, withdrawn, converted, pledging_members, pledged,
            paying_members, held, payments, failures, refundable, returned, unallocated, allotted,
            refunded, certificates)
        VALUES ('01900000-0000-7000-8000-000000000002', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)";
    let database = migrated_with(kept, 13).await;
    let pool = database.pool("pledgebook_report").await;
    let stands: Vec<Vec<i64>> = sqlx::query_scalar(
        "SELECT ARRAY[signed, withdrawn, converted, pledging_members, pledged, paying_members, held,
             payments, failures, refundable, returned, unallocated, allotted, refunded, certificates]
         FROM tally ORDER BY campaign_id",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    // A head without a campaign had none.
    assert_eq!(stands, [vec![0; 15], (1..=15).collect::<Vec<i64>>()]);
}

async fn refused(pool: &PgPool) -> SchemaError {
    schema::must_be_known(pool).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_not_exactly_known_is_refused() {
    let database = Database::create().await;
    let pool = database.pool("pledgebook_app").await;
    let last = schema::MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap();
    schema::must_be_known(&pool).await.unwrap();

    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum,
                    execution_time) VALUES (9999, 'from the future', true, 'x', 0)";
    database.execute("postgres", newer).await.unwrap();
    assert!(matches!(refused(&pool).await, SchemaError::Ahead(9999)));
    let forget = "DELETE FROM _sqlx_migrations WHERE version = 9999";
    database.execute("postgres", forget).await.unwrap();
    schema::must_be_known(&pool).await.unwrap();

    let edited = format!(
        "UPDATE _sqlx_migrations SET checksum = checksum || '\\x00' WHERE version = {last}"
    );
    database.execute("postgres", &edited).await.unwrap();
    assert!(matches!(refused(&pool).await, SchemaError::Ahead(version) if version == last));

    let missing = format!("DELETE FROM _sqlx_migrations WHERE version = {last}");
    database.execute("postgres", &missing).await.unwrap();
    assert!(matches!(refused(&pool).await, SchemaError::Behind(version) if version == last));

    database
        .execute("postgres", "UPDATE _sqlx_migrations SET success = false")
        .await
        .unwrap();
    assert!(matches!(refused(&pool).await, SchemaError::Behind(1)));

    database
        .execute("postgres", "DROP TABLE _sqlx_migrations")
        .await
        .unwrap();
    let error = refused(&pool).await;
    assert!(matches!(error, SchemaError::Behind(1)));
    assert!(error.to_string().contains("pledgebook migrate"), "{error}");
}

async fn problems(pool: &PgPool) -> Vec<String> {
    schema::unsafe_settings(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_change_the_books_is_reported() {
    let database = Database::create().await;
    let pool = database.pool("pledgebook_app").await;
    assert_eq!(problems(&pool).await, Vec::<String>::new());
    let report = database.pool("pledgebook_report").await;
    assert_eq!(problems(&report).await, Vec::<String>::new());
    for (grant, on, problem) in [
        ("UPDATE", "line", "UPDATE line"),
        // One column is enough to change an amount.
        ("UPDATE (amount)", "line", "UPDATE line"),
        ("DELETE", "journal_entry", "DELETE journal_entry"),
        ("TRUNCATE", "change", "TRUNCATE change"),
        ("TRIGGER", "account", "TRIGGER account"),
        ("UPDATE", "balance", "UPDATE balance"),
        ("INSERT", "balance", "INSERT balance"),
        ("INSERT (debits)", "account_day", "INSERT account_day"),
    ] {
        let give = format!("GRANT {grant} ON {on} TO pledgebook_app");
        database.execute("pledgebook_owner", &give).await.unwrap();
        let found = problems(&pool).await;
        let expected = format!("the application's role may {problem}");
        assert_eq!(found, [expected], "{give}");
        let take = format!("REVOKE {grant} ON {on} FROM pledgebook_app");
        database.execute("pledgebook_owner", &take).await.unwrap();
    }
    assert_eq!(problems(&pool).await, Vec::<String>::new());
    // Who owns the tables, or is above all, may everything.
    assert!(
        problems(&database.pool("pledgebook_owner").await)
            .await
            .len()
            > 20
    );
    assert!(problems(&database.pool("postgres").await).await.len() > 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_commits_without_the_disk_is_reported() {
    let database = Database::create().await;
    let careless = format!(
        "ALTER DATABASE {} SET synchronous_commit = off",
        database.name
    );
    database.execute("postgres", &careless).await.unwrap();
    let found = problems(&database.pool("pledgebook_app").await).await;
    assert!(
        matches!(&found[..], [one] if one.contains("synchronous_commit = off")),
        "{found:?}"
    );
}

/// A cluster's folder that is gone with the test, however that ends.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_would_not_survive_a_crash_is_reported() {
    let folder =
        std::env::temp_dir().join(format!("pledgebook-it-careless-{}", std::process::id()));
    let folder = Folder(folder);
    let cluster = Cluster::start(Some(folder.0.clone())).await.unwrap();
    cluster.ensure_roles().await.unwrap();
    cluster.ensure_database("careless").await.unwrap();
    schema::migrate(&cluster.url("pledgebook_owner", "careless"))
        .await
        .unwrap();
    let app = cluster.url("pledgebook_app", "careless");
    let pool = PgPool::connect(&app).await.unwrap();
    assert_eq!(problems(&pool).await, Vec::<String>::new());

    let superuser = PgPool::connect(&cluster.url("postgres", "postgres"))
        .await
        .unwrap();
    for statement in [
        "ALTER SYSTEM SET fsync = off",
        "ALTER SYSTEM SET full_page_writes = off",
        "SELECT pg_reload_conf()",
    ] {
        sqlx::query(statement).execute(&superuser).await.unwrap();
    }
    // The server reads its settings again in its own time.
    let found = loop {
        let found = problems(&PgPool::connect(&app).await.unwrap()).await;
        if found.len() >= 2 {
            break found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    for setting in ["fsync = off", "full_page_writes = off"] {
        assert!(
            found.iter().any(|problem| problem.contains(setting)),
            "{found:?}"
        );
    }
    superuser.close().await;
    pool.close().await;
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_of_the_books_is_protected_whatever_its_name() {
    let database = Database::create().await;
    let pool = database.pool("postgres").await;
    // Whatever the application may only insert into is written once, and a trigger
    // says so to everybody else as well.
    let unprotected: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
            AND relname NOT IN ('_sqlx_migrations', 'person')
            AND has_table_privilege('pledgebook_app', oid, 'INSERT')
            AND NOT has_any_column_privilege('pledgebook_app', oid, 'UPDATE')
            AND NOT EXISTS (
                SELECT FROM pg_trigger WHERE tgrelid = pg_class.oid
                    AND tgname = 'stays_written' AND tgenabled = 'A' AND tgtype & 56 = 56
            )
         ORDER BY relname",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    // An endpoint's secrets rotate.
    assert_eq!(unprotected, ["webhook_endpoint"]);
    let deletable: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
            AND (has_table_privilege('pledgebook_app', oid, 'DELETE, TRUNCATE, TRIGGER, REFERENCES')
                OR has_table_privilege('pledgebook_report', oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    // A list that no run has frozen may be thrown away; the rest is a trigger's to refuse.
    assert_eq!(deletable, ["run_item"]);
    // Whoever runs as the owner says where names are looked up, unless they are bound already.
    let lookup: Vec<String> = sqlx::query_scalar(
        "SELECT proname::text FROM pg_proc
         WHERE pronamespace = 'public'::regnamespace
            AND ((prosqlbody IS NULL
                    AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=public, pg_temp'])
                OR has_function_privilege('pledgebook_app', oid, 'EXECUTE')
                OR has_function_privilege('pledgebook_report', oid, 'EXECUTE'))",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(lookup, Vec::<String>::new());
}
