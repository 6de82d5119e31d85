//! A campaign as the demonstration plays it: made, then lived day by day.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use prost_types::Timestamp;
use time::Duration;

use super::{
    cast::Players,
    plan::{ALONE, LAST_DAY, Plan, What},
    provider::Provider,
    run::Run,
};
use crate::{
    cli::{
        Failure,
        client::{Clients, money, present},
        tables,
    },
    clock::Clock,
    grpc::pb::{self, campaign_service_client::CampaignServiceClient},
};

/// So many calls at once: enough that they share the book's batches.
const AT_ONCE: usize = 64;

/// A campaign that is being played.
pub(super) struct Playing {
    pub(super) plan: Plan,
    pub(super) run: Run,
    /// The admin's.
    pub(super) clients: Clients,
    pub(super) players: Players,
    pub(super) clock: Clock,
    pub(super) provider: Provider,
    /// The campaign's resource name.
    pub(super) name: String,
    pub(super) share_class: String,
    pub(super) provider_account: String,
    pub(super) bank_account: String,
    pub(super) known: Known,
}

/// Names that the service gave, by index of the plan.
#[derive(Default)]
pub(super) struct Known {
    pub(super) signatures: HashMap<usize, String>,
    pub(super) members: HashMap<usize, String>,
    pub(super) pledges: HashMap<usize, String>,
    pub(super) payments: HashMap<usize, String>,
    /// The payout that is under way.
    pub(super) payout: Option<String>,
    /// The run that refunds.
    pub(super) refund_run: Option<String>,
}

/// What an act taught.
pub(super) enum Learned {
    Nothing,
    Signature(usize, String),
    Member(usize, String),
    Pledge(usize, String),
    Payment(usize, String),
}

impl Known {
    fn learn(&mut self, learned: Learned) {
        match learned {
            Learned::Nothing => None,
            Learned::Signature(index, name) => self.signatures.insert(index, name),
            Learned::Member(index, name) => self.members.insert(index, name),
            Learned::Pledge(index, name) => self.pledges.insert(index, name),
            Learned::Payment(index, name) => self.payments.insert(index, name),
        };
    }
}

/// Makes ids of one campaign's requests.
struct Ids {
    run: Run,
    key: &'static str,
}

impl Ids {
    fn of(&self, what: &str) -> String {
        self.run.id(&format!("{} {what}", self.key)).to_string()
    }
}

impl Playing {
    /// Makes the campaign and its accounts, and lets it gather signatures.
    pub(super) async fn begin(
        plan: Plan,
        run: Run,
        players: Players,
        clock: Clock,
        http: &str,
    ) -> Result<Self, Failure> {
        let key = plan.offer.key;
        let ids = Ids { run, key };
        let clients = players.admin.clone();
        let mut campaigns = clients.campaigns();
        let request = pb::CreateCampaignRequest {
            request_id: ids.of("create"),
            display_name: format!("{} (demonstration {run})", plan.offer.title),
            description: plan.offer.description.to_owned(),
            currency_code: plan.currency().code().to_owned(),
            terms: Some(terms(&plan, &clock)),
            validate_only: false,
        };
        let created = campaigns.create_campaign(request).await?.into_inner();
        let name = present(created.campaign, "campaign")?.name;
        let request = pb::AddShareClassRequest {
            request_id: ids.of("share class"),
            campaign: name.clone(),
            share_class: Some(share_class(&plan)),
            validate_only: false,
        };
        let added = campaigns.add_share_class(request).await?.into_inner();
        let share_class = present(added.share_class, "share class")?.name;
        let request = pb::StartGatheringRequest {
            request_id: ids.of("gather"),
            name: name.clone(),
            validate_only: false,
        };
        campaigns.start_gathering(request).await?;
        let (provider_account, bank_account) = accounts(&plan, &ids, &clients, &name).await?;

        let secret = Provider::new_secret();
        let request = pb::CreateWebhookEndpointRequest {
            request_id: ids.of("endpoint"),
            money_account: provider_account.clone(),
            signing_secrets: vec![secret.clone()],
        };
        let made = clients.webhooks().create_webhook_endpoint(request).await?;
        let path = present(made.into_inner().webhook_endpoint, "endpoint")?.path;
        let endpoint = format!("{http}{path}").parse()?;
        Ok(Self {
            provider: Provider::new(endpoint, secret, clock.clone()),
            plan,
            run,
            clients,
            players,
            clock,
            name,
            share_class,
            provider_account,
            bank_account,
            known: Known::default(),
        })
    }

