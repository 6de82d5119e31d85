//! Journal entries: built balanced or not at all.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use super::{AccountKey, Balance, Book, Digest};
use crate::{
    id::{PaymentId, PledgeId},
    money::{Amount, Commodity},
};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// Why an entry was made; one a row of domain.md §4.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Event {
            $($(#[$doc])* $name,)*
        }

        impl Event {
            /// The word that the database keeps.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The event of a word.
            #[must_use]
            pub fn of_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$name),)* _ => None }
            }
        }
    };
}

events! {
    /// Shares of a class were authorised.
    SharesAuthorised = "shares_authorised",
    /// A member promised an amount.
    PledgeCreated = "pledge_created",
    /// A promise was raised or lowered.
    PledgeAmended = "pledge_amended",
    /// A promise was cancelled.
    PledgeCancelled = "pledge_cancelled",
    /// A promise ran out, or was dropped after failed charges.
    PledgeExpired = "pledge_expired",
    /// A provider took a payment.
    PaymentSucceeded = "payment_succeeded",
    /// A provider's payment whose payer is not known.
    PaymentUnallocated = "payment_unallocated",
    /// The provider's fee for a payment.
    PaymentFee = "payment_fee",
    /// A payment failed after it had succeeded.
    PaymentLateFailure = "payment_late_failure",
    /// A bank credit for a known pledge or member.
    ReceiptMatched = "receipt_matched",
    /// A bank credit that names nobody.
    ReceiptUnallocated = "receipt_unallocated",
    /// Unallocated money found its member.
    ReceiptAllocated = "receipt_allocated",
    /// The exact reversal of another entry.
    Reversal = "reversal",
    /// A deferred fee became an expense, since its payment was lost.
    FeeExpensed = "fee_expensed",
    /// An entry made by hand.
    ManualEntry = "manual_entry",
    /// Application money became refundable.
    MoneyReleased = "money_released",
    /// A promise ended with its offer.
    PledgeLapsed = "pledge_lapsed",
    /// A member bears a failure's fee, as disclosed.
    FeeCharged = "fee_charged",
    /// A refund was sent, or sent again.
    RefundSent = "refund_sent",
    /// The bank debited a refund.
    RefundDebited = "refund_debited",
    /// A refund came back.
    RefundFailed = "refund_failed",
    /// Application money became shares.
    SharesAllotted = "shares_allotted",
    /// Deferred fees became a cost of the issue, with the allotment.
    IssueCosts = "issue_costs",
    /// A payout left the provider, or a top-up the bank.
    PayoutSent = "payout_sent",
    /// A payout or a top-up arrived.
    PayoutArrived = "payout_arrived",
    /// A payout or a top-up failed, before or after it arrived.
    PayoutFailed = "payout_failed",
    /// The deposit to the seller.
    SellerDeposit = "seller_deposit",
    /// The seller gave the deposit back.
    SellerDepositReturned = "seller_deposit_returned",
    /// The purchase was completed.
    PurchaseCompleted = "purchase_completed",
    /// An underwriter's advance came in.
    AdvanceReceived = "advance_received",
    /// The bank debited an outgoing payment.
    OutgoingDebited = "outgoing_debited",
    /// The bank's charges.
    BankCharge = "bank_charge",
    /// Interest came in.
    InterestReceived = "interest_received",
}

/// One line: an amount on an account, debit positive and credit negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The account.
    pub account: AccountKey,
    /// Debit positive, credit negative.
    pub amount: Amount,
    /// The payment whose money it is.
    pub payment: Option<PaymentId>,
    /// The pledge that it belongs to.
    pub pledge: Option<PledgeId>,
}

/// Why lines are no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The lines of one book and commodity do not add up to zero.
    #[error("{book:?} {commodity} is out of balance by {by} units")]
    Unbalanced {
        /// The book.
        book: Book,
        /// The commodity.
        commodity: Commodity,
        /// Debits less credits.
        by: i128,
    },
    /// Fewer than two lines.
    #[error("an entry has at least two lines")]
    TooFewLines,
    /// More lines than an entry may have.
    #[error("an entry has at most {} lines", JournalEntry::MAX_LINES)]
    TooManyLines,
    /// A line over the bound of [`Amount::MAX`].
    #[error("a line moves more than one entry may")]
    AmountTooLarge,
    /// An account whose owner is of the wrong kind for its code.
    #[error("account {0} has an owner of the wrong kind")]
    WrongOwner(AccountKey),
}

