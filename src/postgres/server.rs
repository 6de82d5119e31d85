//! The server's process: how it is started, told to stop and waited for.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

use super::binaries::Binaries;
use super::place::{Account, Place};
use super::{ClusterError, PORT};

/// How the server ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) clean: bool,
    pub(super) how: String,
}

/// A running `postgres`. Dropping it asks for a fast shutdown.
#[derive(Debug)]
pub(super) struct Server {
    pid: Pid,
    serving: Arc<AtomicBool>,
    ended: watch::Receiver<Option<Ended>>,
}

impl Server {
    /// Starts the server from a thread that waits for its end: the parent-death signal follows
    /// the thread, so one of the runtime's, which come and go, would not do.
    pub(super) fn spawn(mut command: Command, log: File) -> Result<Self, ClusterError> {
        let program = Path::new(command.get_program()).to_owned();
        let errors = log.try_clone().map_err(ClusterError::io(&program))?;
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let (say_ended, ended) = watch::channel(None);
        let (say_started, started) = mpsc::sync_channel(1);
        let serving = Arc::new(AtomicBool::new(false));
        let was_serving = Arc::clone(&serving);
        std::thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || match spawn_bound(&mut command, Signal::SIGINT) {
                Ok(child) => {
                    let pid = i32::try_from(child.id()).map_err(std::io::Error::other);
                    // The receiver below waits for exactly this message.
                    drop(say_started.send(pid));
                    let end = wait(child);
                    if was_serving.load(Ordering::Relaxed) {
                        report(&end);
                    }
                    say_ended.send_replace(Some(end));
                }
                Err(error) => drop(say_started.send(Err(error))),
            })
            .map_err(ClusterError::io(&program))?;
        // One fork and exec: too short to be worth an await that could be cancelled.
        let pid = started
            .recv()
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(ClusterError::io(&program))?;
        Ok(Self {
            pid: Pid::from_raw(pid),
            serving,
            ended,
        })
    }

    /// From now on its end is news; before, whoever starts it says why it failed.
    pub(super) fn mark_serving(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended.borrow().clone()
    }

    pub(super) fn signal(&self, signal: Signal) {
        // After its end the process id may belong to somebody else.
        if self.ended().is_none()
            && let Err(error) = kill(self.pid, signal)
        {
            tracing::warn!(%error, pid = self.pid(), %signal, "PostgreSQL could not be signalled");
        }
    }

    pub(super) async fn wait_for_end(&self, limit: Duration) -> Option<Ended> {
        let mut ended = self.ended.clone();
        let end = tokio::time::timeout(limit, ended.wait_for(Option::is_some)).await;
        end.ok()?.ok()?.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::SIGINT);
    }
}

/// The server itself, with its settings. They stand on the command line, where no file in the data
/// directory overrides them. fsync and its kin are not among them: their defaults are right, and a
/// test that proves their worth has to switch them off.
pub(super) fn postgres(binaries: &Binaries, place: &Place) -> Command {
    let sockets = place.socket_dir().to_string_lossy();
    // The list of folders is comma-separated; quotes keep a comma or a space in one of them.
    let sockets = format!("\"{}\"", sockets.replace('"', "\"\""));
    let settings: [(&str, &str); 14] = [
        ("listen_addresses", ""),
        ("unix_socket_directories", &sockets),
        ("unix_socket_permissions", "0700"),
        ("port", &PORT.to_string()),
        ("max_connections", "200"),
        // Every member's last pages of the line's index, or a posting would write out a page first to
        // make room for the one that it needs. It is taken from the system as it is used.
        ("shared_buffers", "512MB"),
        // Under a posting load, 1 GB of log is reached within a minute or two, and after each
        // checkpoint the first change of every page writes it whole.
        ("max_wal_size", "4GB"),
        // A new file of the log is filled with zeros first, and every commit waits for it, some
        // 30 ms for each 16 MB. Used ones that are kept save a hot hour after a quiet night that.
        ("min_wal_size", "1GB"),
        ("logging_collector", "off"),
        ("log_destination", "stderr"),
        ("log_line_prefix", "%m [%p] %u@%d "),
        ("log_timezone", "UTC"),
        ("timezone", "UTC"),
        // The default would print whole rows of refused inserts, and with them names and
        // addresses that an erasure could no longer reach.
        ("log_error_verbosity", "terse"),
    ];
    let mut command = command(&binaries.program("postgres"), place.account());
    command.arg("-D").arg(place.data());
    for (name, value) in settings {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command
}

/// A command that runs as the server's account and knows nothing of this program's environment:
/// no PGPORT that would override a setting, no secret that does not concern it.
pub(super) fn command(program: &Path, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    // The folder that the program was started in may be closed to the account.
    command.current_dir("/").env_clear().env("LC_ALL", "C");
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command.process_group(0);
    command
}

/// Spawns a child that gets `signal` when the thread that calls this ends.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "only the child itself can ask for its parent-death signal"
)]
pub(super) fn spawn_bound(command: &mut Command, signal: Signal) -> std::io::Result<Child> {
    let parent = nix::unistd::getpid();
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes
    // two plain system calls, prctl and getppid; it neither allocates nor takes a lock. The
    // standard library runs it after setgid and setuid, which would clear the signal.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(signal)?;
            // A parent that ended before the call above will send no signal any more.
            if nix::unistd::getppid() == parent {
                Ok(())
            } else {
                Err(nix::errno::Errno::ESRCH.into())
            }
        });
    }
    command.spawn()
}

/// Spawns a child; this system has no parent-death signal.
#[cfg(not(target_os = "linux"))]
pub(super) fn spawn_bound(command: &mut Command, _: Signal) -> std::io::Result<Child> {
    command.spawn()
}

fn wait(mut child: Child) -> Ended {
    match child.wait() {
        Ok(status) => Ended {
            clean: status.success(),
            how: status.to_string(),
        },
        Err(error) => Ended {
            clean: false,
            how: error.to_string(),
        },
    }
}

fn report(end: &Ended) {
    if end.clean {
        tracing::info!("the embedded PostgreSQL has stopped");
    } else {
        tracing::error!(how = end.how, "the embedded PostgreSQL has crashed");
    }
}
