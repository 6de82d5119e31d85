//! This ledger behind gRPC, each server in a process of its own, beside a tonic
//! server that answers the same call with the same message and does nothing.

use std::{
    io::Read,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use pledgebook::{
    access::{ApiKey, KeySecret, Role},
    app::App,
    book::{Books, Settings},
    clock::Clock,
    grpc::pb::{
        self, payment_service_client::PaymentServiceClient, run_service_client::RunServiceClient,
    },
    id::ApiKeyId,
    report::Reports,
    secret::Secrets,
    server::{self, Service},
    store::Store,
    webhook::Webhooks,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Code;
use uuid::Uuid;

use crate::{
    AS_DEPLOYED, HOT, MEMBERS, Plan,
    direct::{Bare, Direct},
    figures::Figures,
    ledger::{Kind, Ledger, pledge, size},
    place::Place,
};

/// Connections of the load: as many as a handful of front ends hold.
const CONNECTIONS: usize = 8;
/// Streams at once: their windows together are what keeps the book in full batches.
const STREAMS: usize = 3;
/// Payments in one message of a stream.
const MESSAGE: usize = 200;

#[derive(clap::Args)]
pub struct Part {
    #[arg(long)]
    app: String,
    #[arg(long)]
    report: String,
    /// Answer without doing anything.
    #[arg(long)]
    echo: bool,
}

impl Part {
    pub async fn run(self) {
        let listener = server::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let told = shutdown.clone();
        tokio::spawn(async move {
            // Whoever started us closes it.
            let _ = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0])).await;
            told.cancel();
        });
        if self.echo {
            echo::serve(listener, shutdown).await;
            return;
        }
        let store = Store::connect(&self.app, 8).await.unwrap();
        let ingest = Store::connect(&self.app, 2).await.unwrap();
        let report = Store::connect_to_read(&self.report, 2).await.unwrap();
        let clock = Clock::default();
        let books = Books::new(store.clone(), clock.clone(), Settings::default());
        let app = App::new(store, books, clock, Secrets::derive(&[7; 32]).unwrap());
        let service = Service {
            webhooks: Webhooks::new(app.clone(), ingest),
            reports: Reports::new(report.pool().clone()),
            app,
            reflection: false,
            origins: Vec::new(),
        };
        service.serve(listener, shutdown).await.unwrap();
    }
}

pub type Client = PaymentServiceClient<Direct>;

/// A server's process, and clients that are connected to it.
pub struct Server {
    child: Child,
    pub clients: Vec<Client>,
    address: String,
}

impl Server {
    pub async fn start(ledger: &Ledger, key: &str, echo: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .envs(AS_DEPLOYED)
            .arg("serve")
            .args(["--app", &ledger.app, "--report", &ledger.report])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if echo {
            command.arg("--echo");
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.next_line().await.unwrap().unwrap();
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let (direct, origin) = Direct::connect(&address, key).await;
            clients.push(PaymentServiceClient::with_origin(direct, origin));
        }
        Self {
            child,
            clients,
            address,
        }
    }

    /// Connections for payments that are timed one by one.
    async fn bare(&self, key: &str) -> Vec<Bare> {
        let method = "pledgebook.v1.PaymentService/RecordPayment";
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Bare::connect(&self.address, key, method).await);
        }
        connections
    }

    /// A client of runs, with another key.
    pub async fn runs(&self, key: &str) -> RunServiceClient<Direct> {
        let (direct, origin) = Direct::connect(&self.address, key).await;
        RunServiceClient::with_origin(direct, origin)
    }

    /// Ends it as a power cut would.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// The most memory that it has had, in MB.
    pub fn most_memory(&self) -> f64 {
        let path = format!("/proc/{}/status", self.child.id().unwrap());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes / 1_024.0
    }

    pub async fn stop(mut self) {
        drop(self.clients);
        drop(self.child.stdin.take());
        assert!(self.child.wait().await.unwrap().success());
    }
}

