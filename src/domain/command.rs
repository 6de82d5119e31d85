//! What can be asked of a campaign.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use super::{
    bank::BankMovement,
    campaign::{Purchase, StageEvent, TermsDraft},
    payment::{Channel, Method, MoneyAccount},
    payout::NewPayout,
    refund::Movement,
    run::{Plan, RunEvent},
    share::ShareClass,
};
use crate::{
    id::{
        MemberId, MoneyAccountId, PaymentId, PayoutId, PledgeId, RefundId, RequestId, RunId,
        ShareClassId, SignatureId,
    },
    ledger::{AccountKey, Side},
    money::{Amount, Currency},
};

/// An amount with its currency, as a caller gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// How much, positive.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {}",
            self.currency,
            self.amount.display(self.currency)
        )
    }
}

/// Keyed hashes of a request's fields: tell whether a second request with the
/// same id asks for the same, and which field differs, without keeping it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Field number and hash, in the order of the numbers; unset fields are left out.
    pub hashes: Vec<(u16, [u8; 8])>,
    /// The fields' names, to say which one differs.
    pub names: &'static [(u16, String)],
}

impl Fingerprint {
    /// The bytes that are stored: number and hash of each field.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let pairs = self.hashes.iter();
        pairs
            .flat_map(|(number, hash)| number.to_be_bytes().into_iter().chain(*hash))
            .collect()
    }

    /// The name of the first field in which a stored request differs from this one.
    #[must_use]
    pub fn difference(&self, stored: &[u8]) -> Option<String> {
        if self.to_bytes() == stored {
            return None;
        }
        let numbers_there = stored.chunks_exact(10).map(|field| {
            let number = [
                field.first().copied().unwrap_or(0),
                field.get(1).copied().unwrap_or(0),
            ];
            (u16::from_be_bytes(number), field.get(2..).unwrap_or(&[]))
        });
        let there: Vec<(u16, &[u8])> = numbers_there.collect();
        let here = |number| self.hashes.iter().find(|(n, _)| *n == number);
        let differs = self.hashes.iter().map(|(number, _)| *number);
        let mut numbers: Vec<u16> = differs.chain(there.iter().map(|(n, _)| *n)).collect();
        numbers.sort_unstable();
        let number = numbers.into_iter().find(|number| {
            let stored = there
                .iter()
                .find(|(n, _)| n == number)
                .map(|(_, hash)| *hash);
            here(*number).map(|(_, hash)| hash.as_slice()) != stored
        });
        let number = number.unwrap_or(0);
        let name = self.names.iter().find(|(n, _)| *n == number);
        Some(name.map_or_else(|| format!("field {number}"), |(_, name)| name.clone()))
    }
}

/// One command, with who asks and under which request id.
#[derive(Clone, Debug)]
pub struct Command {
    /// The caller's id of the request.
    pub request_id: RequestId,
    /// The method as the API names it.
    pub method: Cow<'static, str>,
    /// Who asks: `key:…`, `webhook:…`, `cli`.
    pub principal: String,
    /// What is asked, as hashes.
    pub fingerprint: Fingerprint,
    /// What is asked.
    pub action: Action,
}

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Promise {
    /// An amount.
    Amount(Money),
    /// A number of shares.
    Units(i64),
}

/// Whose money it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payer {
    /// The member of this pledge, who pays it.
    Pledge(PledgeId),
    /// This member, without a pledge.
    Member(MemberId),
    /// Not known.
    Unknown,
}

