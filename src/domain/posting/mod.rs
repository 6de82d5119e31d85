//! Each money event's journal entry, row by row as domain.md §4 has them.
//!
//! | file | is about |
//! |---|---|
//! | `ending` | shares, refunds, payouts and the purchase |

mod ending;

pub(super) use ending::{
    Used, allotment, bank_movement, cost_of_gone, costs_after_charge, costs_of_issue, fee_charged,
    lapse, payout_arrived, payout_failed, payout_sent, promise_released, purchase, refund_debited,
    refund_failed, refund_sent, released,
};

use time::{Date, OffsetDateTime};

use super::{
    campaign::Campaign,
    payment::{Channel, Payment},
    pledge::Pledge,
    share::ShareClass,
};
use crate::{
    id::MemberId,
    ledger::{AccountKey, Code, Draft, EntryError, Event, JournalEntry, Owner},
    money::{Amount, Commodity},
};

fn account(campaign: &Campaign, code: Code, owner: Owner) -> AccountKey {
    AccountKey {
        code,
        commodity: Commodity::Currency(campaign.currency),
        owner,
    }
}

fn own(campaign: &Campaign, code: Code) -> AccountKey {
    account(campaign, code, Owner::Nobody)
}

fn members(campaign: &Campaign, code: Code, member: Option<MemberId>) -> AccountKey {
    // Without a member the entry is refused for its owner: a fault, not a wrong booking.
    account(campaign, code, member.map_or(Owner::Nobody, Owner::Member))
}

/// Shares authorised: 8020 / 8010.
pub(super) fn shares_authorised(
    class: &ShareClass,
    now: OffsetDateTime,
) -> Result<JournalEntry, EntryError> {
    let units = |code| AccountKey {
        code,
        commodity: Commodity::Shares(class.id),
        owner: Owner::Nobody,
    };
    let authorised = Amount::of_units(class.authorised);
    Draft::new(Event::SharesAuthorised, now, now.date())
        .debit(units(Code::AuthorisedShares), authorised)
        .credit(units(Code::UnissuedShares), authorised)
        .finish()
}

/// A promise made, raised or released by `change`: 9000\[m\] / 9001, or the reverse.
pub(super) fn promise(
    event: Event,
    campaign: &Campaign,
    pledge: &Pledge,
    change: Amount,
    now: OffsetDateTime,
) -> Result<JournalEntry, EntryError> {
    Draft::new(event, now, now.date())
        .about(None, Some(pledge.id))
        .debit(
            members(campaign, Code::Commitments, Some(pledge.member)),
            change,
        )
        .credit(own(campaign, Code::CommitmentsContra), change)
        .finish()
}

/// Money arrived: 1000 or 1100 G / 2100\[m\] A, 2200\[m\] G−A and 9001 / 9000\[m\] A;
/// or / 2900 G when nobody is known for it.
pub(super) fn receipt(
    campaign: &Campaign,
    channel: Channel,
    payment: &Payment,
) -> Result<JournalEntry, EntryError> {
    let event = match (channel, payment.member) {
        (Channel::Provider, Some(_)) => Event::PaymentSucceeded,
        (Channel::Provider, None) => Event::PaymentUnallocated,
        (Channel::Bank, Some(_)) => Event::ReceiptMatched,
        (Channel::Bank, None) => Event::ReceiptUnallocated,
    };
    let arrived = account(
        campaign,
        channel.code(),
        Owner::MoneyAccount(payment.account),
    );
    let draft = Draft::new(event, payment.occurred_at, payment.value_date)
        .about(Some(payment.id), payment.pledge)
        .debit(arrived, payment.gross)
        .credit(unallocated(campaign, payment), payment.unallocated);
    allocated(draft, campaign, payment).finish()
}

/// Unallocated money found its member: 2900 G / 2100\[m\] A, 2200\[m\] G−A and 9001 / 9000\[m\] A.
pub(super) fn receipt_allocated(
    campaign: &Campaign,
    payment: &Payment,
    now: OffsetDateTime,
) -> Result<JournalEntry, EntryError> {
    let draft = Draft::new(Event::ReceiptAllocated, now, now.date())
        .about(Some(payment.id), payment.pledge)
        .debit(
            unallocated(campaign, payment),
            payment.held.saturating_add(payment.refundable),
        );
    allocated(draft, campaign, payment).finish()
}

