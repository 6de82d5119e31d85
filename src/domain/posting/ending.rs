//! How the money leaves 2100, and what follows: shares, refunds, payouts, the purchase.

use std::collections::BTreeMap;

use time::{Date, OffsetDateTime};

use super::{account, members, own};
use crate::{
    domain::{
        bank::Purpose,
        campaign::Campaign,
        payment::{Channel, Payment, PaymentState},
        payout::Payout,
        pledge::Pledge,
        refund::Refund,
        share::ShareClass,
    },
    id::{MemberId, MoneyAccountId, PledgeId},
    ledger::{AccountKey, Code, Draft, EntryError, Event, JournalEntry, Owner, Side},
    money::{Amount, Commodity},
};

type At = (OffsetDateTime, Date);

/// What is used of a payment's application money.
#[derive(Clone, Debug)]
pub(in crate::domain) struct Used {
    /// The payment as it is.
    pub(in crate::domain) payment: Payment,
    /// What becomes shares.
    pub(in crate::domain) shares: Amount,
    /// What becomes refundable.
    pub(in crate::domain) released: Amount,
}

impl Used {
    /// The payment once it is used so. Its deferred fee is a cost once its money is shares,
    /// or once none of it is application money any more.
    pub(in crate::domain) fn after(&self) -> Payment {
        let payment = &self.payment;
        let after = Payment {
            held: payment
                .held
                .saturating_sub(self.shares)
                .saturating_sub(self.released),
            allotted: payment.allotted.saturating_add(self.shares),
            refundable: payment.refundable.saturating_add(self.released),
            ..payment.clone()
        };
        let fee_deferred = match self.cost() {
            Some(_) => Amount::ZERO,
            None => payment.fee_deferred,
        };
        Payment {
            fee_deferred,
            ..after
        }
    }

    /// The payment at the end of its offer: its fee is no longer deferred, and its member
    /// has borne `charge` of it.
    pub(in crate::domain) fn after_charge(&self, charge: Amount) -> Payment {
        let after = self.after();
        Payment {
            fee_deferred: Amount::ZERO,
            refundable: after.refundable.saturating_sub(charge),
            charged: after.charged.saturating_add(charge),
            ..after
        }
    }

    /// What the deferred fee becomes, when it does.
    fn cost(&self) -> Option<Code> {
        let payment = &self.payment;
        let left = payment
            .held
            .saturating_sub(self.shares)
            .saturating_sub(self.released);
        if payment.allotted.saturating_add(self.shares).is_positive() {
            Some(Code::IssueCosts)
        } else if left.is_zero() {
            Some(Code::AbandonedIssueCosts)
        } else {
            None
        }
    }
}

fn units(class: &ShareClass, code: Code, owner: Owner) -> AccountKey {
    AccountKey {
        code,
        commodity: Commodity::Shares(class.id),
        owner,
    }
}

/// The account of a class's nominal capital.
const fn capital(class: &ShareClass) -> Code {
    if class.liability {
        Code::LiabilityShares
    } else {
        Code::ShareCapital
    }
}

/// Shares allotted: 2100\[m\] n·p / 3000\[m\] n·q, 3010 n·(p−q), with 8010 / 8000\[m\] n, and
/// 9001 / 9000\[m\] for what is released of the promises.
pub(in crate::domain) fn allotment(
    campaign: &Campaign,
    member: MemberId,
    class: &ShareClass,
    shares: i64,
    used: &[Used],
    pledges: &BTreeMap<PledgeId, (&Pledge, Pledge)>,
    now: OffsetDateTime,
) -> Result<JournalEntry, EntryError> {
    let mut draft = Draft::new(Event::SharesAllotted, now, now.date());
    let (mut paid, mut nominal) = (0_i128, 0_i128);
    for part in used {
        // The running total's nominal part, less what the payments before this one gave.
        paid += i128::from(part.shares.units());
        let so_far = paid * i128::from(class.nominal.units()) / i128::from(class.price.units());
        let of_this = i64::try_from(so_far - nominal).map_err(|_| EntryError::AmountTooLarge)?;
        nominal = so_far;
        let of_this = Amount::of_units(of_this);
        draft = draft
            .about(Some(part.payment.id), part.payment.pledge)
            .debit(
                members(campaign, Code::ApplicationMoney, Some(member)),
                part.shares,
            )
            .credit(members(campaign, capital(class), Some(member)), of_this)
            .credit(
                own(campaign, Code::SharePremium),
                part.shares.saturating_sub(of_this),
            );
    }
    let shares = Amount::of_units(shares);
    draft = draft
        .about(None, None)
        .debit(units(class, Code::UnissuedShares, Owner::Nobody), shares)
        .credit(
            units(class, Code::SharesHeld, Owner::Member(member)),
            shares,
        );
    for (before, after) in pledges.values() {
        draft = released_promise(draft, campaign, before, after);
    }
    draft.finish()
}

