//! How a walk ends: refunds, flags, runs, shares, payouts, the bank, and the road that
//! leads everybody to shares or money.

use pledgebook::{
    domain::{
        Action, Outcome,
        bank::{BankMovement, Purpose},
        campaign::{Cleared, Purchase, Stage, StageEvent},
        payment::Payment,
        payout::NewPayout,
        refund::{self, Movement, RefundState},
        run::{Plan, RunEvent, RunItem, RunItemState, RunKind, RunState},
        share::{Method, fill},
    },
    id::{MemberId, PayoutId, RefundId, RunId},
    ledger::{AccountKey, Code, Owner},
    money::{Amount, Commodity},
};
use time::Duration;

use super::{CAP, MAXIMUM, PRICE, Walk, cents};

/// Where a walk leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Road {
    Allotted,
    Failed,
    Cancelled,
    Lost,
}

impl Road {
    pub(super) const ALL: [Self; 4] = [Self::Allotted, Self::Failed, Self::Cancelled, Self::Lost];

    /// With which minimum the numbers decide for this road.
    pub(super) const fn minimum(self) -> i64 {
        match self {
            Self::Failed => MAXIMUM,
            Self::Allotted | Self::Cancelled | Self::Lost => 1,
        }
    }
}

fn some<T: Copy>(of: &[T], pick: u8) -> Option<T> {
    (!of.is_empty()).then(|| of[usize::from(pick) % of.len()])
}

impl Walk {
    fn refunds(&self, state: RefundState) -> Vec<RefundId> {
        let refunds = self.world.refunds.values();
        let of_state = refunds.filter(|refund| refund.state == state);
        of_state.map(|refund| refund.id).collect()
    }

    fn runs(&self, state: RunState) -> Vec<RunId> {
        let runs = self.world.runs.values();
        let of_state = runs.filter(|run| run.state == state);
        let mut runs: Vec<RunId> = of_state.map(|run| run.id).collect();
        runs.sort_unstable();
        runs
    }

    fn movement(&mut self, again: bool) -> Movement {
        self.movements += u32::from(!again);
        Movement {
            object_id: self.movements.to_string(),
            occurred_at: None,
            value_date: None,
        }
    }

    pub(super) fn step_to_the_end(&mut self, (kind, a, b): (u8, u8, u8), amount: i64) {
        match kind {
            0..12 => self.step_refund((kind, a, b), amount),
            12 | 13 => {
                if let Some(payment) = self.payment(a) {
                    self.execute(Action::FlagPayment {
                        payment,
                        flagged: b % 3 != 0,
                        reason: String::new(),
                    });
                }
            }
            14 | 15 => {
                self.execute(Action::PurchaseShares {
                    member: self.members[usize::from(a) % self.members.len()],
                    share_class: self.class,
                    units: i64::from(b % 12),
                });
            }
            16..21 => self.step_run((kind, a, b)),
            21..24 => self.step_bank((kind, a, b), amount),
            25..28 => self.take_back(a),
            24 => {
                self.execute(Action::SuspendCampaign {
                    resume: a % 3 != 0,
                    reason: String::new(),
                });
            }
            _ if a < 60 => {
                self.advance();
            }
            _ => {}
        }
    }

    /// The payer's bank takes a whole payment back.
    pub(super) fn take_back(&mut self, pick: u8) {
        let Some(payment) = self.payment(pick) else {
            return;
        };
        let payment = &self.world.payments[&payment];
        let action = Action::RecordFailure {
            payment: payment.id,
            account: payment.account,
            object_id: payment.object_id.clone(),
            failure_code: "disputed".to_owned(),
            gross: None,
            pledge: None,
            occurred_at: None,
            value_date: None,
        };
        self.execute(action);
    }

    /// From wherever it is to where everybody's money moves.
    pub(super) fn come_to_the_end(&mut self) {
        while !matches!(
            self.world.campaign.as_ref().unwrap().stage,
            Stage::Acquired | Stage::Refunding
        ) && self.advance()
        {}
    }

