//! What a collective buyout may do, pure: state machines, the commands, and the
//! one function that decides them.
//!
//! A [`Command`] is decided on a [`World`], the rows that it needs, in memory.
//! [`World::execute`] either refuses it with a typed [`Refusal`] and leaves the
//! world as it was, or changes the world and notes what has to be written. The
//! book runs a batch of commands through one world, each seeing what the ones
//! before it did; `store` reads and writes worlds. Nothing here knows async, a
//! database, a clock or chance, so any sequence of commands can be replayed in a
//! test and must come out the same.
//!
//! | file | is about |
//! |---|---|
//! | `command` | what can be asked |
//! | `refusal` | what can be answered with no |
//! | `world` | the rows, and how a decision changes them |
//! | `campaign`, `member`, `pledge`, `payment`, `share` | one noun each: state machine and decisions |
//! | `refund`, `payout`, `bank` | money that goes back, between provider and bank, or for a purpose |
//! | `run` | work on every member, item by item |
//! | `manual` | entries by hand |
//! | `reversal` | taking an entry back, with the states that hung on it |
//! | `posting` | each money event's journal entry, row by row as domain.md §4 |
//! | `tally` | what a row counts toward a campaign's progress |

#![warn(clippy::wildcard_enum_match_arm)]

pub mod bank;
pub mod campaign;
mod command;
mod manual;
pub mod member;
pub mod payment;
pub mod payout;
pub mod pledge;
mod posting;
mod refusal;
pub mod refund;
mod reversal;
pub mod run;
pub mod share;
mod tally;
mod world;

pub use command::{
    Action, Command, Fingerprint, ManualEntry, ManualLine, Money, Payer, Promise, Receipt,
};
pub use refusal::{Refusal, Rejection};
pub use tally::Tally;
pub use world::{
    AccountRow, Answer, ChangeRow, Changed, Decision, EffectKey, EffectRow, EntryRow, Head,
    HistoryRow, Needs, Outcome, Put, Recent, Snapshot, World, Written,
};
