//! Stripe's amounts. Their unit is Stripe's own and not ISO 4217's: which
//! currencies have no decimals, or three, stands here and nowhere else.

use crate::{
    domain::Money,
    money::{Amount, Currency},
};

/// Amounts in whole units. MGA has two decimals in ISO 4217.
const NO_DECIMALS: &[&str] = &[
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf",
    "xof", "xpf",
];

/// Amounts in hundredths. ISK and UGX have no decimals in ISO 4217; Stripe keeps
/// two for them that are always 00.
const TWO_DECIMALS: &[&str] = &[
    "aed", "afn", "all", "amd", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd", "bdt", "bgn",
    "bmd", "bnd", "bob", "brl", "bsd", "bwp", "byn", "bzd", "cad", "cdf", "chf", "cny", "cop",
    "crc", "cve", "czk", "dkk", "dop", "dzd", "egp", "etb", "eur", "fjd", "fkp", "gbp", "gel",
    "gip", "gmd", "gtq", "gyd", "hkd", "hnl", "htg", "huf", "idr", "ils", "inr", "isk", "jmd",
    "kes", "kgs", "khr", "kyd", "kzt", "lak", "lbp", "lkr", "lrd", "lsl", "mad", "mdl", "mkd",
    "mmk", "mnt", "mop", "mur", "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn", "nio", "nok",
    "npr", "nzd", "pab", "pen", "pgk", "php", "pkr", "pln", "qar", "ron", "rsd", "rub", "sar",
    "sbd", "scr", "sek", "sgd", "shp", "sle", "sos", "srd", "szl", "thb", "tjs", "top", "try",
    "ttd", "twd", "tzs", "uah", "ugx", "usd", "uyu", "uzs", "wst", "xcd", "xcg", "yer", "zar",
    "zmw",
];

/// Amounts in thousandths, of which the last digit is always 0.
const THREE_DECIMALS: &[&str] = &["bhd", "jod", "kwd", "omr", "tnd"];

/// Why an amount of Stripe's is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AmountError {
    /// Not in the tables above, or not in ISO 4217's.
    #[error("unknown currency \"{0}\"")]
    UnknownCurrency(String),
    /// Nothing, or less.
    #[error("an amount of {0}")]
    NotPositive(i64),
    /// More than one entry may move.
    #[error("an amount of {0}, more than one entry may move")]
    TooLarge(i64),
    /// Digits that the currency does not have.
    #[error("an amount of {amount} in {currency}, which that currency cannot have")]
    TooPrecise {
        /// Stripe's number.
        amount: i64,
        /// The currency.
        currency: Currency,
    },
}

fn decimals(code: &str) -> Option<u32> {
    let table = [(NO_DECIMALS, 0), (TWO_DECIMALS, 2), (THREE_DECIMALS, 3)];
    let found = table.iter().find(|(codes, _)| codes.contains(&code));
    found.map(|(_, decimals)| *decimals)
}

/// Converts an amount of Stripe's, exactly.
pub(super) fn money(amount: i64, code: &str) -> Result<Money, AmountError> {
    let unknown = || AmountError::UnknownCurrency(code.chars().take(10).collect());
    let theirs = decimals(code).ok_or_else(unknown)?;
    let currency: Currency = code.to_uppercase().parse().map_err(|_| unknown())?;
    if amount <= 0 {
        return Err(AmountError::NotPositive(amount));
    }
    let too_precise = AmountError::TooPrecise { amount, currency };
    if theirs == 3 && amount % 10 != 0 {
        return Err(too_precise);
    }
    let ours = currency.decimals();
    let too_large = || AmountError::TooLarge(amount);
    let units = if ours >= theirs {
        let scale = 10_i64.checked_pow(ours - theirs).ok_or_else(too_large)?;
        amount.checked_mul(scale).ok_or_else(too_large)?
    } else {
        let scale = 10_i64.checked_pow(theirs - ours).ok_or_else(too_large)?;
        if amount % scale != 0 {
            return Err(too_precise);
        }
        amount / scale
    };
    let amount = Amount::of_units(units);
    if amount > Amount::MAX {
        return Err(too_large());
    }
    Ok(Money { amount, currency })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(amount: i64, code: &str) -> String {
        money(amount, code).unwrap().to_string()
    }

    #[test]
    fn every_class_of_currency_is_converted_exactly() {
        assert_eq!(text(1250, "eur"), "EUR 12.50");
        assert_eq!(text(1250, "jpy"), "JPY 1250");
        assert_eq!(text(1250, "kwd"), "KWD 1.250");
        assert_eq!(text(1200, "isk"), "ISK 12");
        assert_eq!(text(1200, "ugx"), "UGX 12");
        assert_eq!(text(12, "mga"), "MGA 12.00");
        assert_eq!(text(1250, "huf"), "HUF 12.50");
    }

    #[test]
    fn digits_that_a_currency_does_not_have_are_for_a_person() {
        for (amount, code) in [(1250, "isk"), (1, "ugx"), (1251, "kwd")] {
            let refused = money(amount, code);
            assert!(
                matches!(refused, Err(AmountError::TooPrecise { .. })),
                "{code}"
            );
        }
    }

    #[test]
    fn what_is_no_amount_of_ours_is_refused() {
        for code in ["", "EUR", "xxx", "btc", "usdc", "iqd", "€"] {
            let refused = money(100, code);
            assert!(
                matches!(refused, Err(AmountError::UnknownCurrency(_))),
                "{code}"
            );
        }
        for amount in [0, -1, i64::MIN] {
            assert_eq!(money(amount, "eur"), Err(AmountError::NotPositive(amount)));
        }
        for code in ["eur", "mga", "jpy"] {
            assert_eq!(money(i64::MAX, code), Err(AmountError::TooLarge(i64::MAX)));
        }
        assert_eq!(
            money(Amount::MAX.units(), "eur").unwrap().amount,
            Amount::MAX
        );
    }

    #[test]
    fn the_tables_name_currencies_once_and_only_such_as_there_are() {
        let tables = [NO_DECIMALS, TWO_DECIMALS, THREE_DECIMALS].concat();
        for code in &tables {
            assert!(code.to_uppercase().parse::<Currency>().is_ok(), "{code}");
            assert_eq!(
                tables.iter().filter(|other| other == &code).count(),
                1,
                "{code}"
            );
        }
    }
}