    fn step_refund(&mut self, (kind, a, b): (u8, u8, u8), amount: i64) {
        let reason = String::new;
        let action = match kind {
            0..3 => self.payment(a).map(|payment| Action::RequestRefund {
                refund: RefundId::mint(),
                payment,
                amount: (b % 3 != 0).then(|| cents(amount % 5_000 + 1)),
                reason: reason(),
            }),
            3 | 4 => some(&self.refunds(RefundState::Requested), a)
                .map(|refund| Action::ApproveRefund { refund }),
            5 => {
                let mut open = self.refunds(RefundState::Requested);
                open.extend(self.refunds(RefundState::Approved));
                some(&open, a).map(|refund| Action::RejectRefund {
                    refund,
                    reason: reason(),
                })
            }
            6 | 7 => {
                some(&self.refunds(RefundState::Approved), a).map(|refund| Action::SubmitRefund {
                    refund,
                    movement: self.movement(b % 8 == 0),
                })
            }
            8 => {
                some(&self.refunds(RefundState::Submitted), a).map(|refund| Action::SettleRefund {
                    refund,
                    movement: self.movement(b % 8 == 0),
                })
            }
            9 => {
                let mut sent = self.refunds(RefundState::Submitted);
                sent.extend(self.refunds(RefundState::Settled));
                some(&sent, a).map(|refund| Action::FailRefund {
                    refund,
                    failure_code: "closed".to_owned(),
                    movement: self.movement(b % 8 == 0),
                })
            }
            10 => {
                let mut back = self.refunds(RefundState::Failed);
                back.extend(self.refunds(RefundState::Unclaimed));
                let account = [self.provider, self.bank][usize::from(b % 2)];
                some(&back, a).map(|refund| Action::ResendRefund { refund, account })
            }
            _ => some(&self.refunds(RefundState::Failed), a).map(|refund| {
                Action::MarkRefundUnclaimed {
                    refund,
                    reason: reason(),
                }
            }),
        };
        if let Some(action) = action {
            let who = if b % 16 == 1 { "test" } else { "another" };
            let requests = matches!(action, Action::RequestRefund { .. });
            self.execute_as(if requests { "test" } else { who }, action);
        }
    }

    fn step_run(&mut self, (kind, a, b): (u8, u8, u8)) {
        match kind {
            16 => {
                let kind = match b % 2 {
                    0 => RunKind::Allotment,
                    _ => RunKind::Refund,
                };
                let method = [Method::WaterFilling, Method::ProRata][usize::from(b / 2 % 2)];
                if let Some(run) = self.plan(kind, method)
                    && a % 4 != 0
                {
                    self.start_run(run);
                }
            }
            17 => {
                let mut runs: Vec<RunId> = self.world.runs.keys().copied().collect();
                runs.sort_unstable();
                let event = match b % 4 {
                    0 => RunEvent::Pause,
                    1 => RunEvent::Cancel,
                    2 => RunEvent::Start,
                    _ => RunEvent::Approve(false),
                };
                if let Some(run) = some(&runs, a) {
                    self.move_run(run, event, "another");
                }
            }
            _ => {
                if let Some(run) = some(&self.runs(RunState::Running), a) {
                    let items = self.world.runs[&run].items;
                    let position = i64::from(b) % items + 1;
                    self.work(run, position);
                }
            }
        }
    }

