//! The embedded default: a private PostgreSQL cluster when no `DATABASE_URL` is given.
//!
//! Pledgebook needs a real PostgreSQL, and a newcomer should not have to set one up first. So the
//! program finds the server programs that are installed, makes a cluster of its own and runs it as
//! a child. Nothing of a system-wide cluster is read or touched.
//!
//! ```text
//! <data dir>/                 /var/lib/pledgebook as root, else ~/.local/state/pledgebook
//!   pledgebook.lock           held for as long as a Pledgebook uses this directory; names its pid
//!   data/                     the cluster: checksums on, UTF8, locale C
//!   initdb-<pid>/             a cluster in the making; becomes data/ by one rename
//!   run/                      0700, the unix socket: the only way in
//!   postgres.log              what the server says
//! ```
//!
//! **Durability is PostgreSQL's own.** fsync, full-page writes and synchronous commit keep their
//! safe defaults; nothing here trades them for speed, because this cluster may hold real books.
//!
//! **Who may connect** is decided by the file system: there is no TCP port, and the socket's
//! folder belongs to the server's account alone (root may pass, too). Behind it every role is
//! trusted, so there are no passwords to keep.
//!
//! **The server never outlives the program, and never ends before it.** The kernel sends the
//! server SIGINT (a fast shutdown) when the thread that started it ends, so even `kill -9` of the
//! program stops the cluster cleanly. That thread therefore does nothing but wait for the server.
//! The server leads a process group of its own: Ctrl-C in a terminal reaches the program alone,
//! which drains and then stops the server. (Systems without a parent-death signal keep all but
//! the `kill -9` case; there the next start names the server that was left behind.)
//!
//! **A start survives whatever the last one left behind**: an `initdb` cut short is thrown away; a
//! server that is still shutting down is waited for; a lock file whose pid now belongs to another
//! program is removed; a live Pledgebook on the same directory is an error that names its pid.
//!
//! The server refuses to run as root. Started by root, it runs as `postgres`, else as `nobody`.

mod binaries;
mod error;
mod initdb;
mod place;
mod postmaster;
mod server;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use self::binaries::Binaries;
pub use self::error::ClusterError;
use self::place::Place;
use self::server::Server;

/// Creates the roles that Pledgebook logs in as. It may be run against any cluster, again and
/// again, and by several processes at once.
///
/// A role that is there already is left as it is: on a cluster that is not embedded, passwords and
/// limits are its operator's affair. What each role may touch is granted by the migrations.
pub const ROLES_SQL: &str = "
DO $$ BEGIN
    CREATE ROLE pledgebook_owner LOGIN CREATEDB;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
    CREATE ROLE pledgebook_app LOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
    CREATE ROLE pledgebook_report LOGIN;
    ALTER ROLE pledgebook_report SET default_transaction_read_only = on;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
";

/// The cluster's superuser. Only roles and databases are made with it.
const SUPERUSER: &str = "postgres";
/// Names the socket file; there is no TCP port.
const PORT: u16 = 5432;
/// Any number will do, as long as every Pledgebook takes the same one.
const DATABASE_LOCK: i64 = 0x706c_6564_6765;

/// Recovery after a crash replays at most a few gigabytes of log.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// A fast shutdown writes one checkpoint.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
/// When a server was killed outright, its sessions let go of their shared memory a moment later;
/// one that is busy computing, when it next talks to its client.
const SHARED_MEMORY_FREE_WITHIN: Duration = Duration::from_secs(30);

/// A private PostgreSQL cluster and the server that runs it.
///
/// Dropping it asks the server to stop without waiting for it; [`Cluster::stop`] also waits.
#[derive(Debug)]
pub struct Cluster {
    // The server comes first so that it is told to stop before the directory is given up.
    server: Option<Server>,
    binaries: Binaries,
    place: Place,
}

impl Cluster {
    /// Starts the cluster in `data_dir`, or in its default place, and waits until it answers. A
    /// directory without a cluster gets one first, which takes a few seconds.
    pub async fn start(data_dir: Option<PathBuf>) -> Result<Self, ClusterError> {
        let place = Place::claim(data_dir)?;
        let binaries = Binaries::find(place.major()?)?;
        postmaster::wait_for_predecessor(place.data()).await?;
        initdb::initialise(&place, &binaries).await?;
        let mut cluster = Self {
            server: None,
            binaries,
            place,
        };
        cluster.start_again().await?;
        Ok(cluster)
    }

    /// The URL under which `role` reaches `database` through the unix socket.
    pub fn url(&self, role: &str, database: &str) -> String {
        // Everything is spelled out, since PGPORT and PGSSLMODE would fill what is left open.
        format!(
            "postgres://{}@{}:{PORT}/{}?sslmode=disable",
            percent_encoded(role.as_bytes()),
            percent_encoded(self.place.socket_dir().as_os_str().as_encoded_bytes()),
            percent_encoded(database.as_bytes()),
        )
    }

    /// The directory that holds the cluster, its log and its lock.
    pub fn data_dir(&self) -> &Path {
        self.place.root()
    }

    /// The server's process id, for tests that crash it; `None` when it does not run.
    pub fn pid(&self) -> Option<i32> {
        let server = self.server.as_ref()?;
        server.ended().is_none().then(|| server.pid())
    }

    /// Creates the roles of [`ROLES_SQL`] where they are missing.
    pub async fn ensure_roles(&self) -> Result<(), ClusterError> {
        let mut connection = self.superuser().await?;
        sqlx::raw_sql(ROLES_SQL)
            .execute(&mut connection)
            .await
            .map_err(|source| ClusterError::database("creating the roles", source))?;
        close(connection).await
    }

