//! The story, as data: who does what on which day. Drawn before anything is
//! called, by the seed alone; two members of the cast are written by hand.

use super::offer::Offer;
use crate::{cli::draw::Draw, money::Currency};

/// The days on which people act; the deadline is on the next.
pub(super) const LAST_DAY: i64 = 30;

/// The round of a day in which each act waits for the one before.
pub(super) const ALONE: u8 = 3;

/// From here on, in hundredths, who paid first matters: the largest requests are scaled
/// back, and ties among them are broken by that.
const LARGE: i64 = whole(1_000);

/// One campaign's story.
pub(super) struct Plan {
    pub(super) offer: Offer,
    /// The first of them is the one whose statement is shown.
    pub(super) people: Vec<Person>,
    pub(super) pledges: Vec<Pledge>,
    pub(super) charges: Vec<Charge>,
    /// By day, and within a day by round.
    pub(super) acts: Vec<Act>,
}

/// Somebody of the cast.
pub(super) struct Person {
    pub(super) name: String,
    pub(super) email: String,
}

/// A promise of somebody's.
pub(super) struct Pledge {
    pub(super) person: usize,
    pub(super) promise: Promised,
}

/// What is promised: hundredths of the currency, or shares.
#[derive(Clone, Copy)]
pub(super) enum Promised {
    Amount(i64),
    Shares(i64),
}

/// Money on its way.
pub(super) struct Charge {
    /// The pledge it is meant for; what is recorded may not know it.
    pub(super) pledge: usize,
    /// In hundredths of the currency.
    pub(super) gross: i64,
    pub(super) door: Door,
}

/// The door that money comes in through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// RecordPayment, by card.
    Card,
    /// RecordPayment, by direct debit: clears after weeks.
    Debit,
    /// The provider's webhook.
    Webhook,
    /// RecordBankReceipt, with the pledge in the reference.
    Bank,
    /// RecordBankReceipt of a transfer that names nobody.
    Unnamed,
}

/// Something that is done, on a day from 1 to [`LAST_DAY`]; a fee may be told a day later.
pub(super) struct Act {
    pub(super) day: i64,
    /// Acts of a round are done at once, except in [`ALONE`].
    pub(super) round: u8,
    pub(super) what: What,
    /// What the story says once it is done.
    pub(super) tell: Option<String>,
}

/// What is done; with the index of a person, a pledge or a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    StartPledging,
    Open,
    Sign(usize),
    Withdraw(usize),
    Join(usize),
    Pledge(usize),
    /// The whole new promise, in hundredths.
    Amend(usize, i64),
    Cancel(usize),
    /// A charge that the provider could not make.
    Decline(usize),
    Take(usize),
    /// The provider's two events about one charge, each delivered twice; the
    /// later one first where the flag says so.
    Notify(usize, bool),
    Match(usize),
    Fee(usize),
    /// The money goes back after it had arrived.
    FailLate(usize),
}

impl What {
    /// The round of a day in which it is done: a new stage first, pledges after
    /// their members. Everything else rests on earlier days, and so needs no order.
    const fn round(self) -> u8 {
        match self {
            Self::StartPledging | Self::Open => 0,
            Self::Pledge(_) => 2,
            Self::Sign(_)
            | Self::Withdraw(_)
            | Self::Join(_)
            | Self::Amend(..)
            | Self::Cancel(_)
            | Self::Decline(_)
            | Self::Take(_)
            | Self::Notify(..)
            | Self::Match(_)
            | Self::Fee(_)
            | Self::FailLate(_) => 1,
        }
    }
}

/// Whole units of the currency in its hundredths.
pub(super) const fn whole(units: i64) -> i64 {
    units * 100
}

impl Plan {
    pub(super) fn new(offer: Offer) -> Self {
        Self {
            offer,
            people: Vec::new(),
            pledges: Vec::new(),
            charges: Vec::new(),
            acts: Vec::new(),
        }
    }

    pub(super) fn currency(&self) -> Currency {
        self.offer.currency
    }

    /// Puts the acts in the order in which they are played.
    pub(super) fn in_order(mut self) -> Self {
        self.acts.sort_by_key(|act| (act.day, act.round, act.what));
        self
    }

