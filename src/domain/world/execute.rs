//! Executing a command: decide, post, and put the rows in their places.

use std::collections::HashMap;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    AccountRow, Answer, ChangeRow, Decision, HistoryRow, Outcome, Put, Snapshot, World,
    look_up::registration,
};
use crate::{
    domain::{
        Action, Command, Refusal, Rejection, Tally, bank, campaign, manual,
        member::{self, Person},
        payment::{self, Failure},
        payout,
        pledge::{self, Pledge},
        refund, reversal,
        run::{self, Run, RunItemState, RunKind, RunState},
        share,
    },
    ledger::{AccountKey, Balance, JournalEntry, PostedEntry, PostedLine, chain},
    money::Amount,
};

impl World {
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
        let prepared = self.decide(command, now).and_then(|mut decision| {
            let posted = self.posted(std::mem::take(&mut decision.entries), now)?;
            Ok((decision, posted))
        });
        match prepared {
            Ok((decision, posted)) => Ok(self.apply(command, decision, posted, now)),
            Err(Rejection::Refused(refusal)) => {
                self.record(ChangeRow {
                    refusal: Some(refusal.clone()),
                    ..self.change(command, now)
                });
                Ok(Outcome::Refused(refusal))
            }
            Err(none @ (Rejection::Again | Rejection::Fault(_))) => Err(none),
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
            Action::ConcludeCampaign { reason } => campaign::conclude(self, reason),
            Action::SuspendCampaign { resume, reason } => campaign::suspend(self, *resume, reason),
            Action::CompletePurchase(purchase) => campaign::complete_purchase(self, purchase, now),
            Action::RecordBankMovement(movement) => bank::record(self, movement, now),
            Action::SendPayout(payout) => payout::send(self, payout, now),
            Action::EndPayout {
                payout,
                failure_code,
                occurred_at,
                value_date,
            } => {
                let failure_code = failure_code.as_deref();
                payout::end(self, *payout, failure_code, *occurred_at, *value_date, now)
            }
            Action::FlagPayment {
                payment,
                flagged,
                reason,
            } => payment::flag(self, *payment, *flagged, reason),
            Action::RequestRefund { .. }
            | Action::ApproveRefund { .. }
            | Action::RejectRefund { .. }
            | Action::SubmitRefund { .. }
            | Action::SettleRefund { .. }
            | Action::FailRefund { .. }
            | Action::ResendRefund { .. }
            | Action::MarkRefundUnclaimed { .. } => self.decide_refund(command, now),
            Action::PurchaseShares {
                member,
                share_class,
                units,
            } => share::purchase(self, *member, *share_class, *units, now),
            Action::PlanRun(plan) => run::freeze(self, plan, now),
            Action::MoveRun { run, event, reason } => {
                run::move_along(self, *run, *event, &command.principal, reason)
            }
            Action::WorkRunItem { run, position } => run::work(self, *run, *position, now),
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
            Action::PostEntry(entry) => manual::post(self, entry, now),
            Action::ReverseEntry { number, reason } => {
                reversal::reverse(self, *number, reason, now)
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "`decide` sends the others elsewhere"
    )]
    fn decide_refund(&self, command: &Command, now: OffsetDateTime) -> Result<Decision, Rejection> {
        let by = command.principal.as_str();
        match &command.action {
            Action::RequestRefund {
                refund,
                payment,
                amount,
                reason,
            } => refund::request(self, *refund, *payment, *amount, by, reason, now),
            Action::ApproveRefund { refund } => refund::approve(self, *refund, by, now),
            Action::RejectRefund { refund, reason } => refund::reject(self, *refund, reason),
            Action::SubmitRefund { refund, movement } => {
                refund::submit(self, *refund, movement, now)
            }
            Action::SettleRefund { refund, movement } => {
                refund::settle(self, *refund, movement, now)
            }
            Action::FailRefund {
                refund,
                failure_code,
                movement,
            } => refund::fail(self, *refund, failure_code, movement, now),
            Action::ResendRefund { refund, account } => refund::send_again(self, *refund, *account),
            Action::MarkRefundUnclaimed { refund, reason } => {
                refund::give_up(self, *refund, reason)
            }
            _ => Err(Refusal::not_found("the refund").into()),
        }
    }

