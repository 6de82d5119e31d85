//! The loads by name: what happened once, or what a buyout of that size would meet.
//! The figures are those of domain.md §8; what had to be assumed says so.

use std::{str::FromStr, time::Duration};

use super::amount::Amounts;
use crate::cli::tables::{Sheet, grouped};

/// One million: shares of a shape are so many of it.
pub(super) const WHOLE: u64 = 1_000_000;

/// A part of a campaign, and how much of what arrives comes in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its length, in millionths of the campaign's.
    pub time: u64,
    /// What arrives in it, in millionths of all arrivals.
    pub arrivals: u64,
}

const fn stretch(time: u64, arrivals: u64) -> Stretch {
    Stretch { time, arrivals }
}

/// Busy at both ends (domain.md §8: arrivals are U-shaped). How much busier is
/// assumed: 48 % in the first fifth, 43 % in the last.
const U_SHAPED: &[Stretch] = &[
    stretch(100_000, 300_000),
    stretch(100_000, 180_000),
    stretch(600_000, 90_000),
    stretch(100_000, 150_000),
    stretch(100_000, 280_000),
];

/// 39 % of the money in the first 5 of 165 minutes; the rest evenly, which is assumed.
const MONZO: &[Stretch] = &[stretch(30_303, 390_000), stretch(969_697, 610_000)];

/// 33,000 shares in the first 3 hours of 12 weeks. Counted as purchases of one share
/// each: 19 % of 173,622. The rest evenly.
const PACKERS: &[Stretch] = &[stretch(1_488, 190_000), stretch(998_512, 810_000)];

const STEADY: &[Stretch] = &[stretch(1_000_000, 1_000_000)];

/// A load by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it was.
    pub about: &'static str,
    /// The campaign's currency, one with two decimals.
    pub currency: &'static str,
    /// The campaign's target in whole units of the currency.
    pub target: i64,
    /// How many members there were.
    pub members: usize,
    /// How many charges there were, in all of its span.
    pub charges: u64,
    /// How long it took in reality.
    pub span: Duration,
    /// How charges are spread over it.
    pub shape: &'static [Stretch],
    /// Charges a second that a run makes on average when it is not told another number.
    pub rate: u32,
    /// How much a charge takes.
    pub amounts: Amounts,
}

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// All of them, the smallest first.
pub const PROFILES: [Profile; 6] = [
    // 183 members, 296,000 in three months: 1,617 each, which is the mean of this
    // lognormal spread. The spread, the cap and the rate are assumed.
    Profile {
        name: "village-shop",
        about: "183 members buy their shop in three months",
        currency: "GBP",
        target: 296_000,
        members: 183,
        charges: 183,
        span: days(92),
        shape: U_SHAPED,
        rate: 20,
        amounts: Amounts::Lognormal {
            mu: 6.91,
            sigma: 0.98,
            least: 10,
            most: 20_000,
        },
    },
    // 2,426 pledges of 1,000, deposits of 100, 11 % never convert. Three months and
    // the rate are assumed.
    Profile {
        name: "football-club",
        about: "2,426 fans promise 1,000 each and pay deposits of 100; 11 % never pay",
        currency: "GBP",
        target: 2_426_000,
        members: 2_426,
        charges: 21_591,
        span: days(92),
        shape: U_SHAPED,
        rate: 50,
        amounts: Amounts::Deposits {
            pledge: 1_000,
            deposit: 100,
            never: 11,
        },
    },
    // 17,437 payers in 6 days; the spread, its spikes and its cap are domain.md's, the
    // target is the sum of it, the rate is assumed.
    Profile {
        name: "constitution-dao",
        about: "17,437 payers in six days, from 10 to 100,000",
        currency: "USD",
        target: 40_000_000,
        members: 17_437,
        charges: 17_437,
        span: days(6),
        shape: U_SHAPED,
        rate: 100,
        amounts: Amounts::Lognormal {
            mu: 5.33,
            sigma: 2.27,
            least: 1,
            most: 100_000,
        },
    },
    // 36,000 investors in 2 h 45 min, 39 % of the money in the first 5 minutes, to be
    // tested at 150/s. 20 million among 36,000 gives the mean of the spread; its width
    // and its cap are assumed.
    Profile {
        name: "monzo",
        about: "36,000 investors in 2 h 45 min, 39 % of them in the first five minutes",
        currency: "GBP",
        target: 20_000_000,
        members: 36_000,
        charges: 36_000,
        span: Duration::from_secs(9_900),
        shape: MONZO,
        rate: 150,
        amounts: Amounts::Lognormal {
            mu: 5.82,
            sigma: 1.0,
            least: 10,
            most: 2_000,
        },
    },
    // 173,622 purchases, 33,000 shares in the first 3 hours. The price of 250, the 12
    // weeks, shares a purchase and the rate are assumed.
    Profile {
        name: "packers",
        about: "173,622 purchases of shares at 250, a fifth of them in the first three hours",
        currency: "USD",
        target: 67_000_000,
        members: 173_622,
        charges: 173_622,
        span: days(84),
        shape: PACKERS,
        rate: 100,
        amounts: Amounts::Shares {
            price: 250,
            most: 4,
        },
    },
    // 3.13 million backers. 7/s is an ordinary first day: `--rate 7`. Opened like Monzo,
    // 39 % come in the first five minutes, 4,070/s: these five minutes are the profile.
    Profile {
        name: "one-percent-of-twitter",
        about: "the five minutes after it opens to 3.13 million backers as Monzo did",
        currency: "USD",
        target: 150_000_000,
        members: 3_130_000,
        charges: 1_221_000,
        span: Duration::from_secs(300),
        shape: STEADY,
        rate: 4_070,
        amounts: Amounts::Lognormal {
            mu: 5.33,
            sigma: 2.27,
            least: 1,
            most: 100_000,
        },
    },
];