fn unallocated(campaign: &Campaign, payment: &Payment) -> AccountKey {
    account(
        campaign,
        Code::UnallocatedReceipts,
        Owner::Payment(payment.id),
    )
}

fn allocated(draft: Draft, campaign: &Campaign, payment: &Payment) -> Draft {
    let draft = draft
        .credit(
            members(campaign, Code::ApplicationMoney, payment.member),
            payment.held,
        )
        .credit(
            members(campaign, Code::RefundsPayable, payment.member),
            payment.refundable,
        );
    match payment.pledge {
        None => draft,
        Some(_) => draft
            .debit(own(campaign, Code::CommitmentsContra), payment.held)
            .credit(
                members(campaign, Code::Commitments, payment.member),
                payment.held,
            ),
    }
}

/// The provider's fee: 1500 / 1000, 3100 / 1000 once its payment is shares, or 5400 / 1000
/// once there is no offer or payment left to carry it.
pub(super) fn fee(
    campaign: &Campaign,
    payment: &Payment,
    fee: Amount,
    cost: Code,
    occurred_at: OffsetDateTime,
    value_date: Date,
) -> Result<JournalEntry, EntryError> {
    let provider = account(
        campaign,
        Code::ProviderBalance,
        Owner::MoneyAccount(payment.account),
    );
    Draft::new(Event::PaymentFee, occurred_at, value_date)
        .about(Some(payment.id), payment.pledge)
        .debit(own(campaign, cost), fee)
        .credit(provider, fee)
        .finish()
}

/// The deferred fee of a payment that was lost: 5400 / 1500.
pub(super) fn fee_expensed(
    campaign: &Campaign,
    payment: &Payment,
    occurred_at: OffsetDateTime,
    value_date: Date,
) -> Result<JournalEntry, EntryError> {
    Draft::new(Event::FeeExpensed, occurred_at, value_date)
        .about(Some(payment.id), payment.pledge)
        .debit(
            own(campaign, Code::AbandonedIssueCosts),
            payment.fee_deferred,
        )
        .credit(
            own(campaign, Code::DeferredIssueCosts),
            payment.fee_deferred,
        )
        .finish()
}

/// What a payment that goes back takes with it beside its money.
pub(super) struct Split {
    /// Whole shares that its member still holds.
    pub(super) shares: Option<(ShareClass, i64)>,
    /// What is gone from the ledger already, and lost twice.
    pub(super) lost: Amount,
    /// What is unpaid again on its pledge: its application money, and what was shares.
    pub(super) unpaid: Amount,
}

/// The whole payment goes back: split(D) / 1000 or 1100, and on an open pledge
/// 9000\[m\] / 9001 for what is unpaid again.
pub(super) fn late_failure(
    campaign: &Campaign,
    channel: Channel,
    payment: &Payment,
    split: &Split,
    pledge: Option<&Pledge>,
    (occurred_at, value_date): (OffsetDateTime, Date),
) -> Result<JournalEntry, EntryError> {
    let left = account(
        campaign,
        channel.code(),
        Owner::MoneyAccount(payment.account),
    );
    let of_member = |code| members(campaign, code, payment.member);
    let mut draft = Draft::new(Event::PaymentLateFailure, occurred_at, value_date)
        .about(Some(payment.id), payment.pledge)
        .debit(of_member(Code::RefundsPayable), payment.refundable)
        .debit(of_member(Code::RefundsReturned), payment.returned)
        .debit(unallocated(campaign, payment), payment.unallocated)
        .debit(of_member(Code::ApplicationMoney), payment.held);
    if let Some((class, units)) = &split.shares {
        draft = ending::shares_cancelled(draft, campaign, payment.member, class, *units);
    }
    if payment.member.is_some() {
        draft = draft
            .debit(of_member(Code::MembersReceivable), split.lost)
            .credit(of_member(Code::MembersReceivable), split.lost);
    }
    draft = draft
        .debit(own(campaign, Code::ReversalLosses), split.lost)
        .credit(left, payment.gross);
    match pledge.filter(|pledge| pledge.state.is_live()) {
        None => draft,
        Some(pledge) => draft
            .debit(
                members(campaign, Code::Commitments, Some(pledge.member)),
                split.unpaid,
            )
            .credit(own(campaign, Code::CommitmentsContra), split.unpaid),
    }
    .finish()
}
