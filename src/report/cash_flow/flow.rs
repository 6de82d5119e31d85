//! The columns of a cash flow, and which of them an event's lines count in.

use crate::{
    ledger::Event,
    money::Amount,
    report::{ReportError, plus, unreadable},
};

/// Opening, movements and closing; what comes in is positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Before the period.
    pub opening: Amount,
    /// Payments and bank receipts.
    pub receipts: Amount,
    /// Payments that failed after they had succeeded.
    pub failures: Amount,
    /// Providers' fees and bank charges.
    pub fees: Amount,
    /// Refunds, and what came back of them.
    pub refunds: Amount,
    /// Payouts and top-ups.
    pub transfers: Amount,
    /// To and from the seller.
    pub seller: Amount,
    /// Everything else.
    pub other: Amount,
    /// After the period.
    pub closing: Amount,
}

impl Flow {
    /// The column in which an event's lines count.
    pub(super) const fn column(&mut self, event: Event) -> &mut Amount {
        match event {
            Event::PaymentSucceeded
            | Event::PaymentUnallocated
            | Event::ReceiptMatched
            | Event::ReceiptUnallocated => &mut self.receipts,
            Event::PaymentLateFailure => &mut self.failures,
            Event::PaymentFee | Event::BankCharge => &mut self.fees,
            Event::RefundSent | Event::RefundDebited | Event::RefundFailed => &mut self.refunds,
            Event::PayoutSent | Event::PayoutArrived | Event::PayoutFailed => &mut self.transfers,
            Event::SellerDeposit | Event::SellerDepositReturned | Event::PurchaseCompleted => {
                &mut self.seller
            }
            Event::SharesAuthorised
            | Event::PledgeCreated
            | Event::PledgeAmended
            | Event::PledgeCancelled
            | Event::PledgeExpired
            | Event::ReceiptAllocated
            | Event::Reversal
            | Event::FeeExpensed
            | Event::ManualEntry
            | Event::MoneyReleased
            | Event::PledgeLapsed
            | Event::FeeCharged
            | Event::SharesAllotted
            | Event::IssueCosts
            | Event::AdvanceReceived
            | Event::OutgoingDebited
            | Event::InterestReceived => &mut self.other,
        }
    }

    const fn columns(&self) -> [Amount; 9] {
        [
            self.opening,
            self.receipts,
            self.failures,
            self.fees,
            self.refunds,
            self.transfers,
            self.seller,
            self.other,
            self.closing,
        ]
    }

    pub(super) fn plus(self, row: Self) -> Result<Self, ReportError> {
        Ok(Self {
            opening: plus(self.opening, row.opening)?,
            receipts: plus(self.receipts, row.receipts)?,
            failures: plus(self.failures, row.failures)?,
            fees: plus(self.fees, row.fees)?,
            refunds: plus(self.refunds, row.refunds)?,
            transfers: plus(self.transfers, row.transfers)?,
            seller: plus(self.seller, row.seller)?,
            other: plus(self.other, row.other)?,
            closing: plus(self.closing, row.closing)?,
        })
    }

    /// Refuses a row of which opening and movements are not the closing.
    pub(super) fn must_add_up(&self, of: &str) -> Result<(), ReportError> {
        let [before @ .., closing] = self.columns();
        let mut sum = Amount::ZERO;
        for part in before {
            sum = plus(sum, part)?;
        }
        if sum == closing {
            Ok(())
        } else {
            let problem = format!("{of}: opening and movements are {sum:?}, closing {closing:?}");
            Err(unreadable(problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_does_not_add_up_is_refused() {
        let units = Amount::of_units;
        let row = Flow {
            opening: units(5),
            receipts: units(10),
            fees: units(-1),
            closing: units(14),
            ..Flow::default()
        };
        assert!(row.must_add_up("a bank").is_ok());
        let wrong = Flow {
            seller: units(1),
            ..row
        };
        assert!(wrong.must_add_up("a bank").is_err());
    }
}
