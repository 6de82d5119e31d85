//! Why the embedded cluster could not be had. Each message says what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the embedded cluster could not be started, used or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// No folder with the server's programs was found.
    #[error(
        "no PostgreSQL server was found in {looked_in}. Without DATABASE_URL, Pledgebook runs a \
         PostgreSQL (15 or newer) of its own. Install its server: `apt-get install postgresql` \
         (Debian, Ubuntu), `dnf install postgresql-server` (Fedora), `apk add postgresql` \
         (Alpine), `brew install postgresql` (macOS); or set PG_BIN to the folder that holds \
         `postgres` and `initdb`, or DATABASE_URL to a server that runs already"
    )]
    NotInstalled {
        /// Where it was looked for.
        looked_in: String,
    },
    /// Only servers older than PostgreSQL 15 were found.
    #[error(
        "PostgreSQL 15 or newer is needed, and the newest found is {major} in {}. Install a newer \
         one, or set PG_BIN to the folder that holds its `postgres` and `initdb`",
        dir.display()
    )]
    TooOld {
        /// The newest version found.
        major: u32,
        /// Its folder.
        dir: PathBuf,
    },
    /// The cluster was made by a version that is not installed.
    #[error(
        "the cluster was made by PostgreSQL {made_by}, and only {found} is installed. Install \
         PostgreSQL {made_by} beside it, or move the data with pg_upgrade"
    )]
    OtherMajor {
        /// The version that made the cluster.
        made_by: u32,
        /// The versions that are installed.
        found: String,
    },
    /// Neither HOME nor XDG_STATE_HOME says where the data belongs.
    #[error(
        "HOME is not set, so there is no default place for the data. Set PLEDGEBOOK_DATA to a \
         directory"
    )]
    NoHome,
    /// Root started the program, but there is nobody else to run the server as.
    #[error(
        "PostgreSQL does not run as root, and there is neither an account `postgres` nor `nobody`"
    )]
    NoAccount,
    /// The account that runs the server cannot reach its data.
    #[error(
        "the account {account}, which runs PostgreSQL, may not pass through {}. Set \
         PLEDGEBOOK_DATA to a directory elsewhere",
        path.display()
    )]
    NotTraversable {
        /// The server's account.
        account: String,
        /// The folder that stops it.
        path: PathBuf,
    },
    /// Another Pledgebook uses this directory.
    #[error(
        "another Pledgebook (pid {pid}) is using {}. Stop it, or set PLEDGEBOOK_DATA to another \
         directory",
        dir.display()
    )]
    InUse {
        /// The other program's process id, as it wrote it down.
        pid: String,
        /// The contested directory.
        dir: PathBuf,
    },
    /// A server without a Pledgebook runs on this directory.
    #[error(
        "a PostgreSQL server (pid {pid}) that this program did not start is running on {}. Stop \
         it with `kill -INT {pid}`",
        dir.display()
    )]
    ServerLeftBehind {
        /// The server's process id.
        pid: i32,
        /// The cluster's directory.
        dir: PathBuf,
    },
    /// The server's account could not make the cluster.
    #[error("initdb failed ({how}): {said}")]
    InitDb {
        /// How it ended.
        how: String,
        /// What it said.
        said: String,
    },
    /// The server ended before it answered.
    #[error("PostgreSQL did not start ({how}): {said}; see {}", log.display())]
    DoesNotStart {
        /// How it ended.
        how: String,
        /// The server's log.
        log: PathBuf,
        /// What this attempt wrote to the log.
        said: String,
    },
    /// The server did not end in time.
    #[error("PostgreSQL (pid {pid}) did not stop in time")]
    DoesNotStop {
        /// The server's process id.
        pid: i32,
    },
    /// The server had ended, or ended otherwise than asked.
    #[error("PostgreSQL did not end cleanly ({how}); see {}", log.display())]
    Crashed {
        /// How it ended.
        how: String,
        /// The server's log.
        log: PathBuf,
    },
    /// A database's name is none that can stand in a statement.
    #[error("{0:?} cannot name a database: use lower-case letters, digits and underscores")]
    DatabaseName(String),
    /// The file system refused.
    #[error("{}", path.display())]
    Io {
        /// The file or folder in question.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The running server refused.
    #[error("{doing} in the embedded PostgreSQL failed")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        source: sqlx::Error,
    },
}

impl ClusterError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn database(doing: &'static str, source: sqlx::Error) -> Self {
        Self::Database { doing, source }
    }

    /// What a program said, fit to stand in a message.
    pub(super) fn one_line(said: &[u8]) -> String {
        let text = String::from_utf8_lossy(said);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.join(" | ")
    }

    /// Whether sessions of a server that was killed still hold its shared memory.
    pub(super) fn is_shared_memory_in_use(&self) -> bool {
        matches!(self, Self::DoesNotStart { said, .. } if said.contains("shared memory block"))
    }
}