/// Shares that go back with the money that paid them: 3000\[m\] n·q, 3010 n·(p−q), with
/// 8000\[m\] / 8030 n.
pub(super) fn shares_cancelled(
    draft: Draft,
    campaign: &Campaign,
    member: Option<MemberId>,
    class: &ShareClass,
    shares: i64,
) -> Draft {
    // The price times the shares stood in the ledger before: it cannot leave the range.
    let of = |each: Amount| each.checked_mul(shares).unwrap_or(Amount::MAX);
    let count = Amount::of_units(shares);
    let owner = member.map_or(Owner::Nobody, Owner::Member);
    draft
        .debit(members(campaign, capital(class), member), of(class.nominal))
        .debit(
            own(campaign, Code::SharePremium),
            of(class.price.saturating_sub(class.nominal)),
        )
        .debit(units(class, Code::SharesHeld, owner), count)
        .credit(units(class, Code::CancelledShares, Owner::Nobody), count)
}

fn released_promise(draft: Draft, campaign: &Campaign, before: &Pledge, after: &Pledge) -> Draft {
    let release = before.outstanding().saturating_sub(after.outstanding());
    draft
        .about(None, Some(before.id))
        .debit(own(campaign, Code::CommitmentsContra), release)
        .credit(
            members(campaign, Code::Commitments, Some(before.member)),
            release,
        )
}

/// What was outstanding on a pledge that ends: 9001 / 9000\[m\]. Nothing when nothing was.
pub(in crate::domain) fn promise_released(
    campaign: &Campaign,
    before: &Pledge,
    after: &Pledge,
    now: OffsetDateTime,
) -> Result<Option<JournalEntry>, EntryError> {
    if before.outstanding() == after.outstanding() {
        return Ok(None);
    }
    let draft = Draft::new(Event::PledgeLapsed, now, now.date());
    released_promise(draft, campaign, before, after)
        .finish()
        .map(Some)
}

/// The same of several pledges, one entry each.
pub(in crate::domain) fn lapse(
    campaign: &Campaign,
    pledges: &BTreeMap<PledgeId, (&Pledge, Pledge)>,
    now: OffsetDateTime,
) -> Result<Vec<JournalEntry>, EntryError> {
    let mut entries = Vec::new();
    for (before, after) in pledges.values() {
        entries.extend(promise_released(campaign, before, after, now)?);
    }
    Ok(entries)
}

/// Money becomes refundable: 2100\[m\] / 2200\[m\].
pub(in crate::domain) fn released(
    campaign: &Campaign,
    used: &[Used],
    now: OffsetDateTime,
) -> Result<Option<JournalEntry>, EntryError> {
    if used.iter().all(|part| part.released.is_zero()) {
        return Ok(None);
    }
    let mut draft = Draft::new(Event::MoneyReleased, now, now.date());
    for Used {
        payment, released, ..
    } in used
    {
        draft = draft
            .about(Some(payment.id), payment.pledge)
            .debit(
                members(campaign, Code::ApplicationMoney, payment.member),
                *released,
            )
            .credit(
                members(campaign, Code::RefundsPayable, payment.member),
                *released,
            );
    }
    draft.finish().map(Some)
}

/// The deferred fees of payments whose money is shares, or no application money any more:
/// 3100 / 1500, 5400 / 1500.
pub(in crate::domain) fn costs_of_issue(
    campaign: &Campaign,
    used: &[Used],
    now: OffsetDateTime,
) -> Result<Vec<JournalEntry>, EntryError> {
    let mut entries = Vec::new();
    for (event, code) in [
        (Event::IssueCosts, Code::IssueCosts),
        (Event::FeeExpensed, Code::AbandonedIssueCosts),
    ] {
        let mut draft = None;
        let costs = used.iter().filter(|part| part.cost() == Some(code));
        for Used { payment, .. } in costs.filter(|part| part.payment.fee_deferred.is_positive()) {
            let begun = draft.unwrap_or_else(|| Draft::new(event, now, now.date()));
            draft = Some(cost(begun, campaign, payment, code, payment.fee_deferred));
        }
        entries.extend(draft.map(Draft::finish).transpose()?);
    }
    Ok(entries)
}

