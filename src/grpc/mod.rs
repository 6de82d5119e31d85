//! gRPC and gRPC-Web: decode, call, encode. Nothing is decided here.
//!
//! | file | is about |
//! |---|---|
//! | `auth` | who calls, and what each role may call |
//! | `fields` | wire values to the domain's, with a field's name in every refusal |
//! | `fingerprint` | keyed hashes of a request's fields |
//! | `status` | every error to a status with a stable reason: one exhaustive match |
//! | `journal` | entries, balances and outcomes |
//! | `page` | page tokens |
//! | `peer` | between the servers of an installation |
//! | `watch` | the stream of a campaign's changes |
//! | one a service | its handlers |

mod admin;
mod auth;
mod campaign;
mod fields;
mod fingerprint;
mod journal;
mod ledger;
mod member;
mod page;
mod payment;
mod peer;
mod pledge;
mod refund;
mod report;
mod run;
mod share;
mod status;
mod watch;
mod webhook;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::Service as _;

pub use auth::{Call, Caller, Guard};
pub use peer::{PeerApi, PeerServers};
pub use status::ApiError;

use crate::{
    app::{App, Written},
    domain::{Action, Command},
    id::CampaignId,
    report::{Reports, Watches},
    webhook::Webhooks,
};

/// The messages and services of `proto/`, as generated.
#[expect(clippy::all, reason = "generated")]
pub mod pb {
    tonic::include_proto!("pledgebook.v1");

    /// The descriptors of all of `proto/`, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pledgebook.bin"));
}

/// The answer to a call of what does not exist.
#[must_use]
pub fn unknown_method<B: Default>() -> http::Response<B> {
    status::unknown().into_http()
}

/// Says of an answer that its stream ends with the server: a drain does not wait for
/// a caller who does not read it. It is in the answer's extensions.
#[derive(Clone, Copy, Debug)]
pub struct EndsWithServer;

/// Answers with a stream that ends with the server.
fn ends_with_server<S>(stream: S) -> tonic::Response<S> {
    let mut response = tonic::Response::new(stream);
    response.extensions_mut().insert(EndsWithServer);
    response
}

/// The most bytes of one request; the largest sensible one has a few kilobytes.
const LARGEST_REQUEST: usize = 256 * 1024;

/// The most bytes of one message of payments: a thousand with long names.
const LARGEST_PAYMENTS: usize = 1024 * 1024;

/// What the services work with.
#[derive(Clone, Debug)]
pub struct Api {
    app: App,
    reports: Reports,
    webhooks: Webhooks,
    watches: Watches,
    guard: Guard,
    shutdown: CancellationToken,
}

impl Api {
    /// An API over an application, its reports and its webhooks. What would
    /// go on for as long as the caller likes ends when `shutdown` is cancelled.
    #[must_use]
    pub fn new(
        app: App,
        reports: Reports,
        webhooks: Webhooks,
        shutdown: CancellationToken,
    ) -> Self {
        // Where the books write: a watcher goes on after any change that it was told of,
        // and does not wait for reports that take their time.
        let current = Reports::new(app.store.pool().clone());
        Self {
            watches: Watches::new(current, app.books.commits()),
            guard: Guard::new(app.store.clone()),
            app,
            reports,
            webhooks,
            shutdown,
        }
    }

    /// The guard that streams ask again, to go around all calls.
    #[must_use]
    pub fn guard(&self) -> Guard {
        self.guard.clone()
    }

    /// Makes an action a command and carries it out, or asks what it would come to.
    async fn write<M: prost::Message>(
        &self,
        call: &Call,
        campaign: CampaignId,
        request: &Envelope<'_, M>,
        action: Action,
    ) -> Result<Written, ApiError> {
        let command = self.command(call, request, action)?;
        if !matches!(command.action, Action::CreateCampaign { .. }) {
            self.app.currency(campaign).await?;
        }
        let validate_only = request.validate_only;
        self.carry_out(call, campaign, command, validate_only).await
    }