/// A journal entry: balanced per book and commodity, at least two lines, none of
/// them zero. There is no other way to make one than [`Draft::finish`] and
/// [`JournalEntry::reversal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    event: Event,
    occurred_at: OffsetDateTime,
    value_date: Date,
    reverses: Option<i64>,
    lines: Vec<Line>,
}

/// Lines on their way to an entry.
#[derive(Clone, Debug)]
pub struct Draft {
    entry: JournalEntry,
    payment: Option<PaymentId>,
    pledge: Option<PledgeId>,
}

impl Draft {
    /// Begins an entry.
    #[must_use]
    pub const fn new(event: Event, occurred_at: OffsetDateTime, value_date: Date) -> Self {
        Self {
            entry: JournalEntry {
                event,
                occurred_at,
                value_date,
                reverses: None,
                lines: Vec::new(),
            },
            payment: None,
            pledge: None,
        }
    }

    /// Names the payment and the pledge of the lines that follow.
    #[must_use]
    pub const fn about(mut self, payment: Option<PaymentId>, pledge: Option<PledgeId>) -> Self {
        self.payment = payment;
        self.pledge = pledge;
        self
    }

    /// Adds a debit; nothing for a zero.
    #[must_use]
    pub fn debit(self, account: AccountKey, amount: Amount) -> Self {
        self.line(account, amount)
    }

    /// Adds a credit; nothing for a zero.
    #[must_use]
    pub fn credit(self, account: AccountKey, amount: Amount) -> Self {
        self.line(account, amount.negated())
    }

    fn line(mut self, account: AccountKey, amount: Amount) -> Self {
        if !amount.is_zero() {
            self.entry.lines.push(Line {
                account,
                amount,
                payment: self.payment,
                pledge: self.pledge,
            });
        }
        self
    }

    /// The entry.
    ///
    /// # Errors
    /// [`EntryError`] when the lines are no entry.
    pub fn finish(self) -> Result<JournalEntry, EntryError> {
        let lines = &self.entry.lines;
        if lines.len() < 2 {
            return Err(EntryError::TooFewLines);
        }
        if lines.len() > JournalEntry::MAX_LINES {
            return Err(EntryError::TooManyLines);
        }
        let mut sums: HashMap<(Book, Commodity), i128> = HashMap::new();
        for line in lines {
            if !line.account.is_well_owned() {
                return Err(EntryError::WrongOwner(line.account));
            }
            if line.amount.units().unsigned_abs() > Amount::MAX.units().unsigned_abs() {
                return Err(EntryError::AmountTooLarge);
            }
            let unit = (line.account.code.book(), line.account.commodity);
            *sums.entry(unit).or_default() += i128::from(line.amount.units());
        }
        match sums.into_iter().find(|&(_, by)| by != 0) {
            Some(((book, commodity), by)) => Err(EntryError::Unbalanced {
                book,
                commodity,
                by,
            }),
            None => Ok(self.entry),
        }
    }
}

impl JournalEntry {
    /// The most lines that one entry may have.
    pub const MAX_LINES: usize = 1_000;

    /// The exact reversal of `original`, entry number `number`: every line with
    /// the other sign, on the original's value date, so that "as of a value
    /// date" shows the mistake nowhere.
    #[must_use]
    pub fn reversal(original: &Self, number: i64, occurred_at: OffsetDateTime) -> Self {
        Self {
            event: Event::Reversal,
            occurred_at,
            value_date: original.value_date,
            reverses: Some(number),
            lines: original
                .lines
                .iter()
                .map(|line| Line {
                    amount: line.amount.negated(),
                    ..*line
                })
                .collect(),
        }
    }

    /// An entry that the database holds, and has therefore checked.
    #[must_use]
    pub fn stored(
        event: Event,
        occurred_at: OffsetDateTime,
        value_date: Date,
        reverses: Option<i64>,
        lines: Vec<Line>,
    ) -> Self {
        Self {
            event,
            occurred_at,
            value_date,
            reverses,
            lines,
        }
    }

    /// Why it was made.
    #[must_use]
    pub const fn event(&self) -> Event {
        self.event
    }

    /// When it happened, by the provider's or the user's clock.
    #[must_use]
    pub const fn occurred_at(&self) -> OffsetDateTime {
        self.occurred_at
    }

