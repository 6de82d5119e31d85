//! The ledger itself: accounts, balances, entries, and their reversal.

mod accounts;
mod days;
mod entries;
mod manual;
mod reversal;