fn cost(draft: Draft, campaign: &Campaign, payment: &Payment, code: Code, fee: Amount) -> Draft {
    draft
        .about(Some(payment.id), payment.pledge)
        .debit(own(campaign, code), fee)
        .credit(own(campaign, Code::DeferredIssueCosts), fee)
}

/// What of the deferred fees of an offer that is over nobody was charged: 5400 / 1500.
pub(in crate::domain) fn costs_after_charge(
    campaign: &Campaign,
    payment: &Payment,
    charge: Amount,
    now: OffsetDateTime,
) -> Result<Option<JournalEntry>, EntryError> {
    let left = payment.fee_deferred.saturating_sub(charge);
    if !left.is_positive() {
        return Ok(None);
    }
    let draft = Draft::new(Event::FeeExpensed, now, now.date());
    let entry = cost(draft, campaign, payment, Code::AbandonedIssueCosts, left).finish();
    entry.map(Some)
}

/// The deferred fee of a payment all of which has gone back: 5400 / 1500.
pub(in crate::domain) fn cost_of_gone(
    campaign: &Campaign,
    payment: &Payment,
    now: OffsetDateTime,
) -> Result<Option<JournalEntry>, EntryError> {
    let stands = payment.held.is_positive()
        || payment.refundable.is_positive()
        || payment.unallocated.is_positive();
    if stands || payment.state != PaymentState::Succeeded {
        return Ok(None);
    }
    costs_after_charge(campaign, payment, Amount::ZERO, now)
}

/// A failure's fee that its member bears, as disclosed: 2200\[m\] / 1500, and 5400 what of
/// it was expensed already.
pub(in crate::domain) fn fee_charged(
    campaign: &Campaign,
    payment: &Payment,
    charge: Amount,
    now: OffsetDateTime,
) -> Result<JournalEntry, EntryError> {
    let deferred = charge.min(payment.fee_deferred);
    Draft::new(Event::FeeCharged, now, now.date())
        .about(Some(payment.id), payment.pledge)
        .debit(
            members(campaign, Code::RefundsPayable, payment.member),
            charge,
        )
        .credit(own(campaign, Code::DeferredIssueCosts), deferred)
        .credit(
            own(campaign, Code::AbandonedIssueCosts),
            charge.saturating_sub(deferred),
        )
        .finish()
}

/// The account of a refund's or unknown payer's money: whose it is now, which may have
/// become known since the refund was asked for.
fn owed(campaign: &Campaign, payment: &Payment, code: Code) -> AccountKey {
    if code == Code::UnallocatedReceipts {
        account(campaign, code, Owner::Payment(payment.id))
    } else {
        members(campaign, code, payment.member)
    }
}

/// A refund sent: `from` / 1000 through the provider, / 1150 from a bank.
pub(in crate::domain) fn refund_sent(
    campaign: &Campaign,
    channel: Channel,
    refund: &Refund,
    payment: &Payment,
    from: Code,
    (occurred_at, value_date): At,
) -> Result<JournalEntry, EntryError> {
    let through = match channel {
        Channel::Provider => account(
            campaign,
            Code::ProviderBalance,
            Owner::MoneyAccount(refund.account),
        ),
        Channel::Bank => own(campaign, Code::OutgoingClearing),
    };
    Draft::new(Event::RefundSent, occurred_at, value_date)
        .about(Some(refund.payment), payment.pledge)
        .debit(owed(campaign, payment, from), refund.amount)
        .credit(through, refund.amount)
        .finish()
}

/// The bank's debit of a refund: 1150 / 1100.
pub(in crate::domain) fn refund_debited(
    campaign: &Campaign,
    refund: &Refund,
    (occurred_at, value_date): At,
) -> Result<JournalEntry, EntryError> {
    let bank = Owner::MoneyAccount(refund.account);
    Draft::new(Event::RefundDebited, occurred_at, value_date)
        .debit(own(campaign, Code::OutgoingClearing), refund.amount)
        .credit(account(campaign, Code::EscrowBank, bank), refund.amount)
        .finish()
}