    fn step_bank(&mut self, (kind, a, b): (u8, u8, u8), amount: i64) {
        let payouts: Vec<PayoutId> = {
            let mut known: Vec<PayoutId> = self.world.payouts.keys().copied().collect();
            known.sort_unstable();
            known
        };
        let action = match (kind, some(&payouts, a)) {
            (21, _) => Action::SendPayout(NewPayout {
                id: PayoutId::mint(),
                account: self.provider,
                object_id: self.movement(b % 8 == 0).object_id,
                bank: self.bank,
                is_top_up: b % 2 == 0,
                amount: cents(amount),
                occurred_at: None,
                value_date: None,
            }),
            (22, Some(payout)) => Action::EndPayout {
                payout,
                failure_code: (b % 3 == 0).then(|| "closed".to_owned()),
                occurred_at: None,
                value_date: None,
            },
            _ => Action::RecordBankMovement(BankMovement {
                account: self.bank,
                object_id: self.movement(b % 8 == 0).object_id,
                purpose: [
                    Purpose::SellerDeposit,
                    Purpose::SellerDepositReturned,
                    Purpose::UnderwritersAdvance,
                    Purpose::OutgoingPayment,
                    Purpose::BankCharge,
                    Purpose::Interest,
                ][usize::from(b % 6)],
                amount: cents(amount),
                occurred_at: None,
                value_date: None,
                reason: String::new(),
            }),
        };
        self.execute(action);
    }

    /// One step further on the road, when nothing stands in the way.
    fn advance(&mut self) -> bool {
        let campaign = self.world.campaign.as_ref().unwrap();
        let reason = String::new();
        let event = match (campaign.stage, self.road) {
            (Stage::Open | Stage::Closing, Road::Cancelled) => StageEvent::Cancel,
            (Stage::Open, _) => {
                self.now = self.now.max(campaign.terms.deadline + Duration::hours(1));
                StageEvent::Close
            }
            (Stage::Closing, _) => return self.conclude(),
            (Stage::Succeeded, Road::Lost) => StageEvent::LoseAcquisition,
            (Stage::Succeeded, _) => StageEvent::StartCompleting,
            (Stage::Completing, _) => return self.buy(),
            (Stage::Acquired, _) => StageEvent::FinishAllotment,
            (Stage::Failed | Stage::Cancelled | Stage::AcquisitionFailed, _) => {
                StageEvent::StartRefunding
            }
            (Stage::Refunding, _) => StageEvent::FinishRefunding,
            (Stage::Allotted | Stage::Refunded, _) => StageEvent::Archive,
            (Stage::Suspended, _) => {
                let resumed = self.execute(Action::SuspendCampaign {
                    resume: true,
                    reason,
                });
                return matches!(resumed, Outcome::Done(_));
            }
            (Stage::Draft | Stage::Gathering | Stage::Pledging | Stage::Closed, _) => return false,
        };
        let moved = self.execute(Action::MoveCampaign { event, reason });
        matches!(moved, Outcome::Done(_))
    }

    fn conclude(&mut self) -> bool {
        // All has cleared, as the store would have read it.
        self.world.cleared = Some(Cleared {
            amount: self.world.tally.held,
            members: self.world.tally.paying_members,
        });
        let reason = String::new();
        let concluded = self.execute(Action::ConcludeCampaign { reason });
        matches!(concluded, Outcome::Done(_))
    }

    fn buy(&mut self) -> bool {
        let deposit = self.own_deposit();
        let bought = self.execute(Action::CompletePurchase(Purchase {
            price: cents(deposit + 1),
            paid: None,
            occurred_at: None,
            value_date: None,
            reason: String::new(),
        }));
        matches!(bought, Outcome::Done(_))
    }

    fn own_deposit(&self) -> i64 {
        let key = AccountKey {
            code: Code::SellerDeposit,
            commodity: Commodity::Currency(super::eur()),
            owner: Owner::Nobody,
        };
        let row = self.world.accounts.get(&key);
        row.map_or(0, |row| row.balance.net.units())
    }

