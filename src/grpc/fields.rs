//! Wire values to the domain's and back. Every refusal names its field.

use std::{
    fmt::{Display, Write},
    str::FromStr,
};

use prost_types::Timestamp;
use time::{Date, OffsetDateTime, format_description::well_known::Iso8601};
use uuid::fmt::Hyphenated;

use super::{ApiError, Call, pb, pb::ErrorReason};
use crate::{
    clock::whole_microseconds,
    domain::{Money, Payer, Promise},
    id::{CampaignId, MemberId, PledgeId, RequestId},
    money::{Amount, Commodity, Currency},
};

type Parsed<T> = Result<T, ApiError>;

// From the wire.

pub(super) fn request_id(text: &str) -> Parsed<RequestId> {
    let id: RequestId = text
        .parse()
        .map_err(|error| ApiError::field("request_id", error))?;
    if id.0.is_nil() {
        return Err(ApiError::field("request_id", "the nil UUID is nobody's"));
    }
    Ok(id)
}

impl Call {
    /// A campaign by its name, one that the caller may see.
    pub(super) fn campaign(&self, field: &str, name: &str) -> Parsed<CampaignId> {
        let id = name
            .strip_prefix("campaigns/")
            .and_then(|id| id.parse().ok());
        let id = id.ok_or_else(|| ApiError::field(field, "write `campaigns/{campaign}`"))?;
        self.must_see(id)
    }

    /// Something of a campaign by its name, in a campaign that the caller may see.
    pub(super) fn of_campaign<T: FromStr>(
        &self,
        field: &str,
        name: &str,
        collection: &str,
    ) -> Parsed<(CampaignId, T)> {
        let malformed = || {
            let form = format!("write `campaigns/{{campaign}}/{collection}/{{id}}`");
            ApiError::field(field, form)
        };
        let mut parts = name.split('/');
        let (Some("campaigns"), Some(campaign), Some(found), Some(id), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(malformed());
        };
        if found != collection {
            return Err(malformed());
        }
        let campaign = campaign.parse().map_err(|_| malformed())?;
        let id = id.parse().map_err(|_| malformed())?;
        Ok((self.must_see(campaign)?, id))
    }

    /// Something of this very campaign, or nothing when the name is empty.
    pub(super) fn of_this<T: FromStr>(
        &self,
        campaign: CampaignId,
        field: &str,
        name: &str,
        collection: &str,
    ) -> Parsed<Option<T>> {
        if name.is_empty() {
            return Ok(None);
        }
        let (of, id) = self.of_campaign(field, name, collection)?;
        if of != campaign {
            return Err(ApiError::NotFound(name.to_owned()));
        }
        Ok(Some(id))
    }

    /// A payer of this very campaign.
    pub(super) fn payer(
        &self,
        campaign: CampaignId,
        pledge: Option<&str>,
        member: Option<&str>,
    ) -> Parsed<Payer> {
        if let Some(name) = pledge {
            let pledge: Option<PledgeId> = self.of_this(campaign, "pledge", name, "pledges")?;
            return pledge
                .map(Payer::Pledge)
                .ok_or_else(|| ApiError::field("pledge", "empty: leave the payer out instead"));
        }
        if let Some(name) = member {
            let member: Option<MemberId> = self.of_this(campaign, "member", name, "members")?;
            return member
                .map(Payer::Member)
                .ok_or_else(|| ApiError::field("member", "empty: leave the payer out instead"));
        }
        Ok(Payer::Unknown)
    }
}

/// A text of so many characters. Control characters have no place in names and
/// notes, and the database takes no NUL.
pub(super) fn text(field: &str, text: &str, least: usize, most: usize) -> Parsed<String> {
    let length = text.chars().count();
    if length < least || length > most {
        let problem = format!("{length} characters; from {least} to {most} are allowed");
        return Err(ApiError::field(field, problem));
    }
    if text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return Err(ApiError::field(field, "control characters are not allowed"));
    }
    if least > 0 && text.trim().is_empty() {
        return Err(ApiError::field(field, "blank"));
    }
    Ok(text.to_owned())
}

/// An outside system's id: printable, without spaces at the ends.
pub(super) fn outside_id(field: &str, text: &str) -> Parsed<String> {
    if text.trim() != text {
        return Err(ApiError::field(field, "begins or ends with a space"));
    }
    self::text(field, text, 1, 255)
}

/// Lower-case letters, digits and hyphens.
pub(super) fn slug(field: &str, text: &str) -> Parsed<String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.is_empty() || text.len() > 50 || !text.bytes().all(plain) {
        return Err(ApiError::field(
            field,
            "1 to 50 lower-case letters, digits and hyphens",
        ));
    }
    Ok(text.to_owned())
}

/// An e-mail address: something, one @, something; who can be reached there only
/// a letter tells.
pub(super) fn email(field: &str, email: &str) -> Parsed<String> {
    let email = email.trim();
    let plausible = email
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if !plausible || email.len() > 254 || email.chars().any(odd) {
        return Err(ApiError::field(field, "not an e-mail address"));
    }
    Ok(email.to_owned())
}

pub(super) fn currency(field: impl Display, code: &str) -> Parsed<Currency> {
    code.parse()
        .map_err(|error: crate::money::CurrencyError| ApiError::Field {
            field: field.to_string(),
            problem: error.to_string(),
            reason: ErrorReason::CurrencyUnknown,
        })
}

