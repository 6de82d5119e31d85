//! A payment provider, played: events in the shape in which Stripe sends them,
//! signed as Stripe signs, posted as Stripe posts.

use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use hyper::{Request, Uri, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{cli::Failure, clock::Clock};

/// One account at the provider, with the endpoint that hears of it.
pub(super) struct Provider {
    http: Client<HttpConnector, Full<Bytes>>,
    endpoint: Uri,
    secret: String,
    clock: Clock,
}

/// A charge that succeeded, as two of the provider's events tell it.
pub(super) struct Captured<'a> {
    /// What makes the ids of this charge its own.
    pub(super) key: &'a str,
    /// In the currency's smallest unit.
    pub(super) amount: i64,
    /// In lower case, as the provider writes it.
    pub(super) currency: &'a str,
    /// Our own reference: it travels in the metadata and comes back.
    pub(super) pledge: &'a str,
    /// In seconds of the provider's clock.
    pub(super) created: i64,
}

impl Provider {
    pub(super) fn new(endpoint: Uri, secret: String, clock: Clock) -> Self {
        Self {
            http: Client::builder(TokioExecutor::new()).build_http(),
            endpoint,
            secret,
            clock,
        }
    }

    /// A secret as the provider's dashboard shows one. It is random although the
    /// seed decides the rest: whoever knows it can report money.
    pub(super) fn new_secret() -> String {
        let bytes: [u8; 24] = rand::random();
        format!("whsec_{}", hex::encode(bytes))
    }

    /// Posts an event; anything but 200 is a failure, as it is to the provider.
    pub(super) async fn deliver(&self, event: &Value) -> Result<(), Failure> {
        let body = event.to_string();
        let time = self.clock.now().unix_timestamp();
        let request = Request::post(self.endpoint.clone())
            .header("content-type", "application/json; charset=utf-8")
            .header("user-agent", "pledgebook-demo")
            .header("stripe-signature", signature(&self.secret, time, &body)?)
            .body(Full::new(Bytes::from(body)))?;
        let status = self.http.request(request).await?.status();
        if status != hyper::StatusCode::OK {
            return Err(format!("{} answered {status}", self.endpoint).into());
        }
        Ok(())
    }
}

/// HMAC-SHA256 over the time, a full stop and the body, under the secret's own text.
fn signature(secret: &str, time: i64, body: &str) -> Result<String, Failure> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(format!("{time}.{body}").as_bytes());
    let code = hex::encode(mac.finalize().into_bytes());
    Ok(format!("t={time},v1={code}"))
}

/// The provider's id of a charge; RecordPayment names charges in the same way.
pub(super) fn charge_id(key: &str) -> String {
    format!("ch_{key}")
}

impl Captured<'_> {
    fn event(&self, kind: &str, seconds_later: i64, object: &Value) -> Value {
        let id = format!("evt_{}_{}", self.key, kind.replace('.', "_"));
        json!({
            "id": id, "object": "event", "api_version": "2024-06-20", "type": kind,
            "created": self.created + seconds_later, "livemode": false, "pending_webhooks": 1,
            "request": { "id": null, "idempotency_key": null },
            "data": { "object": object },
        })
    }

    /// `payment_intent.succeeded`.
    pub(super) fn intent_succeeded(&self) -> Value {
        self.event(
            "payment_intent.succeeded",
            0,
            &json!({
                "id": format!("pi_{}", self.key), "object": "payment_intent",
                "amount": self.amount, "amount_capturable": 0, "amount_received": self.amount,
                "capture_method": "automatic", "confirmation_method": "automatic",
                "created": self.created, "currency": self.currency,
                "latest_charge": charge_id(self.key), "livemode": false,
                "metadata": { "pledge_id": self.pledge },
                "payment_method_types": ["card"], "status": "succeeded",
            }),
        )
    }

    /// `charge.succeeded`, which tells the same money once more.
    pub(super) fn charge_succeeded(&self) -> Value {
        self.event(
            "charge.succeeded",
            1,
            &json!({
                "id": charge_id(self.key), "object": "charge",
                "amount": self.amount, "amount_captured": self.amount, "amount_refunded": 0,
                "balance_transaction": format!("txn_{}", self.key), "captured": true,
                "created": self.created, "currency": self.currency, "disputed": false,
                "livemode": false, "metadata": { "pledge_id": self.pledge }, "paid": true,
                "payment_intent": format!("pi_{}", self.key),
                "payment_method_details": {
                    "type": "card", "card": { "brand": "visa", "last4": "4242" },
                },
                "refunded": false, "status": "succeeded",
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_over_time_and_body() {
        // Made with another implementation of HMAC.
        assert_eq!(
            signature("whsec_demonstration", 1_700_000_000, r#"{"id":"evt_1"}"#).unwrap(),
            "t=1700000000,\
             v1=32fb58ef68d28f3e1e97f6e150a5364d6e03902b84b4a8e0322bb9bd3801803c"
        );
    }
}
