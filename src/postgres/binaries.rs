//! Finding the PostgreSQL server that is installed.
//!
//! `PG_BIN` settles it. Otherwise every place where packages put the server is looked at, and the
//! newest wins; except that a cluster can only be run by the major version that made it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ClusterError;

/// The oldest major version whose behaviour the schema relies on.
const OLDEST: u32 = 15;
/// Each holds one folder a version, with `bin` in it: Debian's layout and that of PostgreSQL's own
/// packages for Red Hat.
const VERSIONED: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];

/// A folder with `postgres` and `initdb` of one version.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    dir: PathBuf,
    major: u32,
}

impl Binaries {
    /// The newest server, or the newest of the major version that made the cluster.
    pub(super) fn find(made_by: Option<u32>) -> Result<Self, ClusterError> {
        let (dirs, looked_in) = match variable("PG_BIN") {
            Some(dir) => (
                vec![PathBuf::from(&dir)],
                format!("PG_BIN={}", dir.display()),
            ),
            None => (
                installed(),
                "/usr/lib/postgresql/*/bin, /usr/pgsql-*/bin, `pg_config --bindir` or PATH"
                    .to_owned(),
            ),
        };
        let mut found: Vec<Self> = dirs.into_iter().filter_map(Self::in_dir).collect();
        found.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
        choose(&found, made_by, looked_in)
    }

    fn in_dir(dir: PathBuf) -> Option<Self> {
        // The client's package fills the same folder, so `psql` there proves nothing.
        if !dir.join("initdb").is_file() {
            return None;
        }
        let said = said_by(&dir.join("postgres"), "--version")?;
        Some(Self {
            major: major(&said)?,
            dir,
        })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn major(&self) -> u32 {
        self.major
    }
}

/// `found` is sorted, newest first.
fn choose(
    found: &[Binaries],
    made_by: Option<u32>,
    looked_in: String,
) -> Result<Binaries, ClusterError> {
    let Some(newest) = found.first() else {
        return Err(ClusterError::NotInstalled { looked_in });
    };
    if newest.major < OLDEST {
        return Err(ClusterError::TooOld {
            major: newest.major,
            dir: newest.dir.clone(),
        });
    }
    let Some(made_by) = made_by else {
        return Ok(newest.clone());
    };
    let same = found.iter().find(|binaries| binaries.major == made_by);
    same.cloned().ok_or_else(|| ClusterError::OtherMajor {
        made_by,
        found: found
            .iter()
            .map(|binaries| binaries.major.to_string())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

fn installed() -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for (parent, prefix) in VERSIONED {
        let entries = Path::new(parent).read_dir().into_iter().flatten().flatten();
        for entry in entries {
            if entry
                .file_name()
                .to_string_lossy()
                .strip_prefix(prefix)
                .is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
            {
                dirs.push(entry.path().join("bin"));
            }
        }
    }
    if let Some(dir) = said_by(Path::new("pg_config"), "--bindir") {
        dirs.push(PathBuf::from(dir));
    }
    if let Some(path) = variable("PATH") {
        dirs.extend(std::env::split_paths(&path));
    }
    dirs.sort();
    dirs.dedup();
    dirs
}

fn said_by(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    if !output.status.success() {
        return None;
    }
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// From `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `… 18beta1` or `… 19devel`.
fn major(said: &str) -> Option<u32> {
    let version = said.split("(PostgreSQL) ").nth(1)?;
    let end = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    version.get(..end)?.parse().ok()
}

/// A variable of the machine rather than a setting of the program: where its programs and its
/// people's files are. One that is empty counts as not set.
#[expect(
    clippy::disallowed_methods,
    reason = "these describe the machine; the program's own settings come from config.rs"
)]
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Binaries, ClusterError, choose, major};

    fn found(majors: &[u32]) -> Vec<Binaries> {
        let binaries = |&major: &u32| Binaries {
            dir: format!("/pg/{major}").into(),
            major,
        };
        majors.iter().map(binaries).collect()
    }

    #[test]
    fn the_major_version_is_read_from_what_the_server_says() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)";
        assert_eq!(major(debian), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("postgres (PostgreSQL) 19devel"), Some(19));
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn a_new_cluster_takes_the_newest_and_an_old_one_its_own() {
        let found = found(&[17, 15]);
        let chosen = |made_by| choose(&found, made_by, String::new());
        assert_eq!(chosen(None).unwrap().major, 17);
        assert_eq!(chosen(Some(15)).unwrap().major, 15);
        assert!(matches!(
            chosen(Some(16)),
            Err(ClusterError::OtherMajor { made_by: 16, found }) if found == "17, 15"
        ));
    }

    #[test]
    fn a_missing_or_old_server_is_refused() {
        assert!(matches!(
            choose(&[], None, String::new()),
            Err(ClusterError::NotInstalled { .. })
        ));
        assert!(matches!(
            choose(&found(&[14, 13]), None, String::new()),
            Err(ClusterError::TooOld { major: 14, .. })
        ));
    }
}
