//! What comes in by webhook, and what the service made of it.

use std::time::Duration;

use super::{
    act::known,
    campaign::Playing,
    plan::{Charge, Door, What},
    provider::{Captured, charge_id},
};
use crate::{cli::Failure, grpc::pb};

/// How often the inbox is asked, and how many times, before it counts as stuck.
const ASK_EVERY: Duration = Duration::from_millis(20);
const ASK_TIMES: usize = 1_000;

/// The longest list that one page holds; the story stays far under it.
pub(super) const ONE_PAGE: i32 = 1_000;

impl Playing {
    /// Posts a charge's two events, each of them twice.
    pub(super) async fn notify(&self, index: usize, later_first: bool) -> Result<(), Failure> {
        let charge = self.plan.charges.get(index).ok_or("no such charge")?;
        let captured = Captured {
            key: &self.key(index),
            amount: charge.gross,
            currency: &self.plan.currency().code().to_lowercase(),
            pledge: &known(self.known.pledges.get(&charge.pledge))?,
            created: self.occurred(index).unix_timestamp(),
        };
        let mut events = [captured.intent_succeeded(), captured.charge_succeeded()];
        if later_first {
            events.reverse();
        }
        for event in &events {
            self.provider.deliver(event).await?;
            self.provider.deliver(event).await?;
        }
        Ok(())
    }

    /// Learns the payments that came in by webhook and whose fee is told today.
    pub(super) async fn learn_notified_payments(&mut self, day: i64) -> Result<(), Failure> {
        let is_notified = |charge: &Charge| charge.door == Door::Webhook;
        let told_today = self.plan.acts.iter().filter(|act| act.day == day);
        let unknown: Vec<usize> = told_today
            .filter_map(|act| match act.what {
                What::Fee(charge) => Some(charge),
                _ => None,
            })
            .filter(|charge| self.plan.charges.get(*charge).is_some_and(is_notified))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        self.inbox_worked().await?;
        let request = pb::ListPaymentsRequest {
            campaign: self.name.clone(),
            page_size: ONE_PAGE,
            ..Default::default()
        };
        let listed = self.clients.payments().list_payments(request).await?;
        for payment in listed.into_inner().payments {
            let is_it = |index: &&usize| charge_id(&self.key(**index)) == payment.object_id;
            if let Some(index) = unknown.iter().find(is_it) {
                self.known.payments.insert(*index, payment.name);
            }
        }
        Ok(())
    }

    /// Waits until no event waits.
    pub(super) async fn inbox_worked(&self) -> Result<(), Failure> {
        for _ in 0..ASK_TIMES {
            let waiting = self.events(pb::WebhookEventState::Pending).await?
                + self.events(pb::WebhookEventState::Deferred).await?;
            if waiting == 0 {
                return Ok(());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Err("webhook events still wait for the worker".into())
    }

    /// How many events are in a state.
    pub(super) async fn events(&self, state: pb::WebhookEventState) -> Result<usize, Failure> {
        let request = pb::ListWebhookEventsRequest {
            campaign: self.name.clone(),
            state: state.into(),
            page_size: ONE_PAGE,
            page_token: String::new(),
        };
        let listed = self.clients.webhooks().list_webhook_events(request).await?;
        Ok(listed.into_inner().webhook_events.len())
    }
}