    /// Plays a day; gives what there is to tell of it.
    pub(super) async fn play(&mut self, day: i64) -> Result<Vec<String>, Failure> {
        self.learn_notified_payments(day).await?;
        let mut story = Vec::new();
        for round in 0..=ALONE {
            let when = (day, round);
            let acts = &self.plan.acts;
            let first = acts.partition_point(|act| (act.day, act.round) < when);
            let end = acts.partition_point(|act| (act.day, act.round) <= when);
            let learned = if round == ALONE {
                self.one_by_one(first..end).await?
            } else {
                let at_once = stream::iter(first..end).map(|number| self.perform(number));
                at_once.buffer_unordered(AT_ONCE).try_collect().await?
            };
            for name in learned {
                self.known.learn(name);
            }
            for act in self.plan.acts.get(first..end).unwrap_or_default() {
                story.extend(self.stage_told(act.what).await?);
                story.extend(act.tell.clone());
            }
        }
        story.extend(self.end(day).await?);
        Ok(story)
    }

    /// Acts whose order in the ledger tells the story: each waits for the one before, and
    /// for what the others of the day have brought.
    async fn one_by_one(&self, acts: std::ops::Range<usize>) -> Result<Vec<Learned>, Failure> {
        let mut learned = Vec::new();
        if !acts.is_empty() {
            self.inbox_worked().await?;
        }
        for number in acts {
            learned.push(self.perform(number).await?);
            let act = self.plan.acts.get(number).map(|act| act.what);
            if matches!(act, Some(What::Notify(..))) {
                self.inbox_worked().await?;
            }
        }
        Ok(learned)
    }

    /// What a new stage finds, from what everybody may see; nothing for other acts.
    async fn stage_told(&self, what: What) -> Result<Option<String>, Failure> {
        if !matches!(what, What::StartPledging | What::Open) {
            return Ok(None);
        }
        let request = pb::GetPublicProgressRequest {
            name: self.name.clone(),
        };
        let mut campaigns: CampaignServiceClient<_> = self.clients.campaigns();
        let seen = campaigns.get_public_progress(request).await?.into_inner();
        Ok(Some(if matches!(what, What::Open) {
            let pledged = tables::amount(seen.pledged.as_ref());
            format!(
                "{} members have promised {} {pledged}. The campaign opens: money from now on.",
                seen.pledging_members,
                self.plan.currency(),
            )
        } else {
            format!(
                "{} people have signed. Pledging begins: promises, no money.",
                seen.signatures
            )
        }))
    }
}

fn terms(plan: &Plan, clock: &Clock) -> pb::Terms {
    let offer = &plan.offer;
    let amount = |units| Some(money(units, offer.currency));
    let deadline = clock.now() + Duration::days(LAST_DAY);
    pb::Terms {
        version: 0,
        target: amount(offer.target),
        minimum: amount(offer.minimum),
        maximum: amount(offer.maximum),
        deadline: Some(Timestamp {
            seconds: deadline.unix_timestamp(),
            nanos: 0,
        }),
        minimum_members: offer.minimum_members,
        fee_bearer: offer.fee_bearer.into(),
        fee_bearer_note: offer.fee_bearer_note.to_owned(),
        card_clearing_days: 7,
        direct_debit_clearing_days: 56,
        bank_transfer_clearing_days: 1,
    }
}

fn share_class(plan: &Plan) -> pb::ShareClass {
    let share = &plan.offer.share;
    pb::ShareClass {
        name: String::new(),
        display_name: share.title.to_owned(),
        price: Some(money(share.price, plan.currency())),
        nominal: Some(money(share.nominal, plan.currency())),
        authorised: share.authorised,
        minimum_per_member: 1,
        maximum_per_member: share.most_per_member,
        liability: false,
    }
}

/// Registers the accounts at the provider and at the bank; their external ids
/// carry the run, since an account belongs to one campaign for ever.
async fn accounts(
    plan: &Plan,
    ids: &Ids,
    clients: &Clients,
    campaign: &str,
) -> Result<(String, String), Failure> {
    let (key, run) = (plan.offer.key, ids.run);
    let request = pb::RegisterProviderAccountRequest {
        request_id: ids.of("provider account"),
        campaign: campaign.to_owned(),
        institution: "stripe".to_owned(),
        external_id: format!("acct_demo_{key}_{run}"),
        livemode: false,
        validate_only: false,
    };
    let mut payments = clients.payments();
    let provider = payments.register_provider_account(request).await?;
    let request = pb::RegisterBankAccountRequest {
        request_id: ids.of("bank account"),
        campaign: campaign.to_owned(),
        institution: plan.offer.bank.to_owned(),
        external_id: format!("demo {key} {run}"),
        validate_only: false,
    };
    let bank = payments.register_bank_account(request).await?;
    let provider = present(provider.into_inner().money_account, "provider account")?;
    let bank = present(bank.into_inner().money_account, "bank account")?;
    Ok((provider.name, bank.name))
}
