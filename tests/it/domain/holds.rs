//! What must always hold, computed again from the posted lines.

use std::collections::{HashMap, HashSet};

use pledgebook::{
    domain::{
        payment::{Payment, PaymentState},
        refund::{Refund, RefundState},
    },
    id::PaymentId,
    ledger::{AccountKey, Book, Code, Event, Owner, Side, chain},
    money::Commodity,
};

use super::{AUTHORISED, CAP, MAXIMUM, NOMINAL, PRICE, Walk, eur};

/// What the lines of one payment come to: by account, and what they say of charges.
#[derive(Default)]
struct OfPayments {
    net: HashMap<(PaymentId, Code), i64>,
    charged: HashMap<PaymentId, i64>,
    failed: HashSet<PaymentId>,
    expensed: HashSet<PaymentId>,
}

fn at(code: Code, commodity: Commodity, owner: Owner) -> AccountKey {
    AccountKey {
        code,
        commodity,
        owner,
    }
}

impl Walk {
    pub(super) fn must_hold(&self) {
        let mut balances: HashMap<AccountKey, i64> = HashMap::new();
        let mut of_payments = OfPayments::default();
        let mut digest = [0; 32];
        for (number, posted) in (1..).zip(&self.world.written.entries) {
            assert_eq!(posted.number, number);
            let mut sums: HashMap<(Book, Commodity), i64> = HashMap::new();
            for line in &posted.lines {
                let account = line.line.account;
                let units = line.line.amount.units();
                *sums
                    .entry((account.code.book(), account.commodity))
                    .or_default() += units;
                let balance = balances.entry(account).or_default();
                *balance += units;
                assert_eq!(*balance, line.balance.net.units());
                match account.code.never() {
                    Some(Side::Debit) => assert!(*balance <= 0, "{account}"),
                    Some(Side::Credit) => assert!(*balance >= 0, "{account}"),
                    None => {}
                }
                if let Some(payment) = line.line.payment {
                    let net = of_payments.net.entry((payment, account.code));
                    *net.or_default() += units;
                    match posted.entry.event() {
                        Event::PaymentLateFailure => of_payments.failed.insert(payment),
                        Event::FeeExpensed => of_payments.expensed.insert(payment),
                        _ => false,
                    };
                    if posted.entry.event() == Event::FeeCharged && units > 0 {
                        *of_payments.charged.entry(payment).or_default() += units;
                    }
                }
            }
            assert!(sums.values().all(|sum| *sum == 0), "{posted:?}");
            self.shares_must_hold(&balances);
            digest = chain(&digest, self.world.id, posted);
            assert_eq!(digest, posted.digest);
        }
        self.payments_must_hold(&of_payments);
        self.sums_must_hold(&balances);
        self.lots_must_hold(&balances);
    }

    /// Capital is shares at their nominal value, and every authorised share is unissued,
    /// held or cancelled: after every entry (invariant 4).
    fn shares_must_hold(&self, balances: &HashMap<AccountKey, i64>) {
        let of = |key| balances.get(&key).copied().unwrap_or(0);
        let shares = Commodity::Shares(self.class);
        let mut held = 0;
        for member in &self.members {
            let owner = Owner::Member(*member);
            let units = -of(at(Code::SharesHeld, shares, owner));
            let capital = -of(at(Code::ShareCapital, Commodity::Currency(eur()), owner));
            assert_eq!(capital, units * NOMINAL);
            held += units;
        }
        let own = |code| of(at(code, shares, Owner::Nobody));
        assert_eq!(own(Code::AuthorisedShares), AUTHORISED);
        assert_eq!(
            own(Code::AuthorisedShares) + own(Code::UnissuedShares) + own(Code::CancelledShares),
            held
        );
    }

    fn lots_must_hold(&self, balances: &HashMap<AccountKey, i64>) {
        for member in &self.members {
            let key = at(
                Code::SharesHeld,
                Commodity::Shares(self.class),
                Owner::Member(*member),
            );
            let lots = self.world.lots.values();
            let standing: i64 = lots
                .filter(|lot| lot.member == *member)
                .map(|lot| lot.standing())
                .sum();
            assert_eq!(standing, -balances.get(&key).copied().unwrap_or(0));
        }
    }

    /// Per payment: what it says is what its lines say, and its parts are the whole
    /// (invariant 3).
    fn payments_must_hold(&self, lines: &OfPayments) {
        for payment in self.world.payments.values() {
            let net = |code| lines.net.get(&(payment.id, code)).copied().unwrap_or(0);
            let stands = |code| -net(code);
            assert_eq!(payment.held.units(), stands(Code::ApplicationMoney));
            assert_eq!(payment.refundable.units(), stands(Code::RefundsPayable));
            assert_eq!(payment.returned.units(), stands(Code::RefundsReturned));
            assert_eq!(
                payment.unallocated.units(),
                stands(Code::UnallocatedReceipts)
            );
            assert_eq!(payment.fee_deferred.units(), net(Code::DeferredIssueCosts));
            assert_eq!(
                payment.allotted.units(),
                stands(Code::ShareCapital) + stands(Code::SharePremium)
            );
            assert_eq!(payment.lost.units(), net(Code::ReversalLosses));
            let charged = lines.charged.get(&payment.id).copied().unwrap_or(0);
            assert_eq!(payment.charged.units(), charged);
            let borne = payment.fee_deferred.saturating_add(payment.charged);
            assert!(borne <= payment.fee, "{payment:?}");
            let parts = [
                payment.held,
                payment.refundable,
                payment.unallocated,
                payment.returned,
                payment.allotted,
                payment.refunded,
                payment.charged,
            ];
            assert!(parts.iter().all(|part| part.units() >= 0), "{payment:?}");
            let parts: i64 = parts.iter().map(|part| part.units()).sum();
            let whole = match payment.state {
                PaymentState::Succeeded => payment.gross,
                PaymentState::Failed | PaymentState::LateFailed | PaymentState::Reversed => {
                    payment.lost
                }
            };
            assert_eq!(parts, whole.units(), "{payment:?}");
            // The fee of application money waits with it.
            let waits = payment.held.is_positive() && payment.allotted.is_zero();
            if waits && !self.is_abandoned() && !lines.failed.contains(&payment.id) {
                assert!(!lines.expensed.contains(&payment.id), "{payment:?}");
            }
            // Whole shares go back with the money that paid them.
            if payment.state == PaymentState::LateFailed {
                assert!(payment.allotted.units() < PRICE, "{payment:?}");
            }
            self.refunds_must_hold(payment);
        }
    }

