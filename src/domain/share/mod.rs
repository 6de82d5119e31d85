//! Shares: classes, lots, and how paid money becomes them.
//!
//! | file | is about |
//! |---|---|
//! | `fill` | dividing too few shares among too many requests |
//! | `allot` | one member's money into shares, and back |

mod allot;
mod fill;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub(super) use allot::{allot, payments_for, purchase, taken_back};
pub use fill::{Method, fill};

use super::Refusal;
use crate::{
    id::{MemberId, ShareClassId},
    money::Amount,
};

/// Shares that a member was allotted at once: one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// The certificate's number, dense within the campaign.
    pub certificate: i64,
    /// Whose.
    pub member: MemberId,
    /// Of which class.
    pub share_class: ShareClassId,
    /// How many were allotted.
    pub units: i64,
    /// How many of them were cancelled, with money that the payer's bank took back.
    pub cancelled: i64,
    /// The entry that allotted them.
    pub entry: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub allotted_at: OffsetDateTime,
}

impl Lot {
    /// How many of them stand.
    #[must_use]
    pub const fn standing(&self) -> i64 {
        self.units.saturating_sub(self.cancelled)
    }
}

/// A class of shares; amounts in the campaign's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareClass {
    /// Its id, which is also the commodity of its units.
    pub id: ShareClassId,
    /// What members call it.
    pub display_name: String,
    /// What one share costs.
    pub price: Amount,
    /// Its nominal value.
    pub nominal: Amount,
    /// How many may be issued.
    pub authorised: i64,
    /// The fewest that one member may hold, 0 for none.
    pub minimum_per_member: i64,
    /// The most that one member may hold, 0 for none.
    pub maximum_per_member: i64,
    /// Redeemable on demand, so a liability.
    pub liability: bool,
}

impl ShareClass {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let wrong = |problem: &str| {
            Err(Refusal::ShareClass {
                problem: problem.to_owned(),
            })
        };
        if !self.nominal.is_positive() || self.nominal > self.price {
            return wrong("the nominal value is more than nothing and at most the price");
        }
        if self.authorised < 1 || self.authorised > Amount::MAX.units() {
            return wrong("at least one share is authorised, and not more than an entry can post");
        }
        let bounds = [self.minimum_per_member, self.maximum_per_member];
        if bounds
            .iter()
            .any(|&bound| bound < 0 || bound > self.authorised)
        {
            return wrong("a member's minimum and maximum lie between 0 and the authorised number");
        }
        if self.maximum_per_member > 0 && self.minimum_per_member > self.maximum_per_member {
            return wrong("a member's minimum is more than the maximum");
        }
        Ok(())
    }

    /// What so many shares cost.
    ///
    /// # Errors
    /// [`Refusal::AmountTooLarge`] beyond what one entry may move.
    pub fn cost(&self, units: i64) -> Result<Amount, Refusal> {
        self.price
            .checked_mul(units)
            .filter(|cost| *cost <= Amount::MAX)
            .ok_or(Refusal::AmountTooLarge)
    }

    /// How many whole shares an amount pays.
    #[must_use]
    pub const fn affords(&self, amount: Amount) -> i64 {
        match amount.units().checked_div(self.price.units()) {
            Some(units) => units,
            None => 0,
        }
    }
}
