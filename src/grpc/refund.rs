//! `RefundService`.

use tonic::{Request, Response, Status};

use super::{
    Api, ApiError, Call, Envelope, envelope,
    fields::{
        date, money, money_of, name, name_or_none, outside_id, text, timestamp, timestamp_of, wire,
        word,
    },
    journal::outcome,
    page::Pages,
    pb::{self, refund_service_server::RefundService},
};
use crate::{
    app::Written,
    domain::{
        Action, Snapshot,
        refund::{Movement, Refund, RefundState},
    },
    id::{CampaignId, MoneyAccountId, PaymentId, RefundId},
    money::Currency,
};

fn refund_of(campaign: CampaignId, currency: Currency, refund: &Refund) -> pb::Refund {
    pb::Refund {
        name: name(campaign, "refunds", refund.id),
        payment: name(campaign, "payments", refund.payment),
        member: name_or_none(campaign, "members", refund.member),
        amount: Some(money_of(refund.amount, currency)),
        state: wire(
            pb::RefundState::from_str_name,
            "REFUND_STATE_",
            refund.state.word(),
        ),
        money_account: name(campaign, "moneyAccounts", refund.account),
        attempt: refund.attempt,
        object_id: refund.object_id.clone(),
        failure_code: refund.failure_code.clone(),
        run: name_or_none(campaign, "runs", refund.run),
        request_time: Some(timestamp_of(refund.requested_at)),
    }
}

fn written_refund(
    campaign: CampaignId,
    currency: Currency,
    written: &Written,
) -> Option<pb::Refund> {
    let snapshots = &written.answer.snapshots;
    snapshots.iter().find_map(|snapshot| match snapshot {
        Snapshot::Refund(refund) => Some(refund_of(campaign, currency, refund)),
        _ => None,
    })
}

/// A call about one refund, from its request to its answer.
macro_rules! about {
    ($api:ident, $request:ident, $method:literal, $response:ident, $action:expr) => {{
        let (call, message) = Call::of($request)?;
        let (campaign, refund) = call.of_campaign("refund", &message.refund, "refunds")?;
        let action = $action(&call, campaign, refund, &message)?;
        let (outcome, refund) = $api
            .refund(&call, campaign, &envelope!($method, message), action)
            .await?;
        Ok(Response::new(pb::$response {
            outcome: Some(outcome),
            refund,
        }))
    }};
}

/// The movement that a message tells of.
macro_rules! movement {
    ($message:expr) => {
        Movement {
            object_id: outside_id("object_id", &$message.object_id)?,
            occurred_at: timestamp("occurred_at", $message.occurred_at.as_ref())?,
            value_date: date("value_date", &$message.value_date)?,
        }
    };
}

type Acted = Result<Action, ApiError>;

impl Api {
    async fn refund<M: prost::Message>(
        &self,
        call: &Call,
        campaign: CampaignId,
        request: &Envelope<'_, M>,
        action: Action,
    ) -> Result<(pb::Outcome, Option<pb::Refund>), ApiError> {
        let currency = self.app.currency(campaign).await?;
        let written = self.write(call, campaign, request, action).await?;
        let outcome = outcome(campaign, &written, request.validate_only);
        Ok((outcome, written_refund(campaign, currency, &written)))
    }
}

