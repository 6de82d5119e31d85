//! Watching a campaign: every change once and in order, with the progress that it came
//! to, whoever wrote it and however slowly the watcher reads.

mod cost;
mod ends;
mod told;

use std::time::Duration;

use pledgebook::{
    access::Role,
    grpc::pb::{self, watch_campaign_response::Event},
};
use tokio::time::timeout;
use tonic::{Status, Streaming, transport::Endpoint};

use crate::harness::{Campaign, Clients, Tester};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

struct Watcher {
    stream: Streaming<pb::WatchCampaignResponse>,
    /// The last change that it was told.
    told: i64,
    changes: Vec<pb::CampaignChange>,
    /// Each progress with its change.
    progress: Vec<(i64, pb::PublicProgress)>,
    messages: usize,
}

fn watch(campaign: &Campaign, after_change: i64) -> pb::WatchCampaignRequest {
    pb::WatchCampaignRequest {
        name: campaign.name.clone(),
        after_change,
        heartbeat_seconds: 60,
    }
}

impl Watcher {
    async fn ask(clients: &Clients, request: pb::WatchCampaignRequest) -> Result<Self, Status> {
        let told = request.after_change;
        let stream = clients.campaigns().watch_campaign(request).await?;
        Ok(Self {
            stream: stream.into_inner(),
            told,
            changes: Vec::new(),
            progress: Vec::new(),
            messages: 0,
        })
    }

    /// A watcher from now on, which has been told where it begins.
    async fn begin(clients: &Clients, campaign: &Campaign) -> Self {
        let mut watcher = Self::ask(clients, watch(campaign, 0)).await.unwrap();
        watcher.snapshot().await;
        watcher
    }

    async fn event(&mut self) -> Result<Event, Status> {
        let message = timeout(LONG, self.stream.message()).await;
        let message = message.expect("something is told in time")?;
        Ok(message.expect("it ends with a status").event.unwrap())
    }

    async fn snapshot(&mut self) -> pb::CampaignSnapshot {
        match self.event().await.unwrap() {
            Event::Snapshot(snapshot) => {
                self.told = snapshot.change_number;
                let progress = snapshot.progress.clone().unwrap();
                self.progress.push((self.told, progress));
                snapshot
            }
            other => panic!("{other:?}"),
        }
    }

    /// Reads a message of changes, which go on where those before it ended.
    async fn read(&mut self) -> Result<(), Status> {
        let Event::Changes(told) = self.event().await? else {
            panic!("changes were to come");
        };
        self.messages += 1;
        assert!((1..=1_000).contains(&told.changes.len()));
        for change in told.changes {
            self.told += 1;
            assert_eq!(change.number, self.told);
            self.changes.push(change);
        }
        assert_eq!(told.change_number, self.told);
        if let Some(progress) = told.progress {
            self.progress.push((self.told, progress));
        }
        Ok(())
    }

    /// Reads until it has been told of a change.
    async fn follow(&mut self, upto: i64) {
        while self.told < upto {
            self.read().await.unwrap();
        }
    }

    /// Reads to the end, and gives the status of it.
    async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.read().await {
                return status;
            }
        }
    }
}

/// The campaign's last change, and what everybody may see of it.
async fn now(clients: &Clients, campaign: &Campaign) -> (i64, pb::PublicProgress) {
    let name = campaign.name.clone();
    let request = pb::GetPublicProgressRequest { name };
    let read = clients.campaigns().get_public_progress(request).await;
    let read = read.unwrap().into_inner();
    let progress = pb::PublicProgress {
        stage: read.stage,
        signatures: read.signatures,
        pledging_members: read.pledging_members,
        pledged: read.pledged,
        paying_members: read.paying_members,
        collected: read.collected,
        target: read.target,
        minimum: read.minimum,
        deadline: read.deadline,
        collected_basis_points: read.collected_basis_points,
    };
    (read.change_number, progress)
}

/// Records so many payments of 1.00 by nobody that is known, as fast as can be.
async fn pour(tester: &Tester, campaign: &Campaign, object: &str, count: usize) {
    let payment = |number| campaign.payment_by(&format!("{object}_{number}"), None, "1");
    let payments: Vec<_> = (0..count).map(payment).collect();
    let messages = payments.chunks(250).map(|payments| {
        let payments = payments.to_vec();
        pb::RecordPaymentsRequest { payments }
    });
    let messages = tokio_stream::iter(messages.collect::<Vec<_>>());
    let answers = tester
        .treasurer()
        .payments()
        .record_payments(messages)
        .await;
    let answers = crate::harness::all(answers.unwrap().into_inner()).await;
    let outcomes = answers.iter().map(|answer| answer.outcomes.len());
    assert_eq!(outcomes.sum::<usize>(), count);
}

/// Clients that take in as little as HTTP/2 allows, so that the server feels at once
/// when nobody reads.
fn narrow(tester: &Tester) -> Clients {
    let address = format!("http://{}", tester.server.address);
    let endpoint = Endpoint::from_shared(address).unwrap();
    let channel = endpoint.initial_stream_window_size(65_535).connect_lazy();
    Clients::new(channel, Some(tester.key(Role::Treasurer)))
}
