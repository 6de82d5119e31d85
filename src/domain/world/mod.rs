//! The rows that a batch works on, in memory, and how decisions change them.
//!
//! | file | is about |
//! |---|---|
//! | `needs` | which rows a batch of commands needs |
//! | `row` | rows beside the nouns: head, account, effect, change, history |
//! | `recent` | which request ids were recorded lately |
//! | `decision` | what a command comes to, and what it is answered with |
//! | `execute` | decide, post, put the rows in their places |
//! | `look_up` | what decisions look up |

mod decision;
mod execute;
mod look_up;
mod needs;
mod recent;
mod row;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub use decision::{Answer, Decision, Outcome, Put};
pub use needs::Needs;
pub use recent::Recent;
pub use row::{AccountRow, ChangeRow, EffectKey, EffectRow, EntryRow, Head, HistoryRow, Snapshot};

use uuid::Uuid;

use super::{
    Tally,
    campaign::{Campaign, Cleared, Terms},
    member::{Member, Person, Signature},
    payment::{MoneyAccount, Payment},
    payout::Payout,
    pledge::Pledge,
    refund::Refund,
    run::{Run, RunItem},
    share::{Lot, ShareClass},
};
use crate::{
    id::{
        CampaignId, MemberId, MoneyAccountId, PaymentId, PayoutId, PledgeId, RefundId, RequestId,
        RunId, SignatureId,
    },
    ledger::{AccountKey, PostedEntry},
};

/// What a world's commands changed: the rows to write, each in its last state.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// New accounts, in the order of their numbers.
    pub accounts: Vec<(i32, AccountKey)>,
    /// Outcomes, in order.
    pub changes: Vec<ChangeRow>,
    /// What the batch called itself on which they were decided.
    pub follows: i64,
    /// History, in order.
    pub history: Vec<HistoryRow>,
    /// Entries, in order.
    pub entries: Vec<PostedEntry>,
    /// Whether the campaign's row changed.
    pub campaign: bool,
    /// Whether the tally changed.
    pub tally: bool,
    /// New versions of the terms.
    pub terms: Vec<Terms>,
    /// New share classes.
    pub share_classes: Vec<ShareClass>,
    /// New provider and bank accounts.
    pub money_accounts: Vec<MoneyAccount>,
    /// New names and e-mail addresses.
    pub persons: Vec<Person>,
    /// New or changed members.
    pub members: BTreeSet<MemberId>,
    /// New or changed signatures.
    pub signatures: BTreeSet<SignatureId>,
    /// New or changed pledges.
    pub pledges: BTreeSet<PledgeId>,
    /// New or changed payments.
    pub payments: BTreeSet<PaymentId>,
    /// Whether one of these payments was there before.
    pub known_payments: bool,
    /// New claims, in order.
    pub effects: Vec<EffectKey>,
    /// New or changed payouts.
    pub payouts: BTreeSet<PayoutId>,
    /// New or changed refunds.
    pub refunds: BTreeSet<RefundId>,
    /// New or changed lots, by certificate.
    pub lots: BTreeSet<i64>,
    /// New or changed runs.
    pub runs: BTreeSet<RunId>,
    /// Items that were worked.
    pub run_items: BTreeSet<(RunId, i64)>,
}

impl Written {
    /// Whether the next batch may be decided before this one is committed: what it changed
    /// is found by key alone ([`Needs::are_by_key`]), and is carried on by
    /// [`World::carried_on`].
    #[must_use]
    pub fn is_by_key(&self) -> bool {
        // Each field by its name, so that a new one has to be thought of here.
        let Self {
            accounts: _,
            changes: _,
            follows: _,
            history: _,
            entries: _,
            tally: _,
            persons: _,
            members: _,
            signatures: _,
            pledges: _,
            payments: _,
            known_payments: _,
            effects: _,
            campaign,
            terms,
            share_classes,
            money_accounts,
            payouts,
            refunds,
            lots,
            runs,
            run_items,
        } = self;
        !campaign
            && terms.is_empty()
            && share_classes.is_empty()
            && money_accounts.is_empty()
            && payouts.is_empty()
            && refunds.is_empty()
            && lots.is_empty()
            && runs.is_empty()
            && run_items.is_empty()
    }
}