/// A name that no profile has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile of this name; --list shows them")]
pub struct NoProfile;

impl FromStr for Profile {
    type Err = NoProfile;

    fn from_str(name: &str) -> Result<Self, NoProfile> {
        let found = PROFILES.into_iter().find(|profile| profile.name == name);
        found.ok_or(NoProfile)
    }
}

impl Profile {
    /// Charges a second in the busiest part of its shape, at a mean rate.
    pub(super) fn peak(&self, rate: u32) -> u64 {
        let rates = self
            .shape
            .iter()
            .map(|part| u64::from(rate) * part.arrivals / part.time.max(1));
        rates.max().unwrap_or(0)
    }
}

/// Prints the profiles.
pub(super) fn list() {
    let mut sheet = Sheet::new(&[
        "Profile",
        ">Members",
        ">In reality",
        ">Charges/s",
        ">at the peak",
        "What it is",
    ]);
    for profile in &PROFILES {
        sheet.row([
            profile.name.to_owned(),
            grouped(&profile.members.to_string()),
            length(profile.span),
            grouped(&profile.rate.to_string()),
            grouped(&profile.peak(profile.rate).to_string()),
            profile.about.to_owned(),
        ]);
    }
    sheet.print();
}

/// A length for people: "92 days", "165 min", "30 s".
pub(super) fn length(of: Duration) -> String {
    let seconds = of.as_secs();
    if of.subsec_millis() > 0 {
        format!("{} ms", of.as_millis())
    } else if seconds >= 86_400 && seconds.is_multiple_of(86_400) {
        format!("{} days", seconds / 86_400)
    } else if seconds > 60 && seconds.is_multiple_of(60) {
        format!("{} min", seconds / 60)
    } else {
        format!("{seconds} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_a_whole() {
        for profile in PROFILES {
            let time: u64 = profile.shape.iter().map(|part| part.time).sum();
            let arrivals: u64 = profile.shape.iter().map(|part| part.arrivals).sum();
            assert_eq!((time, arrivals), (WHOLE, WHOLE), "{}", profile.name);
            assert_eq!(profile.name.parse(), Ok(profile));
        }
        assert_eq!("twitter".parse::<Profile>(), Err(NoProfile));
    }
}
