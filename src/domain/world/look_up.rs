//! What decisions look up in a world.

use time::OffsetDateTime;

use super::World;
use crate::{
    domain::{
        Refusal,
        campaign::Campaign,
        member::{Member, Signature},
        payment::{Channel, MoneyAccount, Payment},
        pledge::{self, Pledge},
    },
    id::{MemberId, MoneyAccountId, PaymentId, PledgeId, SignatureId},
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

    pub(in crate::domain) fn is_taken(&self, account: &MoneyAccount) -> bool {
        self.registered.contains(&registration(account))
    }

    /// What a member's account stands at, positive on its normal side.
    pub(in crate::domain) fn member_balance(&self, member: MemberId, code: Code) -> Amount {
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
    pub(in crate::domain) fn run_out(&self, now: OffsetDateTime) -> impl Iterator<Item = &Pledge> {
        self.pledges
            .values()
            .filter(move |pledge| pledge::has_run_out(pledge, now))
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
