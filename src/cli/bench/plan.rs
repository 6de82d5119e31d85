//! What a run will do, decided before its clock starts: who promises how much, and
//! each call with its time. Pure: the same numbers give the same plan.

use std::time::Duration;

use rand::RngExt;

use super::{
    Load,
    amount::Drawing,
    profile::{Stretch, WHOLE},
};
use crate::cli::{Failure, draw::Draw, fee::fee_half_up};

/// So many of a thousand charges fail (domain.md §8: 3 %).
const FAILING: usize = 30;
/// So many of a thousand payments are told twice (domain.md §8: 2-5 %).
const TOLD_TWICE: usize = 35;
/// Fees and duplicates come within so much of the run's length after their charge.
const AFTERWARDS: u32 = 10;
/// Half of the duplicates come this near to the first telling: they race.
const RACING: u32 = 500;

/// What kind of call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A payment is recorded.
    Payment,
    /// Its fee, which is told later.
    Fee,
    /// A charge that failed.
    Failure,
    /// The same payment again.
    Duplicate {
        /// With the same request id, as a retry; or with another, as a second door would.
        same_request: bool,
    },
}

impl Kind {
    /// How many there are.
    pub(super) const COUNT: usize = 4;

    /// Its place in a table.
    pub(super) const fn place(self) -> usize {
        match self {
            Self::Payment => 0,
            Self::Fee => 1,
            Self::Failure => 2,
            Self::Duplicate { .. } => 3,
        }
    }
}

/// A charge of somebody's card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) pledge: usize,
    /// In hundredths of the currency.
    pub(super) gross: i64,
    /// How many calls would record it as a payment.
    pub(super) tellings: u8,
}

impl Charge {
    pub(super) const fn fee(&self) -> i64 {
        fee_half_up(self.gross)
    }
}

/// A call and when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// After the start.
    pub(super) at: Duration,
    pub(super) charge: usize,
    pub(super) kind: Kind,
}

/// What a run will do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// What each member promises, in hundredths; one pledge a member.
    pub(super) pledges: Vec<i64>,
    pub(super) charges: Vec<Charge>,
    /// By time.
    pub(super) arrivals: Vec<Arrival>,
}

impl Plan {
    pub(super) fn draw(load: &Load) -> Result<Self, Failure> {
        let profile = &load.profile;
        let drawing = Drawing::new(profile.amounts)?;
        let mut draw = Draw::new(load.seed, profile.name);
        let number = u64::from(load.rate) * micros(load.duration) / 1_000_000;
        let times = times(profile.shape, number, load.duration, &mut draw);
        let never: Vec<bool> = (0..load.members)
            .map(|_| drawing.never_pays(&mut draw))
            .collect();
        let payers: Vec<usize> = (0..load.members).filter(|&member| !never[member]).collect();
        if payers.is_empty() {
            return Err("nobody would pay: more members are needed".into());
        }

        let mut plan = Self {
            pledges: vec![0; load.members],
            charges: Vec::with_capacity(times.len()),
            arrivals: Vec::with_capacity(times.len() * 2),
        };
        for (number, at) in times.into_iter().enumerate() {
            // In turn: nobody is charged a second time before all have been once.
            let pledge = payers[number % payers.len()];
            let gross = drawing.charge(&mut draw);
            plan.pledges[pledge] += gross;
            plan.charge(pledge, gross, at, load.duration, &mut draw);
        }
        for charged in &mut plan.pledges {
            *charged = drawing.promise(*charged);
        }
        // Stable: of what is due at once, the telling stays before the fee.
        plan.arrivals.sort_by_key(|arrival| arrival.at);
        Ok(plan)
    }

    fn charge(&mut self, pledge: usize, gross: i64, at: Duration, run: Duration, draw: &mut Draw) {
        let charge = self.charges.len();
        let mut arrive = |at, kind| self.arrivals.push(Arrival { at, charge, kind });
        let mut tellings = 0;
        if draw.below(1_000) < FAILING {
            arrive(at, Kind::Failure);
        } else {
            tellings = 1;
            let mut last = at;
            if draw.below(1_000) < TOLD_TWICE {
                tellings = 2;
                let same_request = draw.percent(50);
                let within = if draw.percent(50) { RACING } else { AFTERWARDS };
                let (duplicate, later) = (
                    Kind::Duplicate { same_request },
                    at + after(run / within, draw),
                );
                // Any order: the second telling is at times the first to arrive.
                let (first, second) = if draw.percent(25) {
                    (duplicate, Kind::Payment)
                } else {
                    (Kind::Payment, duplicate)
                };
                arrive(at, first);
                arrive(later, second);
                last = later;
            } else {
                arrive(at, Kind::Payment);
            }
            // After every telling, so that a fee never waits for what is sent after it.
            arrive(last + after(run / AFTERWARDS, draw), Kind::Fee);
        }
        self.charges.push(Charge {
            pledge,
            gross,
            tellings,
        });
    }
}

/// Any time within a length.
fn after(within: Duration, draw: &mut Draw) -> Duration {
    Duration::from_micros(draw.0.random_range(0..=micros(within)))
}

/// When charges are made: each stretch has its share of them, at any time within it,
/// as people come who know nothing of each other.
fn times(shape: &[Stretch], number: u64, run: Duration, draw: &mut Draw) -> Vec<Duration> {
    let run = micros(run);
    let mut times = Vec::new();
    let (mut time, mut arrivals) = (0, 0);
    for part in shape {
        let from = run * time / WHOLE;
        let before = number * arrivals / WHOLE;
        (time, arrivals) = (time + part.time, arrivals + part.arrivals);
        let end = (run * time / WHOLE).max(from + 1);
        for _ in before..number * arrivals / WHOLE {
            times.push(Duration::from_micros(draw.0.random_range(from..end)));
        }
    }
    times.sort_unstable();
    times
}