    /// The list of a run, as a server makes it.
    fn plan(&mut self, kind: RunKind, method: Method) -> Option<RunId> {
        let run = RunId::mint();
        let mut plan = Plan {
            run,
            kind,
            method: (kind == RunKind::Allotment).then_some(method),
            items: 0,
            units: 0,
            amount: Amount::ZERO,
            released: Amount::ZERO,
            hash: [0; 32],
            as_of_change: self.world.head.change,
            reason: String::new(),
        };
        let mut items = match kind {
            RunKind::Allotment => self.allotments(run, method),
            RunKind::Refund => self.refunds_due(run),
        };
        for (position, item) in (1..).zip(&mut items) {
            item.position = position;
            item.hash = item.chained(&plan.hash);
            plan.items = position;
            plan.hash = item.hash;
            plan.units += item.units;
            plan.amount = plan.amount.saturating_add(item.amount);
            plan.released = plan.released.saturating_add(item.released);
        }
        let frozen = self.execute(Action::PlanRun(plan));
        if !matches!(frozen, Outcome::Done(_)) {
            return None;
        }
        for item in items {
            self.world.run_items.insert((run, item.position), item);
        }
        Some(run)
    }

    fn allotments(&self, run: RunId, method: Method) -> Vec<RunItem> {
        let allottable = |member: MemberId| -> Amount {
            let payments = self.world.payments.values();
            let of_it = payments.filter(|payment| payment.member == Some(member));
            of_it.map(Payment::allottable).sum()
        };
        let holdings: Vec<(MemberId, Amount)> = self
            .members
            .iter()
            .map(|member| (*member, allottable(*member)))
            .filter(|(_, held)| held.is_positive())
            .collect();
        let request = |(member, held): &(MemberId, Amount)| {
            let most = CAP / PRICE - self.shares_of(*member);
            (held.units() / PRICE).min(most)
        };
        let requests: Vec<i64> = holdings.iter().map(request).collect();
        let unissued = -self.units_on(Code::UnissuedShares, Owner::Nobody);
        let given = fill(method, unissued, 0, &requests);
        let item = |((member, held), units): ((MemberId, Amount), i64)| {
            let amount = Amount::of_units(units * PRICE);
            RunItem {
                member: Some(member),
                share_class: Some(self.class),
                units,
                amount,
                released: held.saturating_sub(amount),
                ..blank(run)
            }
        };
        holdings.into_iter().zip(given).map(item).collect()
    }

    fn refunds_due(&self, run: RunId) -> Vec<RunItem> {
        let campaign = self.world.campaign.as_ref().unwrap();
        let mut payments: Vec<&Payment> = self.world.payments.values().collect();
        payments.sort_by_key(|payment| payment.id);
        let item = |payment: &Payment| {
            let due = refund::plan(campaign, payment);
            (due.amount.is_positive() || due.charge.is_positive()).then(|| RunItem {
                member: payment.member,
                payment: Some(payment.id),
                amount: due.amount,
                released: due.charge,
                ..blank(run)
            })
        };
        payments.into_iter().filter_map(item).collect()
    }

    fn units_on(&self, code: Code, owner: Owner) -> i64 {
        let key = AccountKey {
            code,
            commodity: Commodity::Shares(self.class),
            owner,
        };
        let row = self.world.accounts.get(&key);
        row.map_or(0, |row| row.balance.net.units())
    }

    fn shares_of(&self, member: MemberId) -> i64 {
        -self.units_on(Code::SharesHeld, Owner::Member(member))
    }

    fn move_run(&mut self, run: RunId, event: RunEvent, who: &str) {
        let reason = String::new();
        self.execute_as(who, Action::MoveRun { run, event, reason });
    }

    fn start_run(&mut self, run: RunId) {
        self.move_run(run, RunEvent::Approve(false), "test");
        self.move_run(run, RunEvent::Approve(false), "another");
        self.move_run(run, RunEvent::Start, "test");
    }

    /// Works an item; one that was worked before is refused, whatever came since.
    fn work(&mut self, run: RunId, position: i64) {
        let worked = self.world.run_items[&(run, position)].clone();
        let again = worked.state != RunItemState::Pending;
        let outcome = self.execute(Action::WorkRunItem { run, position });
        if again {
            assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
            assert_eq!(self.world.run_items[&(run, position)], worked);
        }
    }

