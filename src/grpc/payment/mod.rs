//! `PaymentService`.
//!
//! | file | is about |
//! |---|---|
//! | `account` | accounts at providers and banks |
//! | `payout` | payouts, and what banks show beside them |
//! | `receipt` | money that arrived, from its request to its answer |
//! | `stream` | many payments over one call |

mod account;
mod payout;
mod receipt;
mod stream;

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use self::{
    account::{money_account_of, written_account},
    receipt::{Asked, payment_of, recorded, written_payment},
};
use super::{
    Api, ApiError, Call, envelope,
    fields::{date, money, outside_id, text, timestamp},
    journal::outcome,
    page::Pages,
    pb::{self, payment_service_server::PaymentService},
};
use crate::{
    domain::{Action, payment::Channel},
    id::{MemberId, PaymentId},
};

/// Answers a write with the outcome and the payment after it.
macro_rules! answer {
    ($response:ident, $campaign:expr, $currency:expr, $message:expr, $written:expr) => {
        Ok(Response::new(pb::$response {
            outcome: Some(outcome($campaign, &$written, $message.validate_only)),
            payment: written_payment($campaign, $currency, &$written),
        }))
    };
}

#[tonic::async_trait]
impl PaymentService for Api {
    type RecordPaymentsStream = ReceiverStream<Result<pb::RecordPaymentsResponse, Status>>;

