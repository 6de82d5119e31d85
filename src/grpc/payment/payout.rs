//! Payouts, and what banks show beside them.

use crate::{
    app::Written,
    domain::{
        Action, Snapshot,
        bank::{BankMovement, Purpose},
        payout::{NewPayout, Payout},
    },
    grpc::{
        Api, ApiError, Call, envelope,
        fields::{
            date, money, money_of, name, outside_id, text, timestamp, timestamp_of, wire, word,
        },
        journal::outcome,
        page::Pages,
        pb,
    },
    id::{CampaignId, PayoutId},
    money::Currency,
};

fn payout_of(campaign: CampaignId, currency: Currency, payout: &Payout) -> pb::Payout {
    pb::Payout {
        name: name(campaign, "payouts", payout.id),
        provider_account: name(campaign, "moneyAccounts", payout.account),
        object_id: payout.object_id.clone(),
        bank_account: name(campaign, "moneyAccounts", payout.bank),
        top_up: payout.is_top_up,
        state: wire(
            pb::PayoutState::from_str_name,
            "PAYOUT_STATE_",
            payout.state.word(),
        ),
        amount: Some(money_of(payout.amount, currency)),
        failure_code: payout.failure_code.clone(),
        occurred_at: Some(timestamp_of(payout.occurred_at)),
    }
}

fn written_payout(
    campaign: CampaignId,
    currency: Currency,
    written: &Written,
) -> Option<pb::Payout> {
    let snapshots = &written.answer.snapshots;
    snapshots.iter().find_map(|snapshot| match snapshot {
        Snapshot::Payout(payout) => Some(payout_of(campaign, currency, payout)),
        _ => None,
    })
}

/// Answers a write with the outcome and the payout after it.
macro_rules! answer {
    ($response:ident, $campaign:expr, $currency:expr, $message:expr, $written:expr) => {
        Ok(pb::$response {
            outcome: Some(outcome($campaign, &$written, $message.validate_only)),
            payout: written_payout($campaign, $currency, &$written),
        })
    };
}

impl Api {
    pub(super) async fn payout_sent(
        &self,
        call: &Call,
        message: &pb::RecordPayoutRequest,
    ) -> Result<pb::RecordPayoutResponse, ApiError> {
        let (campaign, account) = call.of_campaign(
            "provider_account",
            &message.provider_account,
            "moneyAccounts",
        )?;
        let bank = call.of_this(
            campaign,
            "bank_account",
            &message.bank_account,
            "moneyAccounts",
        )?;
        let currency = self.app.currency(campaign).await?;
        let action = Action::SendPayout(NewPayout {
            id: PayoutId::mint(),
            account,
            object_id: outside_id("object_id", &message.object_id)?,
            bank: bank.ok_or_else(|| ApiError::field("bank_account", "missing"))?,
            is_top_up: message.top_up,
            amount: money("amount", message.amount.as_ref())?,
            occurred_at: timestamp("occurred_at", message.occurred_at.as_ref())?,
            value_date: date("value_date", &message.value_date)?,
        });
        let envelope = envelope!("RecordPayout", *message);
        let written = self.write(call, campaign, &envelope, action).await?;
        answer!(RecordPayoutResponse, campaign, currency, message, written)
    }

    pub(super) async fn payout_arrived(
        &self,
        call: &Call,
        message: &pb::RecordPayoutArrivalRequest,
    ) -> Result<pb::RecordPayoutArrivalResponse, ApiError> {
        let (campaign, payout) = call.of_campaign("payout", &message.payout, "payouts")?;
        let currency = self.app.currency(campaign).await?;
        let action = Action::EndPayout {
            payout,
            failure_code: None,
            occurred_at: timestamp("occurred_at", message.occurred_at.as_ref())?,
            value_date: date("value_date", &message.value_date)?,
        };
        let envelope = envelope!("RecordPayoutArrival", *message);
        let written = self.write(call, campaign, &envelope, action).await?;
        answer!(
            RecordPayoutArrivalResponse,
            campaign,
            currency,
            message,
            written
        )
    }

    pub(super) async fn payout_failed(
        &self,
        call: &Call,
        message: &pb::RecordPayoutFailureRequest,
    ) -> Result<pb::RecordPayoutFailureResponse, ApiError> {
        let (campaign, payout) = call.of_campaign("payout", &message.payout, "payouts")?;
        let currency = self.app.currency(campaign).await?;
        let action = Action::EndPayout {
            payout,
            failure_code: Some(text("failure_code", &message.failure_code, 1, 100)?),
            occurred_at: timestamp("occurred_at", message.occurred_at.as_ref())?,
            value_date: date("value_date", &message.value_date)?,
        };
        let envelope = envelope!("RecordPayoutFailure", *message);
        let written = self.write(call, campaign, &envelope, action).await?;
        answer!(
            RecordPayoutFailureResponse,
            campaign,
            currency,
            message,
            written
        )
    }

    pub(super) async fn payout(&self, call: &Call, named: &str) -> Result<pb::Payout, ApiError> {
        let (campaign, id) = call.of_campaign("name", named, "payouts")?;
        let currency = self.app.currency(campaign).await?;
        let found = self.app.store.payout(campaign, id).await?;
        let payout = found.ok_or_else(|| ApiError::NotFound(named.to_owned()))?;
        Ok(payout_of(campaign, currency, &payout))
    }

    pub(super) async fn payouts(
        &self,
        call: &Call,
        message: &pb::ListPayoutsRequest,
    ) -> Result<pb::ListPayoutsResponse, ApiError> {
        let campaign = call.campaign("campaign", &message.campaign)?;
        let currency = self.app.currency(campaign).await?;
        let pages = Pages::of(&self.app.secrets, format!("ListPayouts {campaign}"));
        let size = Pages::size(message.page_size)?;
        let after = pages.read(&message.page_token, |place| place.parse::<PayoutId>().ok())?;
        let after = after.map(|id| id.0);
        let rows = self.app.store.payouts(campaign, after, size + 1).await?;
        let (rows, next_page_token) = pages.cut(rows, size, |last| last.id.to_string());
        let payouts = rows.iter();
        Ok(pb::ListPayoutsResponse {
            payouts: payouts
                .map(|payout| payout_of(campaign, currency, payout))
                .collect(),
            next_page_token,
        })
    }

    pub(super) async fn bank_moved(
        &self,
        call: &Call,
        message: &pb::RecordBankMovementRequest,
    ) -> Result<pb::RecordBankMovementResponse, ApiError> {
        let (campaign, account) =
            call.of_campaign("bank_account", &message.bank_account, "moneyAccounts")?;
        let purpose = pb::BankPurpose::try_from(message.purpose).ok();
        let purpose = purpose.map(|purpose| purpose.as_str_name());
        let purpose = word("purpose", purpose, "BANK_PURPOSE_", Purpose::of_word)?;
        let action = Action::RecordBankMovement(BankMovement {
            account,
            object_id: outside_id("object_id", &message.object_id)?,
            purpose: purpose.ok_or_else(|| ApiError::field("purpose", "missing"))?,
            amount: money("amount", message.amount.as_ref())?,
            occurred_at: timestamp("occurred_at", message.occurred_at.as_ref())?,
            value_date: date("value_date", &message.value_date)?,
            reason: text("reason", &message.reason, 0, 1_000)?,
        });
        let envelope = envelope!("RecordBankMovement", *message);
        let written = self.write(call, campaign, &envelope, action).await?;
        Ok(pb::RecordBankMovementResponse {
            outcome: Some(outcome(campaign, &written, message.validate_only)),
        })
    }
}
