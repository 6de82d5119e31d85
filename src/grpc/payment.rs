//! `PaymentService`.

use tonic::{Request, Response, Status};

use super::{
    Api, ApiError, Call, envelope,
    fields::{
        date, money, money_of, name, name_or_none, outside_id, slug, text, timestamp, timestamp_of,
        wire, word,
    },
    journal::outcome,
    page::Pages,
    pb::{self, payment_service_server::PaymentService},
};
use crate::{
    app::Written,
    domain::{
        Action, Payer, Receipt, Snapshot,
        payment::{Channel, Method, MoneyAccount, Payment},
    },
    id::{CampaignId, MemberId, MoneyAccountId, PaymentId},
    money::Currency,
};

fn money_account_of(campaign: CampaignId, account: &MoneyAccount) -> pb::MoneyAccount {
    pb::MoneyAccount {
        name: name(campaign, "moneyAccounts", account.id),
        kind: wire(
            pb::MoneyAccountKind::from_str_name,
            "MONEY_ACCOUNT_KIND_",
            account.channel.word(),
        ),
        institution: account.institution.clone(),
        external_id: account.external_id.clone(),
        currency_code: account.currency.code().to_owned(),
        livemode: account.livemode,
    }
}

fn payment_of(campaign: CampaignId, currency: Currency, payment: &Payment) -> pb::Payment {
    let money = |amount| Some(money_of(amount, currency));
    pb::Payment {
        name: name(campaign, "payments", payment.id),
        money_account: name(campaign, "moneyAccounts", payment.account),
        object_id: payment.object_id.clone(),
        state: wire(
            pb::PaymentState::from_str_name,
            "PAYMENT_STATE_",
            payment.state.word(),
        ),
        method: wire(
            pb::PaymentMethod::from_str_name,
            "PAYMENT_METHOD_",
            payment.method.word(),
        ),
        gross: money(payment.gross),
        held: money(payment.held),
        refundable: money(payment.refundable),
        unallocated: money(payment.unallocated),
        fee: payment.fee_known.then(|| money_of(payment.fee, currency)),
        member: name_or_none(campaign, "members", payment.member),
        pledge: name_or_none(campaign, "pledges", payment.pledge),
        occurred_at: Some(timestamp_of(payment.occurred_at)),
        value_date: payment.value_date.to_string(),
        available_on: payment.available_on.to_string(),
        failure_code: payment.failure_code.clone(),
    }
}

fn written_payment(
    campaign: CampaignId,
    currency: Currency,
    written: &Written,
) -> Option<pb::Payment> {
    written
        .answer
        .snapshots
        .iter()
        .find_map(|snapshot| match snapshot {
            Snapshot::Payment(payment) => Some(payment_of(campaign, currency, payment)),
            _ => None,
        })
}

fn written_account(campaign: CampaignId, written: &Written) -> Option<pb::MoneyAccount> {
    written
        .answer
        .snapshots
        .iter()
        .find_map(|snapshot| match snapshot {
            Snapshot::MoneyAccount(account) => Some(money_account_of(campaign, account)),
            _ => None,
        })
}

/// The number of the reversed entry that a receipt corrects.
fn corrects(call: &Call, campaign: CampaignId, entry: &str) -> Result<Option<i64>, ApiError> {
    call.of_this(campaign, "corrects_entry", entry, "entries")
}

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
    async fn register_provider_account(
        &self,
        request: Request<pb::RegisterProviderAccountRequest>,
    ) -> Result<Response<pb::RegisterProviderAccountResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let account = MoneyAccount {
            id: MoneyAccountId::mint(),
            channel: Channel::Provider,
            institution: slug("institution", &message.institution)?,
            external_id: outside_id("external_id", &message.external_id)?,
            currency: self.app.currency(campaign).await.map_err(ApiError::from)?,
            livemode: message.livemode,
        };
        let envelope = envelope!("RegisterProviderAccount", message);
        let action = Action::RegisterMoneyAccount { account };
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
        let campaign = call.campaign("campaign", &message.campaign)?;
        let account = MoneyAccount {
            id: MoneyAccountId::mint(),
            channel: Channel::Bank,
            institution: slug("institution", &message.institution)?,
            external_id: outside_id("external_id", &message.external_id)?,
            currency: self.app.currency(campaign).await.map_err(ApiError::from)?,
            livemode: true,
        };
        let envelope = envelope!("RegisterBankAccount", message);
        let action = Action::RegisterMoneyAccount { account };
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
        use pb::record_payment_request::Payer as Wire;
        let (call, message) = Call::of(request)?;
        let account = &message.money_account;
        let (campaign, account) = call.of_campaign("money_account", account, "moneyAccounts")?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let payer = match &message.payer {
            Some(Wire::Pledge(pledge)) => call.payer(campaign, Some(pledge), None)?,
            Some(Wire::Member(member)) => call.payer(campaign, None, Some(member))?,
            None => Payer::Unknown,
        };
        let method = pb::PaymentMethod::try_from(message.method).ok();
        let method = method.map(|method| method.as_str_name());
        let method = word("method", method, "PAYMENT_METHOD_", Method::of_word)?;
        let receipt = Receipt {
            payment: PaymentId::mint(),
            channel: Channel::Provider,
            account,
            object_id: outside_id("object_id", &message.object_id)?,
            gross: money("gross", message.gross.as_ref())?,
            payer,
            unknown_payer_is_unallocated: false,
            method: method.unwrap_or(Method::Card),
            occurred_at: timestamp("occurred_at", message.occurred_at.as_ref())?,
            value_date: date("value_date", &message.value_date)?,
            available_on: date("available_on", &message.available_on)?,
            corrects: corrects(&call, campaign, &message.corrects_entry)?,
        };
        let envelope = envelope!("RecordPayment", message);
        let action = Action::RecordReceipt(receipt);
        let written = self.write(&call, campaign, &envelope, action).await?;
        answer!(RecordPaymentResponse, campaign, currency, message, written)
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
        let account = &message.money_account;
        let (campaign, account) = call.of_campaign("money_account", account, "moneyAccounts")?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
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
        use pb::record_bank_receipt_request::Payer as Wire;
        let (call, message) = Call::of(request)?;
        let account = &message.money_account;
        let (campaign, account) = call.of_campaign("money_account", account, "moneyAccounts")?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let payer = match &message.payer {
            Some(Wire::Pledge(pledge)) => call.payer(campaign, Some(pledge), None)?,
            Some(Wire::Member(member)) => call.payer(campaign, None, Some(member))?,
            None => Payer::Unknown,
        };
        let receipt = Receipt {
            payment: PaymentId::mint(),
            channel: Channel::Bank,
            account,
            object_id: outside_id("object_id", &message.object_id)?,
            gross: money("gross", message.gross.as_ref())?,
            payer,
            unknown_payer_is_unallocated: false,
            method: Method::BankTransfer,
            occurred_at: timestamp("occurred_at", message.occurred_at.as_ref())?,
            value_date: date("value_date", &message.value_date)?,
            available_on: None,
            corrects: corrects(&call, campaign, &message.corrects_entry)?,
        };
        let envelope = envelope!("RecordBankReceipt", message);
        let action = Action::RecordReceipt(receipt);
        let written = self.write(&call, campaign, &envelope, action).await?;
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