/// The rows of the last batch that another one may change again, by their ids.
#[derive(Clone, Debug, Default)]
struct JustWritten {
    members: BTreeSet<MemberId>,
    signatures: BTreeSet<SignatureId>,
    pledges: BTreeSet<PledgeId>,
    payments: BTreeSet<PaymentId>,
}

/// What others have changed, of the accounts that a world keeps.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// The accounts that were posted to.
    pub accounts: HashSet<i32>,
    /// The owners of new accounts.
    pub owners: HashSet<Uuid>,
}

/// The rows that a batch works on, and what it has changed so far.
#[derive(Clone, Debug)]
pub struct World {
    /// The campaign's id.
    pub id: CampaignId,
    /// Its numbers.
    pub head: Head,
    /// The campaign; nothing before CreateCampaign.
    pub campaign: Option<Campaign>,
    /// Its progress.
    pub tally: Tally,
    /// Accounts by what makes them.
    pub accounts: HashMap<AccountKey, AccountRow>,
    /// Members.
    pub members: HashMap<MemberId, Member>,
    /// Signatures.
    pub signatures: HashMap<SignatureId, Signature>,
    /// Pledges; in the order of their ids, so that expiring takes the oldest first.
    pub pledges: BTreeMap<PledgeId, Pledge>,
    /// Payments.
    pub payments: HashMap<PaymentId, Payment>,
    /// Claimed effects.
    pub effects: HashMap<EffectKey, EffectRow>,
    /// Payouts.
    pub payouts: HashMap<PayoutId, Payout>,
    /// Refunds.
    pub refunds: BTreeMap<RefundId, Refund>,
    /// Lots, by certificate.
    pub lots: BTreeMap<i64, Lot>,
    /// Runs.
    pub runs: HashMap<RunId, Run>,
    /// Items of runs that commands work.
    pub run_items: HashMap<(RunId, i64), RunItem>,
    /// What had cleared when it was read; nothing when nobody asked, or once a payment of
    /// this batch has made it old.
    pub cleared: Option<Cleared>,
    /// Whether an allotment is planned and not over; as far as it was asked.
    pub open_allotment: bool,
    /// Entries that commands want to reverse.
    pub entries: HashMap<i64, EntryRow>,
    /// Recorded outcomes.
    pub requests: HashMap<RequestId, ChangeRow>,
    /// The request ids of what was recorded lately.
    pub recent: Recent,
    /// Accounts at institutions that are registered, in whatever campaign.
    pub registered: HashSet<(String, String, bool)>,
    /// Payments by movement.
    pub objects: HashMap<(MoneyAccountId, String), PaymentId>,
    /// Members by e-mail address.
    pub member_emails: HashMap<[u8; 32], MemberId>,
    /// Signatures by e-mail address.
    pub signature_emails: HashMap<[u8; 32], SignatureId>,
    /// The owners all of whose accounts are known here.
    pub owners: HashSet<Uuid>,
    /// What has changed.
    pub written: Written,
    /// What the batch before made or changed; it may not be committed yet.
    before: JustWritten,
}

impl World {
    /// An empty world of one campaign.
    #[must_use]
    pub fn new(id: CampaignId, head: Head) -> Self {
        Self {
            id,
            head,
            campaign: None,
            tally: Tally::default(),
            accounts: HashMap::new(),
            members: HashMap::new(),
            signatures: HashMap::new(),
            pledges: BTreeMap::new(),
            payments: HashMap::new(),
            effects: HashMap::new(),
            payouts: HashMap::new(),
            refunds: BTreeMap::new(),
            lots: BTreeMap::new(),
            runs: HashMap::new(),
            run_items: HashMap::new(),
            cleared: None,
            open_allotment: false,
            entries: HashMap::new(),
            requests: HashMap::new(),
            recent: Recent::default(),
            registered: HashSet::new(),
            objects: HashMap::new(),
            member_emails: HashMap::new(),
            signature_emails: HashMap::new(),
            owners: HashSet::new(),
            written: Written::default(),
            before: JustWritten::default(),
        }
    }

