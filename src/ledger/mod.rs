//! The double-entry ledger, pure: the chart of accounts, journal entries that
//! cannot be built unbalanced, and the digest that chains them.
//!
//! Amounts are signed, debit positive and credit negative; an account's balance
//! is the sum of its lines. Every entry balances to zero per book and commodity:
//! money with money of the same currency, promises with promises, shares with
//! shares of the same class. What has no async, no clock and no database can be
//! tested to the last case.

mod account;
mod chart;
mod digest;
mod entry;

pub use account::{AccountKey, Balance, Owner};
pub use chart::{Book, Code, Kind, OwnerKind, Side};
pub use digest::{Digest, chain};
pub use entry::{Draft, EntryError, Event, JournalEntry, Line, PostedEntry, PostedLine};
