//! Between the servers of an installation: how a book reaches another server's.
//!
//! A stream for each campaign that is handed over, on one connection to each server. The
//! connection is asked every second whether it still leads somewhere, as whoever waits here
//! could go on by itself.

mod name;
mod wire;

use std::{
    collections::HashMap,
    net::SocketAddr,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt, future::join_all};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status, Streaming,
    service::Routes,
    transport::{Channel, Endpoint},
};

use self::{
    name::Name,
    pb::{
        CarryOutRequest, CarryOutResponse,
        peer_service_client::PeerServiceClient,
        peer_service_server::{PeerService, PeerServiceServer},
    },
    wire::WireError,
};
use crate::{
    book::{BookError, Books, Handed, Peers, Queued, Way},
    domain::Outcome,
    id::CampaignId,
    secret::Secrets,
};

/// The messages of `proto/pledgebook/peer`, as generated.
#[allow(missing_docs, unreachable_pub, reason = "generated")]
mod pb {
    tonic::include_proto!("pledgebook.peer.v1");
}

/// The most bytes of one message: a batch of answers with many lines.
const LARGEST: usize = 64 * 1024 * 1024;
/// Messages on their way in either direction before the sender waits.
const ON_THE_WAY: usize = 4;
/// How long a server may be silent before it is asked, and then before it is given up.
const SILENT: Duration = Duration::from_secs(1);

/// The other servers of the installation, and this one among them.
#[derive(Debug)]
pub struct PeerServers {
    process: u32,
    name: String,
    secrets: Secrets,
    channels: Mutex<HashMap<SocketAddr, Channel>>,
}

impl PeerServers {
    /// The others are where the database tells; this one at `address`.
    #[must_use]
    pub fn new(address: SocketAddr, secrets: Secrets) -> Self {
        let process = rand::random();
        Self {
            process,
            name: Name { address, process }.to_string(),
            secrets,
            channels: Mutex::default(),
        }
    }

    fn channel(&self, address: SocketAddr) -> Result<Channel, tonic::transport::Error> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&address) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let channel = endpoint
            .connect_timeout(SILENT)
            .http2_keep_alive_interval(SILENT)
            .keep_alive_timeout(SILENT)
            .tcp_nodelay(true)
            .initial_stream_window_size(4 * 1024 * 1024)
            .initial_connection_window_size(16 * 1024 * 1024)
            .connect_lazy();
        channels.insert(address, channel.clone());
        Ok(channel)
    }
}

impl Peers for PeerServers {
    fn name(&self) -> &str {
        &self.name
    }

    fn way(&self, name: &str, campaign: CampaignId) -> Option<Way> {
        let Name { address, process } = name.parse().ok()?;
        let (batches, to_send) = mpsc::channel(ON_THE_WAY);
        let (answered, outcomes) = mpsc::channel(ON_THE_WAY);
        let channel = self.channel(address);
        let secrets = self.secrets.clone();
        let stream = wire::Stream {
            campaign,
            process,
            id: rand::random(),
        };
        tokio::spawn(async move {
            let left = answered.clone();
            let going = async {
                match channel {
                    Ok(channel) => along(channel, secrets, stream, to_send, answered).await,
                    Err(error) => Err(Status::from_error(error.into())),
                }
            };
            let ended = tokio::select! {
                ended = going => ended,
                () = left.closed() => Ok(()),
            };
            if let Err(status) = ended {
                tracing::warn!(%campaign, %address, %status, "another server cannot be reached");
            }
        });
        Some(Way { batches, outcomes })
    }
}

/// Sends what is handed over and gives the answers back, until either ends.
async fn along(
    channel: Channel,
    secrets: Secrets,
    stream: wire::Stream,
    to_send: mpsc::Receiver<Vec<Handed>>,
    answered: mpsc::Sender<Vec<Result<Outcome, BookError>>>,
) -> Result<(), Status> {
    let sealing = secrets.clone();
    let numbered = ReceiverStream::new(to_send).zip(futures::stream::iter(0..));
    // A batch that cannot be written ends the stream: it is carried out where it came from.
    let requests = numbered.map(move |(commands, number)| {
        let commands = wire::seal_commands(&sealing, stream, number, &commands);
        commands.map(|commands| CarryOutRequest {
            campaign: stream.campaign.to_string(),
            commands,
            stream: stream.id,
        })
    });
    let requests = requests.scan((), |(), request| async { request.ok() });
    let mut client = PeerServiceClient::new(channel).max_decoding_message_size(LARGEST);
    let mut answers = client.carry_out(requests).await?.into_inner();
    for number in 0.. {
        let Some(CarryOutResponse { outcomes }) = answers.message().await? else {
            break;
        };
        let outcomes = wire::open_outcomes(&secrets, stream, number, outcomes);
        if answered
            .send(outcomes.map_err(not_understood)?)
            .await
            .is_err()
        {
            break;
        }
    }
    Ok(())
}

