//! The chart of accounts: the same for every campaign, and the same as the
//! database's `chart_account` (a test compares the two).

use serde::{Deserialize, Serialize};

/// One of the three books of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Book {
    /// Money, one commodity per currency.
    Financial,
    /// Promises.
    Memo,
    /// Share units, one commodity per share class.
    Units,
}

impl Book {
    /// The letter that the database uses.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Financial => "F",
            Self::Memo => "M",
            Self::Units => "U",
        }
    }
}

/// A side of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Side {
    /// Left; positive inside.
    Debit,
    /// Right; negative inside.
    Credit,
}

impl Side {
    /// 1 for debit, -1 for credit.
    #[must_use]
    pub const fn sign(self) -> i64 {
        match self {
            Self::Debit => 1,
            Self::Credit => -1,
        }
    }
}

/// What kind of account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// What the campaign has.
    Asset,
    /// What it owes.
    Liability,
    /// What belongs to its members.
    Equity,
    /// What came in for good.
    Income,
    /// What is gone.
    Expense,
    /// A promise, beside the money.
    Memo,
    /// Shares, counted.
    Units,
}

impl Kind {
    /// The word that the database and the reports use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Liability => "liability",
            Self::Equity => "equity",
            Self::Income => "income",
            Self::Expense => "expense",
            Self::Memo => "memo",
            Self::Units => "units",
        }
    }
}

/// Whose sub-accounts a code has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerKind {
    /// One account a commodity.
    Nobody,
    /// One a member.
    Member,
    /// One a provider account.
    Provider,
    /// One a bank account.
    Bank,
    /// One an unallocated payment.
    Payment,
    /// One a dispute.
    Dispute,
    /// One a pair of currencies.
    Pair,
}

impl OwnerKind {
    /// The word that the database uses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Member => "member",
            Self::Provider => "provider",
            Self::Bank => "bank",
            Self::Payment => "payment",
            Self::Dispute => "dispute",
            Self::Pair => "pair",
        }
    }
}

/// What an account's balance may never be.
///
/// `Never(Side::Debit)`: never a debit balance.
type Floor = Option<Side>;

const NEVER_DEBIT: Floor = Some(Side::Debit);
const NEVER_CREDIT: Floor = Some(Side::Credit);
const EITHER: Floor = None;

macro_rules! chart {
    ($($number:literal $code:ident $name:literal $book:ident $kind:ident $side:ident $floor:ident $owner:ident;)*) => {
        /// A code of the chart of accounts.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub enum Code {
            $(#[doc = $name] $code,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The number, for example 2100.
            #[must_use]
            pub const fn number(self) -> i16 {
                match self { $(Self::$code => $number,)* }
            }

            /// The code of a number.
            #[must_use]
            pub const fn of_number(number: i16) -> Option<Self> {
                match number { $($number => Some(Self::$code),)* _ => None }
            }

            /// What a treasurer calls it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// The book it belongs to.
            #[must_use]
            pub const fn book(self) -> Book {
                match self { $(Self::$code => Book::$book,)* }
            }

            /// What kind of account it is.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$code => Kind::$kind,)* }
            }

            /// Its normal side.
            #[must_use]
            pub const fn normal_side(self) -> Side {
                match self { $(Self::$code => Side::$side,)* }
            }

            /// The side on which its balance may never stand, if there is one
            /// (domain.md §5, invariant 2).
            #[must_use]
            pub const fn never(self) -> Option<Side> {
                match self { $(Self::$code => $floor,)* }
            }

            /// Whose sub-accounts it has.
            #[must_use]
            pub const fn owner_kind(self) -> OwnerKind {
                match self { $(Self::$code => OwnerKind::$owner,)* }
            }
        }
    };
}