    /// The day on which the money counts.
    #[must_use]
    pub const fn value_date(&self) -> Date {
        self.value_date
    }

    /// The number of the entry that it reverses.
    #[must_use]
    pub const fn reverses(&self) -> Option<i64> {
        self.reverses
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

/// A line in the journal, with what its account stood at after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostedLine {
    /// The line.
    pub line: Line,
    /// The account's number in the campaign.
    pub account_no: i32,
    /// The account after the line.
    pub balance: Balance,
}

/// An entry in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedEntry {
    /// Dense within the campaign, from 1.
    pub number: i64,
    /// The change that it belongs to.
    pub change: i64,
    /// When it was recorded.
    pub recorded_at: OffsetDateTime,
    /// The ledger's digest up to and including it.
    pub digest: Digest,
    /// The entry.
    pub entry: JournalEntry,
    /// Its lines as they were posted.
    pub lines: Vec<PostedLine>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::{date, datetime};

    use super::*;
    use crate::{
        id::{MemberId, MoneyAccountId},
        ledger::{Code, Owner},
    };

    fn account(code: Code, currency: &str, owner: Owner) -> AccountKey {
        AccountKey {
            code,
            commodity: Commodity::Currency(currency.parse().unwrap()),
            owner,
        }
    }

    fn draft() -> Draft {
        Draft::new(
            Event::PaymentSucceeded,
            datetime!(2016-12-14 12:00 UTC),
            date!(2016 - 12 - 14),
        )
    }

    fn units(units: i64) -> Amount {
        Amount::of_units(units)
    }

    #[test]
    fn an_entry_balances_in_every_book_and_commodity_by_itself() {
        let provider = Owner::MoneyAccount(MoneyAccountId::mint());
        let member = Owner::Member(MemberId::mint());
        let euros = draft().debit(account(Code::ProviderBalance, "EUR", provider), units(100));
        let dollars = euros
            .clone()
            .credit(account(Code::ApplicationMoney, "USD", member), units(100));
        assert!(matches!(
            dollars.finish(),
            Err(EntryError::Unbalanced { .. })
        ));
        let promises = euros.clone().credit(
            account(Code::CommitmentsContra, "EUR", Owner::Nobody),
            units(100),
        );
        assert!(matches!(
            promises.finish(),
            Err(EntryError::Unbalanced { .. })
        ));
        let entry = euros.credit(account(Code::ApplicationMoney, "EUR", member), units(100));
        assert!(entry.finish().is_ok());
    }

    #[test]
    fn an_owner_of_the_wrong_kind_is_refused() {
        let entry = draft()
            .debit(
                account(Code::ProviderBalance, "EUR", Owner::Nobody),
                units(1),
            )
            .credit(account(Code::Donations, "EUR", Owner::Nobody), units(1));
        assert!(matches!(entry.finish(), Err(EntryError::WrongOwner(_))));
    }

    #[test]
    fn zero_lines_vanish_and_one_line_is_no_entry() {
        let a = account(Code::Donations, "EUR", Owner::Nobody);
        assert_eq!(
            draft()
                .debit(a, Amount::ZERO)
                .credit(a, Amount::ZERO)
                .finish(),
            Err(EntryError::TooFewLines)
        );
    }

    #[test]
    fn no_line_exceeds_the_bound() {
        let a = account(Code::ProviderFees, "EUR", Owner::Nobody);
        let too_much = units(Amount::MAX.units() + 1);
        assert_eq!(
            draft().debit(a, too_much).credit(a, too_much).finish(),
            Err(EntryError::AmountTooLarge)
        );
    }

    proptest! {
        #[test]
        fn whatever_is_built_is_balanced(amounts in prop::collection::vec(-5_i64..5, 0..8)) {
            let a = account(Code::ProviderFees, "EUR", Owner::Nobody);
            let drafted = amounts.iter().fold(draft(), |d, &amount| d.debit(a, units(amount)));
            if let Ok(entry) = drafted.finish() {
                prop_assert_eq!(entry.lines().iter().map(|l| l.amount.units()).sum::<i64>(), 0);
                prop_assert!(entry.lines().len() >= 2);
                let back = JournalEntry::reversal(&entry, 7, entry.occurred_at());
                prop_assert_eq!(back.lines().len(), entry.lines().len());
                for (line, reversed) in entry.lines().iter().zip(back.lines()) {
                    prop_assert_eq!(line.amount, reversed.amount.negated());
                }
            }
        }
    }
}
