//! Calls that most tests of the nouns make, each answered with what they look at.

use pledgebook::{clock::Clock, grpc::pb};
use time::{Duration, OffsetDateTime};
use tonic::Status;

use crate::harness::{self, Campaign, Tester, id, lines, money};

/// Fails unless a call was refused for this reason.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, reason: &str) -> Status {
    let status = answer.expect_err(reason);
    assert_eq!(harness::reason(&status), reason, "{status:?}");
    status
}

/// An amount without its currency; empty for none.
pub fn amount(money: &Option<pb::Money>) -> &str {
    money.as_ref().map_or("", |money| &money.amount)
}

/// What is held of a payment, refundable, and not allocated.
pub fn parts(payment: &pb::Payment) -> [&str; 3] {
    [
        amount(&payment.held),
        amount(&payment.refundable),
        amount(&payment.unallocated),
    ]
}

pub fn stamp(at: OffsetDateTime) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: at.unix_timestamp(),
        nanos: i32::try_from(at.nanosecond()).unwrap(),
    })
}

/// The day so many days from now.
pub fn day(clock: &Clock, days: i64) -> String {
    (clock.now() + Duration::days(days)).date().to_string()
}

/// A class of 1,000 shares; bounds a member in shares, 0 for none.
pub fn shares(price: &str, least: i64, most: i64) -> pb::ShareClass {
    pb::ShareClass {
        display_name: "Members' shares".to_owned(),
        price: money("EUR", price),
        nominal: money("EUR", "10"),
        authorised: 1_000,
        minimum_per_member: least,
        maximum_per_member: most,
        ..Default::default()
    }
}

/// What a write about a payment is answered with.
#[derive(Debug)]
pub struct Booked {
    pub payment: pb::Payment,
    pub outcome: pb::Outcome,
}

impl Booked {
    /// The number of its one entry.
    pub fn entry(&self) -> i64 {
        assert_eq!(self.outcome.entry_numbers.len(), 1, "{self:#?}");
        self.outcome.entry_numbers[0]
    }

    pub fn name(&self) -> &str {
        &self.payment.name
    }
}

macro_rules! booked {
    ($answer:expr) => {{
        let answer = $answer.await?.into_inner();
        Ok(Booked {
            payment: answer.payment.unwrap(),
            outcome: answer.outcome.unwrap(),
        })
    }};
}

/// Whom unallocated money is matched to.
pub use pb::match_receipt_request::Payer as MatchedTo;
/// Who paid by bank.
pub use pb::record_bank_receipt_request::Payer as ReceivedFrom;
/// Who paid through a provider.
pub use pb::record_payment_request::Payer as PaidBy;

// Payments.
impl Campaign {
    pub async fn record(
        &self,
        tester: &Tester,
        request: pb::RecordPaymentRequest,
    ) -> Result<Booked, Status> {
        booked!(tester.treasurer().payments().record_payment(request))
    }

    /// Pays on a pledge by card.
    pub async fn pay(&self, tester: &Tester, object: &str, pledge: &str, amount: &str) -> Booked {
        let request = self.payment(object, pledge, amount);
        self.record(tester, request).await.unwrap()
    }

    /// A payment's request, by card, with another payer than a pledge.
    pub fn payment_by(
        &self,
        object: &str,
        payer: Option<PaidBy>,
        amount: &str,
    ) -> pb::RecordPaymentRequest {
        pb::RecordPaymentRequest {
            payer,
            ..self.payment(object, "", amount)
        }
    }

    /// A bank receipt's request.
    pub fn receipt(
        &self,
        object: &str,
        payer: Option<ReceivedFrom>,
        amount: &str,
    ) -> pb::RecordBankReceiptRequest {
        pb::RecordBankReceiptRequest {
            request_id: id(),
            money_account: self.bank.clone(),
            object_id: object.to_owned(),
            gross: money(&self.currency, amount),
            payer,
            ..Default::default()
        }
    }

