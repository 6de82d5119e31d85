//! An account of a campaign, and its balance.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Code, OwnerKind, Side};
use crate::{
    id::{MemberId, MoneyAccountId, PaymentId},
    money::{Amount, Commodity},
};

/// Whose sub-account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Owner {
    /// The campaign's own.
    Nobody,
    /// A member's.
    Member(MemberId),
    /// A provider or bank account's.
    MoneyAccount(MoneyAccountId),
    /// A payment's that nobody is known for.
    Payment(PaymentId),
}

impl Owner {
    /// The owner's id as the database keeps it: all zero for nobody.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        match self {
            Self::Nobody => Uuid::nil(),
            Self::Member(member) => member.0,
            Self::MoneyAccount(account) => account.0,
            Self::Payment(payment) => payment.0,
        }
    }
}

/// What makes an account: its code, its commodity, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AccountKey {
    /// The code in the chart.
    pub code: Code,
    /// What it holds.
    pub commodity: Commodity,
    /// Whose it is.
    pub owner: Owner,
}

/// A text that names no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an account: write code, commodity and owner, as in \"2100.EUR.{{member}}\"")]
pub struct AccountKeyError;

impl AccountKey {
    /// The account of a code, a commodity and an owner's id as the database keeps it.
    /// Nothing for a code whose owners do not exist yet (disputes, pairs).
    #[must_use]
    pub fn of_owner_id(code: Code, commodity: Commodity, owner: Uuid) -> Option<Self> {
        let owner = match code.owner_kind() {
            OwnerKind::Nobody if owner.is_nil() => Owner::Nobody,
            OwnerKind::Member => Owner::Member(MemberId(owner)),
            OwnerKind::Provider | OwnerKind::Bank => Owner::MoneyAccount(MoneyAccountId(owner)),
            OwnerKind::Payment => Owner::Payment(PaymentId(owner)),
            OwnerKind::Nobody | OwnerKind::Dispute | OwnerKind::Pair => return None,
        };
        Some(Self {
            code,
            commodity,
            owner,
        })
    }

    /// True when the owner is of the kind that the code asks for.
    #[must_use]
    pub const fn is_well_owned(&self) -> bool {
        matches!(
            (self.code.owner_kind(), self.owner),
            (OwnerKind::Nobody, Owner::Nobody)
                | (OwnerKind::Member, Owner::Member(_))
                | (
                    OwnerKind::Provider | OwnerKind::Bank,
                    Owner::MoneyAccount(_)
                )
                | (OwnerKind::Payment, Owner::Payment(_))
        )
    }
}

/// The account's part of a resource name: `2100.EUR.{member}`, `1500.EUR`.
impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.code.number(), self.commodity)?;
        match self.owner {
            Owner::Nobody => Ok(()),
            Owner::Member(_) | Owner::MoneyAccount(_) | Owner::Payment(_) => {
                write!(f, ".{}", self.owner.uuid())
            }
        }
    }
}

impl FromStr for AccountKey {
    type Err = AccountKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(AccountKeyError);
        let code = next()?.parse().ok().and_then(Code::of_number);
        let commodity = next()?.parse().map_err(|_| AccountKeyError)?;
        let owner = match parts.next() {
            None => Uuid::nil(),
            Some(owner) => owner.parse::<MemberId>().map_err(|_| AccountKeyError)?.0,
        };
        let key = code.and_then(|code| Self::of_owner_id(code, commodity, owner));
        match (key, parts.next()) {
            (Some(key), None) if key.to_string() == text => Ok(key),
            _ => Err(AccountKeyError),
        }
    }
}

/// Where an account stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Debits less credits.
    pub net: Amount,
    /// All debits so far.
    pub debits: Amount,
}

impl Balance {
    /// The balance after a line of this amount (debit positive); nothing when
    /// it leaves the range.
    #[must_use]
    pub fn after(self, amount: Amount) -> Option<Self> {
        Some(Self {
            net: self.net.checked_add(amount)?,
            debits: if amount.is_positive() {
                self.debits.checked_add(amount)?
            } else {
                self.debits
            },
        })
    }

    /// All credits so far.
    #[must_use]
    pub const fn credits(self) -> Amount {
        self.debits.saturating_sub(self.net)
    }

    /// The balance as its normal side has it: positive there.
    #[must_use]
    pub const fn on_side(self, side: Side) -> Amount {
        match side {
            Side::Debit => self.net,
            Side::Credit => self.net.negated(),
        }
    }

    /// True when a code's floor allows this balance.
    #[must_use]
    pub const fn is_allowed(self, code: Code) -> bool {
        match code.never() {
            Some(Side::Debit) => !self.net.is_positive(),
            Some(Side::Credit) => !self.net.negated().is_positive(),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_name() {
        let member = MemberId::mint();
        for name in ["1500.EUR".to_owned(), format!("2100.EUR.{member}")] {
            assert_eq!(name.parse::<AccountKey>().unwrap().to_string(), name);
        }
        for name in [
            "",
            "2100",
            "2100.EUR.",
            "1500.EUR.x",
            "99.EUR",
            "01500.EUR",
            "1500.eur",
            "1500.EUR.1.2",
            "1500.EUR.00000000-0000-0000-0000-000000000000",
        ] {
            assert!(name.parse::<AccountKey>().is_err(), "{name}");
        }
    }

    #[test]
    fn floors_are_on_running_balances() {
        let balance = |net| Balance {
            net: Amount::of_units(net),
            debits: Amount::ZERO,
        };
        assert!(balance(-1).is_allowed(Code::ApplicationMoney));
        assert!(!balance(1).is_allowed(Code::ApplicationMoney));
        assert!(!balance(-1).is_allowed(Code::Commitments));
        assert!(balance(-1).is_allowed(Code::ProviderBalance));
    }
}
