//! The directory of the embedded cluster: who owns it and what is in it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown,
};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use super::binaries::variable;
use super::{ClusterError, PORT};

/// The kernel keeps a socket's path in 108 bytes, one of them a zero.
const SOCKET_PATH_BYTES: usize = 107;
const LOG_BYTES: u64 = 16 << 20;

/// Whom the server runs as when the program runs as root.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    name: String,
}

/// The claimed directory. The claim ends when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    data: PathBuf,
    socket_dir: PathBuf,
    log: PathBuf,
    account: Option<Account>,
    _lock: File,
}

impl Place {
    /// Makes the directory where it is missing and takes it for this process alone.
    pub(super) fn claim(data_dir: Option<PathBuf>) -> Result<Self, ClusterError> {
        let as_root = Uid::effective().is_root();
        let root = match data_dir {
            Some(dir) => dir,
            None => default_root(as_root)?,
        };
        make_root(&root, as_root).map_err(ClusterError::io(&root))?;
        // Without symbolic links and dots, so that it can be compared with what the kernel says.
        let root = root.canonicalize().map_err(ClusterError::io(&root))?;
        let lock = lock(&root)?;
        let data = root.join("data");
        let account = if as_root {
            let account = account(&data)?;
            must_reach(&account, &root)?;
            Some(account)
        } else {
            None
        };
        Ok(Self {
            socket_dir: socket_dir(&root, as_root),
            log: root.join("postgres.log"),
            root,
            data,
            account,
            _lock: lock,
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    pub(super) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// The major version that made the cluster, if there is one.
    pub(super) fn major(&self) -> Result<Option<u32>, ClusterError> {
        let path = self.data.join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(text) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|error| ClusterError::io(&path)(io::Error::other(error))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ClusterError::io(&path)(error)),
        }
    }

    /// A crashed server leaves its socket and a lock beside it, whose process id may belong to
    /// another process by now. The directory is ours and no server runs, so they can go.
    pub(super) fn clear_socket_dir(&self) -> Result<(), ClusterError> {
        let removed = match fs::remove_dir_all(&self.socket_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        removed
            .and_then(|()| self.make_private_dir(&self.socket_dir))
            .map_err(ClusterError::io(&self.socket_dir))
    }

    /// Fails when there is something by that name: a folder in a place that everybody can write
    /// to might be somebody else's.
    pub(super) fn make_private_dir(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(dir)?;
        match &self.account {
            Some(account) => lchown(dir, Some(account.uid), Some(account.gid)),
            None => Ok(()),
        }
    }

    /// The log, opened for appending, and where this run's part of it begins.
    pub(super) fn open_log(&self) -> Result<(File, u64), ClusterError> {
        let open = || {
            if fs::metadata(&self.log).is_ok_and(|log| log.len() > LOG_BYTES) {
                fs::rename(&self.log, self.log.with_extension("log.1"))?;
            }
            let log = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&self.log)?;
            if let Some(account) = &self.account {
                chown(&self.log, Some(account.uid), Some(account.gid))?;
            }
            let start = log.metadata()?.len();
            Ok((log, start))
        };
        open().map_err(ClusterError::io(&self.log))
    }

    /// What the server wrote since then, as one line.
    pub(super) fn log_since(&self, start: u64) -> String {
        let read = || {
            let mut log = File::open(&self.log)?;
            log.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            log.take(4096).read_to_end(&mut bytes)?;
            io::Result::Ok(bytes)
        };
        ClusterError::one_line(&read().unwrap_or_default())
    }
}

fn default_root(as_root: bool) -> Result<PathBuf, ClusterError> {
    if as_root {
        // Not below /root, which the server's account may not enter.
        return Ok(PathBuf::from("/var/lib/pledgebook"));
    }
    let state = variable("XDG_STATE_HOME")
        .map(PathBuf::from)
        // The specification has programs ignore a relative one.
        .filter(|dir| dir.is_absolute())
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".local/state")));
    Ok(state.ok_or(ClusterError::NoHome)?.join("pledgebook"))
}

fn make_root(root: &Path, as_root: bool) -> io::Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    let mode = if as_root { 0o755 } else { 0o700 };
    DirBuilder::new().recursive(true).mode(mode).create(root)?;
    // A strict umask must not shut the server's account out.
    fs::set_permissions(root, Permissions::from_mode(mode))
}

fn lock(root: &Path) -> Result<File, ClusterError> {
    let path = root.join("pledgebook.lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(ClusterError::io(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(&path).unwrap_or_default();
            return Err(ClusterError::InUse {
                pid: pid.trim().to_owned(),
                dir: root.to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(ClusterError::io(&path)(error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(ClusterError::io(&path))?;
    Ok(file)
}

/// The owner of a cluster keeps running it, even when a better account has come since.
fn account(data: &Path) -> Result<Account, ClusterError> {
    let owner = fs::metadata(data).ok().map(|data| data.uid());
    let user = match owner {
        Some(uid) if uid != 0 => User::from_uid(Uid::from_raw(uid)),
        Some(_) | None => match User::from_name("postgres") {
            Ok(None) => User::from_name("nobody"),
            known => known,
        },
    };
    // An account that cannot be looked up is as good as none.
    let user = user.ok().flatten().ok_or(ClusterError::NoAccount)?;
    Ok(Account {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        name: user.name,
    })
}

fn must_reach(account: &Account, root: &Path) -> Result<(), ClusterError> {
    for dir in root.ancestors() {
        let of = fs::metadata(dir).map_err(ClusterError::io(dir))?;
        let pass = if of.uid() == account.uid {
            0o100
        } else if of.gid() == account.gid {
            0o010
        } else {
            0o001
        };
        if of.mode() & pass == 0 {
            return Err(ClusterError::NotTraversable {
                account: account.name.clone(),
                path: dir.to_owned(),
            });
        }
    }
    Ok(())
}

/// Inside the directory, unless that makes the socket's path too long for the kernel.
fn socket_dir(root: &Path, as_root: bool) -> PathBuf {
    let inside = root.join("run");
    let file = format!("/.s.PGSQL.{PORT}");
    if inside.as_os_str().len() + file.len() <= SOCKET_PATH_BYTES {
        return inside;
    }
    let mut hasher = DefaultHasher::new();
    root.hash(&mut hasher);
    let short = if as_root { "/run" } else { "/tmp" };
    Path::new(short).join(format!("pledgebook-{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::socket_dir;

    #[test]
    fn a_socket_path_too_long_for_the_kernel_is_moved() {
        let longest = format!("/{}", "d".repeat(107 - "//run/.s.PGSQL.5432".len()));
        let inside = socket_dir(Path::new(&longest), true);
        assert_eq!(inside, Path::new(&longest).join("run"));
        let moved = socket_dir(Path::new(&format!("{longest}d")), true);
        assert!(moved.starts_with("/run"), "{}", moved.display());
    }
}
