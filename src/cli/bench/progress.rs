//! What the one who waits sees. Nothing where standard error is no terminal.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::task::AbortOnDropHandle;

use super::{record::Recorder, report::milliseconds};
use crate::cli::Failure;

const REDRAWN: Duration = Duration::from_millis(200);

/// A bar that shows how far a run is, until it is dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    _redrawing: AbortOnDropHandle<()>,
}

impl Progress {
    pub(super) fn show(calls: usize, recorder: Arc<Recorder>) -> Result<Self, Failure> {
        let bar = ProgressBar::with_draw_target(
            Some(u64::try_from(calls)?),
            ProgressDrawTarget::stderr(),
        );
        bar.set_style(ProgressStyle::with_template("{elapsed} {bar:30} {msg}")?);
        let redrawing = tokio::spawn({
            let bar = bar.clone();
            async move {
                loop {
                    tokio::time::sleep(REDRAWN).await;
                    let answered = recorder.answered.load(Ordering::Relaxed);
                    let sent = recorder.sent.load(Ordering::Relaxed);
                    bar.set_position(sent);
                    bar.set_message(format!(
                        "sent {sent} of {calls} · answered {answered} · in flight {} · p99 {} ms",
                        sent.saturating_sub(answered),
                        milliseconds(recorder.p99()),
                    ));
                }
            }
        });
        Ok(Self {
            bar,
            _redrawing: AbortOnDropHandle::new(redrawing),
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