/// What is asked. Ids of what is created are minted when the command is built,
/// so that a batch can be replayed row for row.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Action {
    /// Creates the campaign.
    CreateCampaign {
        /// Its public name.
        display_name: String,
        /// What is to be bought.
        description: String,
        /// Its one currency.
        currency: Currency,
        /// The first terms.
        terms: TermsDraft,
    },
    /// Updates descriptive fields.
    UpdateCampaign {
        /// The new public name.
        display_name: Option<String>,
        /// The new description.
        description: Option<String>,
        /// The change that the caller last saw.
        expected_change: Option<i64>,
    },
    /// Makes a new version of the terms.
    ReviseTerms {
        /// The new terms.
        terms: TermsDraft,
        /// Why.
        reason: String,
    },
    /// Adds a share class.
    AddShareClass {
        /// The class; its amounts are in the campaign's currency.
        class: ShareClass,
        /// The currency that the caller named.
        currency: Currency,
    },
    /// Moves the campaign along its life.
    MoveCampaign {
        /// How.
        event: StageEvent,
        /// Why.
        reason: String,
    },
    /// Says what a closing campaign has come to.
    ConcludeCampaign {
        /// Why now.
        reason: String,
    },
    /// Stops a campaign for a while, or lets it go on.
    SuspendCampaign {
        /// Whether it goes on.
        resume: bool,
        /// Why.
        reason: String,
    },
    /// Records the purchase.
    CompletePurchase(Purchase),
    /// Records money at the bank that moved for a purpose.
    RecordBankMovement(BankMovement),
    /// Records a payout or a top-up that was sent.
    SendPayout(NewPayout),
    /// Records that a payout arrived or failed.
    EndPayout {
        /// Which.
        payout: PayoutId,
        /// The provider's word for why it failed; nothing when it arrived.
        failure_code: Option<String>,
        /// When, by the provider's or bank's clock.
        occurred_at: Option<OffsetDateTime>,
        /// The day on which it counts.
        value_date: Option<Date>,
    },
    /// Announces a dispute of a payment, or takes that back.
    FlagPayment {
        /// Which.
        payment: PaymentId,
        /// Whether one is announced.
        flagged: bool,
        /// Why.
        reason: String,
    },
    /// Asks for a refund.
    RequestRefund {
        /// The new id.
        refund: RefundId,
        /// Of which payment.
        payment: PaymentId,
        /// How much; all that is free when not said.
        amount: Option<Money>,
        /// Why.
        reason: String,
    },
    /// Agrees to a refund.
    ApproveRefund {
        /// Which.
        refund: RefundId,
    },
    /// Turns a refund down.
    RejectRefund {
        /// Which.
        refund: RefundId,
        /// Why.
        reason: String,
    },
    /// Records that a refund was sent.
    SubmitRefund {
        /// Which.
        refund: RefundId,
        /// The movement.
        movement: Movement,
    },
    /// Records that a refund arrived.
    SettleRefund {
        /// Which.
        refund: RefundId,
        /// The movement.
        movement: Movement,
    },
    /// Records that a refund came back.
    FailRefund {
        /// Which.
        refund: RefundId,
        /// The provider's or bank's word for why.
        failure_code: String,
        /// The movement.
        movement: Movement,
    },
    /// Sends a refund that came back again.
    ResendRefund {
        /// Which.
        refund: RefundId,
        /// From which account.
        account: MoneyAccountId,
    },
    /// Keeps what came back as owed.
    MarkRefundUnclaimed {
        /// Which.
        refund: RefundId,
        /// Why.
        reason: String,
    },
    /// Turns a member's held money into shares.
    PurchaseShares {
        /// Whose.
        member: MemberId,
        /// Of which class.
        share_class: ShareClassId,
        /// How many.
        units: i64,
    },
    /// Freezes the list of a run.
    PlanRun(Plan),
    /// Moves a run along.
    MoveRun {
        /// Which.
        run: RunId,
        /// How.
        event: RunEvent,
        /// Why.
        reason: String,
    },
    /// Works an item of a run.
    WorkRunItem {
        /// Which run.
        run: RunId,
        /// Which item.
        position: i64,
    },
    /// Registers a provider or bank account.
    RegisterMoneyAccount {
        /// The account; its currency is the campaign's.
        account: MoneyAccount,
    },
    /// Makes a member.
    CreateMember {
        /// The new id.
        member: MemberId,
        /// The name.
        display_name: String,
        /// The e-mail address.
        email: String,
        /// The address's keyed hash.
        email_hash: [u8; 32],
    },
    /// Signs.
    Sign {
        /// The new id.
        signature: SignatureId,
        /// The name.
        display_name: String,
        /// The e-mail address.
        email: String,
        /// The address's keyed hash.
        email_hash: [u8; 32],
    },
    /// Withdraws a signature.
    WithdrawSignature {
        /// Which.
        signature: SignatureId,
    },
    /// Pledges.
    CreatePledge {
        /// The new id.
        pledge: PledgeId,
        /// Whose promise.
        member: MemberId,
        /// What is promised.
        promise: Promise,
        /// Of which class.
        share_class: Option<crate::id::ShareClassId>,
        /// When it runs out; the campaign's deadline when not said.
        expires_at: Option<OffsetDateTime>,
    },
    /// Raises or lowers a pledge.
    AmendPledge {
        /// Which.
        pledge: PledgeId,
        /// The new promise.
        promise: Promise,
    },
    /// Cancels a pledge.
    CancelPledge {
        /// Which.
        pledge: PledgeId,
    },
    /// Expires what ran out.
    ExpirePledges {
        /// At most so many.
        limit: i64,
    },
    /// Records money that arrived.
    RecordReceipt(Receipt),
    /// Records a provider's fee.
    RecordFee {
        /// For which payment.
        payment: PaymentId,
        /// The provider's id of the movement.
        object_id: String,
        /// How much.
        fee: Money,
        /// When, by the provider's clock.
        occurred_at: Option<OffsetDateTime>,
        /// The day on which it counts.
        value_date: Option<Date>,
    },
    /// Records a charge that failed.
    RecordFailure {
        /// The id of the payment, should it be new.
        payment: PaymentId,
        /// On which account.
        account: MoneyAccountId,
        /// The provider's id of the charge.
        object_id: String,
        /// The provider's word for why.
        failure_code: String,
        /// How much was asked for.
        gross: Option<Money>,
        /// Which pledge was to be paid.
        pledge: Option<PledgeId>,
        /// When, by the provider's clock.
        occurred_at: Option<OffsetDateTime>,
        /// The day on which it counts.
        value_date: Option<Date>,
    },
    /// Allocates unallocated money.
    MatchReceipt {
        /// Which payment.
        payment: PaymentId,
        /// Whose it is.
        payer: Payer,
    },
    /// Posts an entry by hand.
    PostEntry(ManualEntry),
    /// Reverses an entry.
    ReverseEntry {
        /// Its number.
        number: i64,
        /// Why.
        reason: String,
    },
}

