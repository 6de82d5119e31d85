//! Money between the provider, the bank, the seller and the underwriter.

use super::super::{act::known, campaign::Playing};
use crate::{
    cli::{
        Failure,
        client::{amount_of, money, present},
        tables,
    },
    grpc::pb,
    money::Amount,
};

/// The balance of a code of the chart, positive for a debit.
pub(in crate::cli::demo) fn closing(
    rows: &[pb::TrialBalanceRow],
    code: &str,
) -> Result<Amount, Failure> {
    let mut sum = Amount::ZERO;
    for row in rows.iter().filter(|row| row.code == code) {
        if let Some(debit) = &row.closing_debit {
            sum = sum.saturating_add(amount_of(debit)?);
        }
        if let Some(credit) = &row.closing_credit {
            sum = sum.saturating_sub(amount_of(credit)?);
        }
    }
    Ok(sum)
}

impl Playing {
    pub(in crate::cli::demo) async fn trial_balance(
        &self,
    ) -> Result<pb::GetTrialBalanceResponse, Failure> {
        let request = pb::GetTrialBalanceRequest {
            campaign: self.name.clone(),
            ..Default::default()
        };
        let drawn = self.clients.reports().get_trial_balance(request).await?;
        Ok(drawn.into_inner())
    }

    /// The balance of a code now, positive for a debit.
    pub(super) async fn balance(&self, code: &str) -> Result<Amount, Failure> {
        closing(&self.trial_balance().await?.rows, code)
    }

    /// An amount as the story tells it, like "1,250.00".
    pub(in crate::cli::demo) fn told(&self, amount: Amount) -> String {
        tables::grouped(&amount.display(self.plan.currency()))
    }

    fn money(&self, amount: Amount) -> Option<pb::Money> {
        Some(money(amount.units(), self.plan.currency()))
    }

    /// What an outside id of this campaign's end is called.
    fn object(&self, what: &str) -> String {
        format!("{what}_{}_{}", self.plan.offer.key, self.run)
    }

    /// Money leaves the provider for the bank, or the bank for the provider.
    pub(super) async fn send_payout(
        &mut self,
        what: &str,
        amount: Amount,
        top_up: bool,
    ) -> Result<(), Failure> {
        let request = pb::RecordPayoutRequest {
            request_id: self.request(what),
            provider_account: self.provider_account.clone(),
            object_id: self.object(what),
            bank_account: self.bank_account.clone(),
            top_up,
            amount: self.money(amount),
            ..Default::default()
        };
        let sent = self.clients.payments().record_payout(request).await?;
        self.known.payout = Some(present(sent.into_inner().payout, "payout")?.name);
        Ok(())
    }

    /// What is under way arrives; nothing where nothing is.
    pub(super) async fn payout_arrives(&mut self) -> Result<(), Failure> {
        let Some(payout) = self.known.payout.take() else {
            return Ok(());
        };
        let request = pb::RecordPayoutArrivalRequest {
            request_id: self.request(&format!("arrival of {payout}")),
            payout,
            ..Default::default()
        };
        let mut payments = self.clients.payments();
        payments.record_payout_arrival(request).await?;
        Ok(())
    }

    /// Everything that the provider holds goes to the bank.
    pub(super) async fn pay_out_all(&mut self, what: &str) -> Result<Amount, Failure> {
        let held = self.balance("1000").await?;
        self.send_payout(what, held, false).await?;
        Ok(held)
    }

    /// The bank sends the provider what it is short of for the refunds that wait.
    pub(super) async fn top_up(&mut self) -> Result<Amount, Failure> {
        let mut short = self.balance("1000").await?.negated();
        for instruction in self.instructions().await? {
            let refund = present(instruction.refund, "refund")?;
            if refund.money_account == self.provider_account {
                short = short.saturating_add(amount_of(&present(refund.amount, "amount")?)?);
            }
        }
        if short.is_positive() {
            self.send_payout("top-up", short, true).await?;
        }
        Ok(short.max(Amount::ZERO))
    }

    /// Money at the bank that moved for a purpose.
    pub(super) async fn bank(
        &self,
        what: &str,
        purpose: pb::BankPurpose,
        amount: Amount,
    ) -> Result<(), Failure> {
        let request = pb::RecordBankMovementRequest {
            request_id: self.request(what),
            bank_account: self.bank_account.clone(),
            object_id: self.object(what),
            purpose: purpose.into(),
            amount: self.money(amount),
            reason: what.to_owned(),
            ..Default::default()
        };
        self.clients
            .payments()
            .record_bank_movement(request)
            .await?;
        Ok(())
    }

    /// An entry by hand: one debit, one credit.
    pub(super) async fn by_hand(
        &self,
        (debit, credit): (&str, &str),
        amount: Amount,
        reason: &str,
    ) -> Result<(), Failure> {
        let currency = self.plan.currency();
        let line = |code: &str, side: pb::Side| pb::ManualLine {
            account: format!("{}/accounts/{code}.{currency}", self.name),
            side: side.into(),
            amount: self.money(amount),
        };
        let request = pb::PostEntryRequest {
            request_id: self.request(reason),
            campaign: self.name.clone(),
            lines: vec![line(debit, pb::Side::Debit), line(credit, pb::Side::Credit)],
            reason: reason.to_owned(),
            ..Default::default()
        };
        self.clients.ledger().post_entry(request).await?;
        Ok(())
    }

    /// The purchase: the bank pays what the deposit leaves of the price.
    pub(super) async fn buy(&self, price: Amount, now: Amount) -> Result<(), Failure> {
        let request = pb::CompletePurchaseRequest {
            request_id: self.request("purchase"),
            name: self.name.clone(),
            price: self.money(price),
            bank_account: self.bank_account.clone(),
            object_id: self.object("purchase"),
            paid: self.money(now),
            reason: "resolved by the members".to_owned(),
            ..Default::default()
        };
        let bought = self.clients.campaigns().complete_purchase(request).await?;
        let campaign = present(bought.into_inner().campaign, "campaign")?;
        super::must_be(&campaign, pb::CampaignStage::Acquired)
    }

    /// The payment of a charge.
    pub(super) fn payment(&self, charge: usize) -> Result<String, Failure> {
        known(self.known.payments.get(&charge))
    }
}
