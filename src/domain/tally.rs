//! A campaign's progress: sums of what its rows count.
//!
//! Every row counts by a function of itself alone, so a change of a row changes
//! the tally by what it counts after less what it counted before, and `check`
//! can add everything up again.

use serde::{Deserialize, Serialize};

use super::{
    member::{Signature, SignatureState},
    payment::{Payment, PaymentState},
    pledge::Pledge,
};
use crate::{ledger::Code, money::Amount};

/// Counts and sums of one campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Signatures that stand.
    pub signed: i64,
    /// Signatures taken back.
    pub withdrawn: i64,
    /// Signatures that a pledge followed.
    pub converted: i64,
    /// Members with an open or paid pledge.
    pub pledging_members: i64,
    /// What is promised on live pledges, and paid on closed ones.
    pub pledged: Amount,
    /// Members with money in 2100.
    pub paying_members: i64,
    /// All of 2100.
    pub held: Amount,
    /// Payments that succeeded and stand.
    pub payments: i64,
    /// Charges that failed, before or after success.
    pub failures: i64,
    /// All of 2200.
    #[serde(default)]
    pub refundable: Amount,
    /// All of 2210.
    #[serde(default)]
    pub returned: Amount,
    /// All of 2900.
    #[serde(default)]
    pub unallocated: Amount,
    /// What payments became shares.
    #[serde(default)]
    pub allotted: Amount,
    /// What of payments was sent back and has not come back again.
    #[serde(default)]
    pub refunded: Amount,
    /// Lots; each has a certificate.
    #[serde(default)]
    pub certificates: i64,
}

impl Tally {
    pub(super) fn of_signature(signature: &Signature) -> Self {
        let mut tally = Self::default();
        match signature.state {
            SignatureState::Signed => tally.signed = 1,
            SignatureState::Withdrawn => tally.withdrawn = 1,
            SignatureState::Converted => tally.converted = 1,
        }
        tally
    }

    pub(super) fn of_pledge(pledge: &Pledge) -> Self {
        Self {
            pledged: if pledge.state.is_live() {
                pledge.amount
            } else {
                pledge.paid
            },
            ..Self::default()
        }
    }

    pub(super) fn of_live_pledges(live_pledges: i32) -> Self {
        Self {
            pledging_members: i64::from(live_pledges > 0),
            ..Self::default()
        }
    }

    pub(super) fn of_payment(payment: &Payment) -> Self {
        let mut tally = Self {
            allotted: payment.allotted,
            refunded: payment.refunded,
            ..Self::default()
        };
        match payment.state {
            PaymentState::Succeeded => tally.payments = 1,
            PaymentState::Failed | PaymentState::LateFailed => tally.failures = 1,
            PaymentState::Reversed => {}
        }
        tally
    }

    /// What an account counts; `net` is its balance, credit negative.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other accounts count nothing"
    )]
    pub(super) fn of_account(code: Code, net: Amount) -> Self {
        let owed = net.negated();
        let mut tally = Self::default();
        match code {
            Code::ApplicationMoney => {
                tally.paying_members = i64::from(!net.is_zero());
                tally.held = owed;
            }
            Code::RefundsPayable => tally.refundable = owed,
            Code::RefundsReturned => tally.returned = owed,
            Code::UnallocatedReceipts => tally.unallocated = owed,
            _ => {}
        }
        tally
    }

    /// What a lot counts.
    pub(super) fn of_lot() -> Self {
        Self {
            certificates: 1,
            ..Self::default()
        }
    }

    /// Counts `after` in the place of `before`.
    pub(super) fn replace(&mut self, before: &Self, after: &Self) {
        self.signed += after.signed - before.signed;
        self.withdrawn += after.withdrawn - before.withdrawn;
        self.converted += after.converted - before.converted;
        self.pledging_members += after.pledging_members - before.pledging_members;
        self.pledged = self
            .pledged
            .saturating_add(after.pledged)
            .saturating_sub(before.pledged);
        self.paying_members += after.paying_members - before.paying_members;
        self.held = self
            .held
            .saturating_add(after.held)
            .saturating_sub(before.held);
        self.payments += after.payments - before.payments;
        self.failures += after.failures - before.failures;
        self.certificates += after.certificates - before.certificates;
        for (sum, after, before) in [
            (&mut self.refundable, after.refundable, before.refundable),
            (&mut self.returned, after.returned, before.returned),
            (&mut self.unallocated, after.unallocated, before.unallocated),
            (&mut self.allotted, after.allotted, before.allotted),
            (&mut self.refunded, after.refunded, before.refunded),
        ] {
            *sum = sum.saturating_add(after).saturating_sub(before);
        }
    }
}
