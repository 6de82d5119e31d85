//! The rows that a batch works on, in memory, and how decisions change them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Action, Command, Payer, Refusal, Rejection, Tally,
    campaign::{self, Campaign, Terms},
    member::{self, Member, Person, Signature},
    payment::{self, Channel, Failure, MoneyAccount, Payment},
    pledge::{self, Pledge},
    reversal,
    share::ShareClass,
};
use crate::{
    id::{CampaignId, MemberId, MoneyAccountId, PaymentId, PledgeId, RequestId, SignatureId},
    ledger::{
        AccountKey, Balance, Code, Digest, JournalEntry, Owner, PostedEntry, PostedLine, chain,
    },
    money::{Amount, Commodity},
};

/// A campaign's numbers, from its head row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// capture, fee, failure, late_failure.
    pub effect: &'static str,
    /// Tells a repetition apart.
    pub seq: String,
}

/// A claimed effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectRow {
    /// What it was claimed for.
    pub amount: Amount,
    /// The payment it is about.
    pub payment: PaymentId,
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
    pub method: String,
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
}

/// A row of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// The change.
    pub change: i64,
    /// 1, 2, … within the change.
    pub ordinal: i16,
    /// Whose history it is.
    pub subject: Uuid,
    /// The subject after the change.
    pub snapshot: Snapshot,
    /// Why.
    pub reason: String,
}

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
}

/// What a command comes to, before anything is changed.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    puts: Vec<Put>,
    entries: Vec<JournalEntry>,
    same_as: Option<i64>,
    reason: String,
}

