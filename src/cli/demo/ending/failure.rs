//! Too little was paid: everybody's money goes back, to the cent, since an underwriter
//! bears the fees.

use super::{
    super::{campaign::Playing, plan::Door},
    step,
};
use crate::{
    cli::{Failure, client::amount_of, client::present, tables},
    grpc::pb,
    money::Amount,
};

impl Playing {
    /// The days after the deadline of an offer that fails.
    pub(super) async fn pay_back(
        &mut self,
        day: i64,
        advance: i64,
    ) -> Result<Vec<String>, Failure> {
        let advance = Amount::of_units(advance);
        let told = match day {
            31 => self.close().await?,
            33 => {
                let held = self.cleared().await?;
                step!(
                    self,
                    conclude_campaign,
                    ConcludeCampaignRequest,
                    Failed,
                    "too little was paid"
                );
                format!("{held}: the campaign has FAILED.")
            }
            34 => self.begin_refunding(advance).await?,
            35 => self.refund_everybody().await?,
            36 => {
                self.payout_arrives().await?;
                let sent = self.bridge_sends().await?;
                format!("The provider has the money, and the bridge sends {sent} refunds.")
            }
            38 => {
                let arrived = self.refunds_arrive().await?;
                format!("All {arrived} refunds have arrived, as far as anybody knows.")
            }
            41 => self.one_comes_back().await?,
            43 => {
                self.payout_arrives().await?;
                self.resend_by_bank(self.first_by_card()?).await?;
                self.bridge_sends().await?;
                "It is sent again, by the bank.".to_owned()
            }
            45 => {
                self.refunds_arrive().await?;
                "The bank has debited it: it has arrived.".to_owned()
            }
            46 => self.return_the_advance().await?,
            47 => self.finish_refunding().await?,
            _ => return Ok(Vec::new()),
        };
        Ok(vec![told])
    }

    async fn begin_refunding(&self, advance: Amount) -> Result<String, Failure> {
        step!(
            self,
            start_refunding,
            StartRefundingRequest,
            Refunding,
            "everybody is paid back"
        );
        let purpose = pb::BankPurpose::UnderwritersAdvance;
        self.bank("advance", purpose, advance).await?;
        Ok(format!(
            "Everybody is to be paid back. The underwriter's advance of {} is at the bank: it bears \
             the fees, so that every cent goes back.",
            self.told(advance)
        ))
    }

    async fn refund_everybody(&mut self) -> Result<String, Failure> {
        let nobodys = self.balance("2900").await?.negated();
        let run = self.plan_refunds("the campaign has failed").await?;
        self.work(&run).await?;
        // What the offer cost is known now: the underwriter's gift is exactly that.
        let costs = self.balance("5400").await?;
        self.by_hand(("2510", "4000"), costs, "the underwriter bears the fees")
            .await?;
        let short = self.top_up().await?;
        Ok(format!(
            "Two people approve {} refunds of {}, among them {} that nobody has claimed. The fees \
             came to {}, which the underwriter bears; the bank sends the provider the {} that it is \
             short of.",
            run.items,
            tables::amount(run.amount.as_ref()),
            self.told(nobodys),
            self.told(costs),
            self.told(short)
        ))
    }

    /// What the person whose statement is shown paid by card.
    fn first_by_card(&self) -> Result<String, Failure> {
        let is_it = |charge: &super::super::plan::Charge| {
            let pledge = self.plan.pledges.get(charge.pledge);
            charge.door == Door::Card && pledge.is_some_and(|pledge| pledge.person == 0)
        };
        let charge = self.plan.charges.iter().position(is_it);
        self.payment(charge.ok_or("the first person has paid nothing by card")?)
    }

    async fn one_comes_back(&mut self) -> Result<String, Failure> {
        let refund = self.refund_bounces(self.first_by_card()?).await?;
        let amount = amount_of(&present(refund.amount, "amount")?)?;
        self.pay_out_all("payout").await?;
        let who = self.plan.people.first().map(|person| person.name.as_str());
        Ok(format!(
            "The refund of {} to {} comes back: the card has expired. It is owed again, and the \
             provider pays the money out to the bank.",
            self.told(amount),
            who.unwrap_or_default()
        ))
    }

    async fn return_the_advance(&self) -> Result<String, Failure> {
        let rest = self.balance("2510").await?.negated();
        self.by_hand(("2510", "1150"), rest, "the rest of the advance goes back")
            .await?;
        Ok(format!(
            "What is left of the underwriter's advance goes back: {}.",
            self.told(rest)
        ))
    }

    async fn finish_refunding(&self) -> Result<String, Failure> {
        let under_way = self.balance("1150").await?.negated();
        let purpose = pb::BankPurpose::OutgoingPayment;
        self.bank("advance returned", purpose, under_way).await?;
        step!(
            self,
            finish_refunding,
            FinishRefundingRequest,
            Refunded,
            "everybody is paid back"
        );
        step!(
            self,
            archive_campaign,
            ArchiveCampaignRequest,
            Closed,
            "nothing is left to be done"
        );
        Ok("The bank has debited that too. REFUNDED, and CLOSED.".to_owned())
    }
}