    /// The entries as they would be posted now: numbered, with running balances
    /// and digests. Refuses what breaks a floor anywhere on the way.
    fn posted(
        &self,
        entries: Vec<JournalEntry>,
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
                entry,
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
            let change = self.record(ChangeRow {
                same_as: Some(same_as),
                ..self.change(command, now)
            });
            return Outcome::RecordedBefore { change, same_as };
        }
        let entries = posted.first().zip(posted.last());
        let entries = entries.map(|(first, last)| (first.number, last.number));
        let change = self.record(ChangeRow {
            entries,
            reason: decision.reason,
            ..self.change(command, now)
        });
        for entry in &posted {
            self.post(entry);
        }
        let mut snapshots = Vec::new();
        for put in decision.puts {
            if let Some((subject, snapshot)) = self.put(put) {
                self.written.history.push(HistoryRow {
                    change,
                    subject,
                    snapshot: snapshot.clone(),
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

    /// The next change, of a command that is answered without having done anything.
    fn change(&self, command: &Command, now: OffsetDateTime) -> ChangeRow {
        ChangeRow {
            number: self.next_change(),
            request_id: command.request_id,
            method: command.method.clone(),
            principal: command.principal.clone(),
            fields: command.fingerprint.to_bytes(),
            recorded_at: now,
            entries: None,
            same_as: None,
            refusal: None,
            reason: String::new(),
        }
    }

    fn record(&mut self, row: ChangeRow) -> i64 {
        let number = row.number;
        self.head.change = number;
        self.head.recorded_at = Some(row.recorded_at);
        self.recent.record(row.request_id, row.recorded_at);
        self.requests.insert(row.request_id, row.clone());
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
            let before = before.map_or(Amount::ZERO, |row| row.balance.net);
            self.count(
                &Tally::of_account(key.code, before),
                &Tally::of_account(key.code, posted.balance.net),
            );
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
                // What had cleared was read before this.
                self.cleared = None;
                let is_new_here = self.written.payments.insert(payment.id);
                self.written.known_payments |= is_new_here && before.is_some();
                self.put_payment(payment.clone());
                Some((payment.id.0, Snapshot::Payment(Box::new(payment))))
            }
            Put::Effect(key, row) => {
                self.effects.insert(key.clone(), row);
                self.written.effects.push(key);
                None
            }
            Put::Payout(payout) => {
                self.written.payouts.insert(payout.id);
                self.payouts.insert(payout.id, payout.clone());
                Some((payout.id.0, Snapshot::Payout(payout)))
            }
            Put::Refund(refund) => {
                self.written.refunds.insert(refund.id);
                self.refunds.insert(refund.id, refund.clone());
                Some((refund.id.0, Snapshot::Refund(refund)))
            }
            Put::Lot(lot) => {
                if lot.certificate > self.tally.certificates {
                    self.count(&Tally::default(), &Tally::of_lot());
                }
                self.written.lots.insert(lot.certificate);
                self.lots.insert(lot.certificate, lot.clone());
                Some((lot.member.0, Snapshot::Lot(lot)))
            }
            Put::Run(run) => {
                let run = self.put_run(run);
                Some((run.id.0, Snapshot::Run(Box::new(run))))
            }
            Put::RunItem(item) => {
                if let Some(run) = self.runs.get_mut(&item.run) {
                    match item.state {
                        RunItemState::Pending => {}
                        RunItemState::Done => run.done += 1,
                        RunItemState::Exception => run.exceptions += 1,
                    }
                }
                self.written.runs.insert(item.run);
                self.written.run_items.insert((item.run, item.position));
                self.run_items.insert((item.run, item.position), item);
                None
            }
        }
    }

    /// Puts a run in its place; how far its items are is counted by themselves.
    fn put_run(&mut self, run: Run) -> Run {
        let counted = self.runs.get(&run.id);
        let counted = counted.map_or((0, 0), |run| (run.done, run.exceptions));
        let run = Run {
            done: counted.0,
            exceptions: counted.1,
            ..run
        };
        self.open_allotment |= run.kind == RunKind::Allotment && run.state == RunState::Planned;
        self.written.runs.insert(run.id);
        self.runs.insert(run.id, run.clone());
        run
    }

    fn put_pledge(&mut self, pledge: Pledge) {
        let before = self.pledges.get(&pledge.id);
        let was_live = before.is_some_and(|before| before.state.stands());
        let counted = before.map(Tally::of_pledge).unwrap_or_default();
        self.count(&counted, &Tally::of_pledge(&pledge));
        let change = i32::from(pledge.state.stands()) - i32::from(was_live);
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
}

fn person(subject: Uuid, display_name: &str, email: &str) -> Person {
    Person {
        subject,
        display_name: display_name.to_owned(),
        email: email.to_owned(),
    }
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
