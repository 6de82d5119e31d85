//! The two campaigns: what each offers, and how its crowd behaves.

use super::plan::{Door, LAST_DAY, Plan, Promised, What, whole};
use crate::{cli::draw::Draw, grpc::pb::FeeBearer, money::Currency};

/// What a campaign offers; amounts in hundredths of its currency.
pub(super) struct Offer {
    /// In ids and external names.
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) currency: Currency,
    pub(super) minimum: i64,
    pub(super) target: i64,
    pub(super) maximum: i64,
    pub(super) minimum_members: i32,
    pub(super) fee_bearer: FeeBearer,
    pub(super) fee_bearer_note: &'static str,
    pub(super) share: Share,
    pub(super) bank: &'static str,
    pub(super) ending: Ending,
}

/// What becomes of the offer.
#[derive(Clone, Copy)]
pub(super) enum Ending {
    /// More is paid than there are shares; the seller sells at this price.
    Bought { price: i64 },
    /// Too little is paid, and everybody gets it back; the underwriter advances so much.
    PaidBack { advance: i64 },
}

/// The one class of shares of an offer.
pub(super) struct Share {
    pub(super) title: &'static str,
    pub(super) price: i64,
    pub(super) nominal: i64,
    pub(super) authorised: i64,
    pub(super) most_per_member: i64,
}

/// The days on which pledging begins, and taking money.
const PLEDGING: i64 = 5;
const OPEN: i64 = 9;

/// Many people, all sizes of contribution, cards above all.
pub(super) fn we_are_twitter(seed: u64, currency: Currency) -> Plan {
    let mut draw = Draw::new(seed, "wearetwitter");
    let mut plan = Plan::new(Offer {
        key: "wat",
        title: "#WeAreTwitter",
        description: "The people who made the platform buy a block of its shares, and hold it in common.",
        currency,
        minimum: 0,
        target: 0,
        maximum: 0,
        minimum_members: 100,
        fee_bearer: FeeBearer::Underwriter,
        fee_bearer_note: "The Internet of Ownership fund, up to USD 25,000",
        share: Share {
            title: "Founding share",
            price: whole(10),
            nominal: whole(1),
            authorised: 0,
            most_per_member: 10_000,
        },
        bank: "example-bank",
        ending: Ending::Bought { price: 0 },
    });
    stages(&mut plan);
    overpayer(&mut plan);
    plan.signers(&mut draw, 12, 4);
    for number in 0..186 {
        let person = plan.person(draw.name());
        let pledged_on = draw.busy_day(PLEDGING, LAST_DAY - 2);
        if number % 6 == 0 {
            plan.act(draw.busy_day(1, 4), What::Sign(person));
        }
        let (promise, gross) = if draw.percent(12) {
            let shares = [1, 5, 10, 25, 100][draw.below(5)];
            (Promised::Shares(shares), shares * plan.offer.share.price)
        } else {
            let cents = draw.contribution();
            (Promised::Amount(cents), cents)
        };
        let pledge = plan.pledge(pledged_on, person, promise);
        crowd_pays(&mut plan, &mut draw, pledge, pledged_on, gross);
        // Some come back and give a little more.
        if number % 15 == 7 {
            let day = (pledged_on + 5).min(LAST_DAY - 1);
            let again = plan.pledge(day, person, Promised::Amount(whole(25)));
            crowd_pays(&mut plan, &mut draw, again, day, whole(25));
        }
    }
    over_subscribed(&mut plan);
    plan.in_order()
}

/// Sizes the offer to its crowd, so that every seed's story ends in too few shares: seven
/// for every ten that are paid for.
fn over_subscribed(plan: &mut Plan) {
    let collected = plan.collected();
    let share = &mut plan.offer.share;
    share.authorised = collected * 7 / 10 / share.price / 100 * 100;
    let target = share.authorised * share.price;
    plan.offer.minimum = target / 2;
    plan.offer.target = target;
    plan.offer.maximum = target * 2;
    plan.offer.ending = Ending::Bought {
        price: target / 10 * 9,
    };
}

/// What becomes of a promise of an amount.
fn crowd_pays(plan: &mut Plan, draw: &mut Draw, pledge: usize, pledged_on: i64, mut gross: i64) {
    let promise = plan.pledges.get(pledge).map(|pledge| pledge.promise);
    match (draw.below(100), promise) {
        (0..3, _) => return plan.act(pledged_on + 2, What::Cancel(pledge)),
        (3..7, Some(Promised::Amount(_))) => {
            gross += whole(10);
            plan.act(pledged_on + 1, What::Amend(pledge, gross));
        }
        // Promised, and never heard of again.
        (7..17, _) => return,
        _ => {}
    }
    let day = (pledged_on + 1).max(OPEN) + i64::from(draw.percent(50));
    // Nobody puts five thousand on a card.
    let door = match (gross >= whole(5_000), draw.below(100)) {
        (true, _) => Door::Bank,
        (false, 0..24) => Door::Webhook,
        (false, 24..32) => Door::Debit,
        (false, _) => Door::Card,
    };
    plan.try_to_pay(draw, day + 1, pledge, gross, door);
}

