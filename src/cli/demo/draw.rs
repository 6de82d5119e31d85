//! What the seed decides of the story. Everything is drawn in integers, and so the
//! same story is the same to the cent on every machine.

use rand::RngExt;

use crate::cli::draw::{Draw, ROUND_SUMS, SPIKED};

impl Draw {
    /// A contribution in hundredths of the currency.
    pub(super) fn contribution(&mut self) -> i64 {
        if self.percent(SPIKED) {
            return ROUND_SUMS[self.below(ROUND_SUMS.len())] * 100;
        }
        // A straight line between two percentiles, in steps of a hundredth of their distance.
        let (percentile, step) = (self.below(100), self.0.random_range(0..100_i64));
        let (low, high) = (PERCENTILES[percentile], PERCENTILES[percentile + 1]);
        low * 100 + (high - low) * step
    }

    /// A day of a window whose ends are busier than its middle.
    pub(super) fn busy_day(&mut self, first: i64, last: i64) -> i64 {
        let length = usize::try_from(last - first + 1).unwrap_or(1);
        let edge = (length / 5).max(1);
        let (from, among) = match self.below(100) {
            0..40 => (0, edge),
            40..75 => (length - edge, edge),
            _ => (0, length),
        };
        first + i64::try_from(from + self.below(among)).unwrap_or(0)
    }

    /// A name that nobody has to have.
    pub(super) fn name(&mut self) -> (&'static str, &'static str) {
        let given = GIVEN[self.below(GIVEN.len())];
        (given, FAMILY[self.below(FAMILY.len())])
    }
}

/// The percentiles, in whole units, of the lognormal distribution with μ 5.33 and
/// σ 2.27 and its cap of 100,000: what 17,437 payers gave ConstitutionDAO
/// (domain.md §8), the least one unit.
#[rustfmt::skip]
const PERCENTILES: [i64; 101] = [
    1,
    1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 14, 16, 18, 20, 22, 24, 26, 28, 31,
    33, 36, 39, 42, 45, 48, 51, 55, 59, 63, 67, 71, 76, 81, 86, 91, 97, 103, 110, 116,
    123, 131, 138, 147, 155, 164, 174, 184, 195, 206, 219, 231, 245, 259, 275, 291, 308, 326, 346, 367,
    389, 413, 438, 466, 495, 527, 560, 597, 636, 679, 725, 775, 830, 889, 954, 1_026, 1_105, 1_191, 1_288, 1_395,
    1_514, 1_649, 1_801, 1_973, 2_170, 2_398, 2_662, 2_973, 3_342, 3_786, 4_331, 5_012, 5_884, 7_040, 8_637, 10_982, 14_756, 21_851, 40_571, 100_000,
];

const GIVEN: [&str; 24] = [
    "Amara", "Bea", "Carlos", "Dilek", "Elin", "Femi", "Gwen", "Hana", "Idris", "Jonas", "Kavya",
    "Liam", "Mei", "Noor", "Olu", "Priya", "Quentin", "Rosa", "Sami", "Tova", "Uma", "Viktor",
    "Wanda", "Yusuf",
];
const FAMILY: [&str; 24] = [
    "Abara",
    "Brandt",
    "Cruz",
    "Demir",
    "Eklund",
    "Fofana",
    "Griffiths",
    "Haddad",
    "Ivanova",
    "Jensen",
    "Kaur",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "Okafor",
    "Petrov",
    "Quist",
    "Rossi",
    "Silva",
    "Tanaka",
    "Usman",
    "Varga",
    "Weiss",
    "Zhou",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_draws() {
        let drawn = |seed, about| {
            let mut draw = Draw::new(seed, about);
            (0..50).map(|_| draw.contribution()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7, "a"), drawn(7, "a"));
        assert_ne!(drawn(7, "a"), drawn(8, "a"));
        assert_ne!(drawn(7, "a"), drawn(7, "b"));
    }

    #[test]
    fn contributions_are_of_the_size_that_people_give() {
        let mut draw = Draw::new(1, "sizes");
        let mut drawn: Vec<i64> = (0..10_000).map(|_| draw.contribution()).collect();
        drawn.sort_unstable();
        assert!(drawn.first() >= Some(&100) && drawn.last() <= Some(&10_000_000));
        assert!((5_000..=25_000).contains(&drawn[5_000]), "{}", drawn[5_000]);
        let round = drawn.iter().filter(|&&cents| cents == 25_000).count();
        assert!(round > 500, "{round}");
    }

    #[test]
    fn a_window_is_kept() {
        let mut draw = Draw::new(1, "days");
        assert!((0..1_000).all(|_| (5..=29).contains(&draw.busy_day(5, 29))));
        assert_eq!(draw.busy_day(5, 5), 5);
    }
}
