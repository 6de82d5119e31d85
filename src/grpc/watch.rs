//! A campaign as it changes, told to one watcher.
//!
//! A message is made when there is room for it: what is told is as of then, and a caller
//! who does not read costs one message and a task that sleeps. What it costs the database
//! is said in [`crate::report::Watches`]' module.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{sleep, sleep_until},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{
    Api, ApiError, Call,
    auth::KEY_MEMORY,
    campaign::{campaign_of, stage_of},
    fields::{money_of, timestamp_of},
    pb::{self, watch_campaign_response::Event},
    status,
};
use crate::{
    book::BookError,
    id::CampaignId,
    report::{Change, Changes, PublicProgress, Watched},
};

pub(super) type Messages = ReceiverStream<Result<pb::WatchCampaignResponse, Status>>;

/// Seconds without news, unless the caller says how many.
const HEARTBEAT: u64 = 10;
const LONGEST_HEARTBEAT: u64 = 60;
/// How often a snapshot is tried while the campaign itself changes.
const TRIES: usize = 5;
/// Before changes are asked for again that were announced and are not there.
const PAUSE: Duration = Duration::from_millis(200);

fn progress_of(progress: &PublicProgress) -> pb::PublicProgress {
    let money = |amount| Some(money_of(amount, progress.currency));
    pb::PublicProgress {
        stage: stage_of(progress.stage),
        signatures: progress.signatures,
        pledging_members: progress.pledging_members,
        pledged: money(progress.pledged),
        paying_members: progress.paying_members,
        collected: money(progress.collected),
        target: money(progress.target),
        minimum: money(progress.minimum),
        deadline: Some(timestamp_of(progress.deadline)),
        collected_basis_points: progress.collected_basis_points().unwrap_or(0),
    }
}

fn change_of(change: &Change) -> pb::CampaignChange {
    let (first, last) = change.entries.unwrap_or((0, 0));
    pb::CampaignChange {
        number: change.number,
        method: change.method.clone(),
        recorded_at: Some(timestamp_of(change.recorded_at)),
        first_entry_number: first,
        last_entry_number: last,
        refused: change.refused,
        already_recorded: change.already_recorded,
    }
}

/// What came after a change, unless nothing did.
fn changes_of(changes: &Changes, after: i64) -> Option<Event> {
    let since = changes.since(after);
    (!since.is_empty()).then(|| {
        Event::Changes(pb::CampaignChanges {
            change_number: changes.upto,
            changes: since.iter().map(change_of).collect(),
            progress: changes.progress.as_ref().map(progress_of),
        })
    })
}

fn heartbeat(seconds: i32) -> Result<Duration, ApiError> {
    match u64::try_from(seconds) {
        Ok(0) => Ok(Duration::from_secs(HEARTBEAT)),
        Ok(seconds @ 1..=LONGEST_HEARTBEAT) => Ok(Duration::from_secs(seconds)),
        Ok(_) | Err(_) => {
            let problem = format!("from 1 to {LONGEST_HEARTBEAT} seconds, or 0 for {HEARTBEAT}");
            Err(ApiError::field("heartbeat_seconds", problem))
        }
    }
}

impl Api {
    /// Begins to watch a campaign, in a task that ends with its caller.
    pub(super) async fn watch(
        &self,
        call: Call,
        message: &pb::WatchCampaignRequest,
    ) -> Result<Messages, ApiError> {
        let campaign = call.campaign("name", &message.name)?;
        let heartbeat = heartbeat(message.heartbeat_seconds)?;
        let after = message.after_change;
        if after < 0 {
            return Err(ApiError::field("after_change", "a change, or 0 for now"));
        }
        let watched = self.watches.watch(campaign);
        let (first, told) = match after {
            0 => {
                let snapshot = self.snapshot(campaign, &watched).await?;
                let told = snapshot.change_number;
                (Some(Event::Snapshot(snapshot)), told)
            }
            // Read before the answer begins, which says so when there is no such change.
            after => {
                let changes = watched.changes(after).await?;
                (changes_of(&changes, after), changes.upto)
            }
        };
        let (messages, stream) = mpsc::channel(1);
        let watcher = Watcher {
            api: self.clone(),
            watched,
            told,
            heartbeat,
        };
        tokio::spawn(watcher.run(call, first, messages));
        Ok(ReceiverStream::new(stream))
    }

