//! Making the cluster, once.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;

use super::binaries::Binaries;
use super::place::Place;
use super::{ClusterError, SUPERUSER, server};

const UNFINISHED: &str = "initdb-";

/// Makes the cluster where there is none. It is made under another name, so that one cut short is
/// never taken for a cluster.
pub(super) async fn initialise(place: &Place, binaries: &Binaries) -> Result<(), ClusterError> {
    if place.major()?.is_some() {
        return Ok(());
    }
    let root = place.root();
    remove_unfinished(root).map_err(ClusterError::io(root))?;
    let unfinished = root.join(format!("{UNFINISHED}{}", std::process::id()));
    place
        .make_private_dir(&unfinished)
        .map_err(ClusterError::io(&unfinished))?;
    run(place, binaries, &unfinished).await?;
    fs::rename(&unfinished, place.data()).map_err(ClusterError::io(place.data()))?;
    // initdb has synchronised what is inside; the new name is in the folder above.
    File::open(root)
        .and_then(|dir| dir.sync_all())
        .map_err(ClusterError::io(root))
}

async fn run(place: &Place, binaries: &Binaries, dir: &Path) -> Result<(), ClusterError> {
    let program = binaries.program("initdb");
    let mut command = server::command(&program, place.account());
    command.arg("-D").arg(dir).args([
        &format!("--username={SUPERUSER}"),
        "--auth-local=trust",
        "--auth-host=reject",
        "--encoding=UTF8",
        "--locale=C",
        "--data-checksums",
        "--no-instructions",
    ]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // SIGINT would make an orphaned initdb tidy up behind the next start's back.
    let run = move || server::spawn_bound(&mut command, Signal::SIGKILL)?.wait_with_output();
    let output = tokio::task::spawn_blocking(run)
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(ClusterError::io(&program))?;
    if output.status.success() {
        return Ok(());
    }
    Err(ClusterError::InitDb {
        how: output.status.to_string(),
        said: ClusterError::one_line(&output.stderr),
    })
}

fn remove_unfinished(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