    /// Creates the database `name`, owned by `pledgebook_owner`, where it is missing. Its sessions
    /// speak UTC. The roles must be there.
    pub async fn ensure_database(&self, name: &str) -> Result<(), ClusterError> {
        if !is_identifier(name) {
            return Err(ClusterError::DatabaseName(name.to_owned()));
        }
        let mut connection = self.superuser().await?;
        ensure_database(&mut connection, name)
            .await
            .map_err(|source| ClusterError::database("creating the database", source))?;
        close(connection).await
    }

    /// Stops the server: sessions are cut, what is committed is on disk, the log is closed.
    pub async fn stop(mut self) -> Result<(), ClusterError> {
        let Some(server) = self.server.take() else {
            return Ok(());
        };
        server.signal(Signal::SIGINT);
        let Some(ended) = server.wait_for_end(STOPPED_WITHIN).await else {
            // Committed work is safe: the next start replays the log.
            server.signal(Signal::SIGQUIT);
            return Err(ClusterError::DoesNotStop { pid: server.pid() });
        };
        if ended.clean {
            Ok(())
        } else {
            Err(ClusterError::Crashed {
                how: ended.how,
                log: self.place.log().to_owned(),
            })
        }
    }

    /// Stops the server as a crash would: no checkpoint, every session cut. For tests.
    pub async fn kill_hard(&mut self) -> Result<(), ClusterError> {
        let Some(server) = self.server.take() else {
            return Ok(());
        };
        server.signal(Signal::SIGQUIT);
        match server.wait_for_end(STOPPED_WITHIN).await {
            Some(_) => Ok(()),
            None => Err(ClusterError::DoesNotStop { pid: server.pid() }),
        }
    }

    /// Starts the server again after [`Cluster::kill_hard`] or a crash, and waits until it
    /// answers. Does nothing when it runs.
    pub async fn start_again(&mut self) -> Result<(), ClusterError> {
        if self.pid().is_some() {
            return Ok(());
        }
        self.server = None;
        let begun = Instant::now();
        let mut pause = Duration::from_millis(50);
        loop {
            match self.start_server().await {
                Ok(server) => {
                    self.server = Some(server);
                    tracing::info!(
                        data_dir = %self.place.root().display(),
                        version = self.binaries.major(),
                        took = ?begun.elapsed(),
                        "the embedded PostgreSQL is ready"
                    );
                    return Ok(());
                }
                Err(error)
                    if error.is_shared_memory_in_use()
                        && begun.elapsed() < SHARED_MEMORY_FREE_WITHIN =>
                {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn start_server(&self) -> Result<Server, ClusterError> {
        self.place.clear_socket_dir()?;
        let (log, log_start) = self.place.open_log()?;
        let server = Server::spawn(server::postgres(&self.binaries, &self.place), log)?;
        let begun = Instant::now();
        let failed = |how: String| ClusterError::DoesNotStart {
            how,
            log: self.place.log().to_owned(),
            said: self.place.log_since(log_start),
        };
        while !postmaster::is_ready(self.place.data(), server.pid()) {
            if let Some(ended) = server.ended() {
                return Err(failed(ended.how));
            }
            if begun.elapsed() > READY_WITHIN {
                return Err(failed(format!(
                    "not ready after {} s",
                    READY_WITHIN.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.mark_serving();
        Ok(server)
    }

    async fn superuser(&self) -> Result<PgConnection, ClusterError> {
        PgConnection::connect(&self.url(SUPERUSER, SUPERUSER))
            .await
            .map_err(|source| ClusterError::database("connecting as the superuser", source))
    }
}

/// CREATE DATABASE knows no IF NOT EXISTS and two ALTER DATABASE may collide, so that a lock lets
/// one process after the other look and create. The lock ends with the connection.
async fn ensure_database(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(DATABASE_LOCK)
        .execute(&mut *connection)
        .await?;
    let known = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1")
        .bind(name)
        .fetch_optional(&mut *connection)
        .await?;
    if known.is_none() {
        let create = format!(
            "CREATE DATABASE {name} OWNER pledgebook_owner TEMPLATE template0 \
             ENCODING 'UTF8' LOCALE 'C'"
        );
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut *connection)
            .await?;
    }
    let alter = format!("ALTER DATABASE {name} SET timezone = 'UTC'");
    sqlx::raw_sql(AssertSqlSafe(alter))
        .execute(connection)
        .await?;
    Ok(())
}

async fn close(connection: PgConnection) -> Result<(), ClusterError> {
    connection
        .close()
        .await
        .map_err(|source| ClusterError::database("closing the connection", source))
}

/// What PostgreSQL takes unquoted and without folding: the name stands in a statement as it is.
/// A keyword passes here and is refused by the server.
fn is_identifier(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn percent_encoded(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{is_identifier, percent_encoded};

    #[test]
    fn a_socket_folder_becomes_one_host_name() {
        assert_eq!(
            percent_encoded("/var/lib/münze 1".as_bytes()),
            "%2Fvar%2Flib%2Fm%C3%BCnze%201"
        );
    }

    #[test]
    fn only_plain_identifiers_name_a_database() {
        assert!(is_identifier("pledgebook_test_7"));
        for name in ["", "7up", "Pledgebook", "a-b", "a\"b", "a;b", "ä"] {
            assert!(!is_identifier(name), "{name}");
        }
        assert!(!is_identifier(&"a".repeat(64)));
    }
}