impl Decision {
    pub(super) fn of(puts: impl IntoIterator<Item = Put>) -> Self {
        Self {
            puts: puts.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Repeats the answer of an earlier change.
    pub(super) fn same_as(change: i64) -> Self {
        Self {
            same_as: Some(change),
            ..Self::default()
        }
    }

    pub(super) fn also(mut self, put: Option<Put>) -> Self {
        self.puts.extend(put);
        self
    }

    pub(super) fn posting(mut self, entry: JournalEntry) -> Self {
        self.entries.push(entry);
        self
    }

    pub(super) fn because(mut self, reason: &str) -> Self {
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

/// The rows that a batch of commands needs; `store` reads them into a [`World`].
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Outcomes under these request ids.
    pub requests: Vec<RequestId>,
    /// These members.
    pub members: HashSet<MemberId>,
    /// The members and signatures of these e-mail addresses.
    pub emails: HashSet<[u8; 32]>,
    /// These signatures.
    pub signatures: HashSet<SignatureId>,
    /// These pledges, with their members.
    pub pledges: HashSet<PledgeId>,
    /// Pledges that have run out, at most so many, with their members.
    pub run_out: i64,
    /// These payments, with their pledges and members.
    pub payments: HashSet<PaymentId>,
    /// The payments of these movements, and the effects claimed for them.
    pub movements: HashSet<(MoneyAccountId, String)>,
    /// These entries, with the payments that they name.
    pub entries: HashSet<i64>,
    /// Whether accounts of these institutions and ids are registered in any campaign.
    pub registrations: Vec<(String, String, bool)>,
}

impl Needs {
    /// What these commands need.
    #[must_use]
    pub fn of<'a>(commands: impl IntoIterator<Item = &'a Command>) -> Self {
        let mut needs = Self::default();
        for command in commands {
            needs.requests.push(command.request_id);
            needs.add(&command.action);
        }
        needs
    }

    fn add(&mut self, action: &Action) {
        match action {
            Action::CreateCampaign { .. }
            | Action::UpdateCampaign { .. }
            | Action::ReviseTerms { .. }
            | Action::AddShareClass { .. }
            | Action::MoveCampaign { .. } => {}
            Action::RegisterMoneyAccount { account } => self.registrations.push((
                account.institution.clone(),
                account.external_id.clone(),
                account.livemode,
            )),
            Action::CreateMember { email_hash, .. } | Action::Sign { email_hash, .. } => {
                self.emails.insert(*email_hash);
            }
            Action::WithdrawSignature { signature } => {
                self.signatures.insert(*signature);
            }
            Action::CreatePledge { member, .. } => {
                self.members.insert(*member);
            }
            Action::AmendPledge { pledge, .. } | Action::CancelPledge { pledge } => {
                self.pledges.insert(*pledge);
            }
            Action::ExpirePledges { limit } => self.run_out = self.run_out.saturating_add(*limit),
            Action::RecordReceipt(receipt) => {
                self.movements
                    .insert((receipt.account, receipt.object_id.clone()));
                self.payer(receipt.payer);
            }
            Action::RecordFee {
                payment, object_id, ..
            } => {
                self.payments.insert(*payment);
                // The fee's effect stands under the payment's account, which only the
                // payment's row tells: the nil account asks for the object on any.
                self.movements
                    .insert((MoneyAccountId(Uuid::nil()), object_id.clone()));
            }
            Action::RecordFailure {
                account,
                object_id,
                pledge,
                ..
            } => {
                self.movements.insert((*account, object_id.clone()));
                self.pledges.extend(*pledge);
            }
            Action::MatchReceipt { payment, payer } => {
                self.payments.insert(*payment);
                self.payer(*payer);
            }
            Action::ReverseEntry { number, .. } => {
                self.entries.insert(*number);
            }
        }
    }

    fn payer(&mut self, payer: Payer) {
        match payer {
            Payer::Pledge(pledge) => {
                self.pledges.insert(pledge);
            }
            Payer::Member(member) => {
                self.members.insert(member);
            }
            Payer::Unknown => {}
        }
    }
}

/// What a world's commands changed: the rows to write, each in its last state.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// New accounts, in the order of their numbers.
    pub accounts: Vec<(i32, AccountKey)>,
    /// Outcomes, in order.
    pub changes: Vec<ChangeRow>,
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
    /// New claims, in order.
    pub effects: Vec<EffectKey>,
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
    /// Entries that commands want to reverse.
    pub entries: HashMap<i64, EntryRow>,
    /// Recorded outcomes.
    pub requests: HashMap<RequestId, ChangeRow>,
    /// Accounts at institutions that are registered, in whatever campaign.
    pub registered: HashSet<(String, String, bool)>,
    /// Payments by movement.
    pub objects: HashMap<(MoneyAccountId, String), PaymentId>,
    /// Members by e-mail address.
    pub member_emails: HashMap<[u8; 32], MemberId>,
    /// Signatures by e-mail address.
    pub signature_emails: HashMap<[u8; 32], SignatureId>,
    /// What has changed.
    pub written: Written,
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
            entries: HashMap::new(),
            requests: HashMap::new(),
            registered: HashSet::new(),
            objects: HashMap::new(),
            member_emails: HashMap::new(),
            signature_emails: HashMap::new(),
            written: Written::default(),
        }
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

    /// Executes one command, or answers it as it was answered before. A refusal
    /// is recorded; it changes nothing else.
    ///
    /// # Errors
    /// A fault of ours. The world is then as it was, and nothing is recorded.
    pub fn execute(
        &mut self,
        command: &Command,
        now: OffsetDateTime,
    ) -> Result<Outcome, Rejection> {
        if let Some(recorded) = self.requests.get(&command.request_id) {
            return Ok(match differs(command, recorded) {
                None => Outcome::Replayed(recorded.number),
                Some(field) => Outcome::Refused(Refusal::RequestIdReused { field }),
            });
        }
        let prepared = self.decide(command, now).and_then(|decision| {
            let posted = self.posted(&decision.entries, now)?;
            Ok((decision, posted))
        });
        match prepared {
            Ok((decision, posted)) => Ok(self.apply(command, decision, posted, now)),
            Err(Rejection::Refused(refusal)) => {
                self.record(command, now, None, None, Some(refusal.clone()));
                Ok(Outcome::Refused(refusal))
            }
            Err(fault @ Rejection::Fault(_)) => Err(fault),
        }
    }

