//! What every road needs: a campaign with members, its two treasurers, its bridge, and the
//! trial balance as text.

use pledgebook::{
    access::Role,
    grpc::pb::{self, RunState},
};
use time::Duration;

use crate::harness::{Campaign, Clients, Tester, all, eur, id, terms, text};

/// A campaign on its road, with the people who move it.
pub struct Road {
    pub tester: Tester,
    pub campaign: Campaign,
    /// Two people: what one asks, the other approves.
    pub treasurer: Clients,
    pub admin: Clients,
}

/// Calls a step of the campaign's and gives its stage, or the refusal.
macro_rules! step {
    ($road:expr, $method:ident, $request:ident) => {
        $road
            .treasurer
            .campaigns()
            .$method(pledgebook::grpc::pb::$request {
                request_id: crate::harness::id(),
                name: $road.campaign.name.clone(),
                ..Default::default()
            })
            .await
            .map(|answer| answer.into_inner().campaign.unwrap().stage())
    };
}
pub(crate) use step;

impl Road {
    /// An open campaign with these terms and this class.
    pub async fn open(terms: pb::Terms, class: Option<pb::ShareClass>) -> Self {
        let tester = Tester::start().await;
        let campaign = Campaign::open_with(&tester, terms, class).await;
        let (treasurer, admin) = (tester.treasurer(), tester.admin());
        Self {
            tester,
            campaign,
            treasurer,
            admin,
        }
    }

    /// Terms of 100 to 1,000 euros, cards cleared after seven days.
    pub fn terms(tester_clock: &pledgebook::clock::Clock) -> pb::Terms {
        pb::Terms {
            target: eur("1000"),
            minimum: eur("100"),
            maximum: eur("100000"),
            ..terms(tester_clock, "EUR")
        }
    }

    /// A new member who pledges and pays by card; gives the payment's name.
    pub async fn pays(&self, who: &str, amount: &str) -> String {
        let member = self
            .campaign
            .member(&self.tester, &format!("{who}@example.org"))
            .await;
        let pledge = self.campaign.pledge(&self.tester, &member, amount).await;
        let request = self.campaign.payment(&format!("ch_{who}"), &pledge, amount);
        let paid = self.treasurer.payments().record_payment(request).await;
        paid.unwrap().into_inner().payment.unwrap().name
    }

    /// The provider's fee for a payment.
    pub async fn fee(&self, payment: &str, amount: &str) {
        let request = pb::RecordPaymentFeeRequest {
            request_id: id(),
            payment: payment.to_owned(),
            object_id: format!("fee of {payment}"),
            fee: eur(amount),
            ..Default::default()
        };
        let fee = self.treasurer.payments().record_payment_fee(request).await;
        fee.unwrap();
    }

    /// So many days go by.
    pub fn days(&self, days: i64) {
        self.tester.clock.shift(Duration::days(days));
    }

    /// What of an amount went from the provider to the bank.
    pub async fn payout(&self, object: &str, amount: &str, top_up: bool) -> String {
        let request = pb::RecordPayoutRequest {
            request_id: id(),
            provider_account: self.campaign.provider.clone(),
            object_id: object.to_owned(),
            bank_account: self.campaign.bank.clone(),
            top_up,
            amount: eur(amount),
            ..Default::default()
        };
        let sent = self.treasurer.payments().record_payout(request).await;
        let payout = sent.unwrap().into_inner().payout.unwrap().name;
        let request = pb::RecordPayoutArrivalRequest {
            request_id: id(),
            payout: payout.clone(),
            ..Default::default()
        };
        let mut payments = self.treasurer.payments();
        payments.record_payout_arrival(request).await.unwrap();
        payout
    }

    /// Money at the bank that moved for a purpose.
    pub async fn bank(&self, object: &str, purpose: pb::BankPurpose, amount: &str) {
        let request = pb::RecordBankMovementRequest {
            request_id: id(),
            bank_account: self.campaign.bank.clone(),
            object_id: object.to_owned(),
            purpose: purpose.into(),
            amount: eur(amount),
            ..Default::default()
        };
        let mut payments = self.treasurer.payments();
        payments.record_bank_movement(request).await.unwrap();
    }

    /// An entry by hand: one debit, one credit.
    pub async fn by_hand(&self, debit: &str, credit: &str, amount: &str) {
        let line = |code: &str, side: pb::Side| pb::ManualLine {
            account: format!("{}/accounts/{code}.EUR", self.campaign.name),
            side: side.into(),
            amount: eur(amount),
        };
        let request = pb::PostEntryRequest {
            request_id: id(),
            campaign: self.campaign.name.clone(),
            lines: vec![line(debit, pb::Side::Debit), line(credit, pb::Side::Credit)],
            reason: "resolved".to_owned(),
            ..Default::default()
        };
        self.treasurer.ledger().post_entry(request).await.unwrap();
    }

    /// Everybody's cleared money decides, and the purchase is made with what the bank has.
    pub async fn buy(&self, price: &str) {
        use pb::CampaignStage as Stage;
        self.days(40);
        assert_eq!(
            step!(self, close_campaign, CloseCampaignRequest).unwrap(),
            Stage::Closing
        );
        assert_eq!(
            step!(self, conclude_campaign, ConcludeCampaignRequest).unwrap(),
            Stage::Succeeded
        );
        assert_eq!(
            step!(self, start_completion, StartCompletionRequest).unwrap(),
            Stage::Completing
        );
        let request = pb::CompletePurchaseRequest {
            request_id: id(),
            name: self.campaign.name.clone(),
            price: eur(price),
            bank_account: self.campaign.bank.clone(),
            object_id: "the purchase".to_owned(),
            paid: eur(price),
            reason: "resolved by the members".to_owned(),
            ..Default::default()
        };
        let bought = self.treasurer.campaigns().complete_purchase(request).await;
        let campaign = bought.unwrap().into_inner().campaign.unwrap();
        assert_eq!(campaign.stage(), Stage::Acquired);
    }

