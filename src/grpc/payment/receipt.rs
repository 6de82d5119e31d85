//! Money that arrived, as it is told and as it stands.

use crate::{
    app::Written,
    domain::{
        Action, Command, Payer, Receipt, Snapshot,
        payment::{Channel, Method, Payment},
    },
    grpc::{
        Api, ApiError, Call, envelope,
        fields::{
            date, money, money_of, name, name_or_none, outside_id, timestamp, timestamp_of, wire,
            word,
        },
        journal::outcome,
        pb,
    },
    id::{CampaignId, MoneyAccountId, PaymentId},
    money::{Amount, Currency},
};

/// A receipt that was understood: what to hand to the book, and what its answer is
/// written with.
pub(super) struct Asked {
    pub(super) campaign: CampaignId,
    pub(super) currency: Currency,
    pub(super) command: Command,
}

/// What RecordPayment answers.
pub(super) fn recorded(
    campaign: CampaignId,
    currency: Currency,
    written: &Written,
    validate_only: bool,
) -> pb::RecordPaymentResponse {
    pb::RecordPaymentResponse {
        outcome: Some(outcome(campaign, written, validate_only)),
        payment: written_payment(campaign, currency, written),
    }
}

/// What every kind of receipt has in its request, read from there; `payer` is the
/// module of its `oneof`.
macro_rules! receipt {
    ($call:expr, $campaign:expr, $account:expr, $message:expr, $payer:ident) => {
        Receipt {
            payment: PaymentId::mint(),
            channel: Channel::Bank,
            account: $account,
            payer: match &$message.payer {
                Some(pb::$payer::Payer::Pledge(name)) => {
                    $call.payer($campaign, Some(name), None)?
                }
                Some(pb::$payer::Payer::Member(name)) => {
                    $call.payer($campaign, None, Some(name))?
                }
                None => Payer::Unknown,
            },
            object_id: outside_id("object_id", &$message.object_id)?,
            gross: money("gross", $message.gross.as_ref())?,
            unknown_payer_is_unallocated: false,
            method: Method::BankTransfer,
            occurred_at: timestamp("occurred_at", $message.occurred_at.as_ref())?,
            value_date: date("value_date", &$message.value_date)?,
            available_on: None,
            corrects: $call.of_this(
                $campaign,
                "corrects_entry",
                &$message.corrects_entry,
                "entries",
            )?,
        }
    };
}

impl Api {
    /// A provider's payment as a command.
    pub(super) async fn payment(
        &self,
        call: &Call,
        message: &pb::RecordPaymentRequest,
    ) -> Result<Asked, ApiError> {
        let (campaign, account, currency) = self.place(call, &message.money_account).await?;
        let method = pb::PaymentMethod::try_from(message.method).ok();
        let method = method.map(|method| method.as_str_name());
        let method = word("method", method, "PAYMENT_METHOD_", Method::of_word)?;
        let receipt = Receipt {
            channel: Channel::Provider,
            method: method.unwrap_or(Method::Card),
            available_on: date("available_on", &message.available_on)?,
            ..receipt!(call, campaign, account, message, record_payment_request)
        };
        let envelope = envelope!("RecordPayment", *message);
        Ok(Asked {
            campaign,
            currency,
            command: self.command(call, &envelope, Action::RecordReceipt(receipt))?,
        })
    }

    /// A credit on a bank account as a command.
    pub(super) async fn bank_receipt(
        &self,
        call: &Call,
        message: &pb::RecordBankReceiptRequest,
    ) -> Result<Asked, ApiError> {
        let (campaign, account, currency) = self.place(call, &message.money_account).await?;
        let receipt = receipt!(
            call,
            campaign,
            account,
            message,
            record_bank_receipt_request
        );
        let envelope = envelope!("RecordBankReceipt", *message);
        Ok(Asked {
            campaign,
            currency,
            command: self.command(call, &envelope, Action::RecordReceipt(receipt))?,
        })
    }

    /// The account that money arrived on, with its campaign and that one's currency.
    pub(super) async fn place(
        &self,
        call: &Call,
        account: &str,
    ) -> Result<(CampaignId, MoneyAccountId, Currency), ApiError> {
        let (campaign, account) = call.of_campaign("money_account", account, "moneyAccounts")?;
        Ok((campaign, account, self.app.currency(campaign).await?))
    }
}

pub(super) fn payment_of(
    campaign: CampaignId,
    currency: Currency,
    payment: &Payment,
) -> pb::Payment {
    let money = |amount| Some(money_of(amount, currency));
    // Few payments have these, and every one is sent.
    let some = |amount: Amount| (!amount.is_zero()).then(|| money_of(amount, currency));
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
        allotted: some(payment.allotted),
        refunded: some(payment.refunded),
        returned: some(payment.returned),
        charged: some(payment.charged),
        lost: some(payment.lost),
        reserved: some(payment.reserved),
        flagged: payment.flagged,
    }
}

pub(super) fn written_payment(
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
