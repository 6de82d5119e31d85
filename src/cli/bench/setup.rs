//! What is there before the clock starts: a campaign that takes money, its members
//! and their pledges, made through the front door like the rest.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use prost_types::Timestamp;
use tonic::{Code, Response, Status};
use uuid::Uuid;

use super::{Load, plan::Plan};
use crate::{
    cli::{
        Failure,
        client::{Clients, money, present},
    },
    clock::Clock,
    grpc::pb::{self, create_pledge_request::Promise},
    id,
    money::Currency,
};

/// So many members at once: enough that they share the book's batches.
const AT_ONCE: usize = 256;
/// How long to wait when the service says that it has too much to do.
const PAUSE: Duration = Duration::from_millis(50);
/// How long the offer stands.
const OFFER_DAYS: i64 = 30;

/// A campaign that takes money.
pub(super) struct Campaign {
    /// Its resource name.
    pub(super) name: String,
    pub(super) currency: Currency,
    pub(super) provider_account: String,
    /// The pledges' resource names, in the plan's order.
    pub(super) pledges: Vec<String>,
}

/// The id of a request of a run.
pub(super) fn request_id(run: Uuid, of: &str) -> String {
    id::derived("bench", &[run.as_bytes(), of.as_bytes()]).to_string()
}

/// Calls until the service has room. The request id stays, so that nothing is done twice.
async fn patiently<T, F>(mut call: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    loop {
        match call().await {
            Err(status) if status.code() == Code::ResourceExhausted => {
                tokio::time::sleep(PAUSE).await;
            }
            answered => return answered.map(Response::into_inner),
        }
    }
}

impl Campaign {
    pub(super) async fn make(
        connections: &[Clients],
        run: Uuid,
        load: &Load,
        plan: &Plan,
    ) -> Result<Self, Failure> {
        let clients = connections.first().ok_or("no connection")?;
        let currency = load.profile.currency.parse()?;
        let mut campaigns = clients.campaigns();
        let request = pb::CreateCampaignRequest {
            request_id: request_id(run, "campaign"),
            display_name: format!("{} (load, seed {})", load.profile.name, load.seed),
            description: load.profile.about.to_owned(),
            currency_code: load.profile.currency.to_owned(),
            terms: Some(terms(load, plan, currency)),
            validate_only: false,
        };
        let created = campaigns.create_campaign(request).await?.into_inner();
        let name = present(created.campaign, "campaign")?.name;
        let request = pb::StartGatheringRequest {
            request_id: request_id(run, "gather"),
            name: name.clone(),
            validate_only: false,
        };
        campaigns.start_gathering(request).await?;
        let request = pb::StartPledgingRequest {
            request_id: request_id(run, "start pledging"),
            name: name.clone(),
            validate_only: false,
        };
        campaigns.start_pledging(request).await?;
        let request = pb::RegisterProviderAccountRequest {
            request_id: request_id(run, "provider account"),
            campaign: name.clone(),
            institution: "stripe".to_owned(),
            external_id: format!("acct_load_{}", run.simple()),
            livemode: false,
            validate_only: false,
        };
        let registered = clients
            .payments()
            .register_provider_account(request)
            .await?;
        let account = registered.into_inner().money_account;

        let pledges = stream::iter(plan.pledges.iter().copied().enumerate())
            .map(|(number, promise)| {
                let clients = &connections[number % connections.len()];
                pledge(clients, run, &name, number, money(promise, currency))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let request = pb::OpenCampaignRequest {
            request_id: request_id(run, "open"),
            name: name.clone(),
            validate_only: false,
        };
        campaigns.open_campaign(request).await?;
        Ok(Self {
            name,
            currency,
            provider_account: present(account, "provider account")?.name,
            pledges,
        })
    }
}

/// Makes a member with a pledge; gives the pledge's name.
async fn pledge(
    clients: &Clients,
    run: Uuid,
    campaign: &str,
    number: usize,
    promise: pb::Money,
) -> Result<String, Failure> {
    let request = pb::CreateMemberRequest {
        request_id: request_id(run, &format!("member {number}")),
        campaign: campaign.to_owned(),
        display_name: format!("Member {number}"),
        email: format!("member-{number}@load.example.org"),
        validate_only: false,
    };
    let created = patiently(|| {
        let (mut members, request) = (clients.members(), request.clone());
        async move { members.create_member(request).await }
    });
    let member = present(created.await?.member, "member")?.name;
    let request = pb::CreatePledgeRequest {
        request_id: request_id(run, &format!("pledge {number}")),
        member,
        promise: Some(Promise::Amount(promise)),
        ..Default::default()
    };
    let created = patiently(|| {
        let (mut pledges, request) = (clients.pledges(), request.clone());
        async move { pledges.create_pledge(request).await }
    });
    Ok(present(created.await?.pledge, "pledge")?.name)
}

/// The profile's target, and a maximum that takes whatever the plan brings: a load
/// whose money is refundable would not be the load that was asked for.
fn terms(load: &Load, plan: &Plan, currency: Currency) -> pb::Terms {
    let target = load
        .profile
        .target
        .saturating_mul(super::amount::HUNDREDTHS);
    let planned: i64 = plan.pledges.iter().sum();
    let deadline = Clock::default().now() + time::Duration::days(OFFER_DAYS);
    pb::Terms {
        target: Some(money(target, currency)),
        minimum: Some(money(target / 2, currency)),
        maximum: Some(money(target.saturating_mul(2).max(planned), currency)),
        deadline: Some(Timestamp {
            seconds: deadline.unix_timestamp(),
            nanos: 0,
        }),
        fee_bearer: pb::FeeBearer::Underwriter.into(),
        card_clearing_days: 7,
        direct_debit_clearing_days: 56,
        bank_transfer_clearing_days: 1,
        ..Default::default()
    }
}