/// Requests for payments on the campaign's pledges.
#[derive(Clone)]
struct Requests {
    ledger: Ledger,
    next: Arc<AtomicU64>,
}

impl Requests {
    fn next(&self) -> pb::RecordPaymentRequest {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let of = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % MEMBERS;
        self.of_member(n, of)
    }

    fn of_member(&self, n: u64, of: usize) -> pb::RecordPaymentRequest {
        let campaign = self.ledger.campaign;
        let cents = size(n);
        let id = Uuid::now_v7();
        pb::RecordPaymentRequest {
            request_id: id.to_string(),
            money_account: format!(
                "campaigns/{campaign}/moneyAccounts/{}",
                self.ledger.provider
            ),
            object_id: format!("ch_{}", id.simple()),
            gross: Some(pb::Money {
                currency_code: "EUR".to_owned(),
                amount: format!("{}.{:02}", cents / 100, cents % 100),
            }),
            payer: Some(pb::record_payment_request::Payer::Pledge(format!(
                "campaigns/{campaign}/pledges/{}",
                pledge(of)
            ))),
            method: pb::PaymentMethod::Card.into(),
            ..Default::default()
        }
    }
}

pub async fn key(ledger: &Ledger) -> String {
    let store = Store::connect(&ledger.app, 1).await.unwrap();
    let secret = KeySecret::mint();
    let key = ApiKey {
        id: ApiKeyId::mint(),
        display_name: "load".to_owned(),
        role: Role::Treasurer,
        campaign: None,
        created_at: Clock::default().now(),
        revoked_at: None,
    };
    let hash = KeySecret::hash(secret.reveal());
    assert!(store.api_key_create(&key, hash, "bench").await.unwrap());
    secret.reveal().to_owned()
}

/// A payment of every member, so that the server's book knows them all.
async fn meet(server: &Server, requests: &Requests) {
    let clients = server.clients.iter().cycle();
    let calls = (0_u64..).zip(0..MEMBERS).zip(clients);
    let calls = calls.map(|((n, of), client)| {
        let (mut client, request) = (client.clone(), requests.of_member(n, of));
        async move { client.record_payment(request).await.unwrap() }
    });
    let calls = stream::iter(calls).buffer_unordered(HOT);
    calls.for_each(async |_| ()).await;
}

