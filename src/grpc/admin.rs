//! `AdminService`.

use tonic::{Request, Response, Status};

use super::{
    Api, ApiError, Call,
    fields::{campaign_name, request_id, text, timestamp_of, wire, word},
    pb::{self, admin_service_server::AdminService},
};
use crate::{
    access::{ApiKey, KeySecret, Role},
    id::{self, ApiKeyId},
};

fn key_of(key: &ApiKey) -> pb::ApiKey {
    pb::ApiKey {
        name: format!("apiKeys/{}", key.id),
        display_name: key.display_name.clone(),
        role: wire(pb::Role::from_str_name, "ROLE_", key.role.word()),
        campaign: key.campaign.map_or_else(String::new, campaign_name),
        create_time: Some(timestamp_of(key.created_at)),
        revoke_time: key.revoked_at.map(timestamp_of),
    }
}

#[tonic::async_trait]
impl AdminService for Api {
    async fn create_api_key(
        &self,
        request: Request<pb::CreateApiKeyRequest>,
    ) -> Result<Response<pb::CreateApiKeyResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let request = request_id(&message.request_id)?;
        let role = pb::Role::try_from(message.role).ok();
        let role = word(
            "role",
            role.map(|role| role.as_str_name()),
            "ROLE_",
            Role::of_word,
        )?;
        let campaign = match message.campaign.as_str() {
            // A key of one campaign makes keys of that campaign alone.
            "" => call.caller.campaign,
            name => Some(call.campaign("campaign", name)?),
        };
        if let Some(campaign) = campaign {
            self.app.currency(campaign).await.map_err(ApiError::from)?;
        }
        let parts: [&[u8]; 2] = [call.caller.principal.as_bytes(), request.0.as_bytes()];
        let key = ApiKey {
            id: ApiKeyId(id::derived("api key", &parts)),
            display_name: text("display_name", &message.display_name, 1, 200)?,
            role: role.ok_or_else(|| ApiError::field("role", "missing"))?,
            campaign,
            created_at: self.app.clock.now(),
            revoked_at: None,
        };
        let secret = KeySecret::mint();
        let hash = KeySecret::hash(secret.reveal());
        let created = self
            .app
            .store
            .api_key_create(&key, hash, &call.caller.principal)
            .await;
        if !created.map_err(ApiError::from)? {
            let problem = "this request has made its key; its secret is shown once";
            return Err(ApiError::AlreadyExists(problem.to_owned()).into());
        }
        Ok(Response::new(pb::CreateApiKeyResponse {
            api_key: Some(key_of(&key)),
            secret: secret.reveal().to_owned(),
        }))
    }

    async fn list_api_keys(
        &self,
        request: Request<pb::ListApiKeysRequest>,
    ) -> Result<Response<pb::ListApiKeysResponse>, Status> {
        let (call, _) = Call::of(request)?;
        let keys = self.app.store.api_keys().await.map_err(ApiError::from)?;
        let only = call.caller.campaign;
        let seen = keys
            .iter()
            .filter(|key| only.is_none() || key.campaign == only);
        Ok(Response::new(pb::ListApiKeysResponse {
            api_keys: seen.map(key_of).collect(),
        }))
    }

    async fn revoke_api_key(
        &self,
        request: Request<pb::RevokeApiKeyRequest>,
    ) -> Result<Response<pb::RevokeApiKeyResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = message
            .name
            .strip_prefix("apiKeys/")
            .and_then(|id| id.parse().ok());
        let id: ApiKeyId =
            id.ok_or_else(|| ApiError::field("name", "write `apiKeys/{api_key}`"))?;
        let not_found = || ApiError::NotFound(message.name.clone());
        if call.caller.campaign.is_some() {
            let keys = self.app.store.api_keys().await.map_err(ApiError::from)?;
            let seen = |key: &&ApiKey| key.id == id && key.campaign == call.caller.campaign;
            keys.iter().find(seen).ok_or_else(not_found)?;
        }
        let now = self.app.clock.now();
        let key = self
            .app
            .store
            .api_key_revoke(id, &call.caller.principal, now)
            .await;
        let key = key.map_err(ApiError::from)?.ok_or_else(not_found)?;
        let api_key = Some(key_of(&key));
        Ok(Response::new(pb::RevokeApiKeyResponse { api_key }))
    }
}
