//! Where providers post to.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Webhooks,
    provider::{self, Incoming, Provider},
    signature::SigningSecret,
};
use crate::{
    id::{DeliveryId, EndpointId, WebhookEventId},
    store::{
        StoreError,
        webhook::{Delivery, Endpoint, NewEvent},
    },
};

/// Providers give up after ten seconds; we say so before.
const PATIENCE: Duration = Duration::from_secs(8);

/// What the smallest delivery takes of the room: it has headers and a task too.
const LEAST_ROOM: usize = 8 * 1024;

/// When to come again, in seconds.
const RETRY_AFTER: &str = "5";

/// The headers that are kept: they say something about the delivery, and none is
/// a credential.
const KEPT_HEADERS: [&str; 3] = ["content-type", "user-agent", super::stripe::SIGNATURE];

/// Why a delivery is not taken. The texts are stable and help no forger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No such endpoint.
    UnknownEndpoint,
    /// The body is larger than the cap.
    TooLarge,
    /// The body did not come in whole.
    Unreadable,
    /// The signature does not verify, for whatever reason.
    NotVerified,
    /// Rightly signed, but no event.
    NotAnEvent,
    /// Not now: it was not committed, or nobody knows.
    Unavailable,
}

impl Refused {
    const fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::UnknownEndpoint => (StatusCode::NOT_FOUND, "unknown endpoint\n"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body too large\n"),
            Self::Unreadable => (StatusCode::BAD_REQUEST, "body not readable\n"),
            Self::NotVerified => (StatusCode::BAD_REQUEST, "signature not verified\n"),
            Self::NotAnEvent => (StatusCode::BAD_REQUEST, "not an event\n"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "come again\n"),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let answer = self.answer();
        match self {
            Self::Unavailable => ([(header::RETRY_AFTER, RETRY_AFTER)], answer).into_response(),
            Self::UnknownEndpoint
            | Self::TooLarge
            | Self::Unreadable
            | Self::NotVerified
            | Self::NotAnEvent => answer.into_response(),
        }
    }
}

/// Answers a delivery: 200 when its events are committed, and never before.
pub(super) async fn receive(
    State(hooks): State<Webhooks>,
    Path(endpoint): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let taken = match body {
        Ok(body) => take(hooks, &endpoint, headers, body).await,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(Refused::TooLarge)
        }
        Err(_) => Err(Refused::Unreadable),
    };
    match taken {
        Ok(()) => (StatusCode::OK, "received\n").into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn take(
    hooks: Webhooks,
    endpoint: &str,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(), Refused> {
    let endpoint: EndpointId = endpoint.parse().map_err(|_| Refused::UnknownEndpoint)?;
    let bytes = u32::try_from(body.len().max(LEAST_ROOM)).unwrap_or(u32::MAX);
    let room = hooks.room.clone().try_acquire_many_owned(bytes);
    let room = room.map_err(|_| Refused::Unavailable)?;
    // A task of its own: a sender that hangs up must not cut a statement in half.
    let keep = tokio::spawn(async move {
        let kept = keep(&hooks, endpoint, &headers, &body).await;
        drop(room);
        kept
    });
    match tokio::time::timeout(PATIENCE, keep).await {
        Ok(Ok(kept)) => kept,
        Ok(Err(error)) => {
            tracing::error!(%endpoint, %error, "a delivery's task ended");
            Err(Refused::Unavailable)
        }
        Err(_late) => Err(Refused::Unavailable),
    }
}

async fn keep(
    hooks: &Webhooks,
    id: EndpointId,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), Refused> {
    let found = hooks.ingest.endpoint(id).await;
    let endpoint = found.map_err(|error| unavailable(id, &error))?;
    let endpoint = endpoint.ok_or(Refused::UnknownEndpoint)?;
    let Some(provider) = Provider::of_institution(&endpoint.account.institution) else {
        tracing::error!(endpoint = %id, "an endpoint of a provider that is not understood");
        return Err(Refused::Unavailable);
    };
    let secrets = secrets(hooks, &endpoint)?;
    let now = hooks.app.clock.now();
    provider::verify(provider, headers, body, &secrets, now.unix_timestamp()).map_err(|error| {
        tracing::warn!(endpoint = %id, %error, "a delivery is not the provider's");
        Refused::NotVerified
    })?;
    let events = provider::split(provider, body).map_err(|error| {
        tracing::error!(endpoint = %id, %error, "a signed delivery cannot be read");
        Refused::NotAnEvent
    })?;
    let delivery = Delivery {
        id: DeliveryId::mint(),
        endpoint: &endpoint,
        received_at: now,
        headers: kept(headers),
        body,
        body_hash: Sha256::digest(body).into(),
    };
    let events = events.into_iter().map(new_event).collect();
    let received = hooks.ingest.delivery_record(&delivery, events).await;
    for event in received.map_err(|error| unavailable(id, &error))? {
        if event.differs {
            let event = event.event_id;
            tracing::error!(endpoint = %id, event, "an event came again with another content");
        }
    }
    hooks.wake();
    Ok(())
}

/// The endpoint's secrets, opened. One that cannot be opened is our fault, so the
/// provider is told to come again.
fn secrets(hooks: &Webhooks, endpoint: &Endpoint) -> Result<Vec<SigningSecret>, Refused> {
    let about = endpoint.id.0.as_bytes();
    let mut secrets = Vec::with_capacity(endpoint.sealed_secrets.len());
    for sealed in &endpoint.sealed_secrets {
        match hooks.app.secrets.open(about, sealed) {
            Ok(text) => secrets.extend(SigningSecret::new(&text)),
            Err(error) => tracing::error!(endpoint = %endpoint.id, %error, "a signing secret"),
        }
    }
    match secrets.is_empty() {
        true => Err(Refused::Unavailable),
        false => Ok(secrets),
    }
}

fn new_event(event: Incoming) -> NewEvent {
    NewEvent {
        id: WebhookEventId::mint(),
        livemode: event.livemode,
        event_id: event.event_id,
        event_type: event.event_type,
        payload: event.payload,
        payload_hash: event.payload_hash,
    }
}

fn kept(headers: &HeaderMap) -> Value {
    let named = KEPT_HEADERS.iter().flat_map(|name| {
        let values = headers.get_all(*name).iter();
        values.map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            ((*name).to_owned(), Value::String(text))
        })
    });
    Value::Object(named.collect())
}

fn unavailable(endpoint: EndpointId, error: &StoreError) -> Refused {
    match error {
        StoreError::Unavailable(_) => {
            tracing::warn!(%endpoint, error = ?error, "a delivery cannot be kept now");
        }
        StoreError::Refused { .. } | StoreError::Fault(_) | StoreError::Unreadable(_) => {
            tracing::error!(%endpoint, error = ?error, "a delivery cannot be kept");
        }
    }
    Refused::Unavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_work_later_asks_to_come_again() {
        for (refused, status) in [
            (Refused::UnknownEndpoint, 404),
            (Refused::TooLarge, 413),
            (Refused::Unreadable, 400),
            (Refused::NotVerified, 400),
            (Refused::NotAnEvent, 400),
            (Refused::Unavailable, 503),
        ] {
            let response = refused.into_response();
            assert_eq!(response.status().as_u16(), status);
            let again = response.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(again, status == 503, "{refused:?}");
        }
    }

    #[test]
    fn credentials_are_not_kept() {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "stripe-signature", "user-agent"] {
            headers.insert(name, "x".parse().unwrap());
        }
        let kept = kept(&headers);
        let names: Vec<_> = kept.as_object().unwrap().keys().collect();
        assert_eq!(names, ["stripe-signature", "user-agent"]);
    }
}
