//! What a command comes to, and what it is answered with.

use time::OffsetDateTime;

use super::{EffectKey, EffectRow, Snapshot};
use crate::{
    domain::{
        Refusal,
        campaign::{Campaign, Terms},
        member::{Member, Person, Signature},
        payment::{MoneyAccount, Payment},
        payout::Payout,
        pledge::Pledge,
        refund::Refund,
        run::{Run, RunItem},
        share::{Lot, ShareClass},
    },
    ledger::{JournalEntry, PostedEntry},
};

/// One row that a decision puts in the place of what was there.
#[derive(Clone, Debug)]
pub enum Put {
    /// The campaign.
    Campaign(Campaign),
    /// A version of its terms.
    Terms(Terms),
    /// A share class.
    ShareClass(ShareClass),
    /// A provider or bank account.
    MoneyAccount(MoneyAccount),
    /// A member.
    Member(Member),
    /// A name and an e-mail address.
    Person(Person),
    /// A signature.
    Signature(Signature),
    /// A pledge.
    Pledge(Pledge),
    /// A payment.
    Payment(Payment),
    /// A claim.
    Effect(EffectKey, EffectRow),
    /// A payout.
    Payout(Payout),
    /// A refund.
    Refund(Refund),
    /// A lot of shares.
    Lot(Lot),
    /// A run.
    Run(Run),
    /// An item of a run that was worked; its run counts it.
    RunItem(RunItem),
}

/// What a command comes to, before anything is changed.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    pub(super) puts: Vec<Put>,
    pub(super) entries: Vec<JournalEntry>,
    pub(super) same_as: Option<i64>,
    pub(super) reason: String,
}

impl Decision {
    pub(in crate::domain) fn of(puts: impl IntoIterator<Item = Put>) -> Self {
        Self {
            puts: puts.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Repeats the answer of an earlier change.
    pub(in crate::domain) fn same_as(change: i64) -> Self {
        Self {
            same_as: Some(change),
            ..Self::default()
        }
    }

    pub(in crate::domain) fn also(mut self, puts: impl IntoIterator<Item = Put>) -> Self {
        self.puts.extend(puts);
        self
    }

    pub(in crate::domain) fn posting(mut self, entry: JournalEntry) -> Self {
        self.entries.push(entry);
        self
    }

    pub(in crate::domain) fn postings(
        mut self,
        entries: impl IntoIterator<Item = JournalEntry>,
    ) -> Self {
        self.entries.extend(entries);
        self
    }

    pub(in crate::domain) fn because(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.reason);
        self
    }
}

/// What a command did: the entries that it posted and the nouns that it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The change.
    pub change: i64,
    /// When it was recorded.
    pub recorded_at: OffsetDateTime,
    /// The entries.
    pub entries: Vec<PostedEntry>,
    /// The nouns, each after the change.
    pub snapshots: Vec<Snapshot>,
}

/// What a command is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, by this command.
    Done(Answer),
    /// Refused, by this command.
    Refused(Refusal),
    /// Answered before under this request id, by the change of this number.
    Replayed(i64),
    /// The movement was recorded before, by the change of this number.
    RecordedBefore {
        /// This command's own change.
        change: i64,
        /// The change whose answer it gets.
        same_as: i64,
    },
}
