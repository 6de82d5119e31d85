//! Taking an entry back: its exact reversal, and the states that hung on it.

use time::OffsetDateTime;

use super::{
    Decision, Put, Refusal, Rejection, World,
    payment::{CAPTURES, Payment, PaymentEvent, room},
};
use crate::{
    id::{PaymentId, PledgeId},
    ledger::{Code, Event, JournalEntry},
    money::Amount,
};

/// How an entry moved one payment's money, by account; credits positive.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    held: Amount,
    refundable: Amount,
    unallocated: Amount,
    deferred: Amount,
    promised: bool,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other accounts hold no part of a payment"
)]
fn moved(entry: &JournalEntry) -> Moved {
    let mut moved = Moved::default();
    for line in entry.lines() {
        let credit = line.amount.negated();
        match line.account.code {
            Code::ApplicationMoney => moved.held = moved.held.saturating_add(credit),
            Code::RefundsPayable => moved.refundable = moved.refundable.saturating_add(credit),
            Code::UnallocatedReceipts => {
                moved.unallocated = moved.unallocated.saturating_add(credit);
            }
            Code::DeferredIssueCosts => {
                moved.deferred = moved.deferred.saturating_add(line.amount);
            }
            Code::Commitments => moved.promised = true,
            _ => {}
        }
    }
    moved
}

/// The events whose entries this module takes back, with the states that hung on them.
const GOES_BACK: [Event; 8] = [
    Event::PaymentSucceeded,
    Event::PaymentUnallocated,
    Event::ReceiptMatched,
    Event::ReceiptUnallocated,
    Event::ReceiptAllocated,
    Event::PaymentFee,
    Event::FeeExpensed,
    Event::PaymentLateFailure,
];

fn not_reversible(instead: &str) -> Rejection {
    Refusal::EntryNotReversible {
        instead: instead.to_owned(),
    }
    .into()
}

pub(super) fn reverse(
    world: &World,
    number: i64,
    reason: &str,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    world.campaign()?;
    let entry = world.entry(number);
    let (entry, reversed_by) =
        entry.ok_or_else(|| Refusal::not_found(format!("entry {number}")))?;
    if let Some(by) = reversed_by {
        return Err(Refusal::EntryAlreadyReversed { by }.into());
    }
    let reversal = JournalEntry::reversal(entry, number, now);
    if entry.event() == Event::ManualEntry {
        return Ok(Decision::default().posting(reversal).because(reason));
    }
    let named = entry.lines().iter().find_map(|line| line.payment);
    let (Some(payment), false) = (named, entry.reverses().is_some()) else {
        let instead = if entry.reverses().is_some() {
            "post the right entry instead of taking a reversal back"
        } else if entry.event() == Event::SharesAuthorised {
            "authorised shares stand with their class"
        } else {
            "amend or cancel the pledge"
        };
        return Err(not_reversible(instead));
    };
    let about_another =
        |line: &crate::ledger::Line| line.payment.is_some_and(|other| other != payment);
    if !GOES_BACK.contains(&entry.event()) || entry.lines().iter().any(about_another) {
        return Err(not_reversible("record what undoes it"));
    }
    let payment = world.payment(payment)?;
    let after = payment_before(payment, entry)?;
    if after.reserved
        > after
            .held
            .saturating_add(after.refundable)
            .saturating_add(after.unallocated)
    {
        return Err(not_reversible(
            "refunds lay claim to its money; turn them down first",
        ));
    }
    let more = after.held.saturating_sub(payment.held);
    if let Some(member) = payment.member.filter(|_| more.is_positive())
        && more > room(world, member)?
    {
        return Err(not_reversible(
            "others' money, or the member's own, has taken its room since",
        ));
    }
    let pledge = pledge_before(world, payment.id, entry)?;
    Ok(Decision::of([Put::Payment(after)])
        .also(pledge)
        .posting(reversal)
        .because(reason))
}

/// The payment as it stands without `entry`.
fn payment_before(payment: &Payment, entry: &JournalEntry) -> Result<Payment, Rejection> {
    let moved = moved(entry);
    let event = entry.event();
    let mut before = payment.clone();
    let moved_on = || not_reversible("its money has moved on; reverse what moved it first");
    let less = |stands: Amount, moved: Amount| {
        let left = stands.saturating_sub(moved);
        if left < Amount::ZERO {
            Err(moved_on())
        } else {
            Ok(left)
        }
    };
    before.held = less(payment.held, moved.held)?;
    before.refundable = less(payment.refundable, moved.refundable)?;
    before.unallocated = less(payment.unallocated, moved.unallocated)?;
    before.fee_deferred = less(payment.fee_deferred, moved.deferred)?;
    if CAPTURES.contains(&event) {
        before.state = payment
            .state
            .next(PaymentEvent::ReverseCapture)
            .ok_or_else(moved_on)?;
    } else if event == Event::PaymentLateFailure {
        // Shares that were cancelled, and what was lost twice, do not come back by a mirror.
        let only = payment.gross
            == moved
                .held
                .saturating_add(moved.refundable)
                .saturating_add(moved.unallocated)
                .negated();
        if !only {
            return Err(not_reversible("shares or money that had gone went with it"));
        }
        before.state = payment
            .state
            .next(PaymentEvent::ReverseFailure)
            .ok_or_else(moved_on)?;
        before.failure_code = String::new();
    } else if event == Event::ReceiptAllocated {
        if payment.returned.is_positive() {
            // It is owed to the member that would no longer be known.
            return Err(moved_on());
        }
        before.member = None;
        before.pledge = None;
    } else if event == Event::PaymentFee {
        let charged = entry
            .lines()
            .iter()
            .find(|line| line.account.code == Code::ProviderBalance);
        let fee = charged.map_or(Amount::ZERO, |line| line.amount.negated());
        before.fee = less(payment.fee, fee)?;
        before.fee_known = before.fee.is_positive();
    }
    // What its member was charged of the fee neither waits nor was a cost of ours any more.
    if before.fee_deferred.saturating_add(before.charged) > before.fee {
        return Err(moved_on());
    }
    Ok(before)
}

/// The pledge as it stands without what `entry` paid on it.
fn pledge_before(
    world: &World,
    payment: PaymentId,
    entry: &JournalEntry,
) -> Result<Option<Put>, Rejection> {
    let moved = moved(entry);
    let names_both = |line: &&crate::ledger::Line| line.payment == Some(payment);
    let pledge: Option<PledgeId> = entry
        .lines()
        .iter()
        .filter(names_both)
        .find_map(|line| line.pledge);
    let Some(pledge) = pledge.filter(|_| !moved.held.is_zero()) else {
        return Ok(None);
    };
    let pledge = world.pledge(pledge)?;
    // The entry's memo lines are reversed with it, so they must still be what the pledge lacks.
    if moved.promised != pledge.state.is_live() {
        return Err(not_reversible("its pledge has closed or opened since"));
    }
    let paid = pledge.paid.saturating_sub(moved.held);
    if paid < Amount::ZERO || paid > pledge.amount {
        return Err(not_reversible("its pledge has changed since"));
    }
    Ok(Some(Put::Pledge(pledge.with_paid(paid))))
}