    /// An action as its caller's command.
    fn command<M: prost::Message>(
        &self,
        call: &Call,
        request: &Envelope<'_, M>,
        action: Action,
    ) -> Result<Command, ApiError> {
        Ok(Command {
            request_id: fields::request_id(request.request_id)?,
            method: request.method.into(),
            principal: call.caller.principal.clone(),
            fingerprint: fingerprint::of(&self.app.secrets, request.method, request.message),
            action,
        })
    }

    /// Sends a command to its campaign's book, or asks what it would come to.
    async fn carry_out(
        &self,
        call: &Call,
        campaign: CampaignId,
        command: Command,
        validate_only: bool,
    ) -> Result<Written, ApiError> {
        if validate_only {
            Ok(Box::pin(self.app.preview(campaign, &command)).await?)
        } else {
            Ok(self.app.write(campaign, command, call.deadline).await?)
        }
    }
}

macro_rules! services {
    ($($module:ident::$server:ident <= $largest:ident,)*) => {
        /// The services, without authentication: [`Guard`] goes around them.
        #[derive(Debug)]
        pub struct Services {
            $($module: pb::$module::$server<Api>,)*
        }

        impl Services {
            /// The services of an API.
            #[must_use]
            pub fn new(api: &Api) -> Self {
                Self {
                    $($module: pb::$module::$server::new(api.clone())
                        .max_decoding_message_size($largest)
                        .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
                        .send_compressed(tonic::codec::CompressionEncoding::Gzip),)*
                }
            }

            /// Their routes, for whoever needs layers around them.
            #[must_use]
            pub fn routes(&self) -> Routes {
                Routes::default()$(.add_service(self.$module.clone()))*
            }

            /// Whether a path is of one of them.
            #[must_use]
            pub fn have(path: &str) -> bool {
                matches!(service_of(path), $(pb::$module::SERVICE_NAME)|*)
            }

            /// The answer to a call, without a router: of a path that is none of theirs, that there
            /// is no such method.
            pub async fn answer(
                &self,
                request: http::Request<tonic::body::Body>,
            ) -> http::Response<tonic::body::Body> {
                let answered = match service_of(request.uri().path()) {
                    $(pb::$module::SERVICE_NAME => self.$module.clone().call(request),)*
                    _ => return unknown_method(),
                };
                let Ok(response) = answered.await;
                response
            }
        }
    };
}
services!(
    campaign_service_server::CampaignServiceServer <= LARGEST_REQUEST,
    member_service_server::MemberServiceServer <= LARGEST_REQUEST,
    pledge_service_server::PledgeServiceServer <= LARGEST_REQUEST,
    payment_service_server::PaymentServiceServer <= LARGEST_PAYMENTS,
    refund_service_server::RefundServiceServer <= LARGEST_REQUEST,
    run_service_server::RunServiceServer <= LARGEST_REQUEST,
    share_service_server::ShareServiceServer <= LARGEST_REQUEST,
    ledger_service_server::LedgerServiceServer <= LARGEST_REQUEST,
    report_service_server::ReportServiceServer <= LARGEST_REQUEST,
    admin_service_server::AdminServiceServer <= LARGEST_REQUEST,
    webhook_service_server::WebhookServiceServer <= LARGEST_REQUEST,
);

/// The service's name in a path; empty when there is none.
fn service_of(path: &str) -> &str {
    let path = path.strip_prefix('/').unwrap_or_default();
    path.split_once('/').map_or("", |(service, _)| service)
}

/// What every write request has, whatever it asks for.
struct Envelope<'a, M> {
    method: &'static str,
    request_id: &'a str,
    validate_only: bool,
    message: &'a M,
}

/// The envelope of a request with `request_id` and `validate_only`.
macro_rules! envelope {
    ($method:literal, $message:expr) => {
        $crate::grpc::Envelope {
            method: $method,
            request_id: &$message.request_id,
            validate_only: $message.validate_only,
            message: &$message,
        }
    };
}
use envelope;

/// How much sooner than the caller's own deadline a call ends, so that the
/// answer says so instead of the connection.
const DEADLINE_MARGIN: Duration = Duration::from_millis(2);
