//! Acts as calls.

use prost_types::Timestamp;
use time::{Date, OffsetDateTime};

use super::{
    campaign::{Learned, Playing},
    plan::{Door, Promised, What},
    provider::charge_id,
};
use crate::{
    cli::{
        Failure,
        client::{money, present},
        fee::fee_half_up,
    },
    grpc::pb::{self, create_pledge_request, record_bank_receipt_request, record_payment_request},
};

impl Playing {
    /// Does one act. An answer other than yes ends the demonstration: the story
    /// knows of no refusals.
    pub(super) async fn perform(&self, number: usize) -> Result<Learned, Failure> {
        let act = self.plan.acts.get(number).ok_or("no such act")?;
        let request_id = self.run.id(&format!("{} {number}", self.plan.offer.key));
        let done = self.call(act.what, request_id.to_string()).await;
        done.map_err(|failure| {
            let (title, what) = (self.plan.offer.title, act.what);
            format!("day {} of {title}, {what:?}: {failure}", act.day).into()
        })
    }

    async fn call(&self, what: What, request_id: String) -> Result<Learned, Failure> {
        match what {
            What::StartPledging => {
                let request = pb::StartPledgingRequest {
                    request_id,
                    name: self.name.clone(),
                    validate_only: false,
                };
                self.clients.campaigns().start_pledging(request).await?;
            }
            What::Open => {
                let request = pb::OpenCampaignRequest {
                    request_id,
                    name: self.name.clone(),
                    validate_only: false,
                };
                self.clients.campaigns().open_campaign(request).await?;
            }
            What::Sign(person) => return self.sign(person, request_id).await,
            What::Withdraw(person) => {
                let request = pb::WithdrawSignatureRequest {
                    request_id,
                    name: known(self.known.signatures.get(&person))?,
                    validate_only: false,
                };
                self.clients.members().withdraw_signature(request).await?;
            }
            What::Join(person) => return self.join(person, request_id).await,
            What::Pledge(pledge) => return self.pledge(pledge, request_id).await,
            What::Amend(pledge, units) => {
                let amount = money(units, self.plan.currency());
                let request = pb::AmendPledgeRequest {
                    request_id,
                    name: known(self.known.pledges.get(&pledge))?,
                    promise: Some(pb::amend_pledge_request::Promise::Amount(amount)),
                    validate_only: false,
                };
                self.clients.pledges().amend_pledge(request).await?;
            }
            What::Cancel(pledge) => {
                let request = pb::CancelPledgeRequest {
                    request_id,
                    name: known(self.known.pledges.get(&pledge))?,
                    validate_only: false,
                };
                self.clients.pledges().cancel_pledge(request).await?;
            }
            What::Take(charge) => return self.take(charge, request_id).await,
            What::Notify(charge, later_first) => self.notify(charge, later_first).await?,
            What::Match(charge) => self.match_receipt(charge, request_id).await?,
            What::Fee(charge) => self.fee(charge, request_id).await?,
            What::Decline(charge) => self.fail(charge, "card_declined", request_id).await?,
            What::FailLate(charge) => self.fail(charge, "debit_returned", request_id).await?,
        }
        Ok(Learned::Nothing)
    }

    async fn sign(&self, person: usize, request_id: String) -> Result<Learned, Failure> {
        let who = self.plan.people.get(person).ok_or("no such person")?;
        let request = pb::SignCampaignRequest {
            request_id,
            campaign: self.name.clone(),
            display_name: who.name.clone(),
            email: who.email.clone(),
            validate_only: false,
        };
        let signed = self.clients.members().sign_campaign(request).await?;
        let signature = present(signed.into_inner().signature, "signature")?;
        Ok(Learned::Signature(person, signature.name))
    }

    async fn join(&self, person: usize, request_id: String) -> Result<Learned, Failure> {
        let who = self.plan.people.get(person).ok_or("no such person")?;
        let request = pb::CreateMemberRequest {
            request_id,
            campaign: self.name.clone(),
            display_name: who.name.clone(),
            email: who.email.clone(),
            validate_only: false,
        };
        let created = self.clients.members().create_member(request).await?;
        let member = present(created.into_inner().member, "member")?;
        Ok(Learned::Member(person, member.name))
    }

    async fn pledge(&self, index: usize, request_id: String) -> Result<Learned, Failure> {
        let pledge = self.plan.pledges.get(index).ok_or("no such pledge")?;
        let (promise, share_class) = match pledge.promise {
            Promised::Amount(units) => {
                let amount = money(units, self.plan.currency());
                (
                    create_pledge_request::Promise::Amount(amount),
                    String::new(),
                )
            }
            Promised::Shares(units) => {
                let class = self.share_class.clone();
                (create_pledge_request::Promise::Units(units), class)
            }
        };
        let request = pb::CreatePledgeRequest {
            request_id,
            member: known(self.known.members.get(&pledge.person))?,
            promise: Some(promise),
            share_class,
            expire_time: None,
            validate_only: false,
        };
        let created = self.clients.pledges().create_pledge(request).await?;
        let pledge = present(created.into_inner().pledge, "pledge")?;
        Ok(Learned::Pledge(index, pledge.name))
    }