    /// A campaign and its progress, both after the same change.
    async fn snapshot(
        &self,
        campaign: CampaignId,
        watched: &Watched,
    ) -> Result<pb::CampaignSnapshot, ApiError> {
        for _ in 0..TRIES {
            let progress = watched.progress().await?;
            let found = self.app.store.campaign(campaign).await?;
            let (found, _, _) = found.ok_or(BookError::CampaignNotFound)?;
            // Read later, and not touched since: so it stood at that change as it stands.
            if found.changed_by <= progress.change_number {
                return Ok(pb::CampaignSnapshot {
                    change_number: progress.change_number,
                    campaign: Some(campaign_of(&found)),
                    progress: Some(progress_of(&progress)),
                });
            }
        }
        Err(BookError::Unavailable.into())
    }
}

type Sender = mpsc::Sender<Result<pb::WatchCampaignResponse, Status>>;

struct Watcher {
    api: Api,
    watched: Watched,
    /// The last change that was told.
    told: i64,
    heartbeat: Duration,
}

impl Watcher {
    async fn run(mut self, call: Call, first: Option<Event>, messages: Sender) {
        let api = self.api.clone();
        let end = tokio::select! {
            biased;
            end = over(&api, &call, &messages) => end,
            end = self.tell(first, &messages) => end,
        };
        // Who is waited for here no longer counts as a watcher.
        drop(self);
        if let Some(status) = end {
            let _ = messages.send(Err(status)).await;
        }
    }

    /// Tells what happens until that fails, or nobody listens.
    async fn tell(&mut self, mut first: Option<Event>, messages: &Sender) -> Option<Status> {
        loop {
            let room = messages.reserve().await.ok()?;
            let event = match first.take() {
                Some(event) => Ok(event),
                None => self.next().await,
            };
            match event {
                Ok(event) => room.send(Ok(pb::WatchCampaignResponse { event: Some(event) })),
                Err(error) => return Some(error.into()),
            }
        }
    }

    async fn next(&mut self) -> Result<Event, ApiError> {
        let heartbeat = sleep(self.heartbeat);
        tokio::pin!(heartbeat);
        loop {
            tokio::select! {
                biased;
                () = self.watched.has_passed(self.told) => {
                    let changes = self.watched.changes(self.told).await?;
                    if let Some(event) = changes_of(&changes, self.told) {
                        self.told = changes.upto;
                        return Ok(event);
                    }
                    // A database that has forgotten what it had committed; not to be
                    // asked again at once.
                    sleep(PAUSE).await;
                }
                () = &mut heartbeat => {
                    self.watched.must_be_current()?;
                    return Ok(Event::Heartbeat(pb::CampaignHeartbeat {
                        change_number: self.told,
                        time: Some(timestamp_of(self.api.app.clock.now())),
                    }));
                }
            }
        }
    }
}

/// Waits until a watcher must be told no more: because it is gone, the server ends, or
/// its time or its key is over.
async fn over(api: &Api, call: &Call, messages: &Sender) -> Option<Status> {
    let late = async {
        match call.deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let revoked = async {
        loop {
            sleep(KEY_MEMORY).await;
            if let Err(error) = call.must_stand(&api.guard).await {
                return error;
            }
        }
    };
    tokio::select! {
        biased;
        () = messages.closed() => None,
        () = api.shutdown.cancelled() => Some(status::shutting_down().into()),
        () = late => Some(status::out_of_time()),
        error = revoked => Some(error.into()),
    }
}