    pub async fn receive(
        &self,
        tester: &Tester,
        request: pb::RecordBankReceiptRequest,
    ) -> Result<Booked, Status> {
        booked!(tester.treasurer().payments().record_bank_receipt(request))
    }

    pub async fn match_to(
        &self,
        tester: &Tester,
        payment: &str,
        payer: MatchedTo,
    ) -> Result<Booked, Status> {
        let request = pb::MatchReceiptRequest {
            request_id: id(),
            payment: payment.to_owned(),
            payer: Some(payer),
            validate_only: false,
        };
        booked!(tester.treasurer().payments().match_receipt(request))
    }

    pub async fn fee(
        &self,
        tester: &Tester,
        payment: &str,
        object: &str,
        amount: &str,
    ) -> Result<Booked, Status> {
        let request = pb::RecordPaymentFeeRequest {
            request_id: id(),
            payment: payment.to_owned(),
            object_id: object.to_owned(),
            fee: money(&self.currency, amount),
            ..Default::default()
        };
        booked!(tester.treasurer().payments().record_payment_fee(request))
    }

    /// A failure's request.
    pub fn failure(&self, object: &str) -> pb::RecordPaymentFailureRequest {
        pb::RecordPaymentFailureRequest {
            request_id: id(),
            money_account: self.provider.clone(),
            object_id: object.to_owned(),
            failure_code: "card_declined".to_owned(),
            ..Default::default()
        }
    }

    pub async fn fail(
        &self,
        tester: &Tester,
        request: pb::RecordPaymentFailureRequest,
    ) -> Result<Booked, Status> {
        booked!(
            tester
                .treasurer()
                .payments()
                .record_payment_failure(request)
        )
    }

    /// The payment as it stands.
    pub async fn read_payment(&self, tester: &Tester, name: &str) -> pb::Payment {
        let request = pb::GetPaymentRequest {
            name: name.to_owned(),
        };
        let read = tester.treasurer().payments().get_payment(request).await;
        read.unwrap().into_inner().payment.unwrap()
    }
}

// Pledges.
impl Campaign {
    /// Promises a number of shares of a class.
    pub async fn pledge_shares(
        &self,
        tester: &Tester,
        member: &str,
        class: &str,
        units: i64,
    ) -> Result<pb::CreatePledgeResponse, Status> {
        let request = pb::CreatePledgeRequest {
            request_id: id(),
            member: member.to_owned(),
            promise: Some(pb::create_pledge_request::Promise::Units(units)),
            share_class: class.to_owned(),
            ..Default::default()
        };
        let made = tester.treasurer().pledges().create_pledge(request).await?;
        Ok(made.into_inner())
    }

    /// A pledge's request, of an amount.
    pub fn promise(&self, member: &str, amount: &str) -> pb::CreatePledgeRequest {
        let amount = money(&self.currency, amount).unwrap();
        pb::CreatePledgeRequest {
            request_id: id(),
            member: member.to_owned(),
            promise: Some(pb::create_pledge_request::Promise::Amount(amount)),
            ..Default::default()
        }
    }

    pub async fn amend(
        &self,
        tester: &Tester,
        pledge: &str,
        amount: &str,
    ) -> Result<pb::AmendPledgeResponse, Status> {
        let amount = money(&self.currency, amount).unwrap();
        let request = pb::AmendPledgeRequest {
            request_id: id(),
            name: pledge.to_owned(),
            promise: Some(pb::amend_pledge_request::Promise::Amount(amount)),
            validate_only: false,
        };
        let amended = tester.treasurer().pledges().amend_pledge(request).await?;
        Ok(amended.into_inner())
    }