    async fn register_provider_account(
        &self,
        request: Request<pb::RegisterProviderAccountRequest>,
    ) -> Result<Response<pb::RegisterProviderAccountResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, action) = self
            .registration(
                &call,
                Channel::Provider,
                &message.campaign,
                &message.institution,
                &message.external_id,
                message.livemode,
            )
            .await?;
        let envelope = envelope!("RegisterProviderAccount", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        Ok(Response::new(pb::RegisterProviderAccountResponse {
            outcome: Some(outcome(campaign, &written, message.validate_only)),
            money_account: written_account(campaign, &written),
        }))
    }

    async fn register_bank_account(
        &self,
        request: Request<pb::RegisterBankAccountRequest>,
    ) -> Result<Response<pb::RegisterBankAccountResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, action) = self
            .registration(
                &call,
                Channel::Bank,
                &message.campaign,
                &message.institution,
                &message.external_id,
                true,
            )
            .await?;
        let envelope = envelope!("RegisterBankAccount", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        Ok(Response::new(pb::RegisterBankAccountResponse {
            outcome: Some(outcome(campaign, &written, message.validate_only)),
            money_account: written_account(campaign, &written),
        }))
    }

    async fn list_money_accounts(
        &self,
        request: Request<pb::ListMoneyAccountsRequest>,
    ) -> Result<Response<pb::ListMoneyAccountsResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = call.campaign("campaign", &message.campaign)?;
        let found = self.app.store.campaign(id).await.map_err(ApiError::from)?;
        let (campaign, _, _) =
            found.ok_or(ApiError::from(crate::book::BookError::CampaignNotFound))?;
        let accounts = campaign.money_accounts.iter();
        Ok(Response::new(pb::ListMoneyAccountsResponse {
            money_accounts: accounts
                .map(|account| money_account_of(id, account))
                .collect(),
        }))
    }

    async fn record_payment(
        &self,
        request: Request<pb::RecordPaymentRequest>,
    ) -> Result<Response<pb::RecordPaymentResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let Asked {
            campaign,
            currency,
            command,
        } = self.payment(&call, &message).await?;
        let validate_only = message.validate_only;
        let written = self.carry_out(&call, campaign, command, validate_only);
        let written = written.await?;
        Ok(Response::new(recorded(
            campaign,
            currency,
            &written,
            validate_only,
        )))
    }

    async fn record_payments(
        &self,
        request: Request<Streaming<pb::RecordPaymentsRequest>>,
    ) -> Result<Response<Self::RecordPaymentsStream>, Status> {
        let (call, messages) = Call::of(request)?;
        Ok(Response::new(self.stream_of_payments(call, messages)))
    }

    async fn record_payment_fee(
        &self,
        request: Request<pb::RecordPaymentFeeRequest>,
    ) -> Result<Response<pb::RecordPaymentFeeResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, payment) = call.of_campaign("payment", &message.payment, "payments")?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let action = Action::RecordFee {
            payment,
            object_id: outside_id("object_id", &message.object_id)?,
            fee: money("fee", message.fee.as_ref())?,
            occurred_at: timestamp("occurred_at", message.occurred_at.as_ref())?,
            value_date: date("value_date", &message.value_date)?,
        };
        let envelope = envelope!("RecordPaymentFee", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        answer!(
            RecordPaymentFeeResponse,
            campaign,
            currency,
            message,
            written
        )
    }

    async fn record_payment_failure(
        &self,
        request: Request<pb::RecordPaymentFailureRequest>,
    ) -> Result<Response<pb::RecordPaymentFailureResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, account, currency) = self.place(&call, &message.money_account).await?;
        let gross = message.gross.as_ref();
        let action = Action::RecordFailure {
            payment: PaymentId::mint(),
            account,
            object_id: outside_id("object_id", &message.object_id)?,
            failure_code: text("failure_code", &message.failure_code, 1, 100)?,
            gross: gross.map(|gross| money("gross", Some(gross))).transpose()?,
            pledge: call.of_this(campaign, "pledge", &message.pledge, "pledges")?,
            occurred_at: timestamp("occurred_at", message.occurred_at.as_ref())?,
            value_date: date("value_date", &message.value_date)?,
        };
        let envelope = envelope!("RecordPaymentFailure", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        answer!(
            RecordPaymentFailureResponse,
            campaign,
            currency,
            message,
            written
        )
    }

    async fn record_bank_receipt(
        &self,
        request: Request<pb::RecordBankReceiptRequest>,
    ) -> Result<Response<pb::RecordBankReceiptResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let Asked {
            campaign,
            currency,
            command,
        } = self.bank_receipt(&call, &message).await?;
        let written = self.carry_out(&call, campaign, command, message.validate_only);
        let written = written.await?;
        answer!(
            RecordBankReceiptResponse,
            campaign,
            currency,
            message,
            written
        )
    }

    async fn match_receipt(
        &self,
        request: Request<pb::MatchReceiptRequest>,
    ) -> Result<Response<pb::MatchReceiptResponse>, Status> {
        use pb::match_receipt_request::Payer as Wire;
        let (call, message) = Call::of(request)?;
        let (campaign, payment) = call.of_campaign("payment", &message.payment, "payments")?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let payer = match &message.payer {
            Some(Wire::Pledge(pledge)) => call.payer(campaign, Some(pledge), None)?,
            Some(Wire::Member(member)) => call.payer(campaign, None, Some(member))?,
            None => return Err(ApiError::field("payer", "a pledge or a member").into()),
        };
        let envelope = envelope!("MatchReceipt", message);
        let action = Action::MatchReceipt { payment, payer };
        let written = self.write(&call, campaign, &envelope, action).await?;
        answer!(MatchReceiptResponse, campaign, currency, message, written)
    }

    async fn record_payout(
        &self,
        request: Request<pb::RecordPayoutRequest>,
    ) -> Result<Response<pb::RecordPayoutResponse>, Status> {
        let (call, message) = Call::of(request)?;
        Ok(Response::new(self.payout_sent(&call, &message).await?))
    }

    async fn record_payout_arrival(
        &self,
        request: Request<pb::RecordPayoutArrivalRequest>,
    ) -> Result<Response<pb::RecordPayoutArrivalResponse>, Status> {
        let (call, message) = Call::of(request)?;
        Ok(Response::new(self.payout_arrived(&call, &message).await?))
    }

    async fn record_payout_failure(
        &self,
        request: Request<pb::RecordPayoutFailureRequest>,
    ) -> Result<Response<pb::RecordPayoutFailureResponse>, Status> {
        let (call, message) = Call::of(request)?;
        Ok(Response::new(self.payout_failed(&call, &message).await?))
    }

    async fn get_payout(
        &self,
        request: Request<pb::GetPayoutRequest>,
    ) -> Result<Response<pb::GetPayoutResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let payout = Some(self.payout(&call, &message.name).await?);
        Ok(Response::new(pb::GetPayoutResponse { payout }))
    }

    async fn list_payouts(
        &self,
        request: Request<pb::ListPayoutsRequest>,
    ) -> Result<Response<pb::ListPayoutsResponse>, Status> {
        let (call, message) = Call::of(request)?;
        Ok(Response::new(self.payouts(&call, &message).await?))
    }

    async fn record_bank_movement(
        &self,
        request: Request<pb::RecordBankMovementRequest>,
    ) -> Result<Response<pb::RecordBankMovementResponse>, Status> {
        let (call, message) = Call::of(request)?;
        Ok(Response::new(self.bank_moved(&call, &message).await?))
    }

    async fn flag_dispute(
        &self,
        request: Request<pb::FlagDisputeRequest>,
    ) -> Result<Response<pb::FlagDisputeResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, payment) = call.of_campaign("payment", &message.payment, "payments")?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let action = Action::FlagPayment {
            payment,
            flagged: true,
            reason: text("reason", &message.reason, 0, 1_000)?,
        };
        let envelope = envelope!("FlagDispute", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        answer!(FlagDisputeResponse, campaign, currency, message, written)
    }

    async fn clear_dispute(
        &self,
        request: Request<pb::ClearDisputeRequest>,
    ) -> Result<Response<pb::ClearDisputeResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, payment) = call.of_campaign("payment", &message.payment, "payments")?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let action = Action::FlagPayment {
            payment,
            flagged: false,
            reason: text("reason", &message.reason, 0, 1_000)?,
        };
        let envelope = envelope!("ClearDispute", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        answer!(ClearDisputeResponse, campaign, currency, message, written)
    }

    async fn get_payment(
        &self,
        request: Request<pb::GetPaymentRequest>,
    ) -> Result<Response<pb::GetPaymentResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, id) = call.of_campaign("name", &message.name, "payments")?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let found = self
            .app
            .store
            .payment(campaign, id)
            .await
            .map_err(ApiError::from)?;
        let payment = found.ok_or(ApiError::NotFound(message.name))?;
        let payment = Some(payment_of(campaign, currency, &payment));
        Ok(Response::new(pb::GetPaymentResponse { payment }))
    }

    async fn list_payments(
        &self,
        request: Request<pb::ListPaymentsRequest>,
    ) -> Result<Response<pb::ListPaymentsResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let member: Option<MemberId> =
            call.of_this(campaign, "member", &message.member, "members")?;
        let unallocated = message.unallocated_only;
        let list = format!("ListPayments {campaign} {member:?} {unallocated}");
        let pages = Pages::of(&self.app.secrets, list);
        let size = Pages::size(message.page_size)?;
        let after = pages.read(&message.page_token, |place| place.parse::<PaymentId>().ok())?;
        let after = after.map(|id| id.0);
        let rows = self
            .app
            .store
            .payments(campaign, member, unallocated, after, size + 1)
            .await;
        let rows = rows.map_err(ApiError::from)?;
        let (rows, next_page_token) = pages.cut(rows, size, |last| last.id.to_string());
        let payments = rows
            .iter()
            .map(|payment| payment_of(campaign, currency, payment));
        Ok(Response::new(pb::ListPaymentsResponse {
            payments: payments.collect(),
            next_page_token,
        }))
    }
}
