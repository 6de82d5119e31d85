//! Wires everything to one port, and drains on shutdown.
//!
//! gRPC, gRPC-Web and webhooks share the port. When the token is cancelled the
//! health service says "not serving", no new call is accepted, calls that were
//! accepted are answered, then the books carry out what is queued, and only then
//! the process may end. A stream that ends with the server says so to its caller, and
//! when that one does not read it is not waited for: HTTP/2 gives it no way to be told.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    BoxError, Router,
    body::{Bytes, HttpBody},
    extract::{Request, State},
    handler::Handler,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::{TryStreamExt, future::BoxFuture};
use http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};
use http_body_util::BodyExt;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tonic::{
    body::Body,
    codec::CompressionEncoding,
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_web::GrpcWebLayer;
use tower_http::cors::{AllowHeaders, CorsLayer};

use crate::{
    app::App,
    gathering::Gathering,
    grpc::{Api, EndsWithServer, Guard, PeerApi, Services, pb, unknown_method},
    report::Reports,
    webhook::{self, Webhooks},
};

/// The most calls at once on one connection.
const STREAMS_A_CONNECTION: u32 = 8_192;
/// How long a drain waits for calls that were accepted.
const DRAIN: Duration = Duration::from_secs(30);
/// How long it waits, when those are answered, for what ends with the server to be read.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Everything that answers.
#[derive(Clone, Debug)]
pub struct Service {
    /// The application.
    pub app: App,
    /// The reports.
    pub reports: Reports,
    /// The webhooks.
    pub webhooks: Webhooks,
    /// Whether reflection answers.
    pub reflection: bool,
    /// Web origins whose pages may call by gRPC-Web.
    pub origins: Vec<HeaderValue>,
}

/// Why serving ended without having been asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The port cannot be had.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// Serving failed.
    #[error("serving failed")]
    Serve(#[from] tonic::transport::Error),
    /// Serving the metrics failed.
    #[error("serving the metrics failed")]
    Metrics(#[from] std::io::Error),
    /// Reflection cannot read the descriptors that were built in.
    #[error("the built-in descriptors cannot be read")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Takes the port.
///
/// # Errors
/// [`ServerError::Listen`].
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| ServerError::Listen(address, error))
}

/// Hands out the metrics at `/metrics` until told to stop.
///
/// # Errors
/// When the listener fails.
pub async fn serve_metrics(
    listener: TcpListener,
    metrics: PrometheusHandle,
    shutdown: CancellationToken,
) -> Result<(), ServerError> {
    let rendered = metrics.clone();
    let router = Router::new().route("/metrics", get(async move || rendered.render()));
    let upkeep = async {
        // What nobody fetches would pile up.
        let mut tick = tokio::time::interval(Duration::from_secs(5));
        loop {
            tick.tick().await;
            metrics.run_upkeep();
        }
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
    tokio::select! {
        served = serving => Ok(served?),
        () = upkeep => Ok(()),
    }
}

/// Carries out what the installation's other servers hand over, until told to stop.
///
/// # Errors
/// When serving fails.
pub async fn serve_peers(
    listener: TcpListener,
    peers: PeerApi,
    shutdown: CancellationToken,
) -> Result<(), ServerError> {
    let serving = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(1)))
        .http2_keepalive_timeout(Some(Duration::from_secs(1)))
        .initial_stream_window_size(4 * 1024 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        .add_routes(peers.routes())
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            shutdown.clone().cancelled_owned(),
        );
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = serving => Ok(served?),
        () = overdue => Ok(()),
    }
}

impl Service {
    /// Serves until `shutdown` is cancelled, and drains.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), ServerError> {
        let (health, health_service) = tonic_health::server::health_reporter();
        let health_service = health_service
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Gzip);
        health
            .set_service_status("", tonic_health::ServingStatus::Serving)
            .await;
        let api = Api::new(
            self.app.clone(),
            self.reports.clone(),
            self.webhooks.clone(),
            shutdown.clone(),
        );
        let services = Services::new(&api);
        let mut routes = services.routes().add_service(health_service);
        if self.reflection {
            routes = reflection(routes)?;
        }
        let guard = api.guard();
        let guarded = from_fn_with_state(guard.clone(), guarded);
        let of_browsers = routes
            .into_axum_router()
            .layer(guarded.clone())
            .layer(GrpcWebLayer::new())
            .layer(cross_origin(self.origins));
        let calls = TaskTracker::new();
        let entrance = Entrance {
            calls: calls.clone(),
            guard,
            services: Arc::new(services),
            rest: Router::new()
                .merge(of_browsers)
                .merge(webhook::router(self.webhooks.clone()))
                // One fallback, set last: each router's own would answer for the other's paths.
                // Guarded like the rest: whatever carries our name is denied unless it is known.
                .fallback(unknown.layer(guarded))
                .with_state(()),
        };

        let worker = tokio::spawn(webhook::work(self.webhooks.clone(), shutdown.clone()));
        let runs = {
            let (app, shutdown) = (self.app.clone(), shutdown.clone());
            tokio::spawn(async move { app.work_runs(shutdown).await })
        };
        let signal = {
            let shutdown = shutdown.clone();
            async move {
                shutdown.cancelled().await;
                health
                    .set_service_status("", tonic_health::ServingStatus::NotServing)
                    .await;
            }
        };
        let serving = Server::builder()
            .accept_http1(true)
            .max_concurrent_streams(STREAMS_A_CONNECTION)
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_max_header_list_size(16 * 1024)
            .serve_with_incoming_shutdown(
                entrance,
                // Without it the last bytes of an answer wait for the acknowledgement of the
                // first, 40 ms with most clients.
                TcpIncoming::from(listener)
                    .with_nodelay(Some(true))
                    .map_ok(Gathering::new),
                signal,
            );
        let served = until_drained(serving, &calls, &shutdown).await;
        shutdown.cancel();
        for (what, worker) in [("webhook", worker), ("run", runs)] {
            if let Err(error) = worker.await
                && error.is_panic()
            {
                tracing::error!(%error, "the {what} worker ended badly");
            }
        }
        self.app.books.drain().await;
        tracing::info!("drained");
        served
    }
}

