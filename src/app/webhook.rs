//! Webhook endpoints and the events that came in: what an administrator may ask.

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{App, AppError};
use crate::{
    book::BookError,
    domain::{Refusal, payment::Channel},
    id::{CampaignId, EndpointId, MoneyAccountId, RequestId, WebhookEventId, derived},
    secret::SecretError,
    store::webhook::{Endpoint, Event, EventState, Replay},
};

/// A provider whose webhooks are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Stripe.
    Stripe,
}

impl Provider {
    /// The provider of a money account's institution.
    #[must_use]
    pub fn of_institution(institution: &str) -> Option<Self> {
        match institution {
            "stripe" => Some(Self::Stripe),
            _ => None,
        }
    }
}

/// A secret that a provider signs with. An empty or a short one cannot be made,
/// so nothing is ever verified with it.
#[derive(Clone, Debug)]
pub struct SigningSecret(SecretString);

/// Why a text is no signing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningSecretError {
    /// Anybody could guess it.
    #[error("a signing secret has at least {} characters", SigningSecret::LEAST)]
    TooShort,
    /// No provider gives such a secret.
    #[error("a signing secret has at most {} characters", SigningSecret::MOST)]
    TooLong,
    /// Blanks around it, as they are easily copied along.
    #[error("a signing secret neither begins nor ends with a blank")]
    Padded,
}

impl SigningSecret {
    /// The least number of characters.
    pub const LEAST: usize = 8;
    /// The largest number of characters.
    pub const MOST: usize = 255;

    /// Takes a provider's secret.
    ///
    /// # Errors
    /// [`SigningSecretError`].
    pub fn new(text: &str) -> Result<Self, SigningSecretError> {
        if text.trim() != text {
            return Err(SigningSecretError::Padded);
        }
        match text.chars().count() {
            0..Self::LEAST => Err(SigningSecretError::TooShort),
            Self::LEAST..=Self::MOST => Ok(Self(text.into())),
            _ => Err(SigningSecretError::TooLong),
        }
    }

    /// The key's bytes.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

/// So many secrets are active at most: two while one replaces the other, and room.
const MOST_SECRETS: usize = 8;

impl App {
    /// Makes an endpoint, or finds the one that the same request made before.
    ///
    /// # Errors
    /// When the campaign has no such provider account, its provider is not
    /// understood, a secret is none, or the request made another endpoint.
    pub async fn create_webhook_endpoint(
        &self,
        principal: &str,
        request_id: RequestId,
        (campaign, account): (CampaignId, MoneyAccountId),
        secrets: &[String],
    ) -> Result<Endpoint, AppError> {
        check(secrets)?;
        let found = self.store.money_account(campaign, account).await?;
        let found = found.ok_or_else(|| {
            Refusal::not_found(format!("campaigns/{campaign}/moneyAccounts/{account}"))
        })?;
        if found.channel != Channel::Provider {
            return Err(Refusal::field("money_account", "not an account at a provider").into());
        }
        if Provider::of_institution(&found.institution).is_none() {
            let problem = "not at an institution whose webhooks are understood: stripe";
            return Err(Refusal::field("money_account", problem).into());
        }
        let id = derived(
            "webhook endpoint",
            &[principal.as_bytes(), request_id.0.as_bytes()],
        );
        let seal = |secret: &String| self.secrets.seal(id.as_bytes(), secret);
        let sealed: Result<Vec<_>, _> = secrets.iter().map(seal).collect();
        let sealed = sealed.map_err(|error| fault(&error))?;
        let (id, now) = (EndpointId(id), self.clock.now());
        self.store
            .endpoint_create(id, (campaign, account), &sealed, now, principal)
            .await?;
        let endpoint = self.store.endpoint(id).await?;
        let endpoint = endpoint.ok_or_else(|| fault(&SecretError::NotOurs))?;
        self.must_be(&endpoint, (campaign, account), secrets)?;
        Ok(endpoint)
    }

    /// A request id stands for one endpoint.
    fn must_be(
        &self,
        endpoint: &Endpoint,
        account: (CampaignId, MoneyAccountId),
        secrets: &[String],
    ) -> Result<(), AppError> {
        let reused = |field: &str| {
            Err(Refusal::RequestIdReused {
                field: field.to_owned(),
            }
            .into())
        };
        if (endpoint.campaign, endpoint.account.id) != account {
            return reused("money_account");
        }
        let open = |sealed: &Vec<u8>| self.secrets.open(endpoint.id.0.as_bytes(), sealed);
        let stored: Result<Vec<String>, _> = endpoint.sealed_secrets.iter().map(open).collect();
        if stored.map_err(|error| fault(&error))? != secrets {
            return reused("signing_secrets");
        }
        Ok(())
    }

    /// All endpoints, or one campaign's, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhook_endpoints(
        &self,
        only: Option<CampaignId>,
    ) -> Result<Vec<Endpoint>, AppError> {
        Ok(self.store.endpoints(only).await?)
    }

    /// A page of a campaign's events, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhook_events(
        &self,
        campaign: CampaignId,
        state: Option<EventState>,
        before: Option<WebhookEventId>,
        limit: i64,
    ) -> Result<Vec<Event>, AppError> {
        Ok(self.store.events(campaign, state, before, limit).await?)
    }

    /// Sends an event through the worker again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replay_webhook_event(
        &self,
        principal: &str,
        id: WebhookEventId,
        only: Option<CampaignId>,
    ) -> Result<Replay, AppError> {
        let detail = format!("replayed by {principal}");
        Ok(self.store.event_replay(id, only, &detail).await?)
    }
}

fn check(secrets: &[String]) -> Result<(), Refusal> {
    if secrets.is_empty() || secrets.len() > MOST_SECRETS {
        let problem = format!("from 1 to {MOST_SECRETS} secrets");
        return Err(Refusal::field("signing_secrets", &problem));
    }
    for (index, secret) in secrets.iter().enumerate() {
        SigningSecret::new(secret).map_err(|error| {
            Refusal::field(&format!("signing_secrets[{index}]"), &error.to_string())
        })?;
    }
    Ok(())
}

fn fault(error: &SecretError) -> AppError {
    let incident = Uuid::from_u128(rand::random());
    tracing::error!(%incident, %error, "a signing secret can be neither sealed nor opened");
    BookError::Fault { incident }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_a_short_and_a_padded_secret_are_none() {
        let refused = |text: &str| SigningSecret::new(text).err();
        assert_eq!(refused(""), Some(SigningSecretError::TooShort));
        assert_eq!(refused("1234567"), Some(SigningSecretError::TooShort));
        assert_eq!(refused("12345678"), None);
        assert_eq!(refused("whsec_test\n"), Some(SigningSecretError::Padded));
        assert_eq!(refused(&"x".repeat(256)), Some(SigningSecretError::TooLong));
    }

    #[test]
    fn a_secret_does_not_print() {
        let secret = SigningSecret::new("whsec_test").unwrap();
        assert!(!format!("{secret:?}").contains("whsec"));
    }
}