    /// Plans a run and works all of it.
    fn run_through(&mut self, kind: RunKind) {
        let Some(run) = self.plan(kind, Method::WaterFilling) else {
            return;
        };
        self.start_run(run);
        for position in 1..=self.world.runs[&run].items {
            self.work(run, position);
        }
        let run = &self.world.runs[&run];
        assert_eq!(run.state, RunState::Done, "{run:?}");
    }

    /// Whatever has happened, the road can be walked to its end: everybody has shares or
    /// money then, and nobody both for the same money.
    pub(super) fn go_to_the_end(&mut self) {
        for _ in 0..20 {
            if self.world.campaign.as_ref().unwrap().stage == Stage::Closed {
                break;
            }
            if !self.advance() {
                self.settle();
                // What nobody can pay any more is released.
                self.execute(Action::ExpirePledges { limit: 500 });
                assert!(self.advance(), "{:?}", self.world.campaign);
            }
        }
        assert_eq!(self.world.campaign.as_ref().unwrap().stage, Stage::Closed);
        // Money may stir even after the books are closed: a late failure that was a mistake.
        self.settle();
        for payment in self.world.payments.values() {
            let left = [
                payment.held,
                payment.refundable,
                payment.unallocated,
                payment.returned,
                payment.reserved,
            ];
            assert!(left.iter().all(|part| part.is_zero()), "{payment:?}");
        }
        assert!(self.world.tally.held.is_zero());
    }

    /// Nothing is left in the air: no flag, no request, no run, no refund to be sent.
    pub(super) fn settle(&mut self) {
        if self.world.campaign.as_ref().unwrap().stage == Stage::Suspended {
            assert!(self.advance());
        }
        let reason = String::new;
        let mut payments: Vec<_> = self.world.payments.keys().copied().collect();
        payments.sort_unstable();
        for payment in &payments {
            if self.world.payments[payment].flagged {
                self.must(Action::FlagPayment {
                    payment: *payment,
                    flagged: false,
                    reason: reason(),
                });
            }
        }
        for refund in self.refunds(RefundState::Requested) {
            let reason = reason();
            self.must(Action::RejectRefund { refund, reason });
        }
        for run in self.runs(RunState::Running) {
            self.move_run(run, RunEvent::Pause, "test");
        }
        for state in [RunState::Planned, RunState::Approved, RunState::Paused] {
            for run in self.runs(state) {
                self.move_run(run, RunEvent::Cancel, "test");
            }
        }
        self.run_through(RunKind::Allotment);
        // What application money no run sends back any more goes back by itself.
        for payment in payments {
            let stands = &self.world.payments[&payment];
            if !stands.allottable().is_positive() {
                continue;
            }
            let refund = RefundId::mint();
            let asked = self.execute(Action::RequestRefund {
                refund,
                payment,
                amount: None,
                reason: reason(),
            });
            if matches!(asked, Outcome::Done(_)) {
                self.execute_as("another", Action::ApproveRefund { refund });
            }
        }
        for refund in self.refunds(RefundState::Requested) {
            let reason = reason();
            self.must(Action::RejectRefund { refund, reason });
        }
        self.run_through(RunKind::Refund);
        let account = self.provider;
        for state in [RefundState::Failed, RefundState::Unclaimed] {
            for refund in self.refunds(state) {
                self.must(Action::ResendRefund { refund, account });
            }
        }
        for refund in self.refunds(RefundState::Approved) {
            let movement = self.movement(false);
            self.must(Action::SubmitRefund { refund, movement });
        }
    }
}

fn blank(run: RunId) -> RunItem {
    RunItem {
        run,
        position: 0,
        member: None,
        payment: None,
        share_class: None,
        units: 0,
        amount: Amount::ZERO,
        released: Amount::ZERO,
        hash: [0; 32],
        state: RunItemState::Pending,
        problem: String::new(),
        change: None,
    }
}
