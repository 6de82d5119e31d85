//! Promises that run out, or whose charges failed.

use pledgebook::grpc::pb::{self, PledgeState};
use time::Duration;

use super::stands;
use crate::{
    calls::refused,
    harness::{Campaign, Tester, days_from_now, eur, id, lines, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn pledges_run_out_at_their_time_a_bounded_number_a_call() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let mut names = Vec::new();
    for amount in ["10", "20", "30", "40", "50"] {
        names.push(campaign.pledge(&tester, &member, amount).await);
    }
    // Part paid, paid in full, and one that runs out earlier.
    campaign.pay(&tester, "ch_1", &names[1], "5").await;
    campaign.pay(&tester, "ch_2", &names[3], "40").await;
    let request = pb::CreatePledgeRequest {
        expire_time: days_from_now(&tester.clock, 2),
        ..campaign.promise(&member, "60")
    };
    let early = tester
        .treasurer()
        .pledges()
        .create_pledge(request)
        .await
        .unwrap();
    let early = early.into_inner().pledge.unwrap().name;

    let nothing = campaign.expire(&tester, 0).await;
    assert!(nothing.pledges.is_empty() && !nothing.more);
    assert!(nothing.outcome.unwrap().entry_numbers.is_empty());
    tester.clock.shift(Duration::days(3));
    let first = campaign.expire(&tester, 0).await;
    let expired: Vec<&str> = first.pledges.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(expired, [early.as_str()]);

    tester.clock.shift(Duration::days(28));
    let (mut released, mut more) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let page = campaign.expire(&tester, 2).await;
        more.push(page.more);
        let numbers = page.outcome.unwrap().entry_numbers;
        assert_eq!(numbers.len(), page.pledges.len());
        for (number, pledge) in numbers.into_iter().zip(page.pledges) {
            assert_eq!(pledge.state(), PledgeState::Expired);
            assert_eq!(text(&pledge.outstanding), "EUR 0.00");
            assert_eq!(campaign.read_pledge(&tester, &pledge.name).await, pledge);
            let entry = campaign.entry(&tester, number).await;
            assert_eq!(entry.event(), pb::EntryEvent::PledgeExpired);
            released.push((pledge.name, lines(&entry)[0].clone()));
        }
    }
    // The oldest first; of the part-paid one only what was outstanding.
    let expected = [
        (names[0].clone(), "Cr 9000 EUR 10.00".to_owned()),
        (names[1].clone(), "Cr 9000 EUR 15.00".to_owned()),
        (names[2].clone(), "Cr 9000 EUR 30.00".to_owned()),
        (names[4].clone(), "Cr 9000 EUR 50.00".to_owned()),
    ];
    assert_eq!(released, expected);
    assert_eq!(more, [true, true, false]);
    let part_paid = campaign.read_pledge(&tester, &names[1]).await;
    assert_eq!(
        stands(&part_paid),
        (PledgeState::Expired, "20.00 5.00 0.00".to_owned())
    );
    let paid = campaign.read_pledge(&tester, &names[3]).await;
    assert_eq!(paid.state(), PledgeState::Paid);
    assert_eq!(campaign.stands(&tester, "9000").await, "0");
    assert_eq!(campaign.stands(&tester, "2100").await, "Cr 45.00");
    for limit in [-1, 501] {
        let request = pb::ExpirePledgesRequest {
            request_id: id(),
            campaign: campaign.name.clone(),
            limit,
            validate_only: false,
        };
        let wrong = tester.treasurer().pledges().expire_pledges(request).await;
        refused(wrong, "INVALID_FIELD");
    }
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pledge_whose_charge_failed_is_dropped_after_seven_days() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let [dropped, retried, part_paid] = [
        campaign.pledge(&tester, &member, "10").await,
        campaign.pledge(&tester, &member, "20").await,
        campaign.pledge(&tester, &member, "30").await,
    ];
    campaign.pay(&tester, "ch_0", &part_paid, "1").await;
    for (object, pledge) in [("ch_1", &dropped), ("ch_2", &retried), ("ch_3", &part_paid)] {
        let request = pb::RecordPaymentFailureRequest {
            gross: eur("10"),
            pledge: pledge.clone(),
            ..campaign.failure(object)
        };
        campaign.fail(&tester, request).await.unwrap();
    }
    let errored = campaign.read_pledge(&tester, &dropped).await;
    assert_eq!(
        stands(&errored),
        (PledgeState::Errored, "10.00 0.00 10.00".to_owned())
    );
    // An amended promise is still one whose charge failed.
    let amended = campaign.amend(&tester, &dropped, "11").await.unwrap();
    assert_eq!(amended.pledge.unwrap().state(), PledgeState::Errored);

    tester.clock.shift(Duration::days(6));
    assert!(campaign.expire(&tester, 0).await.pledges.is_empty());
    campaign.pay(&tester, "ch_4", &retried, "20").await;
    tester.clock.shift(Duration::days(1));
    let gone = campaign.expire(&tester, 0).await;
    let names: Vec<&str> = gone.pledges.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, [dropped.as_str()]);
    assert_eq!(
        stands(&gone.pledges[0]),
        (PledgeState::Dropped, "11.00 0.00 0.00".to_owned())
    );
    let entry = campaign
        .entry(&tester, gone.outcome.unwrap().entry_numbers[0])
        .await;
    assert_eq!(entry.event(), pb::EntryEvent::PledgeExpired);
    assert_eq!(lines(&entry), ["Cr 9000 EUR 11.00", "Dr 9001 EUR 11.00"]);
    let part_paid = campaign.read_pledge(&tester, &part_paid).await;
    assert_eq!(part_paid.state(), PledgeState::PartPaid);
    // What still comes in for a dropped promise is due back.
    let late = campaign.pay(&tester, "ch_5", &dropped, "11").await;
    assert_eq!(
        campaign.posted(&tester, late.entry()).await,
        ["Dr 1000 EUR 11.00", "Cr 2200 EUR 11.00"]
    );
    tester.must_be_clean(&campaign.name).await;
}