/// Carries out what other servers hand over.
#[derive(Clone, Debug)]
pub struct PeerApi {
    books: Books,
    process: u32,
    secrets: Secrets,
    shutdown: CancellationToken,
}

/// Commands that are queued, and where their outcomes belong.
struct Batch {
    stream: wire::Stream,
    number: u64,
    queued: Vec<Result<Queued, BookError>>,
}

impl PeerApi {
    /// Over the books of the server that is `me`; its streams end when `shutdown` is cancelled.
    #[must_use]
    pub fn new(books: Books, me: &PeerServers, shutdown: CancellationToken) -> Self {
        Self {
            books,
            process: me.process,
            secrets: me.secrets.clone(),
            shutdown,
        }
    }

    /// The service. Only who knows the installation's secret is understood.
    #[must_use]
    pub fn routes(self) -> Routes {
        Routes::new(PeerServiceServer::new(self).max_decoding_message_size(LARGEST))
    }

    /// Queues the commands of a stream's message of this number in their order.
    async fn queue(&self, request: CarryOutRequest, number: u64) -> Result<Batch, Status> {
        let campaign = request.campaign.parse();
        let stream = wire::Stream {
            campaign: campaign
                .map_err(|_| Status::invalid_argument("campaign: write the id of a campaign"))?,
            process: self.process,
            id: request.stream,
        };
        let commands = wire::open_commands(&self.secrets, stream, number, request.commands);
        let mut queued = Vec::new();
        for command in commands.map_err(not_understood)? {
            queued.push(self.books.queue_handed(stream.campaign, command).await);
        }
        Ok(Batch {
            stream,
            number,
            queued,
        })
    }

    async fn answer(secrets: Secrets, batch: Batch) -> Result<CarryOutResponse, Status> {
        let outcomes = batch.queued.into_iter().map(async |queued| match queued {
            Ok(queued) => queued.outcome().await,
            Err(error) => Err(error),
        });
        let outcomes = join_all(outcomes).await;
        let outcomes = wire::seal_outcomes(&secrets, batch.stream, batch.number, &outcomes);
        outcomes
            .map(|outcomes| CarryOutResponse { outcomes })
            .map_err(not_understood)
    }
}

#[tonic::async_trait]
impl PeerService for PeerApi {
    type CarryOutStream = Pin<Box<dyn Stream<Item = Result<CarryOutResponse, Status>> + Send>>;

    async fn carry_out(
        &self,
        request: Request<Streaming<CarryOutRequest>>,
    ) -> Result<Response<Self::CarryOutStream>, Status> {
        let mut requests = request.into_inner();
        let (queued, to_answer) = mpsc::channel(ON_THE_WAY);
        let api = self.clone();
        tokio::spawn(async move {
            let more = async {
                for number in 0.. {
                    let Some(request) = requests.message().await? else {
                        break;
                    };
                    let batch = api.queue(request, number).await?;
                    if queued.send(Ok(batch)).await.is_err() {
                        break;
                    }
                }
                Ok::<_, Status>(())
            };
            let ended = tokio::select! {
                () = api.shutdown.cancelled() => Ok(()),
                ended = more => ended,
            };
            if let Err(status) = ended {
                // Nobody listens when the caller went away.
                let _ = queued.send(Err(status)).await;
            }
        });
        let secrets = self.secrets.clone();
        let answers = ReceiverStream::new(to_answer).then(move |batch| {
            let secrets = secrets.clone();
            async move { Self::answer(secrets, batch?).await }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

fn not_understood(error: WireError) -> Status {
    Status::invalid_argument(error.to_string())
}
