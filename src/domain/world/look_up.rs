//! What decisions look up in a world.

use time::OffsetDateTime;

use super::{EffectKey, World};
use crate::{
    domain::{
        Refusal,
        campaign::Campaign,
        member::{Member, Signature},
        payment::{Channel, MoneyAccount, Payment},
        payout::Payout,
        pledge::{self, Pledge},
        refund::Refund,
        run::{Run, RunItem},
    },
    id::{
        MemberId, MoneyAccountId, PaymentId, PayoutId, PledgeId, RefundId, RunId, ShareClassId,
        SignatureId,
    },
    ledger::{AccountKey, Code, JournalEntry, Owner},
    money::{Amount, Commodity},
};

impl World {
    /// The number of the change that is being decided.
    pub(in crate::domain) const fn next_change(&self) -> i64 {
        self.head.change + 1
    }

    /// The number of the next entry.
    pub(in crate::domain) const fn next_entry(&self) -> i64 {
        self.head.entry + 1
    }

    pub(in crate::domain) fn campaign(&self) -> Result<&Campaign, Refusal> {
        let campaign = self.campaign.as_ref();
        campaign.ok_or_else(|| Refusal::not_found("the campaign"))
    }

    pub(in crate::domain) fn member(&self, id: MemberId) -> Result<&Member, Refusal> {
        let member = self.members.get(&id);
        member.ok_or_else(|| Refusal::not_found(format!("members/{id}")))
    }

    pub(in crate::domain) fn member_of_email(&self, hash: &[u8; 32]) -> Option<&Member> {
        self.members.get(self.member_emails.get(hash)?)
    }

    pub(in crate::domain) fn signature(&self, id: SignatureId) -> Result<&Signature, Refusal> {
        let signature = self.signatures.get(&id);
        signature.ok_or_else(|| Refusal::not_found(format!("signatures/{id}")))
    }

    pub(in crate::domain) fn signature_of_email(&self, hash: &[u8; 32]) -> Option<&Signature> {
        self.signatures.get(self.signature_emails.get(hash)?)
    }

    pub(in crate::domain) fn pledge(&self, id: PledgeId) -> Result<&Pledge, Refusal> {
        let pledge = self.pledges.get(&id);
        pledge.ok_or_else(|| Refusal::not_found(format!("pledges/{id}")))
    }

    pub(in crate::domain) fn payment(&self, id: PaymentId) -> Result<&Payment, Refusal> {
        let payment = self.payments.get(&id);
        payment.ok_or_else(|| Refusal::not_found(format!("payments/{id}")))
    }

    pub(in crate::domain) fn payout(&self, id: PayoutId) -> Result<&Payout, Refusal> {
        let payout = self.payouts.get(&id);
        payout.ok_or_else(|| Refusal::not_found(format!("payouts/{id}")))
    }

    pub(in crate::domain) fn refund(&self, id: RefundId) -> Result<&Refund, Refusal> {
        let refund = self.refunds.get(&id);
        refund.ok_or_else(|| Refusal::not_found(format!("refunds/{id}")))
    }

    /// The payment that a claimed movement was a refund of.
    pub(in crate::domain) fn refund_of_movement(&self, key: &EffectKey) -> Option<PaymentId> {
        self.effects.get(key).and_then(|effect| effect.payment)
    }

    pub(in crate::domain) fn run(&self, id: RunId) -> Result<&Run, Refusal> {
        let run = self.runs.get(&id);
        run.ok_or_else(|| Refusal::not_found(format!("runs/{id}")))
    }

    pub(in crate::domain) fn run_item(
        &self,
        run: RunId,
        position: i64,
    ) -> Result<&RunItem, Refusal> {
        let item = self.run_items.get(&(run, position));
        item.ok_or_else(|| Refusal::not_found(format!("runs/{run}/items/{position}")))
    }

