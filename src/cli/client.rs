//! The caller's side: clients over TCP with a key.

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{
    gathering,
    grpc::pb::{
        self, campaign_service_client::CampaignServiceClient,
        ledger_service_client::LedgerServiceClient, member_service_client::MemberServiceClient,
        payment_service_client::PaymentServiceClient, pledge_service_client::PledgeServiceClient,
        refund_service_client::RefundServiceClient, report_service_client::ReportServiceClient,
        run_service_client::RunServiceClient, share_service_client::ShareServiceClient,
        webhook_service_client::WebhookServiceClient,
    },
    money::{Amount, Currency},
};

use super::Failure;

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
    /// Connects to an address such as `http://127.0.0.1:7433`.
    pub(super) async fn connect(address: &str, key: &str) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_shared(address.to_owned())?;
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {key}").parse()?;
        bearer.set_sensitive(true);
        Ok(Self {
            channel: gathering::connect(&endpoint).await?,
            bearer: Bearer(bearer),
        })
    }

    clients! {
        campaigns: CampaignServiceClient,
        members: MemberServiceClient,
        pledges: PledgeServiceClient,
        payments: PaymentServiceClient,
        refunds: RefundServiceClient,
        runs: RunServiceClient,
        shares: ShareServiceClient,
        ledger: LedgerServiceClient,
        reports: ReportServiceClient,
        webhooks: WebhookServiceClient,
    }
}

/// An amount on the wire, from the currency's smallest unit.
pub(super) fn money(units: i64, currency: Currency) -> pb::Money {
    pb::Money {
        currency_code: currency.code().to_owned(),
        amount: Amount::of_units(units).display(currency),
    }
}

/// An amount that came over the wire.
pub(super) fn amount_of(money: &pb::Money) -> Result<Amount, Failure> {
    let currency: Currency = money.currency_code.parse()?;
    Ok(Amount::parse(&money.amount, currency)?)
}

/// What an answer must hold.
pub(super) fn present<T>(part: Option<T>, of: &str) -> Result<T, Failure> {
    part.ok_or_else(|| format!("an answer came without its {of}").into())
}