/// Serves to the end of the drain: a client that keeps its connection open for
/// ever does not keep the process.
async fn until_drained(
    serving: impl Future<Output = Result<(), tonic::transport::Error>>,
    calls: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<(), ServerError> {
    let answered = async {
        calls.close();
        loop {
            calls.wait().await;
            tokio::time::sleep(LAST_WORDS).await;
            if calls.is_empty() {
                break;
            }
        }
    };
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::timeout(DRAIN, answered).await
    };
    tokio::select! {
        served = serving => served?,
        answered = overdue => match answered {
            Ok(()) => tracing::info!("somebody does not read that the server ends"),
            Err(_) => tracing::warn!("calls were still open at the end of the drain"),
        },
    }
    Ok(())
}

/// What every call comes through. A call is counted until its answer has been taken, unless it
/// ends with the server anyway. One of our services that is called by gRPC as it is answers at
/// once: the routers alone were a tenth of a server's work.
#[derive(Clone)]
struct Entrance {
    calls: TaskTracker,
    guard: Guard,
    services: Arc<Services>,
    /// For all others.
    rest: Router,
}

impl tower::Service<http::Request<Body>> for Entrance {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let call = self.calls.token();
        if is_grpc(&request) && Services::have(request.uri().path()) {
            let (guard, services) = (self.guard.clone(), Arc::clone(&self.services));
            Box::pin(async move {
                let answered = guard.around(request, |request| services.answer(request));
                Ok(counted(call, answered.await))
            })
        } else {
            let answered = tower::Service::call(&mut self.rest, request);
            Box::pin(async move {
                let Ok(response) = answered.await;
                Ok(counted(call, response))
            })
        }
    }
}

/// The call goes with the body, which is dropped when it is taken or nobody wants it.
fn counted<B>(call: TaskTrackerToken, response: http::Response<B>) -> http::Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    if response.extensions().get::<EndsWithServer>().is_some() {
        return response.map(Body::new);
    }
    response.map(|body| {
        Body::new(body.map_err(move |error| {
            let _of_this = &call;
            error
        }))
    })
}

/// Whether it is gRPC that no page in a browser has sent.
fn is_grpc(request: &http::Request<Body>) -> bool {
    let headers = request.headers();
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    request.version() == Version::HTTP_2
        && request.method() == Method::POST
        && content_type
            .is_some_and(|of| matches!(of, b"application/grpc" | b"application/grpc+proto"))
        && !headers.contains_key(header::ORIGIN)
}

/// Lets pages of other origins call by gRPC-Web and read what an error says.
fn cross_origin(origins: Vec<HeaderValue>) -> CorsLayer {
    let readable = ["grpc-status", "grpc-message", "grpc-status-details-bin"];
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(readable.map(HeaderName::from_static))
        .max_age(Duration::from_secs(3_600))
}

/// Nothing is here. A gRPC client, over the web or not, is told so in its own words.
async fn unknown(request: Request) -> Response {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    match content_type.filter(|of| of.as_bytes().starts_with(b"application/grpc")) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(content_type) => {
            let mut response = unknown_method();
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, content_type.clone());
            response
        }
    }
}

async fn guarded(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    guard.around(request, |request| next.run(request)).await
}

fn reflection(routes: Routes) -> Result<Routes, ServerError> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = builder()
        .build_v1()?
        .accept_compressed(CompressionEncoding::Gzip);
    let v1alpha = builder()
        .build_v1alpha()?
        .accept_compressed(CompressionEncoding::Gzip);
    Ok(routes.add_service(v1).add_service(v1alpha))
}
