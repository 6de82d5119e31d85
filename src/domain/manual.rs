//! Entries by hand: what the books must say and no other call says yet, such as a
//! supplier's bill, a bank charge or share interest (domain.md §4).

use time::OffsetDateTime;

use super::{Decision, ManualEntry, ManualLine, Refusal, Rejection, World, payment::dates};
use crate::{
    ledger::{Code, Draft, Event, Owner, Side},
    money::Commodity,
};

/// True for the accounts that may be written by hand. The others are kept by the
/// calls that change what stands behind them: a payment, a pledge, a holding, a
/// dispute, or money at a provider or a bank, which has an identity of its own.
const fn is_by_hand(code: Code) -> bool {
    match code {
        Code::SellerEscrow
        | Code::OutgoingClearing
        | Code::SellerDeposit
        | Code::Investment
        | Code::OwedToSeller
        | Code::OtherCreditors
        | Code::UnderwritersAdvance
        | Code::BonusPool
        | Code::ShareInterestPayable
        | Code::IssueCosts
        | Code::Reserve
        | Code::Donations
        | Code::Interest
        | Code::CurrencyGain
        | Code::AdministrationCharge
        | Code::UnclaimedWrittenBack
        | Code::ProviderFees
        | Code::DisputeFees
        | Code::ReversalLosses
        | Code::CurrencyLoss
        | Code::AbandonedIssueCosts
        | Code::FailedAcquisitionCosts
        | Code::ShareInterest => true,
        Code::ProviderBalance
        | Code::ProviderReserve
        | Code::PayoutsInTransit
        | Code::EscrowBank
        | Code::OperatingBank
        | Code::UnderDispute
        | Code::MembersReceivable
        | Code::DeferredIssueCosts
        | Code::CurrencyClearing
        | Code::ApplicationMoney
        | Code::ConditionalDonations
        | Code::TipsOwed
        | Code::RefundsPayable
        | Code::RefundsReturned
        | Code::LiabilityShares
        | Code::CapitalPayable
        | Code::UnallocatedReceipts
        | Code::ShareCapital
        | Code::SharePremium
        | Code::SharesHeld
        | Code::UnissuedShares
        | Code::AuthorisedShares
        | Code::CancelledShares
        | Code::Commitments
        | Code::CommitmentsContra
        | Code::CardHolds
        | Code::CardHoldsContra => false,
    }
}

pub(super) fn post(
    world: &World,
    manual: &ManualEntry,
    now: OffsetDateTime,
) -> Result<Decision, Rejection> {
    let campaign = world.campaign()?;
    let mut off_balance = 0_i128;
    let (occurred_at, value_date) = dates(manual.occurred_at, manual.value_date, now);
    let mut draft = Draft::new(Event::ManualEntry, occurred_at, value_date);
    for line in &manual.lines {
        let Commodity::Currency(currency) = line.account.commodity else {
            return Err(kept(line));
        };
        if !is_by_hand(line.account.code) {
            return Err(kept(line));
        }
        campaign.must_be(currency)?;
        campaign.must_be(line.amount.currency)?;
        if let Owner::Member(member) = line.account.owner {
            world.member(member)?;
        }
        let amount = line.amount.amount;
        if !amount.is_positive() {
            return Err(Refusal::field("lines", "a line's amount is positive").into());
        }
        off_balance += i128::from(line.side.sign()) * i128::from(amount.units());
        draft = match line.side {
            Side::Debit => draft.debit(line.account, amount),
            Side::Credit => draft.credit(line.account, amount),
        };
    }
    if off_balance != 0 {
        return Err(Refusal::EntryUnbalanced.into());
    }
    Ok(Decision::default()
        .posting(draft.finish()?)
        .because(&manual.reason))
}

fn kept(line: &ManualLine) -> Rejection {
    let account = line.account.to_string();
    Refusal::AccountNotByHand { account }.into()
}