/// So many callers, each asking again as soon as it is answered: calls a second.
async fn closed_loop(server: &Server, requests: &Requests, callers: usize, run: Duration) -> f64 {
    let begun = Instant::now();
    let until = begun + run;
    let tasks: Vec<_> = (0..callers)
        .map(|n| {
            let mut client = server.clients[n % CONNECTIONS].clone();
            let requests = requests.clone();
            tokio::spawn(async move {
                let mut done = 0_u64;
                while Instant::now() < until {
                    client.record_payment(requests.next()).await.unwrap();
                    done += 1;
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    done as f64 / begun.elapsed().as_secs_f64()
}

/// A few streams at once, each as fast as it is read: payments a second.
async fn streams(server: &Server, requests: &Requests, run: Duration) -> f64 {
    let begun = Instant::now();
    let until = begun + run;
    let streams = server.clients.iter().take(STREAMS).map(|client| {
        let (mut client, requests) = (client.clone(), requests.clone());
        tokio::spawn(async move {
            let (messages, sent) = mpsc::channel(2);
            tokio::spawn(async move {
                while Instant::now() < until {
                    let payments = (0..MESSAGE).map(|_| requests.next()).collect();
                    let message = pb::RecordPaymentsRequest { payments };
                    messages.send(message).await.unwrap();
                }
            });
            let answers = client.record_payments(ReceiverStream::new(sent)).await;
            let mut answers = answers.unwrap().into_inner();
            let mut done = 0;
            while let Some(message) = answers.message().await.unwrap() {
                for outcome in message.outcomes {
                    match outcome.result {
                        Some(pb::record_payments_outcome::Result::Recorded(_)) => done += 1,
                        other => panic!("{other:?}"),
                    }
                }
            }
            done
        })
    });
    let mut done: u64 = 0;
    for stream in streams.collect::<Vec<_>>() {
        done += stream.await.unwrap();
    }
    done as f64 / begun.elapsed().as_secs_f64()
}

/// Calls that are sent when their time has come, answered or not; each one's time is
/// counted from when it should have been sent. Gives the median and the 99th of 100. Sent by a
/// worker: from the main thread each call would be handed over to one.
async fn open_loop(
    connections: &[Bare],
    requests: &Requests,
    per_second: u64,
    run: Duration,
) -> (Duration, Duration) {
    let (connections, requests) = (connections.to_vec(), requests.clone());
    let sent = tokio::spawn(async move {
        let calls = per_second * run.as_millis() as u64 / 1_000;
        // Written before, or writing them would be part of what is measured.
        let mut asked: Vec<_> = (0..calls)
            .map(|_| Bare::written(&requests.next()))
            .collect();
        asked.reverse();
        let times = Arc::new(Mutex::new(Vec::with_capacity(asked.len())));
        let tasks = TaskTracker::new();
        let begun = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        let due = |n: u64| begun + Duration::from_nanos(n * 1_000_000_000 / per_second);
        let mut n = 0;
        while n < calls {
            tick.tick().await;
            while due(n) <= Instant::now()
                && let Some(mut request) = asked.pop()
            {
                let connection = connections[n as usize % CONNECTIONS].clone();
                let (requests, times, due) = (requests.clone(), Arc::clone(&times), due(n));
                tasks.spawn(async move {
                    // Under more than it takes, a full queue is an answer: one asks for another, and
                    // the time goes on.
                    loop {
                        let status = connection.call(request).await;
                        if status.code() == Code::Ok {
                            break;
                        }
                        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        request = Bare::written(&requests.next());
                    }
                    let took = due.elapsed();
                    times.lock().unwrap().push(took);
                });
                n += 1;
            }
        }
        tasks.close();
        tasks.wait().await;
        let mut times = std::mem::take(&mut *times.lock().unwrap());
        assert_eq!(times.len() as u64, calls, "a call failed");
        times.sort();
        (times[times.len() / 2], times[times.len() * 99 / 100])
    });
    sent.await.unwrap()
}

/// One caller on a server that has nothing else to do, on a worker as well: the median.
async fn idle(connections: &[Bare], requests: &Requests, run: Duration) -> Duration {
    let (connection, requests) = (connections[0].clone(), requests.clone());
    let asked = tokio::spawn(async move {
        let until = Instant::now() + run;
        let mut times = Vec::new();
        while Instant::now() < until {
            let request = Bare::written(&requests.next());
            let begun = Instant::now();
            let status = connection.call(request).await;
            times.push(begun.elapsed());
            assert_eq!(status.code(), Code::Ok, "{status:?}");
        }
        times.sort();
        times[times.len() / 2]
    });
    asked.await.unwrap()
}

pub async fn measure(place: &Place, ledger: &Ledger, plan: Plan, figures: &mut Figures) {
    let key = key(ledger).await;
    let requests = Requests {
        ledger: ledger.clone(),
        next: Arc::new(AtomicU64::new(Uuid::now_v7().as_u64_pair().1)),
    };
    place.settle(&ledger.database).await;
    // One after the other: an idle server's process would still wake up now and then.
    let server = Server::start(ledger, &key, true).await;
    closed_loop(&server, &requests, HOT, plan.warm_up).await;
    let echo = closed_loop(&server, &requests, HOT, plan.run).await;
    server.stop().await;

    // As the book alone does when it is measured; a rough answer has no time for it.
    let meets = plan.warm_up >= Duration::from_secs(1);
    if meets {
        place.calm(&ledger.database).await;
    } else {
        place.settle(&ledger.database).await;
    }
    let server = Server::start(ledger, &key, false).await;
    if meets {
        meet(&server, &requests).await;
    }
    closed_loop(&server, &requests, 64, plan.warm_up).await;
    let bare = server.bare(&key).await;
    let alone = idle(&bare, &requests, plan.run / 2).await;
    // The slowest of a hundred need more time than a rate does: in three seconds a single pause of
    // 30 ms is all of them.
    open_loop(&bare, &requests, 1_000, plan.warm_up).await;
    place.flush().await;
    let (p50_1k, p99_1k) = open_loop(&bare, &requests, 1_000, plan.run * 3).await;
    open_loop(&bare, &requests, 5_000, plan.warm_up).await;
    place.flush().await;
    let (p50_5k, p99_5k) = open_loop(&bare, &requests, 5_000, plan.run * 3).await;
    drop(bare);
    closed_loop(&server, &requests, HOT, plan.warm_up).await;
    let unary = closed_loop(&server, &requests, HOT, plan.run).await;
    let memory = server.most_memory();
    streams(&server, &requests, plan.warm_up).await;
    let stream = streams(&server, &requests, plan.run).await;
    server.stop().await;
    place.settle(&ledger.database).await;
    let book = ledger.alone(Kind::Payment, HOT, plan).await.per_second();

    figures.rate("unary echo, 4096 in flight", echo);
    figures.rate("unary RecordPayment, 4096 in flight", unary);
    figures.rate("streamed RecordPayments", stream);
    figures.rate("payments, book, beside the stream", book);
    figures.ratio("stream_vs_book", stream, book);
    figures.time("RecordPayment on an idle server, median", alone);
    figures.time("RecordPayment at 1,000 a second, median", p50_1k);
    figures.time("RecordPayment at 1,000 a second, 99th of 100", p99_1k);
    figures.time("RecordPayment at 5,000 a second, median", p50_5k);
    figures.time("RecordPayment at 5,000 a second, 99th of 100", p99_5k);
    figures.ratio("unary_vs_echo", unary, echo);
    let times = |of: Duration| of.as_secs_f64() / alone.as_secs_f64();
    figures.figure("p99_1k_vs_idle", times(p99_1k));
    figures.figure("p99_5k_vs_idle", times(p99_5k));
    figures.figure("rss_4096_mb", memory);
}

mod echo {
    //! Answers RecordPayment with a message like the real one, and does nothing.

    use futures::TryStreamExt;
    use pledgebook::{
        gathering::Gathering,
        grpc::pb::{self, payment_service_server::PaymentServiceServer},
    };
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;
    use tonic::{
        Request, Response, Status,
        transport::{Server, server::TcpIncoming},
    };

    /// The lines of a payment: account, balance after it.
    fn balances() -> Vec<pb::AccountBalance> {
        ["1000", "2100", "9001", "9000"]
            .into_iter()
            .map(|code| pb::AccountBalance {
                account: format!(
                    "campaigns/01900000-0000-7000-8000-000000000000/accounts/{code}.EUR.01900000-0000-7000-8000-000000000001"
                ),
                code: code.to_owned(),
                balance: money("1234567.89"),
                normal_side: 1,
            })
            .collect()
    }

    fn money(amount: &str) -> Option<pb::Money> {
        Some(pb::Money {
            currency_code: "EUR".to_owned(),
            amount: amount.to_owned(),
        })
    }

    fn answer(request: pb::RecordPaymentRequest) -> pb::RecordPaymentResponse {
        pb::RecordPaymentResponse {
            outcome: Some(pb::Outcome {
                change_number: 1_234_567,
                entry_numbers: vec![1_234_567],
                balances: balances(),
                recorded_at: Some(prost_types::Timestamp {
                    seconds: 1_700_000_000,
                    nanos: 123_456_000,
                }),
                ..Default::default()
            }),
            payment: Some(pb::Payment {
                name: format!("{}/payments/01900000", request.money_account),
                money_account: request.money_account,
                object_id: request.object_id,
                state: 1,
                method: request.method,
                gross: request.gross,
                held: money("25.00"),
                refundable: money("0.00"),
                unallocated: money("0.00"),
                member: "campaigns/01900000-0000-7000-8000-000000000000/members/01900000-0000-7000-8000-000000000001".to_owned(),
                pledge: "campaigns/01900000-0000-7000-8000-000000000000/pledges/01900000-0000-7000-8000-000000000001".to_owned(),
                value_date: "2026-01-01".to_owned(),
                available_on: "2026-01-01".to_owned(),
                ..Default::default()
            }),
        }
    }

    struct Echo;

    macro_rules! nothing {
        ($($name:ident: $request:ident => $response:ident,)*) => {$(
            fn $name<'a, 'b>(
                &'a self,
                _: Request<pb::$request>,
            ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response<pb::$response>, Status>> + Send + 'b>>
            where
                'a: 'b,
                Self: 'b,
            {
                Box::pin(async { Err(Status::unimplemented("an echo")) })
            }
        )*};
    }

    #[tonic::async_trait]
    impl pb::payment_service_server::PaymentService for Echo {
        async fn record_payment(
            &self,
            request: Request<pb::RecordPaymentRequest>,
        ) -> Result<Response<pb::RecordPaymentResponse>, Status> {
            Ok(Response::new(answer(request.into_inner())))
        }

        type RecordPaymentsStream = tokio_stream::Empty<Result<pb::RecordPaymentsResponse, Status>>;

        async fn record_payments(
            &self,
            _: Request<tonic::Streaming<pb::RecordPaymentsRequest>>,
        ) -> Result<Response<Self::RecordPaymentsStream>, Status> {
            Err(Status::unimplemented("an echo"))
        }

        nothing! {
            register_provider_account: RegisterProviderAccountRequest => RegisterProviderAccountResponse,
            register_bank_account: RegisterBankAccountRequest => RegisterBankAccountResponse,
            list_money_accounts: ListMoneyAccountsRequest => ListMoneyAccountsResponse,
            record_payment_fee: RecordPaymentFeeRequest => RecordPaymentFeeResponse,
            record_payment_failure: RecordPaymentFailureRequest => RecordPaymentFailureResponse,
            record_bank_receipt: RecordBankReceiptRequest => RecordBankReceiptResponse,
            match_receipt: MatchReceiptRequest => MatchReceiptResponse,
            record_payout: RecordPayoutRequest => RecordPayoutResponse,
            record_payout_arrival: RecordPayoutArrivalRequest => RecordPayoutArrivalResponse,
            record_payout_failure: RecordPayoutFailureRequest => RecordPayoutFailureResponse,
            get_payout: GetPayoutRequest => GetPayoutResponse,
            list_payouts: ListPayoutsRequest => ListPayoutsResponse,
            record_bank_movement: RecordBankMovementRequest => RecordBankMovementResponse,
            flag_dispute: FlagDisputeRequest => FlagDisputeResponse,
            clear_dispute: ClearDisputeRequest => ClearDisputeResponse,
            get_payment: GetPaymentRequest => GetPaymentResponse,
            list_payments: ListPaymentsRequest => ListPaymentsResponse,
        }
    }

    pub async fn serve(listener: TcpListener, shutdown: CancellationToken) {
        Server::builder()
            .max_concurrent_streams(8_192)
            .add_service(PaymentServiceServer::new(Echo))
            .serve_with_incoming_shutdown(
                TcpIncoming::from(listener)
                    .with_nodelay(Some(true))
                    .map_ok(Gathering::new),
                shutdown.cancelled_owned(),
            )
            .await
            .unwrap();
    }
}
