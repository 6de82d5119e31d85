//! Share classes.

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::{id::ShareClassId, money::Amount};

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
    pub(super) fn cost(&self, units: i64) -> Result<Amount, Refusal> {
        self.price
            .checked_mul(units)
            .filter(|cost| *cost <= Amount::MAX)
            .ok_or(Refusal::AmountTooLarge)
    }
}