    /// Decides a command on the world as it is, and changes nothing.
    fn decide(&self, command: &Command, now: OffsetDateTime) -> Result<Decision, Rejection> {
        match &command.action {
            Action::CreateCampaign {
                display_name,
                description,
                currency,
                terms,
            } => campaign::create(self, display_name, description, *currency, terms, now),
            Action::UpdateCampaign {
                display_name,
                description,
                expected_change,
            } => campaign::update(
                self,
                display_name.as_ref(),
                description.as_ref(),
                *expected_change,
            ),
            Action::ReviseTerms { terms, reason } => {
                campaign::revise_terms(self, terms, reason, now)
            }
            Action::AddShareClass { class, currency } => {
                campaign::add_share_class(self, class, *currency, now)
            }
            Action::MoveCampaign { event, reason } => {
                campaign::move_along(self, *event, reason, now)
            }
            Action::RegisterMoneyAccount { account } => payment::register(self, account),
            Action::CreateMember {
                member,
                display_name,
                email,
                email_hash,
            } => {
                let person = person(member.0, display_name, email);
                member::create(self, *member, person, *email_hash, now)
            }
            Action::Sign {
                signature,
                display_name,
                email,
                email_hash,
            } => {
                let person = person(signature.0, display_name, email);
                member::sign(self, *signature, person, *email_hash, now)
            }
            Action::WithdrawSignature { signature } => member::withdraw(self, *signature),
            Action::CreatePledge {
                pledge,
                member,
                promise,
                share_class,
                expires_at,
            } => pledge::create(
                self,
                *pledge,
                *member,
                *promise,
                *share_class,
                *expires_at,
                now,
            ),
            Action::AmendPledge { pledge, promise } => pledge::amend(self, *pledge, *promise, now),
            Action::CancelPledge { pledge } => pledge::cancel(self, *pledge, now),
            Action::ExpirePledges { limit } => pledge::expire(self, *limit, now),
            Action::RecordReceipt(receipt) => payment::record(self, receipt, now),
            Action::RecordFee {
                payment,
                object_id,
                fee,
                occurred_at,
                value_date,
            } => payment::record_fee(
                self,
                *payment,
                object_id,
                *fee,
                *occurred_at,
                *value_date,
                now,
            ),
            Action::RecordFailure {
                payment,
                account,
                object_id,
                failure_code,
                gross,
                pledge,
                occurred_at,
                value_date,
            } => {
                let failure = Failure {
                    new_id: *payment,
                    account: *account,
                    object_id,
                    code: failure_code,
                    gross: *gross,
                    pledge: *pledge,
                    occurred_at: *occurred_at,
                    value_date: *value_date,
                };
                payment::record_failure(self, &failure, now)
            }
            Action::MatchReceipt { payment, payer } => {
                payment::match_receipt(self, *payment, *payer, now)
            }
            Action::ReverseEntry { number, reason } => {
                reversal::reverse(self, *number, reason, now)
            }
        }
    }

