//! How much people give. Money is whole hundredths; the one floating-point number
//! here is a statistical draw, and it ends where the amount begins.

use rand::{RngExt, distr::Distribution};
use rand_distr::LogNormal;

use crate::cli::{
    Failure,
    draw::{Draw, ROUND_SUMS, SPIKED},
};

/// Hundredths of a whole unit: every profile's currency has two decimals.
pub(super) const HUNDREDTHS: i64 = 100;

/// How the amounts of charges are spread, in whole units of the currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amounts {
    /// Lognormal, with round sums that stand out, and bounds.
    Lognormal {
        /// The mean of the logarithm.
        mu: f64,
        /// The standard deviation of the logarithm.
        sigma: f64,
        /// The least.
        least: i64,
        /// The most that one person may give.
        most: i64,
    },
    /// Everybody promises the same and pays it in instalments, or not at all.
    Deposits {
        /// What is promised.
        pledge: i64,
        /// What one charge takes.
        deposit: i64,
        /// So many of a hundred never pay.
        never: usize,
    },
    /// So many shares at a price; most people buy one.
    Shares {
        /// The price of a share.
        price: i64,
        /// The most that one person buys at once.
        most: i64,
    },
}

/// Draws amounts of one spread.
pub(super) struct Drawing {
    amounts: Amounts,
    lognormal: Option<LogNormal<f64>>,
}

impl Drawing {
    pub(super) fn new(amounts: Amounts) -> Result<Self, Failure> {
        let lognormal = match amounts {
            Amounts::Lognormal { mu, sigma, .. } => Some(LogNormal::new(mu, sigma)?),
            Amounts::Deposits { .. } | Amounts::Shares { .. } => None,
        };
        Ok(Self { amounts, lognormal })
    }

    /// What one charge takes, in hundredths: never less than one whole unit.
    pub(super) fn charge(&self, draw: &mut Draw) -> i64 {
        match self.amounts {
            Amounts::Lognormal { least, most, .. } => {
                let (least, most) = (least * HUNDREDTHS, most * HUNDREDTHS);
                if draw.percent(SPIKED) {
                    let sum = ROUND_SUMS[draw.below(ROUND_SUMS.len())] * HUNDREDTHS;
                    return sum.clamp(least, most);
                }
                let given = self
                    .lognormal
                    .map_or(0.0, |spread| spread.sample(&mut draw.0));
                hundredths(given).clamp(least, most)
            }
            Amounts::Deposits { deposit, .. } => deposit * HUNDREDTHS,
            Amounts::Shares { price, most } => {
                let several = draw.percent(SEVERAL_SHARES);
                let shares = if several {
                    draw.0.random_range(2..=most)
                } else {
                    1
                };
                shares * price * HUNDREDTHS
            }
        }
    }

    /// Whether a member never pays what was promised.
    pub(super) fn never_pays(&self, draw: &mut Draw) -> bool {
        match self.amounts {
            Amounts::Deposits { never, .. } => draw.percent(never),
            Amounts::Lognormal { .. } | Amounts::Shares { .. } => false,
        }
    }

    /// What a member promises whose charges come to this, in hundredths.
    pub(super) fn promise(&self, charged: i64) -> i64 {
        match self.amounts {
            Amounts::Deposits { pledge, .. } => pledge * HUNDREDTHS,
            // Somebody who promised and was not charged yet.
            Amounts::Lognormal { least, .. } => charged.max(least * HUNDREDTHS),
            Amounts::Shares { price, .. } => charged.max(price * HUNDREDTHS),
        }
    }
}

/// So many of a hundred buyers take more than one share. An assumption.
const SEVERAL_SHARES: usize = 25;

/// A draw as whole hundredths. What is too large for an amount ends at the
/// greatest, which the caller's bounds cut.
fn hundredths(drawn: f64) -> i64 {
    #[expect(
        clippy::float_arithmetic,
        clippy::cast_possible_truncation,
        reason = "a statistical draw, not money yet; the cast saturates"
    )]
    let hundredths = (drawn * 100.0) as i64;
    hundredths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::profile::PROFILES;

    #[test]
    fn amounts_stay_in_their_bounds() {
        for profile in &PROFILES {
            let (least, most) = match profile.amounts {
                Amounts::Lognormal { least, most, .. } => (least, most),
                Amounts::Deposits { deposit, .. } => (deposit, deposit),
                Amounts::Shares { price, most } => (price, price * most),
            };
            let drawing = Drawing::new(profile.amounts).unwrap();
            let mut draw = Draw::new(1, profile.name);
            for _ in 0..50_000 {
                let amount = drawing.charge(&mut draw);
                let bounds = least * HUNDREDTHS..=most * HUNDREDTHS;
                assert!(
                    least > 0 && bounds.contains(&amount),
                    "{}: {amount}",
                    profile.name
                );
                assert!(drawing.promise(amount) >= amount, "{}", profile.name);
            }
        }
    }

    #[test]
    fn what_no_amount_can_hold_is_cut() {
        for (drawn, hundred) in [(f64::MAX, i64::MAX), (f64::NAN, 0), (1.239, 123), (0.0, 0)] {
            assert_eq!(hundredths(drawn), hundred);
        }
    }

    #[test]
    fn a_lognormal_profile_has_its_median_and_its_round_sums() {
        let amounts = Amounts::Lognormal {
            mu: 5.33,
            sigma: 2.27,
            least: 1,
            most: 100_000,
        };
        let drawing = Drawing::new(amounts).unwrap();
        let mut draw = Draw::new(1, "dao");
        let mut drawn: Vec<i64> = (0..100_000).map(|_| drawing.charge(&mut draw)).collect();
        let hundreds = drawn.iter().filter(|&&amount| amount == 10_000).count();
        // A sixth of 45 %.
        assert!((7_000..8_000).contains(&hundreds), "{hundreds}");
        drawn.retain(|amount| !ROUND_SUMS.contains(&(amount / HUNDREDTHS)));
        drawn.sort_unstable();
        // e^5.33 is 206.
        let median = drawn[drawn.len() / 2];
        assert!((18_000..24_000).contains(&median), "{median}");
    }
}
