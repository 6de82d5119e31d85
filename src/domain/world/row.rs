//! Rows as a world has them, beside the nouns.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    domain::{
        Refusal,
        campaign::Campaign,
        member::{Member, Signature},
        payment::{MoneyAccount, Payment},
        payout::Payout,
        pledge::Pledge,
        refund::Refund,
        run::Run,
        share::Lot,
    },
    id::{MoneyAccountId, PaymentId, RequestId},
    ledger::{Balance, Digest, JournalEntry},
    money::Amount,
};

/// A campaign's numbers, from its head row; by default of one of which nothing is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The last change.
    pub change: i64,
    /// The last entry.
    pub entry: i64,
    /// The last account.
    pub account: i32,
    /// When the last change was recorded; nothing before the first.
    pub recorded_at: Option<OffsetDateTime>,
    /// The digest after the last entry.
    pub digest: Digest,
    /// What the last batch calls itself: a number at random, 0 before the first that does.
    pub batch: i64,
}

/// An account with its number and balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// Dense within the campaign.
    pub number: i32,
    /// Where it stands.
    pub balance: Balance,
}

/// The identity of a movement of money elsewhere, and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EffectKey {
    /// The provider or bank account.
    pub account: MoneyAccountId,
    /// The provider's or bank's id of the movement.
    pub object: String,
    /// capture, fee, failure, late_failure, refund, payout …: see `EFFECTS` in `store`.
    pub effect: &'static str,
    /// Tells a repetition apart.
    pub seq: String,
}

/// A claimed effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectRow {
    /// What it was claimed for.
    pub amount: Amount,
    /// The payment it is about, where it is about one.
    pub payment: Option<PaymentId>,
    /// The change that claimed it.
    pub change: i64,
}

/// An entry that a command wants to reverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// The entry.
    pub entry: JournalEntry,
    /// The entry that reverses it already.
    pub reversed_by: Option<i64>,
}

/// A recorded outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRow {
    /// Dense within the campaign.
    pub number: i64,
    /// The caller's id of the request.
    pub request_id: RequestId,
    /// The method as the API names it.
    pub method: Cow<'static, str>,
    /// Who asked.
    pub principal: String,
    /// What was asked, as hashes.
    pub fields: Vec<u8>,
    /// When it was recorded.
    pub recorded_at: OffsetDateTime,
    /// The first and the last entry that it posted.
    pub entries: Option<(i64, i64)>,
    /// The change whose answer it repeats.
    pub same_as: Option<i64>,
    /// Why it was refused.
    pub refusal: Option<Refusal>,
    /// Why it was asked, in the words of whoever asked.
    pub reason: String,
}

/// A noun after a change: what history keeps, and what a response shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "noun", rename_all = "snake_case")]
pub enum Snapshot {
    /// A campaign.
    Campaign(Box<Campaign>),
    /// A member, without name and e-mail address.
    Member(Member),
    /// A signature.
    Signature(Signature),
    /// A pledge.
    Pledge(Pledge),
    /// A payment.
    Payment(Box<Payment>),
    /// A provider or bank account.
    MoneyAccount(MoneyAccount),
    /// A payout.
    Payout(Payout),
    /// A refund.
    Refund(Refund),
    /// A lot of shares.
    Lot(Lot),
    /// A run.
    Run(Box<Run>),
}

/// What a change made of one noun. Stored with its change, as an item of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryRow {
    /// The change.
    #[serde(skip)]
    pub change: i64,
    /// Whose history it is.
    pub subject: Uuid,
    /// The subject after the change.
    pub snapshot: Snapshot,
}