    async fn take(&self, index: usize, request_id: String) -> Result<Learned, Failure> {
        let charge = self.plan.charges.get(index).ok_or("no such charge")?;
        let pledge = known(self.known.pledges.get(&charge.pledge))?;
        let gross = Some(money(charge.gross, self.plan.currency()));
        let occurred_at = self.occurred(index);
        let mut payments = self.clients.payments();
        let payment = match charge.door {
            Door::Bank | Door::Unnamed => {
                let named = charge.door == Door::Bank;
                let request = pb::RecordBankReceiptRequest {
                    request_id,
                    money_account: self.bank_account.clone(),
                    object_id: format!("transfer {}", self.key(index)),
                    gross,
                    payer: named.then_some(record_bank_receipt_request::Payer::Pledge(pledge)),
                    occurred_at: Some(timestamp(occurred_at)),
                    ..Default::default()
                };
                payments
                    .record_bank_receipt(request)
                    .await?
                    .into_inner()
                    .payment
            }
            Door::Card | Door::Debit | Door::Webhook => {
                let (method, wait) = match charge.door {
                    Door::Debit => (pb::PaymentMethod::DirectDebit, 5),
                    _ => (pb::PaymentMethod::Card, 3),
                };
                let available = occurred_at.date() + time::Duration::days(wait);
                let request = pb::RecordPaymentRequest {
                    request_id,
                    money_account: self.provider_account.clone(),
                    object_id: charge_id(&self.key(index)),
                    gross,
                    payer: Some(record_payment_request::Payer::Pledge(pledge)),
                    method: method.into(),
                    occurred_at: Some(timestamp(occurred_at)),
                    available_on: day_text(available),
                    ..Default::default()
                };
                payments.record_payment(request).await?.into_inner().payment
            }
        };
        Ok(Learned::Payment(index, present(payment, "payment")?.name))
    }

    async fn match_receipt(&self, index: usize, request_id: String) -> Result<(), Failure> {
        let charge = self.plan.charges.get(index).ok_or("no such charge")?;
        let pledge = known(self.known.pledges.get(&charge.pledge))?;
        let request = pb::MatchReceiptRequest {
            request_id,
            payment: known(self.known.payments.get(&index))?,
            payer: Some(pb::match_receipt_request::Payer::Pledge(pledge)),
            validate_only: false,
        };
        self.clients.payments().match_receipt(request).await?;
        Ok(())
    }

    async fn fee(&self, index: usize, request_id: String) -> Result<(), Failure> {
        let charge = self.plan.charges.get(index).ok_or("no such charge")?;
        let request = pb::RecordPaymentFeeRequest {
            request_id,
            payment: known(self.known.payments.get(&index))?,
            object_id: format!("txn_{}", self.key(index)),
            fee: Some(money(fee_half_up(charge.gross), self.plan.currency())),
            occurred_at: Some(timestamp(self.occurred(index))),
            ..Default::default()
        };
        self.clients.payments().record_payment_fee(request).await?;
        Ok(())
    }

    /// Before or after it succeeded: the service knows which.
    async fn fail(&self, index: usize, code: &str, request_id: String) -> Result<(), Failure> {
        let charge = self.plan.charges.get(index).ok_or("no such charge")?;
        let request = pb::RecordPaymentFailureRequest {
            request_id,
            money_account: self.provider_account.clone(),
            object_id: charge_id(&self.key(index)),
            failure_code: code.to_owned(),
            gross: Some(money(charge.gross, self.plan.currency())),
            pledge: known(self.known.pledges.get(&charge.pledge))?,
            occurred_at: Some(timestamp(self.occurred(index))),
            ..Default::default()
        };
        let mut payments = self.clients.payments();
        payments.record_payment_failure(request).await?;
        Ok(())
    }

    /// What makes the outside ids of a charge its own, in this run and all others.
    pub(super) fn key(&self, charge: usize) -> String {
        format!("{}_{}_{charge:04}", self.plan.offer.key, self.run)
    }

    /// When a charge's news happened: in the hours before they arrive, and never on
    /// the day before, or what has cleared would depend on the hour of the play.
    pub(super) fn occurred(&self, charge: usize) -> OffsetDateTime {
        let now = self.clock.now();
        let of_today = i64::from(now.hour()) * 60 + i64::from(now.minute());
        let minutes = i64::try_from(charge * 37 % 480).unwrap_or(0);
        now - time::Duration::minutes(minutes % (of_today + 1))
    }
}

/// A name that an earlier act must have brought.
pub(super) fn known(name: Option<&String>) -> Result<String, Failure> {
    name.cloned().ok_or_else(|| "its name is not known".into())
}

fn timestamp(at: OffsetDateTime) -> Timestamp {
    Timestamp {
        seconds: at.unix_timestamp(),
        nanos: 0,
    }
}

/// Like "2026-11-22", which is also how a date displays itself.
fn day_text(day: Date) -> String {
    day.to_string()
}