    /// The entries as they would be posted now: numbered, with running balances
    /// and digests. Refuses what breaks a floor anywhere on the way.
    fn posted(
        &self,
        entries: &[JournalEntry],
        now: OffsetDateTime,
    ) -> Result<Vec<PostedEntry>, Refusal> {
        let mut running: HashMap<AccountKey, AccountRow> = HashMap::new();
        let mut last_account = self.head.account;
        let mut digest = self.head.digest;
        let mut posted: Vec<PostedEntry> = Vec::with_capacity(entries.len());
        for (number, entry) in (self.head.entry + 1..).zip(entries) {
            let mut lines = Vec::with_capacity(entry.lines().len());
            for &line in entry.lines() {
                let known = running
                    .get(&line.account)
                    .or_else(|| self.accounts.get(&line.account));
                let before = known.copied().unwrap_or_else(|| {
                    last_account += 1;
                    AccountRow {
                        number: last_account,
                        balance: Balance::default(),
                    }
                });
                let balance = before
                    .balance
                    .after(line.amount)
                    .ok_or(Refusal::AmountTooLarge)?;
                if !balance.is_allowed(line.account.code) {
                    return Err(Refusal::AccountFloor {
                        account: line.account.to_string(),
                    });
                }
                running.insert(line.account, AccountRow { balance, ..before });
                lines.push(PostedLine {
                    line,
                    account_no: before.number,
                    balance,
                });
            }
            let mut next = PostedEntry {
                number,
                change: self.next_change(),
                recorded_at: now,
                digest,
                entry: entry.clone(),
                lines,
            };
            digest = chain(&digest, self.id, &next);
            next.digest = digest;
            posted.push(next);
        }
        Ok(posted)
    }

    fn apply(
        &mut self,
        command: &Command,
        decision: Decision,
        posted: Vec<PostedEntry>,
        now: OffsetDateTime,
    ) -> Outcome {
        if let Some(same_as) = decision.same_as {
            let change = self.record(command, now, None, Some(same_as), None);
            return Outcome::RecordedBefore { change, same_as };
        }
        let entries = posted.first().zip(posted.last());
        let entries = entries.map(|(first, last)| (first.number, last.number));
        let change = self.record(command, now, entries, None, None);
        for entry in &posted {
            self.post(entry);
        }
        let mut snapshots = Vec::new();
        for (ordinal, put) in (1..).zip(decision.puts) {
            if let Some((subject, snapshot)) = self.put(put) {
                self.written.history.push(HistoryRow {
                    change,
                    ordinal,
                    subject,
                    snapshot: snapshot.clone(),
                    reason: decision.reason.clone(),
                });
                snapshots.push(snapshot);
            }
        }
        Outcome::Done(Answer {
            change,
            recorded_at: now,
            entries: posted,
            snapshots,
        })
    }

    fn record(
        &mut self,
        command: &Command,
        now: OffsetDateTime,
        entries: Option<(i64, i64)>,
        same_as: Option<i64>,
        refusal: Option<Refusal>,
    ) -> i64 {
        let row = ChangeRow {
            number: self.next_change(),
            request_id: command.request_id,
            method: command.method.to_owned(),
            principal: command.principal.clone(),
            fields: command.fingerprint.to_bytes(),
            recorded_at: now,
            entries,
            same_as,
            refusal,
        };
        self.head.change = row.number;
        self.head.recorded_at = Some(now);
        self.requests.insert(row.request_id, row.clone());
        let number = row.number;
        self.written.changes.push(row);
        number
    }

    fn post(&mut self, entry: &PostedEntry) {
        for posted in &entry.lines {
            let key = posted.line.account;
            let row = AccountRow {
                number: posted.account_no,
                balance: posted.balance,
            };
            let before = self.accounts.insert(key, row);
            if before.is_none() {
                self.head.account = posted.account_no;
                self.written.accounts.push((posted.account_no, key));
            }
            if key.code == Code::ApplicationMoney {
                let before = before.map_or(Amount::ZERO, |row| row.balance.net);
                self.count(
                    &Tally::of_application_money(before),
                    &Tally::of_application_money(posted.balance.net),
                );
            }
        }
        self.head.entry = entry.number;
        self.head.digest = entry.digest;
        self.written.entries.push(entry.clone());
    }

