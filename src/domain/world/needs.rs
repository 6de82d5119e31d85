//! Which rows a batch of commands needs.

use std::collections::HashSet;

use uuid::Uuid;

use crate::{
    domain::{Action, Command, Payer},
    id::{
        MemberId, MoneyAccountId, PaymentId, PayoutId, PledgeId, RefundId, RequestId, RunId,
        SignatureId,
    },
    ledger::Owner,
};

/// The rows that a batch of commands needs; `store` reads them into a [`World`](super::World).
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Outcomes under these request ids.
    pub requests: Vec<RequestId>,
    /// These members.
    pub members: HashSet<MemberId>,
    /// The members and signatures of these e-mail addresses.
    pub emails: HashSet<[u8; 32]>,
    /// The signatures of these members, which a pledge converts.
    pub pledging: HashSet<MemberId>,
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
    /// All payments of these members that hold application money.
    pub holding: HashSet<MemberId>,
    /// These payouts.
    pub payouts: HashSet<PayoutId>,
    /// These refunds, with their payments.
    pub refunds: HashSet<RefundId>,
    /// These runs.
    pub runs: HashSet<RunId>,
    /// These items of runs, with the payments that they are about.
    pub run_items: HashSet<(RunId, i64)>,
    /// What has cleared.
    pub cleared: bool,
    /// Whether an allotment is under way.
    pub open_allotment: bool,
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

    /// Whether each row is asked for by its own key. Then what a batch that is not committed
    /// yet has changed stands in its world, and the rest can be read beside it. A sum or a
    /// search would miss what is not committed.
    #[must_use]
    pub fn are_by_key(&self) -> bool {
        // Each field by its name, so that a new one has to be thought of here.
        let Self {
            requests: _,
            members: _,
            emails: _,
            pledging: _,
            signatures: _,
            pledges: _,
            payments: _,
            movements: _,
            run_out,
            cleared,
            open_allotment,
            holding,
            payouts,
            refunds,
            runs,
            run_items,
            entries,
            registrations,
        } = self;
        *run_out == 0
            && !cleared
            && !open_allotment
            && holding.is_empty()
            && payouts.is_empty()
            && refunds.is_empty()
            && runs.is_empty()
            && run_items.is_empty()
            && entries.is_empty()
            && registrations.is_empty()
    }

    fn add(&mut self, action: &Action) {
        match action {
            Action::CreateCampaign { .. }
            | Action::UpdateCampaign { .. }
            | Action::ReviseTerms { .. }
            | Action::AddShareClass { .. }
            | Action::MoveCampaign { .. }
            | Action::SuspendCampaign { .. } => {}
            Action::ConcludeCampaign { .. } => self.cleared = true,
            Action::CompletePurchase(purchase) => {
                if let Some(paid) = &purchase.paid {
                    let movement = (paid.account, paid.object_id.clone());
                    self.movements.insert(movement);
                }
            }
            Action::RecordBankMovement(movement) => {
                let movement = (movement.account, movement.object_id.clone());
                self.movements.insert(movement);
            }
            Action::SendPayout(payout) => {
                self.movements
                    .insert((payout.account, payout.object_id.clone()));
            }
            Action::EndPayout { payout, .. } => {
                self.payouts.insert(*payout);
            }
            Action::FlagPayment { payment, .. } | Action::RequestRefund { payment, .. } => {
                self.payments.insert(*payment);
            }
            Action::ApproveRefund { refund }
            | Action::RejectRefund { refund, .. }
            | Action::ResendRefund { refund, .. }
            | Action::MarkRefundUnclaimed { refund, .. } => {
                self.refunds.insert(*refund);
            }
            Action::SubmitRefund { refund, movement }
            | Action::SettleRefund { refund, movement }
            | Action::FailRefund {
                refund, movement, ..
            } => {
                self.refunds.insert(*refund);
                self.movements
                    .insert((MoneyAccountId(Uuid::nil()), movement.object_id.clone()));
            }
            Action::PurchaseShares { member, .. } => {
                self.members.insert(*member);
                self.holding.insert(*member);
                self.open_allotment = true;
            }
            Action::PlanRun(_) => self.open_allotment = true,
            Action::MoveRun { run, .. } => {
                self.runs.insert(*run);
            }
            Action::WorkRunItem { run, position } => {
                self.runs.insert(*run);
                self.run_items.insert((*run, *position));
            }
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
                self.pledging.insert(*member);
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
            Action::PostEntry(manual) => {
                for line in &manual.lines {
                    if let Owner::Member(member) = line.account.owner {
                        self.members.insert(member);
                    }
                }
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