/// A length in whole microseconds.
pub(super) fn micros(of: Duration) -> u64 {
    u64::try_from(of.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::profile::PROFILES;

    fn load(profile: &str, rate: u32, seconds: u64) -> Load {
        let profile = profile.parse().unwrap();
        let mut load = Load::of(profile, Some(rate), Duration::from_secs(seconds), None);
        load.seed = 5;
        load
    }

    fn of_kind(plan: &Plan, is: fn(Kind) -> bool) -> usize {
        plan.arrivals
            .iter()
            .filter(|arrival| is(arrival.kind))
            .count()
    }

    /// Asserts that `part` is so many thousandths of `whole`, within two.
    fn is_about(part: usize, whole: usize, thousandths: usize) {
        let found = part * 1_000 / whole;
        assert!(
            found.abs_diff(thousandths) <= 2,
            "{found} ‰ are not {thousandths} ‰"
        );
    }

    #[test]
    fn the_seed_decides_everything() {
        let seven = load("monzo", 100, 10);
        let mut eight = seven.clone();
        eight.seed += 1;
        let drawn = |load: &Load| Plan::draw(load).unwrap();
        assert_eq!(drawn(&seven), drawn(&seven));
        assert_ne!(drawn(&seven).arrivals, drawn(&eight).arrivals);
    }

    #[test]
    fn charges_have_their_profiles_shape() {
        for profile in &PROFILES {
            let load = load(profile.name, 5_000, 20);
            let mut draw = Draw::new(1, "shape");
            let times = times(profile.shape, 100_000, load.duration, &mut draw);
            assert_eq!(times.len(), 100_000, "{}", profile.name);
            assert!(times.iter().all(|at| *at <= load.duration));
            let (mut time, mut arrivals) = (0, 0);
            for part in profile.shape {
                (time, arrivals) = (time + part.time, arrivals + part.arrivals);
                let end = Duration::from_micros(20 * time);
                let there = times.partition_point(|at| *at < end);
                is_about(there, 100_000, usize::try_from(arrivals / 1_000).unwrap());
            }
        }
    }

    #[test]
    fn a_monzo_that_opens_evenly_would_be_found() {
        let mut draw = Draw::new(1, "control");
        let even = [Stretch {
            time: WHOLE,
            arrivals: WHOLE,
        }];
        let times = times(&even, 100_000, Duration::from_secs(165), &mut draw);
        assert!(times.partition_point(|at| *at < Duration::from_secs(5)) < 5_000);
    }

    #[test]
    fn three_in_a_hundred_fail_and_two_to_five_are_told_twice() {
        let plan = Plan::draw(&load("monzo", 5_000, 20)).unwrap();
        let charges = plan.charges.len();
        assert_eq!(charges, 100_000);
        let failures = of_kind(&plan, |kind| kind == Kind::Failure);
        let payments = of_kind(&plan, |kind| kind == Kind::Payment);
        let fees = of_kind(&plan, |kind| kind == Kind::Fee);
        let duplicates = of_kind(&plan, |kind| matches!(kind, Kind::Duplicate { .. }));
        let retries = of_kind(&plan, |kind| kind == Kind::Duplicate { same_request: true });
        is_about(failures, charges, 30);
        assert_eq!(payments, charges - failures);
        assert_eq!(fees, payments);
        is_about(duplicates, payments, 35);
        let half = duplicates / 2;
        assert!(
            retries.abs_diff(half) < half / 5,
            "{retries} of {duplicates}"
        );
    }

    #[test]
    fn a_fee_comes_after_every_telling_and_fees_come_in_another_order() {
        let plan = Plan::draw(&load("packers", 500, 20)).unwrap();
        assert!(plan.arrivals.is_sorted_by_key(|arrival| arrival.at));
        let mut told = vec![0_u8; plan.charges.len()];
        let (mut duplicates_first, mut fees_overtaking, mut last_fee) = (0, 0, 0);
        for arrival in &plan.arrivals {
            let charge = arrival.charge;
            match arrival.kind {
                Kind::Fee => {
                    assert_eq!(told[charge], plan.charges[charge].tellings);
                    fees_overtaking += usize::from(charge < last_fee);
                    last_fee = charge;
                }
                Kind::Duplicate { .. } if told[charge] == 0 => duplicates_first += 1,
                Kind::Payment | Kind::Duplicate { .. } | Kind::Failure => {}
            }
            told[charge] += u8::from(!matches!(arrival.kind, Kind::Fee | Kind::Failure));
        }
        assert!(duplicates_first > 10, "{duplicates_first}");
        assert!(fees_overtaking > 1_000, "{fees_overtaking}");
    }

    #[test]
    fn a_promise_is_what_is_charged_unless_the_profile_says_otherwise() {
        let plan = Plan::draw(&load("constitution-dao", 100, 10)).unwrap();
        let mut charged = vec![0; plan.pledges.len()];
        for charge in &plan.charges {
            assert!(charge.gross > 0 && charge.fee() > 0);
            charged[charge.pledge] += charge.gross;
        }
        assert_eq!(charged, plan.pledges);

        let mut club = load("football-club", 1_000, 20);
        club.members = 2_426;
        let club = Plan::draw(&club).unwrap();
        assert!(club.pledges.iter().all(|&promise| promise == 100_000));
        let mut pays = vec![false; club.pledges.len()];
        for charge in &club.charges {
            pays[charge.pledge] = true;
        }
        let never = pays.iter().filter(|pays| !**pays).count();
        assert!((200..340).contains(&never), "{never} of 2,426 never pay");
    }
}
