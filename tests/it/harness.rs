//! A whole service for a test: its own database, a settable clock, a real gRPC
//! channel.
//!
//! One cluster serves the run; it is started by the first test that needs it and
//! ends with the process. Each test gets a database made from a template that
//! was migrated once.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use metrics_exporter_prometheus::PrometheusHandle;
use pledgebook::{
    access::{ApiKey, KeySecret, Role},
    app::App,
    book::{Books, Peers, Settings},
    clock::Clock,
    grpc::pb::{
        self, admin_service_client::AdminServiceClient,
        campaign_service_client::CampaignServiceClient, ledger_service_client::LedgerServiceClient,
        member_service_client::MemberServiceClient, payment_service_client::PaymentServiceClient,
        pledge_service_client::PledgeServiceClient, refund_service_client::RefundServiceClient,
        report_service_client::ReportServiceClient, run_service_client::RunServiceClient,
        share_service_client::ShareServiceClient, webhook_service_client::WebhookServiceClient,
    },
    grpc::{PeerApi, PeerServers},
    id::ApiKeyId,
    postgres::Cluster,
    report::Reports,
    secret::Secrets,
    server::{self, Service},
    store::{Store, schema},
    webhook::Webhooks,
};
use tokio::{sync::Mutex, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Status, Streaming,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;
use uuid::Uuid;

/// The one cluster of this run.
struct Shared {
    metrics: PrometheusHandle,
    cluster: Cluster,
    template: Mutex<()>,
}

static SHARED: OnceLock<Shared> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(1);

const TEMPLATE: &str = "it_template";

fn shared() -> &'static Shared {
    SHARED.get_or_init(|| {
        // What the service would tell its operator of a test that fails.
        let log = [("PLEDGEBOOK_LOG".to_owned(), "error".to_owned())];
        let settings = pledgebook::config::Settings::from_variables(&log).unwrap();
        pledgebook::telemetry::start(&settings).unwrap();
        // A thread and a runtime of its own: the cluster outlives the test that starts it.
        let started = std::thread::spawn(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let cluster = runtime.block_on(start_cluster());
            std::mem::forget(runtime);
            cluster
        });
        Shared {
            metrics: pledgebook::telemetry::measure().unwrap(),
            cluster: started.join().unwrap(),
            template: Mutex::new(()),
        }
    })
}

/// What this process has measured.
pub fn metrics() -> PrometheusHandle {
    shared().metrics.clone()
}

async fn start_cluster() -> Cluster {
    remove_what_earlier_runs_left();
    let cluster = Cluster::start(Some(run_dir(std::process::id())))
        .await
        .unwrap();
    cluster.ensure_roles().await.unwrap();
    cluster.ensure_database(TEMPLATE).await.unwrap();
    schema::migrate(&cluster.url("pledgebook_owner", TEMPLATE))
        .await
        .unwrap();
    cluster
}

const RUN: &str = "pledgebook-it-";

fn run_dir(pid: u32) -> PathBuf {
    std::env::temp_dir().join(format!("{RUN}{pid}"))
}