chart! {
    1000 ProviderBalance "Provider balance" Financial Asset Debit EITHER Provider;
    1010 ProviderReserve "Provider reserve" Financial Asset Debit EITHER Provider;
    1050 PayoutsInTransit "Payouts in transit" Financial Asset Debit EITHER Provider;
    1100 EscrowBank "Escrow bank account" Financial Asset Debit EITHER Bank;
    1110 OperatingBank "Operating bank account" Financial Asset Debit EITHER Bank;
    1120 SellerEscrow "Escrow on the seller's side" Financial Asset Debit EITHER Nobody;
    1150 OutgoingClearing "Outgoing payments clearing" Financial Asset Debit EITHER Nobody;
    1200 UnderDispute "Funds under dispute" Financial Asset Debit NEVER_CREDIT Dispute;
    1300 MembersReceivable "Receivable from members" Financial Asset Debit NEVER_CREDIT Member;
    1400 SellerDeposit "Deposit paid to the seller" Financial Asset Debit NEVER_CREDIT Nobody;
    1450 Investment "Investment in the thing bought" Financial Asset Debit EITHER Nobody;
    1500 DeferredIssueCosts "Deferred issue costs" Financial Asset Debit NEVER_CREDIT Nobody;
    1600 CurrencyClearing "Currency clearing" Financial Asset Debit EITHER Pair;
    2100 ApplicationMoney "Share application money" Financial Liability Credit NEVER_DEBIT Member;
    2110 ConditionalDonations "Conditional donations" Financial Liability Credit NEVER_DEBIT Member;
    2150 TipsOwed "Tips owed to a platform" Financial Liability Credit NEVER_DEBIT Member;
    2200 RefundsPayable "Refunds payable" Financial Liability Credit NEVER_DEBIT Member;
    2210 RefundsReturned "Refunds returned" Financial Liability Credit NEVER_DEBIT Member;
    2300 LiabilityShares "Shares classed as a liability" Financial Liability Credit NEVER_DEBIT Member;
    2310 CapitalPayable "Capital payable" Financial Liability Credit NEVER_DEBIT Member;
    2400 OwedToSeller "Owed to the seller" Financial Liability Credit EITHER Nobody;
    2500 OtherCreditors "Other creditors" Financial Liability Credit EITHER Nobody;
    2510 UnderwritersAdvance "Underwriter's advance" Financial Liability Credit EITHER Nobody;
    2700 BonusPool "Assurance bonus pool" Financial Liability Credit NEVER_DEBIT Nobody;
    2800 ShareInterestPayable "Share interest payable" Financial Liability Credit NEVER_DEBIT Member;
    2900 UnallocatedReceipts "Unallocated receipts" Financial Liability Credit NEVER_DEBIT Payment;
    3000 ShareCapital "Share capital" Financial Equity Credit NEVER_DEBIT Member;
    3010 SharePremium "Share premium" Financial Equity Credit NEVER_DEBIT Nobody;
    3100 IssueCosts "Share issue costs" Financial Equity Debit EITHER Nobody;
    3200 Reserve "Reserve" Financial Equity Credit EITHER Nobody;
    4000 Donations "Donations and cover by an underwriter" Financial Income Credit EITHER Nobody;
    4100 Interest "Interest received" Financial Income Credit EITHER Nobody;
    4200 CurrencyGain "Currency gain" Financial Income Credit EITHER Nobody;
    4300 AdministrationCharge "Administration charge" Financial Income Credit EITHER Nobody;
    4400 UnclaimedWrittenBack "Unclaimed refunds written back" Financial Income Credit EITHER Nobody;
    5000 ProviderFees "Provider fees and bank charges" Financial Expense Debit EITHER Nobody;
    5100 DisputeFees "Dispute and charge-back fees" Financial Expense Debit EITHER Nobody;
    5200 ReversalLosses "Losses from reversals" Financial Expense Debit EITHER Nobody;
    5300 CurrencyLoss "Currency loss" Financial Expense Debit EITHER Nobody;
    5400 AbandonedIssueCosts "Issue costs of an abandoned offer" Financial Expense Debit EITHER Nobody;
    5500 FailedAcquisitionCosts "Costs of a failed acquisition" Financial Expense Debit EITHER Nobody;
    5800 ShareInterest "Share interest" Financial Expense Debit EITHER Nobody;
    8000 SharesHeld "Shares held" Units Units Credit NEVER_DEBIT Member;
    8010 UnissuedShares "Unissued shares" Units Units Credit NEVER_DEBIT Nobody;
    8020 AuthorisedShares "Authorised shares" Units Units Debit EITHER Nobody;
    8030 CancelledShares "Cancelled shares" Units Units Credit EITHER Nobody;
    9000 Commitments "Commitments" Memo Memo Debit NEVER_CREDIT Member;
    9001 CommitmentsContra "Commitments, contra" Memo Memo Credit EITHER Nobody;
    9100 CardHolds "Card holds" Memo Memo Debit NEVER_CREDIT Member;
    9101 CardHoldsContra "Card holds, contra" Memo Memo Credit EITHER Nobody;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_are_one_to_one_and_in_order() {
        let numbers: Vec<i16> = Code::ALL.iter().map(|code| code.number()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b));
        for &code in Code::ALL {
            assert_eq!(Code::of_number(code.number()), Some(code));
        }
        assert_eq!(Code::of_number(2101), None);
    }

    #[test]
    fn a_floor_stands_on_the_side_that_is_not_normal() {
        for &code in Code::ALL {
            if let Some(never) = code.never() {
                assert_ne!(never, code.normal_side(), "{code:?}");
            }
        }
    }
}
