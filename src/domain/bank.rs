//! What a bank statement shows beside receipts, payouts and refunds: money of ours that
//! moved for a purpose which the treasurer names. The bank's id of the movement is its
//! identity, as it is everywhere that money moves.

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use super::{
    Decision, EffectKey, Money, Refusal, Rejection, World,
    campaign::words,
    payment::{self, Channel, dates},
    posting,
};
use crate::{
    id::MoneyAccountId,
    ledger::{Code, Event, Side},
};

words! {
    /// What money at the bank moved for (domain.md §4).
    Purpose {
        /// The deposit to the seller: 1400 / 1100.
        SellerDeposit = "seller_deposit",
        /// The seller gives the deposit back: 1100 / 1400.
        SellerDepositReturned = "seller_deposit_returned",
        /// An underwriter's advance came in: 1100 / 2510.
        UnderwritersAdvance = "underwriters_advance",
        /// An outgoing payment was debited: 1150 / 1100.
        OutgoingPayment = "outgoing_payment",
        /// The bank's charges: 5000 / 1100.
        BankCharge = "bank_charge",
        /// Interest that is ours: 1100 / 4100.
        Interest = "interest",
    }
}

impl Purpose {
    /// What the entry is called, the account beside the bank's, and its side.
    pub(super) const fn posts(self) -> (Event, Code, Side) {
        match self {
            Self::SellerDeposit => (Event::SellerDeposit, Code::SellerDeposit, Side::Debit),
            Self::SellerDepositReturned => (
                Event::SellerDepositReturned,
                Code::SellerDeposit,
                Side::Credit,
            ),
            Self::UnderwritersAdvance => (
                Event::AdvanceReceived,
                Code::UnderwritersAdvance,
                Side::Credit,
            ),
            Self::OutgoingPayment => (Event::OutgoingDebited, Code::OutgoingClearing, Side::Debit),
            Self::BankCharge => (Event::BankCharge, Code::ProviderFees, Side::Debit),
            Self::Interest => (Event::InterestReceived, Code::Interest, Side::Credit),
        }
    }
}

/// A movement on a bank account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankMovement {
    /// The bank account.
    pub account: MoneyAccountId,
    /// The bank's id of the movement.
    pub object_id: String,
    /// What for.
    pub purpose: Purpose,
    /// How much.
    pub amount: Money,
    /// When, by the bank's clock.
    pub occurred_at: Option<OffsetDateTime>,
    /// The day on which it counts.
    pub value_date: Option<Date>,
    /// Why.
    pub reason: String,
}

pub(super) fn record(
    world: &World,
    movement: &BankMovement,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    campaign.must_have_opened()?;
    campaign.must_be(movement.amount.currency)?;
    world.money_account(movement.account, Channel::Bank)?;
    if !movement.amount.amount.is_positive() {
        return Err(Refusal::field("amount", "more than nothing has moved").into());
    }
    let key = EffectKey {
        account: movement.account,
        object: movement.object_id.clone(),
        effect: movement.purpose.word(),
        seq: String::new(),
    };
    if let Some(answer) = payment::recorded_before(world, &key, movement.amount)? {
        return Ok(answer);
    }
    let at = dates(movement.occurred_at, movement.value_date, now);
    let amount = movement.amount.amount;
    let entry = posting::bank_movement(campaign, movement.account, movement.purpose, amount, at)?;
    let claim = payment::claim(world, key, amount, None);
    Ok(Decision::of([claim])
        .posting(entry)
        .because(&movement.reason))
}