#[tonic::async_trait]
impl RefundService for Api {
    async fn request_refund(
        &self,
        request: Request<pb::RequestRefundRequest>,
    ) -> Result<Response<pb::RequestRefundResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, payment) = call.of_campaign("payment", &message.payment, "payments")?;
        let amount = message.amount.as_ref();
        let action = Action::RequestRefund {
            refund: RefundId::mint(),
            payment,
            amount: amount
                .map(|amount| money("amount", Some(amount)))
                .transpose()?,
            reason: text("reason", &message.reason, 0, 1_000)?,
        };
        let envelope = envelope!("RequestRefund", message);
        let (outcome, refund) = self.refund(&call, campaign, &envelope, action).await?;
        Ok(Response::new(pb::RequestRefundResponse {
            outcome: Some(outcome),
            refund,
        }))
    }

    async fn approve_refund(
        &self,
        request: Request<pb::ApproveRefundRequest>,
    ) -> Result<Response<pb::ApproveRefundResponse>, Status> {
        let action = |_: &Call, _, refund, _: &pb::ApproveRefundRequest| -> Acted {
            Ok(Action::ApproveRefund { refund })
        };
        about!(
            self,
            request,
            "ApproveRefund",
            ApproveRefundResponse,
            action
        )
    }

    async fn reject_refund(
        &self,
        request: Request<pb::RejectRefundRequest>,
    ) -> Result<Response<pb::RejectRefundResponse>, Status> {
        let action = |_: &Call, _, refund, message: &pb::RejectRefundRequest| -> Acted {
            let reason = text("reason", &message.reason, 0, 1_000)?;
            Ok(Action::RejectRefund { refund, reason })
        };
        about!(self, request, "RejectRefund", RejectRefundResponse, action)
    }

    async fn list_refund_instructions(
        &self,
        request: Request<pb::ListRefundInstructionsRequest>,
    ) -> Result<Response<pb::ListRefundInstructionsResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let account: Option<MoneyAccountId> = call.of_this(
            campaign,
            "money_account",
            &message.money_account,
            "moneyAccounts",
        )?;
        let list = format!("ListRefundInstructions {campaign} {account:?}");
        let pages = Pages::of(&self.app.secrets, list);
        let size = Pages::size(message.page_size)?;
        let after = pages.read(&message.page_token, |place| place.parse::<RefundId>().ok())?;
        let after = after.map(|id| id.0);
        let store = &self.app.store;
        let rows = store.refund_instructions(campaign, account, after, size + 1);
        let rows = rows.await.map_err(ApiError::from)?;
        let (rows, next_page_token) = pages.cut(rows, size, |(last, _)| last.id.to_string());
        let instruction = |(refund, payment_object_id): (Refund, String)| pb::RefundInstruction {
            refund: Some(refund_of(campaign, currency, &refund)),
            idempotency_key: refund.instruction_key().to_string(),
            payment_object_id,
        };
        Ok(Response::new(pb::ListRefundInstructionsResponse {
            instructions: rows.into_iter().map(instruction).collect(),
            next_page_token,
        }))
    }

    async fn submit_refund(
        &self,
        request: Request<pb::SubmitRefundRequest>,
    ) -> Result<Response<pb::SubmitRefundResponse>, Status> {
        let action = |_: &Call, _, refund, message: &pb::SubmitRefundRequest| -> Acted {
            let movement = movement!(message);
            Ok(Action::SubmitRefund { refund, movement })
        };
        about!(self, request, "SubmitRefund", SubmitRefundResponse, action)
    }

    async fn settle_refund(
        &self,
        request: Request<pb::SettleRefundRequest>,
    ) -> Result<Response<pb::SettleRefundResponse>, Status> {
        let action = |_: &Call, _, refund, message: &pb::SettleRefundRequest| -> Acted {
            let movement = Movement {
                // A provider's refund settles without a movement of its own.
                object_id: match message.object_id.as_str() {
                    "" => String::new(),
                    object => outside_id("object_id", object)?,
                },
                occurred_at: timestamp("occurred_at", message.occurred_at.as_ref())?,
                value_date: date("value_date", &message.value_date)?,
            };
            Ok(Action::SettleRefund { refund, movement })
        };
        about!(self, request, "SettleRefund", SettleRefundResponse, action)
    }

    async fn fail_refund(
        &self,
        request: Request<pb::FailRefundRequest>,
    ) -> Result<Response<pb::FailRefundResponse>, Status> {
        let action = |_: &Call, _, refund, message: &pb::FailRefundRequest| -> Acted {
            Ok(Action::FailRefund {
                refund,
                failure_code: text("failure_code", &message.failure_code, 1, 100)?,
                movement: movement!(message),
            })
        };
        about!(self, request, "FailRefund", FailRefundResponse, action)
    }

    async fn resend_refund(
        &self,
        request: Request<pb::ResendRefundRequest>,
    ) -> Result<Response<pb::ResendRefundResponse>, Status> {
        let action = |call: &Call, campaign, refund, message: &pb::ResendRefundRequest| -> Acted {
            let account = call.of_this(
                campaign,
                "money_account",
                &message.money_account,
                "moneyAccounts",
            )?;
            let account = account.ok_or_else(|| ApiError::field("money_account", "missing"))?;
            Ok(Action::ResendRefund { refund, account })
        };
        about!(self, request, "ResendRefund", ResendRefundResponse, action)
    }

    async fn mark_refund_unclaimed(
        &self,
        request: Request<pb::MarkRefundUnclaimedRequest>,
    ) -> Result<Response<pb::MarkRefundUnclaimedResponse>, Status> {
        let action = |_: &Call, _, refund, message: &pb::MarkRefundUnclaimedRequest| -> Acted {
            let reason = text("reason", &message.reason, 0, 1_000)?;
            Ok(Action::MarkRefundUnclaimed { refund, reason })
        };
        about!(
            self,
            request,
            "MarkRefundUnclaimed",
            MarkRefundUnclaimedResponse,
            action
        )
    }

    async fn get_refund(
        &self,
        request: Request<pb::GetRefundRequest>,
    ) -> Result<Response<pb::GetRefundResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, id) = call.of_campaign("name", &message.name, "refunds")?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let found = self.app.store.refund(campaign, id).await;
        let refund = found.map_err(ApiError::from)?;
        let refund = refund.ok_or(ApiError::NotFound(message.name))?;
        Ok(Response::new(pb::GetRefundResponse {
            refund: Some(refund_of(campaign, currency, &refund)),
        }))
    }

    async fn list_refunds(
        &self,
        request: Request<pb::ListRefundsRequest>,
    ) -> Result<Response<pb::ListRefundsResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let payment: Option<PaymentId> =
            call.of_this(campaign, "payment", &message.payment, "payments")?;
        let state = pb::RefundState::try_from(message.state).ok();
        let state = state.map(|state| state.as_str_name());
        let state = word("state", state, "REFUND_STATE_", RefundState::of_word)?;
        let list = format!("ListRefunds {campaign} {payment:?} {state:?}");
        let pages = Pages::of(&self.app.secrets, list);
        let size = Pages::size(message.page_size)?;
        let after = pages.read(&message.page_token, |place| place.parse::<RefundId>().ok())?;
        let after = after.map(|id| id.0);
        let store = &self.app.store;
        let rows = store.refunds(campaign, payment, state, after, size + 1);
        let rows = rows.await.map_err(ApiError::from)?;
        let (rows, next_page_token) = pages.cut(rows, size, |last| last.id.to_string());
        let refunds = rows.iter();
        Ok(Response::new(pb::ListRefundsResponse {
            refunds: refunds
                .map(|refund| refund_of(campaign, currency, refund))
                .collect(),
            next_page_token,
        }))
    }
}
