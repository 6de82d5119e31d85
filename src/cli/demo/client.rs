//! The caller's side: clients over TCP with a key, and ids that follow from seed
//! and run.

use std::net::SocketAddr;

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{
    access::KeySecret,
    cli::Failure,
    grpc::pb::{
        self, campaign_service_client::CampaignServiceClient,
        ledger_service_client::LedgerServiceClient, member_service_client::MemberServiceClient,
        payment_service_client::PaymentServiceClient, pledge_service_client::PledgeServiceClient,
        report_service_client::ReportServiceClient, webhook_service_client::WebhookServiceClient,
    },
    id,
    money::{Amount, Currency},
};

/// Sends the key along.
#[derive(Clone)]
pub(super) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let key = self.0.clone();
        request.metadata_mut().insert("authorization", key);
        Ok(request)
    }
}

type Authed = InterceptedService<Channel, Bearer>;

/// A client of each service, over one connection.
#[derive(Clone)]
pub(super) struct Clients {
    channel: Channel,
    bearer: Bearer,
}

macro_rules! clients {
    ($($name:ident: $client:ident,)*) => {
        $(pub(super) fn $name(&self) -> $client<Authed> {
            $client::with_interceptor(self.channel.clone(), self.bearer.clone())
        })*
    };
}

impl Clients {
    pub(super) async fn connect(address: SocketAddr, key: &KeySecret) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {}", key.reveal()).parse()?;
        bearer.set_sensitive(true);
        Ok(Self {
            channel: endpoint.tcp_nodelay(true).connect().await?,
            bearer: Bearer(bearer),
        })
    }

    clients! {
        campaigns: CampaignServiceClient,
        members: MemberServiceClient,
        pledges: PledgeServiceClient,
        payments: PaymentServiceClient,
        ledger: LedgerServiceClient,
        reports: ReportServiceClient,
        webhooks: WebhookServiceClient,
    }
}

/// Which play this is. A cluster takes the same seed again as another run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) seed: u64,
    pub(super) number: u64,
}

impl Run {
    /// The id of something of this run.
    pub(super) fn id(self, of: &str) -> uuid::Uuid {
        let parts: [&[u8]; 3] = [
            &self.seed.to_be_bytes(),
            &self.number.to_be_bytes(),
            of.as_bytes(),
        ];
        id::derived("demo", &parts)
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.seed, self.number)
    }
}

/// An amount on the wire, from the currency's smallest unit.
pub(super) fn money(units: i64, currency: Currency) -> pb::Money {
    pb::Money {
        currency_code: currency.code().to_owned(),
        amount: Amount::of_units(units).display(currency),
    }
}

/// What an answer must hold.
pub(super) fn present<T>(part: Option<T>, of: &str) -> Result<T, Failure> {
    part.ok_or_else(|| format!("an answer came without its {of}").into())
}