    /// Puts a row in the place of what was there, counts the difference, and
    /// gives the snapshot for history, where the row has one.
    fn put(&mut self, put: Put) -> Option<(Uuid, Snapshot)> {
        match put {
            Put::Campaign(campaign) => {
                self.written.campaign = true;
                // The tally's row begins with the campaign's.
                self.written.tally |= self.campaign.is_none();
                self.campaign = Some(campaign.clone());
                Some((self.id.0, Snapshot::Campaign(Box::new(campaign))))
            }
            Put::Terms(terms) => {
                self.written.terms.push(terms);
                None
            }
            Put::ShareClass(class) => {
                self.written.share_classes.push(class);
                None
            }
            Put::MoneyAccount(account) => {
                self.registered.insert(registration(&account));
                if let Some(campaign) = &mut self.campaign {
                    campaign.money_accounts.push(account.clone());
                }
                self.written.money_accounts.push(account.clone());
                Some((account.id.0, Snapshot::MoneyAccount(account)))
            }
            Put::Member(member) => {
                self.written.members.insert(member.id);
                self.put_member(member.clone());
                Some((member.id.0, Snapshot::Member(member)))
            }
            Put::Person(person) => {
                self.written.persons.push(person);
                None
            }
            Put::Signature(signature) => {
                let before = self.signatures.get(&signature.id).map(Tally::of_signature);
                self.count(
                    &before.unwrap_or_default(),
                    &Tally::of_signature(&signature),
                );
                self.written.signatures.insert(signature.id);
                self.put_signature(signature.clone());
                Some((signature.id.0, Snapshot::Signature(signature)))
            }
            Put::Pledge(pledge) => {
                self.put_pledge(pledge.clone());
                Some((pledge.id.0, Snapshot::Pledge(pledge)))
            }
            Put::Payment(payment) => {
                let before = self.payments.get(&payment.id).map(Tally::of_payment);
                self.count(&before.unwrap_or_default(), &Tally::of_payment(&payment));
                self.written.payments.insert(payment.id);
                self.put_payment(payment.clone());
                Some((payment.id.0, Snapshot::Payment(Box::new(payment))))
            }
            Put::Effect(key, row) => {
                self.effects.insert(key.clone(), row);
                self.written.effects.push(key);
                None
            }
        }
    }

    fn put_pledge(&mut self, pledge: Pledge) {
        let before = self.pledges.get(&pledge.id);
        let was_live = before.is_some_and(|before| before.state.is_live());
        let counted = before.map(Tally::of_pledge).unwrap_or_default();
        self.count(&counted, &Tally::of_pledge(&pledge));
        let change = i32::from(pledge.state.is_live()) - i32::from(was_live);
        if change != 0
            && let Some(member) = self.members.get_mut(&pledge.member)
        {
            let before = Tally::of_live_pledges(member.live_pledges);
            member.live_pledges += change;
            let after = Tally::of_live_pledges(member.live_pledges);
            self.written.members.insert(pledge.member);
            self.count(&before, &after);
        }
        self.written.pledges.insert(pledge.id);
        self.pledges.insert(pledge.id, pledge);
    }

    fn count(&mut self, before: &Tally, after: &Tally) {
        let tally = self.tally;
        self.tally.replace(before, after);
        self.written.tally |= self.tally != tally;
    }

    // What decisions look up.

    /// The number of the change that is being decided.
    pub(super) const fn next_change(&self) -> i64 {
        self.head.change + 1
    }

    /// The number of the next entry.
    pub(super) const fn next_entry(&self) -> i64 {
        self.head.entry + 1
    }

    pub(super) fn campaign(&self) -> Result<&Campaign, Refusal> {
        let campaign = self.campaign.as_ref();
        campaign.ok_or_else(|| Refusal::not_found("the campaign"))
    }

    pub(super) fn member(&self, id: MemberId) -> Result<&Member, Refusal> {
        let member = self.members.get(&id);
        member.ok_or_else(|| Refusal::not_found(format!("members/{id}")))
    }

    pub(super) fn member_of_email(&self, hash: &[u8; 32]) -> Option<&Member> {
        self.members.get(self.member_emails.get(hash)?)
    }