    pub async fn cancel_pledge(
        &self,
        tester: &Tester,
        pledge: &str,
    ) -> Result<pb::CancelPledgeResponse, Status> {
        let request = pb::CancelPledgeRequest {
            request_id: id(),
            name: pledge.to_owned(),
            validate_only: false,
        };
        let cancelled = tester.treasurer().pledges().cancel_pledge(request).await?;
        Ok(cancelled.into_inner())
    }

    /// Expires what ran out, at most so many; 0 for as many as one call can.
    pub async fn expire(&self, tester: &Tester, limit: i32) -> pb::ExpirePledgesResponse {
        let request = pb::ExpirePledgesRequest {
            request_id: id(),
            campaign: self.name.clone(),
            limit,
            validate_only: false,
        };
        let expired = tester.treasurer().pledges().expire_pledges(request).await;
        expired.unwrap().into_inner()
    }

    /// The pledge as it stands.
    pub async fn read_pledge(&self, tester: &Tester, name: &str) -> pb::Pledge {
        let request = pb::GetPledgeRequest {
            name: name.to_owned(),
        };
        let read = tester.treasurer().pledges().get_pledge(request).await;
        read.unwrap().into_inner().pledge.unwrap()
    }
}

// The campaign and its ledger.
impl Campaign {
    pub async fn read(&self, tester: &Tester) -> pb::Campaign {
        let request = pb::GetCampaignRequest {
            name: self.name.clone(),
        };
        let read = tester.treasurer().campaigns().get_campaign(request).await;
        read.unwrap().into_inner().campaign.unwrap()
    }

    /// The name of its one share class.
    pub async fn class(&self, tester: &Tester) -> String {
        self.read(tester).await.share_classes[0].name.clone()
    }

    /// Gives the campaign up.
    pub async fn cancel(&self, tester: &Tester) {
        let request = pb::CancelCampaignRequest {
            request_id: id(),
            name: self.name.clone(),
            reason: "the seller withdrew".to_owned(),
            validate_only: false,
        };
        let cancelled = tester
            .treasurer()
            .campaigns()
            .cancel_campaign(request)
            .await;
        cancelled.unwrap();
    }

    pub async fn reverse(
        &self,
        tester: &Tester,
        number: i64,
    ) -> Result<pb::ReverseEntryResponse, Status> {
        let request = pb::ReverseEntryRequest {
            request_id: id(),
            name: format!("{}/entries/{number}", self.name),
            reason: "a mistake".to_owned(),
            validate_only: false,
        };
        let reversed = tester.treasurer().ledger().reverse_entry(request).await?;
        Ok(reversed.into_inner())
    }

    /// The lines of an entry, as the journal has them.
    pub async fn posted(&self, tester: &Tester, number: i64) -> Vec<String> {
        lines(&self.entry(tester, number).await)
    }

    /// All entries, of which a small test has at most a thousand.
    pub async fn entries(&self, tester: &Tester) -> Vec<pb::JournalEntry> {
        let request = pb::ListEntriesRequest {
            campaign: self.name.clone(),
            page_size: 1_000,
            ..Default::default()
        };
        let page = tester.treasurer().ledger().list_entries(request).await;
        let page = page.unwrap().into_inner();
        assert_eq!(page.next_page_token, "");
        page.entries
    }

    /// Where a code stands over all of its accounts: `Dr 12.50`, `Cr 12.50`, `0`.
    pub async fn stands(&self, tester: &Tester, code: &str) -> String {
        let request = pb::GetTrialBalanceRequest {
            campaign: self.name.clone(),
            ..Default::default()
        };
        let report = tester
            .treasurer()
            .reports()
            .get_trial_balance(request)
            .await;
        let report = report.unwrap().into_inner();
        let row = report.rows.iter().find(|row| row.code == code);
        match row.map(|row| (amount(&row.closing_debit), amount(&row.closing_credit))) {
            None | Some(("", "")) => "0".to_owned(),
            Some((debit, "")) => format!("Dr {debit}"),
            Some((_, credit)) => format!("Cr {credit}"),
        }
    }
}
