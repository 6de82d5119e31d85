//! A thousand races for the same money, by several clients through two servers: a refund,
//! another one, a dispute that is announced, and shares. One wins, and the others hear why.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, stream};
use pledgebook::{access::Role, clock::Clock, grpc::pb};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom as _};
use tonic::Status;

use super::{Road, crowd};
use crate::harness::{Clients, eur, id, reason};

const RACES: usize = 1_000;
/// So many at once: more than one batch can hold apart.
const AT_ONCE: usize = 24;
const SEED: u64 = 20_261_123;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Contender {
    Refund,
    OtherRefund,
    Flag,
    Shares,
}

/// Whose money is raced for, by whom, and after how many milliseconds each sets off.
struct Race {
    payment: String,
    member: String,
    class: String,
    /// More than half of the money, or all of it, in shares of ten euros.
    units: i64,
    starts: Vec<(Contender, u64, usize)>,
}

/// Two people at each of two servers.
struct People {
    treasurers: [Clients; 2],
    admins: [Clients; 2],
}

impl Race {
    fn draw(random: &mut StdRng, payment: String, member: String, class: &str) -> Self {
        let mut contenders = vec![Contender::Refund, Contender::OtherRefund, Contender::Shares];
        // A flag leaves nothing to anybody, so it races for all of the money.
        let all = random.random_range(0..4) > 0;
        if all {
            contenders.push(Contender::Flag);
        }
        contenders.shuffle(random);
        contenders.truncate(random.random_range(2..=contenders.len()));
        let start = |contender| {
            (
                contender,
                random.random_range(0..4),
                random.random_range(0..2),
            )
        };
        Self {
            payment,
            member,
            class: class.to_owned(),
            units: if all { 10 } else { 6 },
            starts: contenders.into_iter().map(start).collect(),
        }
    }

    /// Each contender's answer.
    async fn run(&self, people: &People) -> Vec<(Contender, Result<(), Status>)> {
        let contest = self
            .starts
            .iter()
            .map(|&(contender, wait, server)| async move {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                (contender, self.contend(people, contender, server).await)
            });
        futures::future::join_all(contest).await
    }

    async fn contend(
        &self,
        people: &People,
        contender: Contender,
        server: usize,
    ) -> Result<(), Status> {
        let (treasurer, admin) = (&people.treasurers[server], &people.admins[server]);
        match contender {
            Contender::Refund => self.refund(treasurer, &people.admins[1 - server]).await,
            Contender::OtherRefund => self.refund(admin, &people.treasurers[1 - server]).await,
            Contender::Flag => {
                let request = pb::FlagDisputeRequest {
                    request_id: id(),
                    payment: self.payment.clone(),
                    reason: "an inquiry".to_owned(),
                    validate_only: false,
                };
                treasurer.payments().flag_dispute(request).await?;
                Ok(())
            }
            Contender::Shares => {
                let request = pb::PurchaseSharesRequest {
                    request_id: id(),
                    member: self.member.clone(),
                    share_class: self.class.clone(),
                    units: self.units,
                    validate_only: false,
                };
                treasurer.shares().purchase_shares(request).await?;
                Ok(())
            }
        }
    }

    /// Asked for by one, approved by the other: who was promised the money gets it.
    async fn refund(&self, one: &Clients, other: &Clients) -> Result<(), Status> {
        let request = pb::RequestRefundRequest {
            request_id: id(),
            payment: self.payment.clone(),
            amount: eur(&(10 * self.units).to_string()),
            reason: "changed their mind".to_owned(),
            validate_only: false,
        };
        let asked = one.refunds().request_refund(request).await?;
        let request = pb::ApproveRefundRequest {
            request_id: id(),
            refund: asked.into_inner().refund.unwrap().name,
            ..Default::default()
        };
        let approved = other.refunds().approve_refund(request).await;
        approved.expect("what was reserved is approved");
        Ok(())
    }
}

/// How somebody may lose.
fn loses(contender: Contender) -> &'static [&'static str] {
    match contender {
        Contender::Refund | Contender::OtherRefund => &["REFUND_EXCEEDS", "PAYMENT_STATE"],
        Contender::Flag => &["PAYMENT_STATE"],
        Contender::Shares => &["NOT_ENOUGH_HELD"],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_races_for_the_same_money_each_has_one_winner() {
    println!("seed {SEED}");
    let mut random = StdRng::seed_from_u64(SEED);
    let class = pb::ShareClass {
        display_name: "Ordinary".to_owned(),
        price: eur("10"),
        nominal: eur("7"),
        authorised: 20_000,
        ..Default::default()
    };
    let road = Road::open(Road::terms(&Clock::default()), Some(class)).await;
    let members = crowd::members(&road, RACES).await;
    let payments = crowd::pay(&road, &members, |_| "100".to_owned()).await;
    road.payout("po_1", "100000", false).await;
    road.buy("50000").await;
    let other = road.tester.another_server().await;
    let at_both = |role| {
        let here = road.tester.as_role(role);
        [here, road.tester.as_role_on(&other, role)]
    };
    let people = People {
        treasurers: at_both(Role::Treasurer),
        admins: at_both(Role::Admin),
    };
    let class = road.class().await;
    let races = payments.into_iter().zip(members);
    let races: Vec<Race> = races
        .map(|(payment, member)| Race::draw(&mut random, payment, member, &class))
        .collect();

    let people = &people;
    let run = |race: Race| async move { (race.run(people).await, race) };
    let run: Vec<_> = stream::iter(races)
        .map(run)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut won: BTreeMap<Contender, usize> = BTreeMap::new();
    for (answers, race) in &run {
        let mut winners = 0;
        for (contender, answer) in answers {
            match answer {
                Ok(()) => {
                    winners += 1;
                    *won.entry(*contender).or_default() += 1;
                }
                Err(refused) => {
                    let why = reason(refused);
                    assert!(
                        loses(*contender).contains(&why.as_str()),
                        "{contender:?} {why}"
                    );
                }
            }
        }
        assert_eq!(winners, 1, "seed {SEED}: {answers:?} {}", race.payment);
    }
    println!("{won:?}");
    assert_eq!(won.values().sum::<usize>(), RACES);
    // Everybody wins often, or it is no race.
    assert!(
        won.len() == 4 && won.values().all(|won| *won > RACES / 20),
        "{won:?}"
    );

    let sent = crowd::bridge(&road).await;
    assert_eq!(sent, won[&Contender::Refund] + won[&Contender::OtherRefund]);
    must_be_given_once(&road).await;
    road.tester.must_be_clean(&road.campaign.name).await;
}

/// Of no payment more than its gross was sent back or turned into shares.
async fn must_be_given_once(road: &Road) {
    let pool = road.tester.database.pool("postgres").await;
    let given: Vec<(i64, i64, i64, i64, bool)> =
        sqlx::query_as("SELECT gross, allotted, refunded, held + refundable, flagged FROM payment")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(given.len(), RACES);
    for (gross, allotted, refunded, left, flagged) in given {
        assert_eq!(allotted + refunded + left, gross);
        let moved = [allotted > 0, refunded > 0, flagged];
        assert_eq!(moved.iter().filter(|moved| **moved).count(), 1);
    }
}