    pub(super) fn signature(&self, id: SignatureId) -> Result<&Signature, Refusal> {
        let signature = self.signatures.get(&id);
        signature.ok_or_else(|| Refusal::not_found(format!("signatures/{id}")))
    }

    pub(super) fn signature_of_email(&self, hash: &[u8; 32]) -> Option<&Signature> {
        self.signatures.get(self.signature_emails.get(hash)?)
    }

    pub(super) fn pledge(&self, id: PledgeId) -> Result<&Pledge, Refusal> {
        let pledge = self.pledges.get(&id);
        pledge.ok_or_else(|| Refusal::not_found(format!("pledges/{id}")))
    }

    pub(super) fn payment(&self, id: PaymentId) -> Result<&Payment, Refusal> {
        let payment = self.payments.get(&id);
        payment.ok_or_else(|| Refusal::not_found(format!("payments/{id}")))
    }

    /// An entry, and the entry that reverses it already: one that was read, or one
    /// that this very batch has posted.
    pub(super) fn entry(&self, number: i64) -> Option<(&JournalEntry, Option<i64>)> {
        let posted = &self.written.entries;
        let read = self
            .entries
            .get(&number)
            .map(|row| (&row.entry, row.reversed_by));
        let (entry, by) = read.or_else(|| {
            let posted = posted.iter().find(|posted| posted.number == number)?;
            Some((&posted.entry, None))
        })?;
        let just_now = posted
            .iter()
            .find(|posted| posted.entry.reverses() == Some(number));
        Some((entry, by.or(just_now.map(|posted| posted.number))))
    }

    pub(super) fn payment_of_object(
        &self,
        account: MoneyAccountId,
        object: &str,
    ) -> Option<&Payment> {
        let id = self.objects.get(&(account, object.to_owned()))?;
        self.payments.get(id)
    }

    pub(super) fn money_account(
        &self,
        id: MoneyAccountId,
        channel: Channel,
    ) -> Result<&MoneyAccount, Refusal> {
        let accounts = &self.campaign()?.money_accounts;
        let account = accounts.iter().find(|account| account.id == id);
        let account = account.ok_or_else(|| Refusal::not_found(format!("moneyAccounts/{id}")))?;
        if account.channel == channel {
            Ok(account)
        } else {
            Err(Refusal::field(
                "money_account",
                &format!("not a {} account", channel.word()),
            ))
        }
    }

    pub(super) fn is_taken(&self, account: &MoneyAccount) -> bool {
        self.registered.contains(&registration(account))
    }

    /// What a member's account stands at, positive on its normal side.
    pub(super) fn member_balance(&self, member: MemberId, code: Code) -> Amount {
        let Some(campaign) = &self.campaign else {
            return Amount::ZERO;
        };
        let key = AccountKey {
            code,
            commodity: Commodity::Currency(campaign.currency),
            owner: Owner::Member(member),
        };
        let row = self.accounts.get(&key);
        row.map_or(Amount::ZERO, |row| row.balance.on_side(code.normal_side()))
    }

    /// Pledges that have run out, among those that were read.
    pub(super) fn run_out(&self, now: OffsetDateTime) -> impl Iterator<Item = &Pledge> {
        self.pledges
            .values()
            .filter(move |pledge| pledge::has_run_out(pledge, now))
    }
}

fn person(subject: Uuid, display_name: &str, email: &str) -> Person {
    Person {
        subject,
        display_name: display_name.to_owned(),
        email: email.to_owned(),
    }
}

fn registration(account: &MoneyAccount) -> (String, String, bool) {
    (
        account.institution.clone(),
        account.external_id.clone(),
        account.livemode,
    )
}

/// In what a command differs from what was recorded under its request id.
fn differs(command: &Command, recorded: &ChangeRow) -> Option<String> {
    if command.method != recorded.method {
        return Some("method".to_owned());
    }
    if command.principal != recorded.principal {
        return Some("caller".to_owned());
    }
    command.fingerprint.difference(&recorded.fields)
}
