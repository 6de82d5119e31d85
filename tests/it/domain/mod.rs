//! The pure domain on long random walks: thousands of commands, reversals,
//! corrections, expiries and endings included, in memory. What must always hold is
//! computed again from the posted lines.
//!
//! | file | is about |
//! |---|---|
//! | `ending` | refunds, flags, runs, shares, payouts, and each road to its end |
//! | `holds` | what must always hold |

mod ending;
mod holds;

use pledgebook::{
    domain::{
        Action, Command, Fingerprint, Head, Money, Outcome, Payer, Promise, Receipt, Refusal,
        World,
        campaign::{FeeBearer, StageEvent, Terms, TermsDraft},
        payment::{Channel, Method, MoneyAccount, PaymentState},
        run::{RunKind, RunState},
        share::ShareClass,
    },
    id::{CampaignId, MemberId, MoneyAccountId, PaymentId, PledgeId, RequestId, ShareClassId},
    ledger::Event,
    money::{Amount, Currency},
};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime, macros::datetime};

use self::ending::Road;

/// What is taken back more often than by chance.
const REVERSED: [Event; 4] = [
    Event::PaymentLateFailure,
    Event::PaymentLateFailure,
    Event::FeeExpensed,
    Event::ReceiptAllocated,
];

const MEMBERS: u8 = 4;
const CAP: i64 = 15_000;
const MAXIMUM: i64 = 40_000;
const PRICE: i64 = 1_000;
const NOMINAL: i64 = 600;
/// Fewer shares than there may be money for.
const AUTHORISED: i64 = 25;

fn eur() -> Currency {
    "EUR".parse().unwrap()
}

fn cents(units: i64) -> Money {
    Money {
        amount: Amount::of_units(units),
        currency: eur(),
    }
}

struct Walk {
    world: World,
    now: OffsetDateTime,
    members: Vec<MemberId>,
    provider: MoneyAccountId,
    bank: MoneyAccountId,
    class: ShareClassId,
    road: Road,
    /// How often something moved elsewhere.
    movements: u32,
}

impl Walk {
    fn start(road: Road, fee_bearer: FeeBearer) -> Self {
        let mut walk = Self {
            world: World::new(CampaignId::mint(), Head::default()),
            now: datetime!(2026-11-22 12:00 UTC),
            members: (0..MEMBERS).map(|_| MemberId::mint()).collect(),
            provider: MoneyAccountId::mint(),
            bank: MoneyAccountId::mint(),
            class: ShareClassId::mint(),
            road,
            movements: 0,
        };
        let terms = Terms {
            version: 0,
            target: Amount::of_units(MAXIMUM),
            minimum: Amount::of_units(road.minimum()),
            maximum: Amount::of_units(MAXIMUM),
            deadline: walk.now + Duration::days(30),
            minimum_members: 0,
            fee_bearer,
            fee_bearer_note: String::new(),
            card_clearing_days: 0,
            direct_debit_clearing_days: 0,
            bank_transfer_clearing_days: 0,
        };
        walk.must(Action::CreateCampaign {
            display_name: "Club".to_owned(),
            description: String::new(),
            currency: eur(),
            terms: TermsDraft {
                currency: eur(),
                terms,
            },
        });
        walk.must(Action::AddShareClass {
            class: ShareClass {
                id: walk.class,
                display_name: "Member share".to_owned(),
                price: Amount::of_units(PRICE),
                nominal: Amount::of_units(NOMINAL),
                authorised: AUTHORISED,
                minimum_per_member: 0,
                maximum_per_member: CAP / PRICE,
                liability: false,
            },
            currency: eur(),
        });
        for (id, channel) in [
            (walk.provider, Channel::Provider),
            (walk.bank, Channel::Bank),
        ] {
            let account = MoneyAccount {
                id,
                channel,
                institution: channel.word().to_owned(),
                external_id: "1".to_owned(),
                currency: eur(),
                livemode: true,
            };
            walk.must(Action::RegisterMoneyAccount { account });
        }
        for event in [
            StageEvent::StartGathering,
            StageEvent::StartPledging,
            StageEvent::Open,
        ] {
            let reason = String::new();
            walk.must(Action::MoveCampaign { event, reason });
        }
        for n in 0..MEMBERS {
            walk.must(Action::CreateMember {
                member: walk.members[usize::from(n)],
                display_name: n.to_string(),
                email: n.to_string(),
                email_hash: [n; 32],
            });
        }
        walk
    }

    fn must(&mut self, action: Action) {
        let outcome = self.execute(action);
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }

    fn execute(&mut self, action: Action) -> Outcome {
        self.execute_as("test", action)
    }