/// A refund came back: 1000, 1100, or 1150 before its debit / 2210\[m\], 2900 of an unknown
/// payer, or 5200 of a payment that was lost meanwhile.
pub(in crate::domain) fn refund_failed(
    campaign: &Campaign,
    channel: Channel,
    refund: &Refund,
    payment: &Payment,
    debited: bool,
    (occurred_at, value_date): At,
) -> Result<JournalEntry, EntryError> {
    let place = Owner::MoneyAccount(refund.account);
    let back = match (channel, debited) {
        (Channel::Provider, _) => account(campaign, Code::ProviderBalance, place),
        (Channel::Bank, true) => account(campaign, Code::EscrowBank, place),
        (Channel::Bank, false) => own(campaign, Code::OutgoingClearing),
    };
    let to = if payment.state == PaymentState::LateFailed {
        own(campaign, Code::ReversalLosses)
    } else if payment.member.is_some() {
        owed(campaign, payment, Code::RefundsReturned)
    } else {
        owed(campaign, payment, Code::UnallocatedReceipts)
    };
    Draft::new(Event::RefundFailed, occurred_at, value_date)
        .about(Some(refund.payment), payment.pledge)
        .debit(back, refund.amount)
        .credit(to, refund.amount)
        .finish()
}

/// Where a payout comes from and goes to.
fn ends(campaign: &Campaign, payout: &Payout) -> (AccountKey, AccountKey, AccountKey) {
    let at = |code, account_of| account(campaign, code, Owner::MoneyAccount(account_of));
    let provider = at(Code::ProviderBalance, payout.account);
    let bank = at(Code::EscrowBank, payout.bank);
    let transit = at(Code::PayoutsInTransit, payout.account);
    if payout.is_top_up {
        (bank, transit, provider)
    } else {
        (provider, transit, bank)
    }
}

/// A payout left: 1050 / 1000; a top-up: 1050 / 1100.
pub(in crate::domain) fn payout_sent(
    campaign: &Campaign,
    payout: &Payout,
    at: At,
) -> Result<JournalEntry, EntryError> {
    let (from, transit, _) = ends(campaign, payout);
    moved(Event::PayoutSent, transit, from, payout.amount, at)
}

/// A payout arrived: 1100 / 1050; a top-up: 1000 / 1050.
pub(in crate::domain) fn payout_arrived(
    campaign: &Campaign,
    payout: &Payout,
    at: At,
) -> Result<JournalEntry, EntryError> {
    let (_, transit, to) = ends(campaign, payout);
    moved(Event::PayoutArrived, to, transit, payout.amount, at)
}

/// A payout failed: 1000 / 1050; after it had arrived the bank takes it back as well:
/// 1050 / 1100. A top-up the other way round.
pub(in crate::domain) fn payout_failed(
    campaign: &Campaign,
    payout: &Payout,
    (occurred_at, value_date): At,
) -> Result<JournalEntry, EntryError> {
    let (from, transit, to) = ends(campaign, payout);
    let mut draft = Draft::new(Event::PayoutFailed, occurred_at, value_date);
    if payout.state == crate::domain::payout::PayoutState::Arrived {
        draft = draft
            .debit(transit, payout.amount)
            .credit(to, payout.amount);
    }
    draft
        .debit(from, payout.amount)
        .credit(transit, payout.amount)
        .finish()
}

fn moved(
    event: Event,
    debit: AccountKey,
    credit: AccountKey,
    amount: Amount,
    (occurred_at, value_date): At,
) -> Result<JournalEntry, EntryError> {
    Draft::new(event, occurred_at, value_date)
        .debit(debit, amount)
        .credit(credit, amount)
        .finish()
}

/// A movement on a bank account, for a purpose.
pub(in crate::domain) fn bank_movement(
    campaign: &Campaign,
    bank: MoneyAccountId,
    purpose: Purpose,
    amount: Amount,
    at: At,
) -> Result<JournalEntry, EntryError> {
    let bank = account(campaign, Code::EscrowBank, Owner::MoneyAccount(bank));
    let (event, code, side) = purpose.posts();
    let beside = own(campaign, code);
    match side {
        Side::Debit => moved(event, beside, bank, amount, at),
        Side::Credit => moved(event, bank, beside, amount, at),
    }
}

/// The purchase at T: 1450 T / 1400 the deposit, 1100 what is paid now, 2400 the rest.
pub(in crate::domain) fn purchase(
    campaign: &Campaign,
    price: Amount,
    deposit: Amount,
    paid: Option<(MoneyAccountId, Amount)>,
    rest: Amount,
    (occurred_at, value_date): At,
) -> Result<JournalEntry, EntryError> {
    let mut draft = Draft::new(Event::PurchaseCompleted, occurred_at, value_date)
        .debit(own(campaign, Code::Investment), price)
        .credit(own(campaign, Code::SellerDeposit), deposit);
    if let Some((bank, paid)) = paid {
        let bank = account(campaign, Code::EscrowBank, Owner::MoneyAccount(bank));
        draft = draft.credit(bank, paid);
    }
    draft
        .credit(own(campaign, Code::OwedToSeller), rest)
        .finish()
}
