//! An amount: an integer of some commodity's smallest unit.

use std::{fmt, iter::Sum};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Currency;

/// An amount in the smallest unit of a commodity that the context names (cents
/// of EUR, shares of a class). Arithmetic is checked: what leaves the range of
/// `i64` is an error, never a wrapped number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Amount(i64);

/// Why a text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a plain decimal.
    #[error("\"{0}\" is not a plain decimal such as \"12.50\"")]
    Malformed(String),
    /// More decimals than the currency has.
    #[error("{currency} has {decimals} decimals, \"{text}\" has more")]
    TooPrecise {
        /// The text.
        text: String,
        /// The currency.
        currency: Currency,
        /// The currency's number of decimals.
        decimals: u32,
    },
    /// Outside ±[`Amount::MAX`].
    #[error("the amount is larger than one entry may move")]
    TooLarge,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The most that one line may move: 10^15 units, ten million million euros.
    /// The sum of nine thousand such lines still fits a balance; the database
    /// holds the same bound.
    pub const MAX: Self = Self(1_000_000_000_000_000);

    /// An amount of so many smallest units.
    #[must_use]
    pub const fn of_units(units: i64) -> Self {
        Self(units)
    }

    /// The number of smallest units.
    #[must_use]
    pub const fn units(self) -> i64 {
        self.0
    }

    /// Reads a plain decimal in a currency's usual unit: digits, at most one
    /// point with digits on both sides, an optional leading minus. Trailing
    /// zeros beyond the currency's decimals are refused like other digits: a
    /// sender who writes them thinks of another currency.
    ///
    /// # Errors
    /// [`AmountError`] when the text is malformed, too precise or too large.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, AmountError> {
        let malformed = || AmountError::Malformed(text.chars().take(40).collect());
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(fraction) {
            return Err(malformed());
        }
        if whole.len() > 20 {
            return Err(AmountError::TooLarge);
        }
        let decimals = currency.decimals();
        let given = digits
            .split_once('.')
            .map_or(0, |(_, fraction)| fraction.len());
        if given > usize::try_from(decimals).unwrap_or(0) {
            return Err(AmountError::TooPrecise {
                text: text.chars().take(40).collect(),
                currency,
                decimals,
            });
        }
        let mut decimal = Decimal::from_str_exact(text).map_err(|_| malformed())?;
        decimal.rescale(decimals);
        let units = i64::try_from(decimal.mantissa()).map_err(|_| AmountError::TooLarge)?;
        if units.unsigned_abs() > Self::MAX.0.unsigned_abs() {
            return Err(AmountError::TooLarge);
        }
        Ok(Self(units))
    }

    /// The amount as a plain decimal with exactly the currency's decimals.
    #[must_use]
    pub fn display(self, currency: Currency) -> String {
        Decimal::from_i128_with_scale(i128::from(self.0), currency.decimals()).to_string()
    }

    /// The sum, or nothing when it leaves the range.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// The difference, or nothing when it leaves the range.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// So many times this amount, or nothing when it leaves the range.
    #[must_use]
    pub const fn checked_mul(self, times: i64) -> Option<Self> {
        match self.0.checked_mul(times) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// The sum, held at the ends of the range: for bounds such as "room left",
    /// never for what is booked.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, held at the ends of the range: for bounds such as "room left",
    /// never for what is booked.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The amount with the other sign.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self(self.0.saturating_neg())
    }

    /// True for more than nothing.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// True for nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// This amount in hundredths of a per cent of `whole`, rounded down; nothing
    /// when `whole` is not positive. For display only.
    #[must_use]
    pub fn basis_points_of(self, whole: Self) -> Option<i64> {
        if whole.0 <= 0 {
            return None;
        }
        let points = (i128::from(self.0) * 10_000).div_euclid(i128::from(whole.0));
        i64::try_from(points).ok()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Sum for Amount {
    /// Adds up, held at the ends of the range; [`Amount::checked_add`] where the
    /// sum is booked.
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn every_exponent_of_iso_4217_is_read_and_written() {
        for (code, text, units) in [
            ("JPY", "1250", 1250),
            ("EUR", "12.50", 1250),
            ("KWD", "1.250", 1250),
            ("CLF", "0.1250", 1250),
            ("EUR", "-0.01", -1),
        ] {
            let amount = Amount::parse(text, currency(code)).unwrap();
            assert_eq!((code, amount.units()), (code, units));
            assert_eq!(amount.display(currency(code)), text);
        }
    }

    #[test]
    fn fewer_decimals_than_the_currency_has_are_exact() {
        assert_eq!(
            Amount::parse("12.5", currency("EUR")).unwrap().units(),
            1250
        );
        assert_eq!(Amount::parse("12", currency("EUR")).unwrap().units(), 1200);
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused() {
        for text in [
            "", "-", ".", "1.", ".5", "1e3", "+1", "1,000", "0x10", " 1", "1 ", "١", "NaN", "--1",
            "1.2.3", "1_000",
        ] {
            let refused = Amount::parse(text, currency("EUR"));
            assert!(
                matches!(refused, Err(AmountError::Malformed(_))),
                "{text:?}: {refused:?}"
            );
        }
    }

    #[test]
    fn nothing_is_rounded() {
        for (code, text) in [
            ("JPY", "1.0"),
            ("EUR", "1.000"),
            ("EUR", "0.005"),
            ("KWD", "1.0000"),
        ] {
            let refused = Amount::parse(text, currency(code));
            assert!(
                matches!(refused, Err(AmountError::TooPrecise { .. })),
                "{text} {code}"
            );
        }
    }

    #[test]
    fn the_bound_is_the_databases() {
        assert_eq!(
            Amount::parse("10000000000000.00", currency("EUR")).unwrap(),
            Amount::MAX
        );
        for text in [
            "10000000000000.01",
            "99999999999999999999999999999999999999",
        ] {
            assert_eq!(
                Amount::parse(text, currency("EUR")),
                Err(AmountError::TooLarge)
            );
        }
    }

    proptest! {
        #[test]
        fn text_and_units_are_one(units in -Amount::MAX.units()..=Amount::MAX.units()) {
            for code in ["JPY", "EUR", "KWD", "CLF"] {
                let amount = Amount::of_units(units);
                prop_assert_eq!(Amount::parse(&amount.display(currency(code)), currency(code)), Ok(amount));
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = Amount::parse(&text, currency("EUR"));
        }
    }
}