fn remove_what_earlier_runs_left() {
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name
            .strip_prefix(RUN)
            .and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !PathBuf::from(format!("/proc/{pid}")).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A database of its own, made from the template.
pub struct Database {
    pub name: String,
}

impl Database {
    pub async fn create() -> Self {
        let shared = tokio::task::spawn_blocking(shared).await.unwrap();
        let name = format!("it_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let _one_at_a_time = shared.template.lock().await;
        let statement =
            format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER pledgebook_owner");
        execute_as("postgres", "postgres", &statement)
            .await
            .unwrap();
        Self { name }
    }

    /// The address as a role: `pledgebook_app`, `pledgebook_report`, `pledgebook_owner`, `postgres`.
    pub fn url(&self, role: &str) -> String {
        shared().cluster.url(role, &self.name)
    }

    pub async fn pool(&self, role: &str) -> sqlx::PgPool {
        sqlx::PgPool::connect(&self.url(role)).await.unwrap()
    }

    /// Runs statements as a role, in one simple query.
    pub async fn execute(&self, role: &str, statements: &str) -> Result<(), sqlx::Error> {
        execute_as(role, &self.name, statements).await
    }

    /// Locks a campaign's head from outside: its book waits until this is dropped.
    pub async fn hold(&self, campaign: &str) -> sqlx::Transaction<'static, sqlx::Postgres> {
        let campaign: Uuid = campaign
            .strip_prefix("campaigns/")
            .unwrap()
            .parse()
            .unwrap();
        let mut held = self.pool("postgres").await.begin().await.unwrap();
        sqlx::query("SELECT FROM campaign_head WHERE campaign_id = $1 FOR UPDATE")
            .bind(campaign)
            .execute(&mut *held)
            .await
            .unwrap();
        held
    }

    /// Returns when somebody waits for a campaign's head.
    pub async fn until_somebody_waits(&self) {
        let pool = self.pool("postgres").await;
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        loop {
            let count: i64 = sqlx::query_scalar(waiting).fetch_one(&pool).await.unwrap();
            if count > 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

async fn execute_as(role: &str, database: &str, statements: &str) -> Result<(), sqlx::Error> {
    use sqlx::Connection;
    let url = shared().cluster.url(role, database);
    let mut connection = sqlx::PgConnection::connect(&url).await?;
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned()))
        .execute(&mut connection)
        .await;
    connection.close().await?;
    done.map(|_| ())
}

/// One server on a database, as a process of its own would be.
pub struct Server {
    pub address: SocketAddr,
    /// By what name other servers reach it.
    pub peer_name: String,
    pub app: App,
    channel: Channel,
    shutdown: CancellationToken,
    serving: Option<JoinHandle<()>>,
}

impl Server {
    pub async fn start(database: &Database, clock: Clock, settings: Settings) -> Self {
        let url = database.url("pledgebook_app");
        let store = Store::connect(&url, 8).await.unwrap();
        let ingest = Store::connect(&url, 2).await.unwrap();
        let report = Store::connect_to_read(&database.url("pledgebook_report"), 4)
            .await
            .unwrap();
        let secrets = Secrets::derive(&[7; 32]).unwrap();
        let port = || server::listen(SocketAddr::from(([127, 0, 0, 1], 0)));
        let peer = port().await.unwrap();
        let me = PeerServers::new(peer.local_addr().unwrap(), secrets.clone());
        let me = Arc::new(me);
        let books = Books::among(store.clone(), clock.clone(), settings, Some(me.clone()));
        let app = App::new(store, books, clock, secrets);
        let service = Service {
            webhooks: Webhooks::new(app.clone(), ingest),
            reports: Reports::new(report.pool().clone()),
            app,
            reflection: true,
            origins: vec!["https://buyout.example.org".parse().unwrap()],
        };
        let listener = port().await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn({
            let (service, shutdown) = (service.clone(), shutdown.clone());
            let peers = PeerApi::new(service.app.books.clone(), &me, shutdown.clone());
            let peers = tokio::spawn(server::serve_peers(peer, peers, shutdown.clone()));
            async move {
                service.serve(listener, shutdown).await.unwrap();
                peers.await.unwrap().unwrap();
            }
        });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self {
            address,
            peer_name: me.name().to_owned(),
            app: service.app,
            channel: endpoint.connect_lazy(),
            shutdown,
            serving: Some(serving),
        }
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Drains, and returns when everything that was accepted is answered.
    pub async fn stop(&mut self) {
        self.shutdown.cancel();
        if let Some(serving) = self.serving.take() {
            serving.await.unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A whole service with a key for each role.
pub struct Tester {
    pub database: Database,
    pub clock: Clock,
    pub server: Server,
    keys: HashMap<Role, String>,
}

impl Tester {
    pub async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    pub async fn start_with(settings: Settings) -> Self {
        Self::start_on(Database::create().await, settings).await
    }

    /// On a database in which something has happened already.
    pub async fn start_on(database: Database, settings: Settings) -> Self {
        let clock = Clock::default();
        let server = Server::start(&database, clock.clone(), settings).await;
        let mut keys = HashMap::new();
        for role in Role::ALL {
            keys.insert(role, make_key(&server.app, role, None).await);
        }
        Self {
            database,
            clock,
            server,
            keys,
        }
    }

    /// A second server on the same database, with the same clock.
    pub async fn another_server(&self) -> Server {
        Server::start(&self.database, self.clock.clone(), Settings::default()).await
    }

    pub fn key(&self, role: Role) -> &str {
        &self.keys[&role]
    }

    /// Clients with a role's key.
    pub fn as_role(&self, role: Role) -> Clients {
        Clients::new(self.server.channel(), Some(self.key(role)))
    }

    /// Clients with a role's key on another server.
    pub fn as_role_on(&self, server: &Server, role: Role) -> Clients {
        Clients::new(server.channel(), Some(self.key(role)))
    }

    pub fn admin(&self) -> Clients {
        self.as_role(Role::Admin)
    }

    pub fn treasurer(&self) -> Clients {
        self.as_role(Role::Treasurer)
    }

    /// Fails unless `check` finds every stored number right.
    pub async fn must_be_clean(&self, campaign: &str) {
        let request = pb::CheckCampaignRequest {
            campaign: campaign.to_owned(),
        };
        let checked = self
            .admin()
            .ledger()
            .check_campaign(request)
            .await
            .unwrap()
            .into_inner();
        assert!(checked.rules.len() > 10, "{:?}", checked.rules);
        assert!(checked.differences.is_empty(), "{:#?}", checked.differences);
    }
}

/// Makes a key, of one campaign or of all.
pub async fn make_key(
    app: &App,
    role: Role,
    campaign: Option<pledgebook::id::CampaignId>,
) -> String {
    let secret = KeySecret::mint();
    let key = ApiKey {
        id: ApiKeyId::mint(),
        display_name: format!("{role:?}"),
        role,
        campaign,
        created_at: app.clock.now(),
        revoked_at: None,
    };
    let hash = KeySecret::hash(secret.reveal());
    assert!(app.store.api_key_create(&key, hash, "test").await.unwrap());
    secret.reveal().to_owned()
}

/// Sends a key along.
#[derive(Clone)]
pub struct Bearer(Option<String>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            let value = format!("Bearer {key}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

type Authed = InterceptedService<Channel, Bearer>;

/// All services' clients, with one key.
#[derive(Clone)]
pub struct Clients {
    channel: Channel,
    bearer: Bearer,
}

macro_rules! clients {
    ($($name:ident: $client:ident,)*) => {
        $(pub fn $name(&self) -> $client<Authed> {
            $client::with_interceptor(self.channel.clone(), self.bearer.clone())
        })*
    };
}

impl Clients {
    pub fn new(channel: Channel, key: Option<&str>) -> Self {
        Self {
            channel,
            bearer: Bearer(key.map(str::to_owned)),
        }
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
        admin: AdminServiceClient,
        webhooks: WebhookServiceClient,
    }
}

// Small things that every test needs.

/// A new request id.
pub fn id() -> String {
    Uuid::now_v7().to_string()
}

pub fn money(currency: &str, amount: &str) -> Option<pb::Money> {
    Some(pb::Money {
        currency_code: currency.to_owned(),
        amount: amount.to_owned(),
    })
}

pub fn eur(amount: &str) -> Option<pb::Money> {
    money("EUR", amount)
}

/// An amount as text, "EUR 12.50".
pub fn text(money: &Option<pb::Money>) -> String {
    let money = money.as_ref().unwrap();
    format!("{} {}", money.currency_code, money.amount)
        .trim()
        .to_owned()
}

/// The reason of a refusal.
pub fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

/// Something that a refusal's ErrorInfo says, by key.
pub fn detail(status: &Status, key: &str) -> String {
    let info = status.get_details_error_info();
    info.and_then(|info| info.metadata.get(key).cloned())
        .unwrap_or_default()
}

/// All messages of a stream.
pub async fn all<T>(mut stream: Streaming<T>) -> Vec<T> {
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        messages.push(message);
    }
    messages
}

/// The lines of an entry as text, one each: `Dr 1000 EUR 12.50`.
pub fn lines(entry: &pb::JournalEntry) -> Vec<String> {
    let line = |line: &pb::JournalLine| {
        let side = if line.side() == pb::Side::Debit {
            "Dr"
        } else {
            "Cr"
        };
        format!("{side} {} {}", line.code, text(&line.amount))
    };
    entry.lines.iter().map(line).collect()
}

/// A timestamp so many days from now.
pub fn days_from_now(clock: &Clock, days: i64) -> Option<prost_types::Timestamp> {
    let at = clock.now() + time::Duration::days(days);
    Some(prost_types::Timestamp {
        seconds: at.unix_timestamp(),
        nanos: 0,
    })
}

pub fn terms(clock: &Clock, currency: &str) -> pb::Terms {
    pb::Terms {
        target: money(currency, "100000"),
        minimum: money(currency, "50000"),
        maximum: money(currency, "200000"),
        deadline: days_from_now(clock, 30),
        fee_bearer: pb::FeeBearer::Underwriter.into(),
        card_clearing_days: 7,
        direct_debit_clearing_days: 60,
        bank_transfer_clearing_days: 1,
        ..Default::default()
    }
}

/// A campaign that takes money, with an account at a provider and one at a bank.
pub struct Campaign {
    pub name: String,
    pub currency: String,
    pub provider: String,
    pub bank: String,
}

impl Campaign {
    /// An open campaign with the usual terms.
    pub async fn open(tester: &Tester, currency: &str) -> Self {
        Self::open_with(tester, terms(&tester.clock, currency), None).await
    }

    /// An open campaign with these terms and this share class.
    pub async fn open_with(
        tester: &Tester,
        terms: pb::Terms,
        class: Option<pb::ShareClass>,
    ) -> Self {
        let campaign = Self::pledging_with(tester, terms, class).await;
        campaign.move_to_open(tester).await;
        campaign
    }

    pub async fn move_to_open(&self, tester: &Tester) {
        let request = pb::OpenCampaignRequest {
            request_id: id(),
            name: self.name.clone(),
            validate_only: false,
        };
        tester
            .treasurer()
            .campaigns()
            .open_campaign(request)
            .await
            .unwrap();
    }

    /// A campaign that takes pledges and no money yet.
    pub async fn pledging_with(
        tester: &Tester,
        terms: pb::Terms,
        class: Option<pb::ShareClass>,
    ) -> Self {
        let treasurer = tester.treasurer();
        let currency = terms.target.as_ref().unwrap().currency_code.clone();
        let request = pb::CreateCampaignRequest {
            request_id: id(),
            display_name: "We are the club".to_owned(),
            description: "Fans buy their club".to_owned(),
            currency_code: currency.clone(),
            terms: Some(terms),
            validate_only: false,
        };
        let created = treasurer
            .campaigns()
            .create_campaign(request)
            .await
            .unwrap();
        let name = created.into_inner().campaign.unwrap().name;
        if let Some(class) = class {
            let request = pb::AddShareClassRequest {
                request_id: id(),
                campaign: name.clone(),
                share_class: Some(class),
                validate_only: false,
            };
            treasurer
                .campaigns()
                .add_share_class(request)
                .await
                .unwrap();
        }
        let gathering = pb::StartGatheringRequest {
            request_id: id(),
            name: name.clone(),
            validate_only: false,
        };
        treasurer
            .campaigns()
            .start_gathering(gathering)
            .await
            .unwrap();
        let pledging = pb::StartPledgingRequest {
            request_id: id(),
            name: name.clone(),
            validate_only: false,
        };
        treasurer
            .campaigns()
            .start_pledging(pledging)
            .await
            .unwrap();
        let provider = pb::RegisterProviderAccountRequest {
            request_id: id(),
            campaign: name.clone(),
            institution: "stripe".to_owned(),
            external_id: format!("acct_{name}"),
            livemode: true,
            validate_only: false,
        };
        let provider = treasurer
            .payments()
            .register_provider_account(provider)
            .await
            .unwrap();
        let bank = pb::RegisterBankAccountRequest {
            request_id: id(),
            campaign: name.clone(),
            institution: "triodos".to_owned(),
            external_id: format!("iban of {name}"),
            validate_only: false,
        };
        let bank = treasurer
            .payments()
            .register_bank_account(bank)
            .await
            .unwrap();
        Self {
            name,
            currency,
            provider: provider.into_inner().money_account.unwrap().name,
            bank: bank.into_inner().money_account.unwrap().name,
        }
    }

    /// A new member; gives the name.
    pub async fn member(&self, tester: &Tester, email: &str) -> String {
        let request = pb::CreateMemberRequest {
            request_id: id(),
            campaign: self.name.clone(),
            display_name: email.split('@').next().unwrap().to_owned(),
            email: email.to_owned(),
            validate_only: false,
        };
        let created = tester
            .treasurer()
            .members()
            .create_member(request)
            .await
            .unwrap();
        created.into_inner().member.unwrap().name
    }

    /// A new pledge of an amount; gives the name.
    pub async fn pledge(&self, tester: &Tester, member: &str, amount: &str) -> String {
        let promise = money(&self.currency, amount).unwrap();
        let request = pb::CreatePledgeRequest {
            request_id: id(),
            member: member.to_owned(),
            promise: Some(pb::create_pledge_request::Promise::Amount(promise)),
            ..Default::default()
        };
        let created = tester
            .treasurer()
            .pledges()
            .create_pledge(request)
            .await
            .unwrap();
        created.into_inner().pledge.unwrap().name
    }

    /// A payment's request, by card, for a pledge.
    pub fn payment(&self, object: &str, pledge: &str, amount: &str) -> pb::RecordPaymentRequest {
        pb::RecordPaymentRequest {
            request_id: id(),
            money_account: self.provider.clone(),
            object_id: object.to_owned(),
            gross: money(&self.currency, amount),
            payer: Some(pb::record_payment_request::Payer::Pledge(pledge.to_owned())),
            method: pb::PaymentMethod::Card.into(),
            ..Default::default()
        }
    }

    /// An entry by its number.
    pub async fn entry(&self, tester: &Tester, number: i64) -> pb::JournalEntry {
        let request = pb::GetEntryRequest {
            name: format!("{}/entries/{number}", self.name),
        };
        let read = tester
            .treasurer()
            .ledger()
            .get_entry(request)
            .await
            .unwrap();
        read.into_inner().entry.unwrap()
    }
}