    /// Nobody does anything after the last day: the deadline has passed.
    pub(super) fn act(&mut self, day: i64, what: What) {
        self.told(day, what, None);
    }

    pub(super) fn tell(&mut self, day: i64, what: What, story: impl Into<String>) {
        self.told(day, what, Some(story.into()));
    }

    fn told(&mut self, day: i64, what: What, tell: Option<String>) {
        let charge = match what {
            What::Take(charge) | What::Notify(charge, _) => self.charges.get(charge),
            _ => None,
        };
        let round = if charge.is_some_and(|charge| charge.gross >= LARGE) {
            ALONE
        } else {
            what.round()
        };
        if day <= LAST_DAY {
            self.acts.push(Act {
                day,
                round,
                what,
                tell,
            });
        }
    }

    pub(super) fn person(&mut self, (given, family): (&str, &str)) -> usize {
        let number = self.people.len();
        self.people.push(Person {
            name: format!("{given} {family}"),
            email: format!("{given}.{family}.{number}@example.org").to_lowercase(),
        });
        number
    }

    /// A promise; its person becomes a member first, unless one already.
    pub(super) fn pledge(&mut self, day: i64, person: usize, promise: Promised) -> usize {
        if !self.pledges.iter().any(|pledge| pledge.person == person) {
            self.act(day, What::Join(person));
        }
        self.pledges.push(Pledge { person, promise });
        self.act(day, What::Pledge(self.pledges.len() - 1));
        self.pledges.len() - 1
    }

    pub(super) fn charge(&mut self, pledge: usize, gross: i64, door: Door) -> usize {
        self.charges.push(Charge {
            pledge,
            gross,
            door,
        });
        self.charges.len() - 1
    }

    /// Money that arrives; the provider tells its fee a day later.
    pub(super) fn pay(&mut self, day: i64, pledge: usize, gross: i64, door: Door) -> usize {
        let charge = self.charge(pledge, gross, door);
        match door {
            Door::Webhook => self.act(day, What::Notify(charge, false)),
            Door::Card | Door::Debit | Door::Bank | Door::Unnamed => {
                self.act(day, What::Take(charge));
            }
        }
        if matches!(door, Door::Card | Door::Debit | Door::Webhook) {
            self.fee(day, charge);
        }
        charge
    }

    /// The provider tells a fee on the day after, even if that is the last one's.
    pub(super) fn fee(&mut self, taken_on: i64, charge: usize) {
        if taken_on <= LAST_DAY {
            let what = What::Fee(charge);
            self.acts.push(Act {
                day: taken_on + 1,
                round: what.round(),
                what,
                tell: None,
            });
        }
    }

    /// What arrives and stays, in hundredths.
    pub(super) fn collected(&self) -> i64 {
        let gross = |act: &Act| match act.what {
            What::Take(charge) | What::Notify(charge, _) => {
                self.charges.get(charge).map(|charge| charge.gross)
            }
            What::FailLate(charge) => self.charges.get(charge).map(|charge| -charge.gross),
            _ => None,
        };
        self.acts.iter().filter_map(gross).sum()
    }

    /// Money that arrives, unless the card is declined: three of a hundred are,
    /// and most of those try again with another card. False for the others.
    pub(super) fn try_to_pay(
        &mut self,
        draw: &mut Draw,
        day: i64,
        pledge: usize,
        gross: i64,
        door: Door,
    ) -> bool {
        let by_card = matches!(door, Door::Card | Door::Webhook);
        if !by_card || !draw.percent(3) {
            self.pay(day, pledge, gross, door);
            return true;
        }
        let declined = self.charge(pledge, gross, Door::Card);
        self.act(day, What::Decline(declined));
        let again = draw.percent(65);
        if again {
            self.pay(day + 2, pledge, gross, Door::Card);
        }
        again
    }

    /// Signatures of people who do not pledge: some are taken back.
    pub(super) fn signers(&mut self, draw: &mut Draw, stay: usize, leave: usize) {
        for number in 0..stay + leave {
            let person = self.person(draw.name());
            let day = draw.busy_day(1, 12);
            self.act(day, What::Sign(person));
            if number < leave {
                self.act(day + 3, What::Withdraw(person));
            }
        }
    }
}