/// Signs, pledges, raises the pledge, and pays more than that.
fn overpayer(plan: &mut Plan) {
    let rosa = plan.person(("Rosa", "Varga"));
    plan.act(1, What::Sign(rosa));
    let pledge = plan.pledge(PLEDGING, rosa, Promised::Amount(whole(100)));
    plan.act(8, What::Amend(pledge, whole(250)));
    let charge = plan.charge(pledge, whole(275), Door::Webhook);
    plan.tell(
        12,
        What::Notify(charge, true),
        "Rosa Varga pays 275.00 on a pledge of 250.00: 25.00 is refundable at once. \
         The provider tells it by two events, the later one first, each of them twice.",
    );
    plan.fee(12, charge);
    let bounced = plan.person(("Idris", "Okafor"));
    let pledge = plan.pledge(10, bounced, Promised::Amount(whole(400)));
    let charge = plan.pay(13, pledge, whole(400), Door::Debit);
    plan.tell(
        18,
        What::FailLate(charge),
        "Idris Okafor's bank takes a direct debit of 400.00 back, five days after it arrived. \
         The promise stands again.",
    );
}

/// One share each, a deposit by card and the balance by bank transfer; too few come.
pub(super) fn harbour_club(seed: u64, currency: Currency) -> Plan {
    let mut draw = Draw::new(seed, "harbour club");
    let mut plan = Plan::new(Offer {
        key: "hrb",
        title: "Harbour Lane FC supporters",
        description: "The supporters buy their club out of administration: one share, one vote.",
        currency,
        minimum: whole(150_000),
        target: whole(200_000),
        maximum: whole(250_000),
        minimum_members: 60,
        fee_bearer: FeeBearer::Underwriter,
        fee_bearer_note: "The Harbour Lane Trust, up to GBP 1,000",
        share: Share {
            title: "Community share",
            price: whole(1_000),
            nominal: whole(1_000),
            authorised: 3_000,
            most_per_member: 20,
        },
        bank: "example-building-society",
        ending: Ending::PaidBack {
            advance: whole(1_000),
        },
    });
    stages(&mut plan);
    depositor(&mut plan);
    plan.signers(&mut draw, 6, 2);
    for number in 0..110 {
        let person = plan.person(draw.name());
        let pledged_on = draw.busy_day(PLEDGING, LAST_DAY - 4);
        if number % 8 == 0 {
            plan.act(draw.busy_day(1, 4), What::Sign(person));
        }
        let shares = [1, 1, 1, 1, 1, 1, 1, 1, 1, 2][draw.below(10)];
        let pledge = plan.pledge(pledged_on, person, Promised::Shares(shares));
        if draw.percent(3) {
            plan.act(pledged_on + 2, What::Cancel(pledge));
            continue;
        }
        let deposit_on = (pledged_on + 1).max(OPEN);
        let door = if draw.percent(30) {
            Door::Webhook
        } else {
            Door::Card
        };
        let deposited = plan.try_to_pay(&mut draw, deposit_on, pledge, shares * DEPOSIT, door);
        // Of every hundred depositors eleven never pay the balance.
        if deposited && !draw.percent(11) {
            let balance = shares * (plan.offer.share.price - DEPOSIT);
            let day = deposit_on + 3 + i64::try_from(draw.below(8)).unwrap_or(0);
            plan.pay(day, pledge, balance, Door::Bank);
        }
    }
    plan.in_order()
}

/// What makes a place in the queue sure.
const DEPOSIT: i64 = whole(100);

/// Pays a deposit, then the balance without a reference.
fn depositor(plan: &mut Plan) {
    let gwen = plan.person(("Gwen", "Griffiths"));
    plan.act(2, What::Sign(gwen));
    let pledge = plan.pledge(6, gwen, Promised::Shares(1));
    plan.pay(10, pledge, DEPOSIT, Door::Card);
    let charge = plan.charge(pledge, whole(900), Door::Unnamed);
    plan.tell(
        16,
        What::Take(charge),
        "A transfer of 900.00 names nobody. It is booked at once, to 2900, and waits there.",
    );
    plan.tell(
        19,
        What::Match(charge),
        "The treasurer finds out whose the 900.00 is: Gwen Griffiths' share is paid in full.",
    );
    let waiting = plan.charge(pledge, whole(50), Door::Unnamed);
    plan.act(LAST_DAY - 1, What::Take(waiting));
}

fn stages(plan: &mut Plan) {
    plan.act(PLEDGING, What::StartPledging);
    plan.act(OPEN, What::Open);
}
