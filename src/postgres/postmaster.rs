//! What `postmaster.pid` says: whether a server runs on the data, and whether it is ready.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::ClusterError;

/// A server whose program was killed gets its signal within this time.
const SIGNAL_ARRIVES_WITHIN: Duration = Duration::from_secs(3);
const PREDECESSOR_STOPS_WITHIN: Duration = Duration::from_secs(60);

/// The two lines of the file that matter here. A server rewrites them as it goes.
#[derive(Debug, PartialEq, Eq)]
struct Postmaster {
    pid: i32,
    state: String,
}

impl Postmaster {
    fn read(data: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        // A minus marks a server that was started for a single session.
        let pid = lines.next()?.trim().trim_start_matches('-').parse().ok()?;
        let state = lines.nth(6).unwrap_or_default().trim().to_owned();
        Some(Self { pid, state })
    }

    /// Whether this process is still a server on that data.
    #[cfg(target_os = "linux")]
    fn is_alive(&self, data: &Path) -> bool {
        // A server works inside its data directory; nothing else does.
        fs::read_link(format!("/proc/{}/cwd", self.pid)).is_ok_and(|dir| dir == data)
    }

    #[cfg(not(target_os = "linux"))]
    fn is_alive(&self, _: &Path) -> bool {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), None).is_ok()
    }
}

/// Whether the server with this process id takes connections.
pub(super) fn is_ready(data: &Path, pid: i32) -> bool {
    Postmaster::read(data).is_some_and(|server| server.pid == pid && server.state == "ready")
}

/// Waits for a server whose program was killed a moment ago. `data` is a canonical path, and the
/// directory around it is locked, so that no new server can appear meanwhile.
pub(super) async fn wait_for_predecessor(data: &Path) -> Result<(), ClusterError> {
    let begun = Instant::now();
    while let Some(server) = Postmaster::read(data) {
        if !server.is_alive(data) {
            // The number may belong to another process by now, and PostgreSQL would take that one
            // for a server and refuse to start.
            return remove_stale(data);
        }
        let limit = if server.state == "stopping" {
            PREDECESSOR_STOPS_WITHIN
        } else {
            SIGNAL_ARRIVES_WITHIN
        };
        if begun.elapsed() > limit {
            return Err(ClusterError::ServerLeftBehind {
                pid: server.pid,
                dir: data.to_owned(),
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn remove_stale(data: &Path) -> Result<(), ClusterError> {
    let path = data.join("postmaster.pid");
    match fs::remove_file(&path) {
        // The server ended between the two looks and took it along.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(ClusterError::io(&path)),
    }
}

#[cfg(test)]
mod tests {
    use super::Postmaster;

    #[test]
    fn a_servers_state_is_read_from_its_lock_file() {
        let ready = "41\n/data\n1700000000\n5432\n/data/run\n\n  196610  3\nready   \n";
        let starting = "41\n/data\n1700000000\n5432\n";
        let server = |state: &str| {
            Some(Postmaster {
                pid: 41,
                state: state.to_owned(),
            })
        };
        assert_eq!(Postmaster::parse(ready), server("ready"));
        assert_eq!(Postmaster::parse(starting), server(""));
        assert_eq!(Postmaster::parse(""), None);
    }
}