    /// What was decided is one batch, and calls itself so, unless there is nothing to record.
    pub fn end_batch(&mut self, name: i64) {
        if !self.written.changes.is_empty() {
            self.written.follows = std::mem::replace(&mut self.head.batch, name);
        }
    }

    /// What the next batch goes on with: the campaign, its tally, and the members, pledges
    /// and accounts that are known by now. What comes but once (movements, outcomes,
    /// payments) is let go, except what this batch wrote: the next one may be decided
    /// before that can be read.
    #[must_use]
    pub fn carried_on(mut self) -> Self {
        let written = std::mem::take(&mut self.written);
        for id in self.payments.keys() {
            self.owners.remove(&id.0);
        }
        let mut next = Self {
            campaign: self.campaign,
            tally: self.tally,
            accounts: self.accounts,
            members: self.members,
            pledges: self.pledges,
            member_emails: self.member_emails,
            owners: self.owners,
            recent: self.recent,
            ..Self::new(self.id, self.head)
        };
        for change in written.changes {
            next.requests.insert(change.request_id, change);
        }
        for key in written.effects {
            next.effects.extend(self.effects.remove_entry(&key));
        }
        for id in &written.payments {
            let payment = self.payments.remove(id);
            payment.into_iter().for_each(|row| next.put_payment(row));
            // Its accounts were read with it, or it has none but those that it was given here.
            next.owners.insert(id.0);
        }
        for id in &written.signatures {
            let signature = self.signatures.remove(id);
            signature
                .into_iter()
                .for_each(|row| next.put_signature(row));
        }
        next.before = JustWritten {
            members: written.members,
            signatures: written.signatures,
            pledges: written.pledges,
            payments: written.payments,
        };
        next
    }

    /// What is left of it at a later head, after others have changed the campaign: the accounts
    /// that they did not touch. No noun, since decisions take a pledge that is known for one
    /// whose member is known too.
    #[must_use]
    pub fn without(mut self, changed: &Changed, head: Head) -> Self {
        // An owner's accounts are asked for together.
        let mut owners = changed.owners.clone();
        owners.extend(self.payments.keys().map(|id| id.0));
        self.accounts.retain(|key, row| {
            let stays = !changed.accounts.contains(&row.number);
            if !stays {
                owners.insert(key.owner.uuid());
            }
            stays
        });
        self.owners.retain(|owner| !owners.contains(owner));
        Self {
            accounts: self.accounts,
            owners: self.owners,
            ..Self::new(self.id, head)
        }
    }

    /// Whether a row was made or changed that the batch before made or changed too.
    #[must_use]
    pub fn touches_what_was_just_written(&self) -> bool {
        let (written, before) = (&self.written, &self.before);
        !(written.members.is_disjoint(&before.members)
            && written.signatures.is_disjoint(&before.signatures)
            && written.pledges.is_disjoint(&before.pledges)
            && written.payments.is_disjoint(&before.payments))
    }

    /// How many rows it holds.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.accounts.len() + self.members.len() + self.pledges.len()
    }

    /// Takes a member's row in.
    pub fn put_member(&mut self, member: Member) {
        self.member_emails.insert(member.email_hash, member.id);
        self.members.insert(member.id, member);
    }

    /// Takes a signature's row in.
    pub fn put_signature(&mut self, signature: Signature) {
        self.signature_emails
            .insert(signature.email_hash, signature.id);
        self.signatures.insert(signature.id, signature);
    }

    /// Takes a payment's row in.
    pub fn put_payment(&mut self, payment: Payment) {
        let movement = (payment.account, payment.object_id.clone());
        self.objects.insert(movement, payment.id);
        self.payments.insert(payment.id, payment);
    }
}