/// Money that arrived on a provider's or a bank's account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The id of the payment, should it be new.
    pub payment: PaymentId,
    /// Through a provider or straight to a bank account.
    pub channel: Channel,
    /// On which account.
    pub account: MoneyAccountId,
    /// The provider's or bank's id of the movement.
    pub object_id: String,
    /// How much.
    pub gross: Money,
    /// Whose.
    pub payer: Payer,
    /// What to do when the named payer does not exist here: refuse, as a caller
    /// wants to hear of a mistake; or book it as unallocated, as a webhook must.
    pub unknown_payer_is_unallocated: bool,
    /// How it was made.
    pub method: Method,
    /// When, by the provider's or bank's clock.
    pub occurred_at: Option<OffsetDateTime>,
    /// The day on which it counts.
    pub value_date: Option<Date>,
    /// The day from which the provider pays it out.
    pub available_on: Option<Date>,
    /// The reversed entry that this one records rightly.
    pub corrects: Option<i64>,
}

/// One line of an entry by hand.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManualLine {
    /// The account.
    pub account: AccountKey,
    /// Debit or credit.
    pub side: Side,
    /// How much; positive.
    pub amount: Money,
}

/// An entry by hand.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManualEntry {
    /// The lines, at least two.
    pub lines: Vec<ManualLine>,
    /// When it happened, by the user's clock.
    pub occurred_at: Option<OffsetDateTime>,
    /// The day on which it counts.
    pub value_date: Option<Date>,
    /// Why.
    pub reason: String,
}
