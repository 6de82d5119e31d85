//! More is paid than there are shares: the purchase, and shares for everybody.

use super::{super::campaign::Playing, step};
use crate::{
    cli::{
        Failure,
        client::{amount_of, present},
        tables::{amount, grouped},
    },
    grpc::pb,
    money::Amount,
};

/// The deposit is one of so many parts of the price.
const DEPOSIT_PARTS: i64 = 10;

impl Playing {
    /// The days after the deadline of an offer that succeeds. Cards have cleared ten days
    /// after the last one paid; direct debits, which a bank can take back for eight weeks,
    /// 61 days after it.
    pub(super) async fn succeed(&mut self, day: i64, price: i64) -> Result<Vec<String>, Failure> {
        let price = Amount::of_units(price);
        let deposit = Amount::of_units(price.units() / DEPOSIT_PARTS);
        let told = match day {
            31 => self.close().await?,
            41 => {
                let cleared = self.cleared().await?;
                step!(
                    self,
                    conclude_campaign,
                    ConcludeCampaignRequest,
                    Succeeded,
                    "enough has cleared"
                );
                format!("{cleared}: the campaign has SUCCEEDED.")
            }
            42 => {
                let sent = self.pay_out_all("payout").await?;
                format!(
                    "The provider pays {} out to the escrow bank account.",
                    self.told(sent)
                )
            }
            44 => self.begin_purchase(deposit).await?,
            58 => {
                let rest = price.saturating_sub(deposit);
                self.buy(price, rest).await?;
                format!(
                    "The purchase is made for {}: the deposit counts, and the bank pays {}. \
                     ACQUIRED.",
                    self.told(price),
                    self.told(rest)
                )
            }
            92 => self.allot().await?,
            93 => self.refund_the_rest().await?,
            94 => {
                self.payout_arrives().await?;
                let sent = self.bridge_sends().await?;
                format!("The provider has the money, and the bridge sends {sent} refunds.")
            }
            96 => self.finish().await?,
            _ => return Ok(Vec::new()),
        };
        Ok(vec![told])
    }

    async fn begin_purchase(&mut self, deposit: Amount) -> Result<String, Failure> {
        self.payout_arrives().await?;
        step!(
            self,
            start_completion,
            StartCompletionRequest,
            Completing,
            "the seller has agreed"
        );
        let purpose = pb::BankPurpose::SellerDeposit;
        self.bank("deposit", purpose, deposit).await?;
        Ok(format!(
            "The payout has arrived. The purchase begins: a deposit of {} goes to the seller.",
            self.told(deposit)
        ))
    }

    async fn allot(&self) -> Result<String, Failure> {
        let held = self.balance("2100").await?.negated();
        let run = self.plan_allotment().await?;
        self.work(&run).await?;
        let items = self.items(&run.name).await?;
        let most = items.iter().map(|item| item.units).max();
        let members = items.iter().filter(|item| item.units > 0).count();
        let price = Amount::of_units(self.plan.offer.share.price);
        let mut scaled_back = 0;
        for item in items {
            // Who could buy another share with what is left over wanted more.
            if amount_of(&present(item.released, "amount")?)? >= price {
                scaled_back += 1;
            }
        }
        Ok(format!(
            "The last direct debit has cleared. {} was paid, and there are {} shares at {}: the \
             {scaled_back} largest requests are scaled back, to {} shares at most. Two people \
             approve the list, and {members} members are allotted {} shares; {} is to go back.",
            self.told(held),
            grouped(&self.plan.offer.share.authorised.to_string()),
            self.told(price),
            grouped(&most.unwrap_or_default().to_string()),
            grouped(&run.units.to_string()),
            amount(run.released.as_ref()),
        ))
    }

    async fn refund_the_rest(&mut self) -> Result<String, Failure> {
        let run = self.plan_refunds("too much was paid").await?;
        self.work(&run).await?;
        let short = self.top_up().await?;
        Ok(format!(
            "What was too much: two people approve {} refunds of {}. The bank sends the provider \
             the {} that it is short of.",
            run.items,
            amount(run.amount.as_ref()),
            self.told(short)
        ))
    }

    async fn finish(&self) -> Result<String, Failure> {
        let arrived = self.refunds_arrive().await?;
        step!(
            self,
            finish_allotment,
            FinishAllotmentRequest,
            Allotted,
            "all shares are allotted"
        );
        step!(
            self,
            archive_campaign,
            ArchiveCampaignRequest,
            Closed,
            "nothing is left to be done"
        );
        Ok(format!(
            "All {arrived} refunds have arrived. ALLOTTED, and CLOSED."
        ))
    }
}
