//! `WebhookService`.

use tonic::{Request, Response, Status};

use super::{
    Api, ApiError, Call,
    fields::{name, request_id, timestamp_of, wire, word},
    page::Pages,
    pb::{self, webhook_service_server::WebhookService},
};
use crate::{
    id::WebhookEventId,
    store::webhook::{Endpoint, Event, EventState, Replay},
};

fn endpoint_of(endpoint: &Endpoint) -> pb::WebhookEndpoint {
    pb::WebhookEndpoint {
        name: format!("webhookEndpoints/{}", endpoint.id),
        money_account: name(endpoint.campaign, "moneyAccounts", endpoint.account.id),
        path: format!("/webhooks/{}", endpoint.id),
        secret_count: i32::try_from(endpoint.sealed_secrets.len()).unwrap_or(i32::MAX),
        create_time: Some(timestamp_of(endpoint.created_at)),
    }
}

fn event_of(event: &Event) -> pb::WebhookEvent {
    pb::WebhookEvent {
        name: format!("webhookEvents/{}", event.id),
        webhook_endpoint: format!("webhookEndpoints/{}", event.endpoint),
        event_id: event.event_id.clone(),
        event_type: event.event_type.clone(),
        state: wire(
            pb::WebhookEventState::from_str_name,
            "WEBHOOK_EVENT_STATE_",
            event.state.word(),
        ),
        detail: event.detail.clone(),
        deliveries: event.deliveries,
        receive_time: Some(timestamp_of(event.received_at)),
    }
}

#[tonic::async_trait]
impl WebhookService for Api {
    async fn create_webhook_endpoint(
        &self,
        request: Request<pb::CreateWebhookEndpointRequest>,
    ) -> Result<Response<pb::CreateWebhookEndpointResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let request = request_id(&message.request_id)?;
        let account = &message.money_account;
        let account = call.of_campaign("money_account", account, "moneyAccounts")?;
        let principal = &call.caller.principal;
        let secrets = &message.signing_secrets;
        let made = self
            .app
            .create_webhook_endpoint(principal, request, account, secrets)
            .await;
        let endpoint = made.map_err(ApiError::from)?;
        let webhook_endpoint = Some(endpoint_of(&endpoint));
        Ok(Response::new(pb::CreateWebhookEndpointResponse {
            webhook_endpoint,
        }))
    }

    async fn list_webhook_endpoints(
        &self,
        request: Request<pb::ListWebhookEndpointsRequest>,
    ) -> Result<Response<pb::ListWebhookEndpointsResponse>, Status> {
        let (call, _) = Call::of(request)?;
        let endpoints = self.app.webhook_endpoints(call.caller.campaign).await;
        let endpoints = endpoints.map_err(ApiError::from)?;
        Ok(Response::new(pb::ListWebhookEndpointsResponse {
            webhook_endpoints: endpoints.iter().map(endpoint_of).collect(),
        }))
    }

    async fn list_webhook_events(
        &self,
        request: Request<pb::ListWebhookEventsRequest>,
    ) -> Result<Response<pb::ListWebhookEventsResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        self.app.currency(campaign).await.map_err(ApiError::from)?;
        let state = pb::WebhookEventState::try_from(message.state).ok();
        let state = state.map(|state| state.as_str_name());
        let state = word("state", state, "WEBHOOK_EVENT_STATE_", EventState::of_word)?;
        let list = format!("ListWebhookEvents {campaign} {state:?}");
        let pages = Pages::of(&self.app.secrets, list);
        let size = Pages::size(message.page_size)?;
        let before: Option<WebhookEventId> =
            pages.read(&message.page_token, |place| place.parse().ok())?;
        let rows = self
            .app
            .webhook_events(campaign, state, before, size + 1)
            .await;
        let rows = rows.map_err(ApiError::from)?;
        let (rows, next_page_token) = pages.cut(rows, size, |last| last.id.to_string());
        Ok(Response::new(pb::ListWebhookEventsResponse {
            webhook_events: rows.iter().map(event_of).collect(),
            next_page_token,
        }))
    }

    async fn replay_webhook_event(
        &self,
        request: Request<pb::ReplayWebhookEventRequest>,
    ) -> Result<Response<pb::ReplayWebhookEventResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = message
            .name
            .strip_prefix("webhookEvents/")
            .and_then(|id| id.parse().ok());
        let form = || ApiError::field("name", "write `webhookEvents/{webhook_event}`");
        let id: WebhookEventId = id.ok_or_else(form)?;
        let principal = &call.caller.principal;
        let replay = self
            .app
            .replay_webhook_event(principal, id, call.caller.campaign)
            .await;
        match replay.map_err(ApiError::from)? {
            Replay::NotFound => Err(ApiError::NotFound(message.name).into()),
            Replay::NotReplayable(event) => {
                let state = event.state.word();
                let problem = format!("the event is {state}: there is nothing to do again");
                Err(ApiError::Precondition(problem).into())
            }
            Replay::Pending(event) => {
                self.webhooks.wake();
                let webhook_event = Some(event_of(&event));
                Ok(Response::new(pb::ReplayWebhookEventResponse {
                    webhook_event,
                }))
            }
        }
    }
}