    fn is_abandoned(&self) -> bool {
        let campaign = self.world.campaign.as_ref().unwrap();
        campaign.taking_stage().is_abandoned()
    }

    /// What refunds claim, have sent, and had come back is what their payment says.
    fn refunds_must_hold(&self, payment: &Payment) {
        let refunds = self.world.refunds.values();
        let of_it: Vec<&Refund> = refunds.filter(|r| r.payment == payment.id).collect();
        let sum = |which: &dyn Fn(&Refund) -> bool| -> i64 {
            let amounts = of_it.iter().filter(|refund| which(refund));
            amounts.map(|refund| refund.amount.units()).sum()
        };
        let on_its_way =
            |refund: &Refund| matches!(refund.state, RefundState::Submitted | RefundState::Settled);
        assert_eq!(payment.refunded.units(), sum(&on_its_way), "{payment:?}");
        let came_back = |refund: &Refund| {
            let again = refund.state == RefundState::Approved && refund.attempt > 1;
            again || matches!(refund.state, RefundState::Failed | RefundState::Unclaimed)
        };
        let returned = |refund: &Refund| came_back(refund) && payment.member.is_some();
        assert_eq!(payment.returned.units(), sum(&returned), "{payment:?}");
        let claims = |refund: &Refund| {
            let first = matches!(refund.state, RefundState::Requested | RefundState::Approved);
            (first && refund.attempt == 1) || (came_back(refund) && payment.member.is_none())
        };
        assert_eq!(payment.reserved.units(), sum(&claims), "{payment:?}");
        let stands =
            payment.held.units() + payment.refundable.units() + payment.unallocated.units();
        assert!(payment.reserved.units() <= stands, "{payment:?}");
    }

    /// Commitments, caps and the tally (invariants 5, 8 and 11).
    fn sums_must_hold(&self, balances: &HashMap<AccountKey, i64>) {
        let of = |code: Code, owner: Owner| {
            let key = at(code, Commodity::Currency(eur()), owner);
            balances.get(&key).copied().unwrap_or(0)
        };
        let (mut held, mut paying) = (0, 0);
        for member in &self.members {
            let own = |code| of(code, Owner::Member(*member));
            let pledges = self.world.pledges.values();
            let pledges = pledges.filter(|pledge| pledge.member == *member);
            let outstanding: i64 = pledges.map(|pledge| pledge.outstanding().units()).sum();
            assert_eq!(own(Code::Commitments), outstanding);
            let money = -own(Code::ApplicationMoney);
            assert!(money <= CAP, "{money}");
            assert_eq!(own(Code::MembersReceivable), 0);
            held += money;
            paying += i64::from(money > 0);
        }
        assert!(held <= MAXIMUM);
        let tally = &self.world.tally;
        assert_eq!((tally.held.units(), tally.paying_members), (held, paying));
        for pledge in self.world.pledges.values() {
            let payments = self.world.payments.values();
            let paid = payments.filter(|payment| payment.pledge == Some(pledge.id));
            let paid = paid.map(|payment| payment.held.units() + payment.allotted.units());
            assert_eq!(pledge.paid.units(), paid.sum::<i64>(), "{pledge:?}");
            assert!(pledge.paid <= pledge.amount);
        }
        let counted = self.world.pledges.values().map(|pledge| {
            let live = pledge.state.is_live();
            if live { pledge.amount } else { pledge.paid }.units()
        });
        assert_eq!(tally.pledged.units(), counted.sum::<i64>());
        self.tally_must_hold();
    }

    fn tally_must_hold(&self) {
        let tally = &self.world.tally;
        let payments = || self.world.payments.values();
        let sum = |part: fn(&Payment) -> i64| payments().map(part).sum::<i64>();
        assert_eq!(tally.refundable.units(), sum(|p| p.refundable.units()));
        assert_eq!(tally.returned.units(), sum(|p| p.returned.units()));
        assert_eq!(tally.unallocated.units(), sum(|p| p.unallocated.units()));
        assert_eq!(tally.allotted.units(), sum(|p| p.allotted.units()));
        assert_eq!(tally.refunded.units(), sum(|p| p.refunded.units()));
        let standing = payments().filter(|p| p.state == PaymentState::Succeeded);
        assert_eq!(tally.payments, i64::try_from(standing.count()).unwrap());
        let certificates = i64::try_from(self.world.lots.len()).unwrap();
        assert_eq!(tally.certificates, certificates);
    }
}