    fn execute_as(&mut self, principal: &str, action: Action) -> Outcome {
        // What the store reads of the whole table for each batch.
        self.world.open_allotment = self.world.runs.values().any(|run| {
            let over = matches!(
                run.state,
                RunState::Done | RunState::DoneWithExceptions | RunState::Cancelled
            );
            run.kind == RunKind::Allotment && !over
        });
        let command = Command {
            request_id: RequestId::mint(),
            method: "test".into(),
            principal: principal.to_owned(),
            fingerprint: Fingerprint::default(),
            action,
        };
        let before = (self.world.head, self.world.tally);
        let outcome = self.world.execute(&command, self.now).unwrap();
        if let Outcome::Refused(_) = outcome {
            // A refusal is recorded and changes nothing else.
            assert_eq!(self.world.head.entry, before.0.entry);
            assert_eq!(self.world.tally, before.1);
        }
        outcome
    }

    fn pledge(&self, pick: u8) -> Option<PledgeId> {
        let pledges: Vec<_> = self.world.pledges.keys().copied().collect();
        (!pledges.is_empty()).then(|| pledges[usize::from(pick) % pledges.len()])
    }

    fn payment(&self, pick: u8) -> Option<PaymentId> {
        let mut payments: Vec<_> = self.world.payments.keys().copied().collect();
        payments.sort_unstable();
        (!payments.is_empty()).then(|| payments[usize::from(pick) % payments.len()])
    }

    fn payer(&self, a: u8, b: u8) -> Payer {
        match (b % 6, self.pledge(a)) {
            (0, _) => Payer::Unknown,
            (1, _) | (_, None) => Payer::Member(self.members[usize::from(a % MEMBERS)]),
            (_, Some(pledge)) => Payer::Pledge(pledge),
        }
    }

    fn step(&mut self, (kind, a, b, amount): (u8, u8, u8, u16)) {
        let amount = i64::from(amount) + 1;
        let action = match kind {
            0..4 => Action::CreatePledge {
                pledge: PledgeId::mint(),
                member: self.members[usize::from(a % MEMBERS)],
                promise: if b % 2 == 0 {
                    Promise::Amount(cents(amount))
                } else {
                    Promise::Units(amount % 20 + 1)
                },
                share_class: (b % 2 == 1).then_some(self.class),
                expires_at: (b % 5 == 0).then(|| self.now + Duration::days(2)),
            },
            4 => match self.pledge(a) {
                Some(pledge) => Action::AmendPledge {
                    pledge,
                    promise: Promise::Amount(cents(amount)),
                },
                None => return,
            },
            5 => match self.pledge(a) {
                Some(pledge) => Action::CancelPledge { pledge },
                None => return,
            },
            6 => Action::ExpirePledges { limit: 3 },
            7..14 => {
                let bank = b % 3 == 0;
                Action::RecordReceipt(Receipt {
                    payment: PaymentId::mint(),
                    channel: if bank {
                        Channel::Bank
                    } else {
                        Channel::Provider
                    },
                    account: if bank { self.bank } else { self.provider },
                    object_id: format!("{}", a % 40),
                    gross: cents(500 * i64::from(a % 40 + 1)),
                    payer: self.payer(b, a ^ b),
                    unknown_payer_is_unallocated: false,
                    method: Method::Card,
                    occurred_at: None,
                    value_date: None,
                    available_on: None,
                    corrects: self.correctable(bank, a % 40).filter(|_| b % 2 == 0),
                })
            }
            14 | 15 => match self.payment(a) {
                Some(payment) => Action::RecordFee {
                    payment,
                    object_id: format!("fee {b}"),
                    fee: cents(amount % 90 + 1),
                    occurred_at: None,
                    value_date: None,
                },
                None => return,
            },
            16 => Action::RecordFailure {
                payment: PaymentId::mint(),
                account: self.provider,
                object_id: format!("{}", a % 40),
                failure_code: "declined".to_owned(),
                gross: Some(cents(500 * i64::from(a % 40 + 1))),
                pledge: self.pledge(b),
                occurred_at: None,
                value_date: None,
            },
            17 => match self.payment(a) {
                Some(payment) => Action::MatchReceipt {
                    payment,
                    payer: self.payer(b, a),
                },
                None => return,
            },
            18 => match self.entry_of(REVERSED[usize::from(b) % REVERSED.len()], a) {
                Some(number) => Action::ReverseEntry {
                    number,
                    reason: "the bank gave it back".to_owned(),
                },
                None => return,
            },
            19 | 20 => Action::ReverseEntry {
                number: i64::from(a) * self.world.head.entry / 256 + 1,
                reason: "a mistake".to_owned(),
            },
            21 => {
                self.now += Duration::hours(i64::from(a));
                return;
            }
            _ => return self.step_to_the_end((kind - 22, a, b), amount),
        };
        self.execute(action);
    }