    /// Plans an allotment.
    pub async fn plan_allotment(&self, method: pb::AllotmentMethod) -> pb::Run {
        let request = pb::PlanAllotmentRequest {
            request_id: id(),
            campaign: self.campaign.name.clone(),
            method: method.into(),
            ..Default::default()
        };
        let planned = self.treasurer.runs().plan_allotment(request).await;
        planned.unwrap().into_inner().run.unwrap()
    }

    /// Plans refunds.
    pub async fn plan_refunds(&self) -> pb::Run {
        let request = pb::PlanRefundsRequest {
            request_id: id(),
            campaign: self.campaign.name.clone(),
            ..Default::default()
        };
        let planned = self.treasurer.runs().plan_refunds(request).await;
        planned.unwrap().into_inner().run.unwrap()
    }

    /// Two people approve a run, and it is started.
    pub async fn start(&self, run: &str) {
        for who in [&self.treasurer, &self.admin] {
            let request = pb::ApproveRunRequest {
                request_id: id(),
                run: run.to_owned(),
                ..Default::default()
            };
            who.runs().approve_run(request).await.unwrap();
        }
        let request = pb::StartRunRequest {
            request_id: id(),
            run: run.to_owned(),
            ..Default::default()
        };
        self.treasurer.runs().start_run(request).await.unwrap();
    }

    /// Approves a run, starts it, and watches it to its end.
    pub async fn runs(&self, run: &pb::Run) -> pb::Run {
        self.start(&run.name).await;
        let request = pb::WatchRunRequest {
            name: run.name.clone(),
        };
        let watched = self.treasurer.runs().watch_run(request).await.unwrap();
        let last = all(watched.into_inner()).await.pop().unwrap();
        last.run.unwrap()
    }

    /// A run that ends well.
    pub async fn runs_well(&self, run: &pb::Run) {
        let over = self.runs(run).await;
        assert_eq!(over.state(), RunState::Done, "{over:?}");
        assert_eq!(over.done, run.items);
    }

    /// A bridge sends everything that is to be sent, and it arrives. Gives how much it was.
    pub async fn bridge(&self) -> usize {
        let bridge = self.tester.as_role(Role::Webhook);
        let request = pb::ListRefundInstructionsRequest {
            campaign: self.campaign.name.clone(),
            page_size: 1000,
            ..Default::default()
        };
        let listed = bridge.refunds().list_refund_instructions(request).await;
        let instructions = listed.unwrap().into_inner().instructions;
        for instruction in &instructions {
            let refund = instruction.refund.as_ref().unwrap();
            let request = pb::SubmitRefundRequest {
                request_id: id(),
                refund: refund.name.clone(),
                object_id: format!("re_{}", instruction.idempotency_key),
                ..Default::default()
            };
            bridge.refunds().submit_refund(request).await.unwrap();
            let request = pb::SettleRefundRequest {
                request_id: id(),
                refund: refund.name.clone(),
                object_id: if refund.money_account == self.campaign.bank {
                    format!("debit {}", instruction.idempotency_key)
                } else {
                    String::new()
                },
                ..Default::default()
            };
            bridge.refunds().settle_refund(request).await.unwrap();
        }
        instructions.len()
    }

    /// The only class.
    pub async fn class(&self) -> String {
        let request = pb::GetCampaignRequest {
            name: self.campaign.name.clone(),
        };
        let read = self.treasurer.campaigns().get_campaign(request).await;
        let campaign = read.unwrap().into_inner().campaign.unwrap();
        campaign.share_classes[0].name.clone()
    }

    /// The members, in the order in which they came.
    pub async fn members(&self) -> Vec<String> {
        let request = pb::ListMembersRequest {
            campaign: self.campaign.name.clone(),
            ..Default::default()
        };
        let listed = self.treasurer.members().list_members(request).await;
        let members = listed.unwrap().into_inner().members.into_iter();
        members.map(|member| member.name).collect()
    }

    /// The refunds, in the order of their payments.
    pub async fn refunds(&self) -> Vec<pb::Refund> {
        let request = pb::ListRefundsRequest {
            campaign: self.campaign.name.clone(),
            ..Default::default()
        };
        let listed = self.treasurer.refunds().list_refunds(request).await;
        let mut refunds = listed.unwrap().into_inner().refunds;
        refunds.sort_by(|a, b| a.payment.cmp(&b.payment));
        refunds
    }

    /// The closing balances that are not zero: `1000 Dr 12.50`, one line a code, and the
    /// check that every stored number follows from the journal.
    pub async fn balances(&self) -> Vec<String> {
        self.tester.must_be_clean(&self.campaign.name).await;
        let request = pb::GetTrialBalanceRequest {
            campaign: self.campaign.name.clone(),
            ..Default::default()
        };
        let report = self.treasurer.reports().get_trial_balance(request).await;
        let report = report.unwrap().into_inner();
        let line = |row: &pb::TrialBalanceRow| {
            let (side, amount) = match (&row.closing_debit, &row.closing_credit) {
                (Some(_), _) => ("Dr", text(&row.closing_debit)),
                (_, Some(_)) => ("Cr", text(&row.closing_credit)),
                _ => return None,
            };
            Some(format!("{} {side} {amount}", row.code))
        };
        report.rows.iter().filter_map(line).collect()
    }
}
