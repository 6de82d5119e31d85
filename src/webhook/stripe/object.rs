//! Stripe's objects, as far as they tell what was captured.

use serde::Deserialize;

use super::reference::Metadata;
use crate::domain::payment::Method;

/// A capture, whichever object told it.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) charge: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) method: Method,
    pub(super) metadata: Metadata,
}

/// Why an object that should tell a capture does not.
type Told = Result<Capture, &'static str>;

/// A payment intent.
#[derive(Deserialize)]
pub(super) struct Intent {
    amount_received: i64,
    currency: String,
    metadata: Option<Metadata>,
    latest_charge: Option<Expandable>,
    /// In versions of the API before `latest_charge`, newest first.
    charges: Option<List>,
    #[serde(default)]
    payment_method_types: Vec<String>,
}

/// A reference, or the object itself where the endpoint's version expands it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Expandable {
    Id(String),
    Object(Brief),
}

#[derive(Deserialize)]
struct List {
    data: Vec<Brief>,
}

/// A charge inside an intent.
#[derive(Deserialize)]
struct Brief {
    id: String,
    status: Option<String>,
    payment_method_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(rename = "type")]
    kind: String,
}

/// A charge.
#[derive(Deserialize)]
pub(super) struct Charge {
    id: String,
    amount: i64,
    /// Missing in old versions of the API.
    amount_captured: Option<i64>,
    captured: bool,
    currency: String,
    metadata: Option<Metadata>,
    payment_method_details: Option<Details>,
}

impl Intent {
    pub(super) fn capture(self) -> Told {
        let listed = self.charges.and_then(|mut list| {
            let succeeded = |charge: &Brief| charge.status.as_deref() == Some("succeeded");
            let index = list.data.iter().position(succeeded).unwrap_or(0);
            (index < list.data.len()).then(|| list.data.swap_remove(index))
        });
        let latest = match self.latest_charge {
            Some(Expandable::Object(charge)) => Some(charge),
            Some(Expandable::Id(id)) => {
                // The list may tell more of the same charge.
                let details = listed.filter(|charge| charge.id == id);
                Some(Brief {
                    id,
                    status: None,
                    payment_method_details: details.and_then(|c| c.payment_method_details),
                })
            }
            None => listed,
        };
        let charge = latest.ok_or("a payment intent without a charge")?;
        let method = match charge.payment_method_details {
            Some(details) => method(&details.kind),
            None => latest_to_clear(&self.payment_method_types),
        };
        Ok(Capture {
            charge: charge.id,
            amount: self.amount_received,
            currency: self.currency,
            method,
            metadata: self.metadata.unwrap_or_default(),
        })
    }
}

impl Charge {
    /// Held on a card, for a capture that may come later.
    pub(super) const fn is_only_authorised(&self) -> bool {
        !self.captured
    }

    pub(super) fn capture(self) -> Told {
        let details = self.payment_method_details.as_ref();
        Ok(Capture {
            charge: self.id,
            // Nothing captured of a captured charge contradicts itself: a person must look.
            amount: self.amount_captured.unwrap_or(self.amount),
            currency: self.currency,
            method: details.map_or(Method::Card, |details| method(&details.kind)),
            metadata: self.metadata.unwrap_or_default(),
        })
    }
}

/// Pulled from a bank account: can come back for weeks.
const DEBITS: &[&str] = &[
    "ach_debit",
    "acss_debit",
    "au_becs_debit",
    "bacs_debit",
    "nz_bank_account",
    "sepa_debit",
    "us_bank_account",
];

/// Pushed from a bank account.
const TRANSFERS: &[&str] = &[
    "bancontact",
    "blik",
    "customer_balance",
    "eps",
    "fpx",
    "giropay",
    "ideal",
    "multibanco",
    "p24",
    "pay_by_bank",
    "paynow",
    "pix",
    "promptpay",
    "sofort",
    "twint",
];

/// How money of a payment method of Stripe's was paid. Cards, wallets and what
/// pays later are one: nobody but a bank can take them back.
fn method(kind: &str) -> Method {
    if DEBITS.contains(&kind) {
        Method::DirectDebit
    } else if TRANSFERS.contains(&kind) {
        Method::BankTransfer
    } else {
        Method::Card
    }
}

/// How money was paid when only the methods on offer are known: by the one that
/// clears last, so that nothing counts as cleared too early.
fn latest_to_clear(kinds: &[String]) -> Method {
    let methods: Vec<Method> = kinds.iter().map(|kind| method(kind)).collect();
    match methods.as_slice() {
        [only] => *only,
        several if several.contains(&Method::DirectDebit) => Method::DirectDebit,
        _ => Method::Card,
    }
}