    fn entry_of(&self, event: Event, pick: u8) -> Option<i64> {
        let entries = self.world.written.entries.iter();
        let of_event = entries.filter(|entry| entry.entry.event() == event);
        let numbers: Vec<i64> = of_event.map(|entry| entry.number).collect();
        (!numbers.is_empty()).then(|| numbers[usize::from(pick) % numbers.len()])
    }

    fn correctable(&self, bank: bool, object: u8) -> Option<i64> {
        let account = if bank { self.bank } else { self.provider };
        let id = self.world.objects.get(&(account, object.to_string()))?;
        let payment = self.world.payments.get(id)?;
        (payment.state == PaymentState::Reversed).then_some(payment.entry)
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_is_asked_the_books_are_right_and_every_road_has_an_end(
        road in prop::sample::select(Road::ALL.to_vec()),
        disclosed in any::<bool>(),
        before in prop::collection::vec((0_u8..52, any::<u8>(), any::<u8>(), 0_u16..40_000), 1..150),
        after in prop::collection::vec((0_u8..52, any::<u8>(), any::<u8>(), 0_u16..40_000), 0..100),
    ) {
        let bearer = if disclosed { FeeBearer::MembersDisclosed } else { FeeBearer::Underwriter };
        let mut walk = Walk::start(road, bearer);
        for step in before {
            walk.step(step);
        }
        walk.come_to_the_end();
        for step in after {
            walk.step(step);
        }
        walk.must_hold();
        walk.go_to_the_end();
        walk.must_hold();
    }
}

#[test]
fn an_entry_about_several_payments_is_not_taken_back_from_one() {
    let mut walk = Walk::start(Road::Allotted, FeeBearer::Underwriter);
    // Two payments that buy no share between them, each with a fee.
    for object in ["1", "2"] {
        let payment = PaymentId::mint();
        walk.must(Action::RecordReceipt(Receipt {
            payment,
            channel: Channel::Provider,
            account: walk.provider,
            object_id: object.to_owned(),
            gross: cents(300),
            payer: Payer::Member(walk.members[0]),
            unknown_payer_is_unallocated: false,
            method: Method::Card,
            occurred_at: None,
            value_date: None,
            available_on: None,
            corrects: None,
        }));
        walk.must(Action::RecordFee {
            payment,
            object_id: format!("fee {object}"),
            fee: cents(10),
            occurred_at: None,
            value_date: None,
        });
    }
    walk.come_to_the_end();
    walk.settle();
    let number = walk.entry_of(Event::FeeExpensed, 0).unwrap();
    let reason = "a mistake".to_owned();
    let reversed = walk.execute(Action::ReverseEntry { number, reason });
    assert!(matches!(reversed, Outcome::Refused(_)), "{reversed:?}");
    walk.must_hold();
}

/// A fee that was expensed when its payment failed, and that the payment's member bore once
/// the failure was taken back and the offer came to nothing: it is no expense to take back.
#[test]
fn an_expense_that_its_member_was_charged_with_stays() {
    let mut walk = Walk::start(Road::Failed, FeeBearer::MembersDisclosed);
    walk.execute(Action::RecordReceipt(Receipt {
        payment: PaymentId::mint(),
        channel: Channel::Provider,
        account: walk.provider,
        object_id: "ch_1".to_owned(),
        gross: cents(500),
        payer: Payer::Member(walk.members[0]),
        unknown_payer_is_unallocated: false,
        method: Method::Card,
        occurred_at: None,
        value_date: None,
        available_on: None,
        corrects: None,
    }));
    walk.must(Action::RecordFee {
        payment: walk.payment(0).unwrap(),
        object_id: "fee_1".to_owned(),
        fee: cents(78),
        occurred_at: None,
        value_date: None,
    });
    walk.take_back(0);
    let number = walk.entry_of(Event::PaymentLateFailure, 0).unwrap();
    let reason = String::new;
    walk.must(Action::ReverseEntry {
        number,
        reason: reason(),
    });
    walk.come_to_the_end();
    walk.settle();
    let number = walk.entry_of(Event::FeeExpensed, 0).unwrap();
    let refused = walk.execute(Action::ReverseEntry {
        number,
        reason: reason(),
    });
    assert!(
        matches!(
            &refused,
            Outcome::Refused(Refusal::EntryNotReversible { .. })
        ),
        "{refused:?}"
    );
    walk.must_hold();
    walk.go_to_the_end();
}