    /// The class whose shares a payment's money may become: its pledge's, or the only one.
    pub(in crate::domain) fn class_of(&self, payment: &Payment) -> Option<ShareClassId> {
        let pledge = payment.pledge.and_then(|pledge| self.pledges.get(&pledge));
        let named = pledge.and_then(|pledge| pledge.share_class);
        named.or_else(|| self.campaign.as_ref()?.only_class())
    }

    /// The application money on a pledge that may still become shares.
    pub(in crate::domain) fn allottable_on(&self, pledge: PledgeId) -> Amount {
        let of_it = self
            .payments
            .values()
            .filter(|payment| payment.pledge == Some(pledge));
        of_it.map(Payment::allottable).sum()
    }

    /// Shares of a class that are authorised and not issued.
    pub(in crate::domain) fn unissued(&self, class: ShareClassId) -> i64 {
        self.units_on(Code::UnissuedShares, class, Owner::Nobody)
    }

    /// Shares of a class that a member holds.
    pub(in crate::domain) fn shares_held(&self, member: MemberId, class: ShareClassId) -> i64 {
        self.units_on(Code::SharesHeld, class, Owner::Member(member))
    }

    fn units_on(&self, code: Code, class: ShareClassId, owner: Owner) -> i64 {
        let key = AccountKey {
            code,
            commodity: Commodity::Shares(class),
            owner,
        };
        let row = self.accounts.get(&key);
        row.map_or(0, |row| row.balance.on_side(code.normal_side()).units())
    }

    /// An entry, and the entry that reverses it already: one that was read, or one
    /// that this very batch has posted.
    pub(in crate::domain) fn entry(&self, number: i64) -> Option<(&JournalEntry, Option<i64>)> {
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

    pub(in crate::domain) fn payment_of_object(
        &self,
        account: MoneyAccountId,
        object: &str,
    ) -> Option<&Payment> {
        let id = self.objects.get(&(account, object.to_owned()))?;
        self.payments.get(id)
    }

    pub(in crate::domain) fn money_account(
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

    /// Whether an account is a provider's or a bank's.
    pub(in crate::domain) fn channel(&self, id: MoneyAccountId) -> Result<Channel, Refusal> {
        let accounts = &self.campaign()?.money_accounts;
        let account = accounts.iter().find(|account| account.id == id);
        let account = account.ok_or_else(|| Refusal::not_found(format!("moneyAccounts/{id}")))?;
        Ok(account.channel)
    }

    pub(in crate::domain) fn is_taken(&self, account: &MoneyAccount) -> bool {
        self.registered.contains(&registration(account))
    }

    /// What a member's account stands at, positive on its normal side.
    pub(in crate::domain) fn member_balance(&self, member: MemberId, code: Code) -> Amount {
        self.balance_of(code, Owner::Member(member))
    }

    /// What an account of the campaign's own stands at, positive on its normal side.
    pub(in crate::domain) fn own_balance(&self, code: Code) -> Amount {
        self.balance_of(code, Owner::Nobody)
    }

    fn balance_of(&self, code: Code, owner: Owner) -> Amount {
        let Some(campaign) = &self.campaign else {
            return Amount::ZERO;
        };
        let key = AccountKey {
            code,
            commodity: Commodity::Currency(campaign.currency),
            owner,
        };
        let row = self.accounts.get(&key);
        row.map_or(Amount::ZERO, |row| row.balance.on_side(code.normal_side()))
    }

    /// Pledges that have run out, among those that were read.
    pub(in crate::domain) fn run_out(&self, now: OffsetDateTime) -> impl Iterator<Item = &Pledge> {
        let over = self.campaign.as_ref().is_some_and(Campaign::offer_is_over);
        self.pledges
            .values()
            .filter(move |pledge| pledge::has_run_out(pledge, over, now))
    }
}

/// What makes an account at an institution one and the same, in whatever campaign.
pub(super) fn registration(account: &MoneyAccount) -> (String, String, bool) {
    (
        account.institution.clone(),
        account.external_id.clone(),
        account.livemode,
    )
}