/// An amount of more than nothing.
pub(super) fn money(field: &str, money: Option<&pb::Money>) -> Parsed<Money> {
    let money = money.ok_or_else(|| ApiError::field(field, "missing"))?;
    let currency = currency(format_args!("{field}.currency_code"), &money.currency_code)?;
    let field = || format!("{field}.amount");
    let amount = Amount::parse(&money.amount, currency)
        .map_err(|error| ApiError::amount(&field(), &error))?;
    if !amount.is_positive() {
        return Err(ApiError::Field {
            field: field(),
            problem: "more than nothing is needed".to_owned(),
            reason: ErrorReason::AmountNotPositive,
        });
    }
    Ok(Money { amount, currency })
}

/// What is promised, by whichever of the two ways.
pub(super) fn promise(amount: Option<&pb::Money>, units: Option<i64>) -> Parsed<Promise> {
    match (amount, units) {
        (Some(amount), None) => money("amount", Some(amount)).map(Promise::Amount),
        (None, Some(units)) if units > 0 => Ok(Promise::Units(units)),
        (None, Some(_)) => Err(ApiError::field("units", "at least one share")),
        (None, None) => Err(ApiError::field(
            "promise",
            "an amount or a number of shares",
        )),
        (Some(_), Some(_)) => Err(ApiError::field("promise", "an amount or shares, not both")),
    }
}

/// The years in which a ledger of living people has dates.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2200;

pub(super) fn timestamp(field: &str, at: Option<&Timestamp>) -> Parsed<Option<OffsetDateTime>> {
    let Some(at) = at else {
        return Ok(None);
    };
    let nanos = i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos);
    let valid = (0..1_000_000_000).contains(&at.nanos);
    let parsed = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    match parsed.filter(|parsed| valid && YEARS.contains(&parsed.year())) {
        Some(at) => Ok(Some(whole_microseconds(at))),
        None => Err(ApiError::field(
            field,
            "not a moment between the years 2000 and 2200",
        )),
    }
}

pub(super) fn date(field: &str, text: &str) -> Parsed<Option<Date>> {
    if text.is_empty() {
        return Ok(None);
    }
    let date = Date::parse(text, &Iso8601::DATE).ok();
    match date.filter(|date| text.len() == 10 && YEARS.contains(&date.year())) {
        Some(date) => Ok(Some(date)),
        None => Err(ApiError::field(
            field,
            "not a day, written as in \"2026-11-22\"",
        )),
    }
}

/// The domain's value of an enum's value on the wire; nothing for "unspecified".
pub(super) fn word<T>(
    field: &str,
    name: Option<&str>,
    prefix: &str,
    of_word: impl FnOnce(&str) -> Option<T>,
) -> Parsed<Option<T>> {
    let unknown = || ApiError::field(field, "not a value that this service knows");
    let word = name
        .and_then(|name| name.strip_prefix(prefix))
        .ok_or_else(unknown)?;
    if word == "UNSPECIFIED" {
        return Ok(None);
    }
    of_word(&word.to_lowercase()).map(Some).ok_or_else(unknown)
}

// To the wire.

/// The value of an enum on the wire that has the name of a domain's word.
pub(super) fn wire<E: Into<i32>>(
    of_name: impl FnOnce(&str) -> Option<E>,
    prefix: &str,
    word: &str,
) -> i32 {
    let mut name = [prefix, word].concat();
    name.make_ascii_uppercase();
    of_name(&name).map_or(0, Into::into)
}

/// An amount of a currency.
pub(super) fn money_of(amount: Amount, currency: Currency) -> pb::Money {
    pb::Money {
        currency_code: currency.code().to_owned(),
        amount: amount.display(currency),
    }
}

/// An amount of whatever an account holds; shares are a whole number of no currency.
pub(super) fn amount_of(amount: Amount, commodity: Commodity) -> pb::Money {
    match commodity {
        Commodity::Currency(currency) => money_of(amount, currency),
        Commodity::Shares(_) => pb::Money {
            currency_code: String::new(),
            amount: amount.to_string(),
        },
    }
}

pub(super) fn timestamp_of(at: OffsetDateTime) -> Timestamp {
    Timestamp {
        seconds: at.unix_timestamp(),
        nanos: i32::try_from(at.nanosecond()).unwrap_or(0),
    }
}

pub(super) fn campaign_name(id: CampaignId) -> String {
    format!("campaigns/{id}")
}

/// The name of something of a campaign.
pub(super) fn name(campaign: CampaignId, collection: &str, id: impl Display) -> String {
    // An answer has a dozen names, and each would be moved twice while it grows.
    let mut name =
        String::with_capacity("campaigns//moneyAccounts/".len() + 2 * Hyphenated::LENGTH);
    // A String takes whatever is written to it.
    let _ = write!(name, "campaigns/{campaign}/{collection}/{id}");
    name
}

/// The name, or empty for nothing.
pub(super) fn name_or_none<T: std::fmt::Display>(
    campaign: CampaignId,
    collection: &str,
    id: Option<T>,
) -> String {
    id.map_or_else(String::new, |id| name(campaign, collection, id))
}
