//! The purchase is made, and everybody becomes a co-owner.

use pledgebook::{clock::Clock, grpc::pb};

use super::{Road, cast::step};
use crate::{
    harness::{eur, id, reason},
    peers::Turn,
};

fn class(price: &str, nominal: &str, authorised: i64, minimum: i64) -> pb::ShareClass {
    pb::ShareClass {
        display_name: "Ordinary".to_owned(),
        price: eur(price),
        nominal: eur(nominal),
        authorised,
        minimum_per_member: minimum,
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn success_ends_in_shares_for_everybody() {
    let terms = Road::terms(&Clock::default());
    success(Road::open(terms, Some(class("10", "10", 100, 0))).await).await;
}

/// The same, and the server that is called carries nothing of it out.
#[tokio::test(flavor = "multi_thread")]
async fn success_on_another_server_ends_the_same() {
    let terms = Road::terms(&Clock::default());
    let road = Road::open(terms, Some(class("10", "10", 100, 0))).await;
    let turn = Turn::of_another(&road.tester, &road.campaign.name).await;
    success(road).await;
    turn.must_not_have_been_awaited().await;
}

async fn success(road: Road) {
    use pb::CampaignStage as Stage;
    let ada = road.pays("ada", "200").await;
    road.pays("ben", "105").await;
    road.fee(&ada, "3.20").await;

    // Before its deadline, and under its target, it cannot close.
    let early = step!(road, close_campaign, CloseCampaignRequest).unwrap_err();
    assert_eq!(reason(&early), "CAMPAIGN_STAGE");
    road.payout("po_1", "300", false).await;
    road.buy("250").await;

    let planned = road.plan_allotment(pb::AllotmentMethod::WaterFilling).await;
    assert_eq!((planned.items, planned.units), (2, 30));
    assert_eq!(planned.amount, eur("300.00"));
    assert_eq!(planned.released, eur("5.00"));
    // Application money is left: it is not over yet.
    let unfinished = step!(road, finish_allotment, FinishAllotmentRequest).unwrap_err();
    assert_eq!(reason(&unfinished), "CAMPAIGN_STAGE");
    road.runs_well(&planned).await;

    // Ben's five euros buy no share: they go back.
    let refunds = road.plan_refunds().await;
    assert_eq!((refunds.items, refunds.amount.clone()), (1, eur("5.00")));
    road.runs_well(&refunds).await;
    assert_eq!(road.bridge().await, 1);
    assert_eq!(
        step!(road, finish_allotment, FinishAllotmentRequest).unwrap(),
        Stage::Allotted
    );
    assert_eq!(
        step!(road, archive_campaign, ArchiveCampaignRequest).unwrap(),
        Stage::Closed
    );

    assert_eq!(
        road.balances().await,
        [
            "1000 Cr EUR 3.20",
            "1100 Dr EUR 50.00",
            "1450 Dr EUR 250.00",
            "3000 Cr EUR 300.00",
            "3100 Dr EUR 3.20",
            "8000 Cr 30",
            "8010 Cr 70",
            "8020 Dr 100",
        ]
    );
    let request = pb::ListLotsRequest {
        campaign: road.campaign.name.clone(),
        ..Default::default()
    };
    let lots = road.treasurer.shares().list_lots(request).await.unwrap();
    let lots = lots.into_inner().lots;
    let lots: Vec<_> = lots
        .iter()
        .map(|lot| (lot.certificate, lot.units))
        .collect();
    assert_eq!(lots, [(1, 20), (2, 10)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_shares_are_divided_both_ways_at_a_premium() {
    for (method, units, money) in [
        (pb::AllotmentMethod::WaterFilling, [5, 20, 37, 38], "600.00"),
        (pb::AllotmentMethod::ProRata, [1, 7, 21, 71], "600.00"),
    ] {
        let terms = Road::terms(&Clock::default());
        let road = Road::open(terms, Some(class("6", "5", 100, 0))).await;
        for (who, shares) in [("ada", 5), ("ben", 20), ("cyd", 60), ("dov", 200)] {
            let payment = road.pays(who, &(6 * shares).to_string()).await;
            road.fee(&payment, "0.50").await;
        }
        road.payout("po_1", "1700", false).await;
        road.buy("600").await;
        let planned = road.plan_allotment(method).await;
        assert_eq!((planned.units, planned.amount.clone()), (100, eur(money)));
        assert_eq!(planned.released, eur("1110.00"));
        road.runs_well(&planned).await;
        let request = pb::ListLotsRequest {
            campaign: road.campaign.name.clone(),
            ..Default::default()
        };
        let lots = road.treasurer.shares().list_lots(request).await.unwrap();
        let lots: Vec<i64> = lots.into_inner().lots.iter().map(|lot| lot.units).collect();
        assert_eq!(lots, units);

        let refunds = road.plan_refunds().await;
        road.runs_well(&refunds).await;
        // What was paid out to the bank comes back to send the refunds.
        road.payout("tu_1", "1100", true).await;
        assert_eq!(i64::try_from(road.bridge().await), Ok(refunds.items));
        step!(road, finish_allotment, FinishAllotmentRequest).unwrap();
        step!(road, archive_campaign, ArchiveCampaignRequest).unwrap();
        assert_eq!(
            road.balances().await,
            [
                "1000 Cr EUR 2.00",
                "1450 Dr EUR 600.00",
                "3000 Cr EUR 500.00",
                "3010 Cr EUR 100.00",
                "3100 Dr EUR 2.00",
                "8000 Cr 100",
                "8020 Dr 100",
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_money_is_held_can_buy_shares_directly() {
    let terms = Road::terms(&Clock::default());
    let road = Road::open(terms, Some(class("10", "10", 30, 0))).await;
    road.pays("ada", "200").await;
    road.pays("ben", "155").await;
    road.payout("po_1", "355", false).await;
    road.buy("300").await;
    let class = road.class().await;
    let purchase = |member: String, units| pb::PurchaseSharesRequest {
        request_id: id(),
        member,
        share_class: class.clone(),
        units,
        validate_only: false,
    };
    let members = road.members().await;
    let mut shares = road.treasurer.shares();
    let too_many = shares
        .purchase_shares(purchase(members[1].clone(), 16))
        .await;
    assert_eq!(reason(&too_many.unwrap_err()), "NOT_ENOUGH_HELD");
    let bought = shares
        .purchase_shares(purchase(members[1].clone(), 12))
        .await;
    let lot = bought.unwrap().into_inner().lot.unwrap();
    assert_eq!((lot.certificate, lot.units), (1, 12));

    // The rest is divided among what is left of everybody's money.
    let planned = road.plan_allotment(pb::AllotmentMethod::WaterFilling).await;
    assert_eq!((planned.items, planned.units), (2, 18));
    let in_the_way = shares
        .purchase_shares(purchase(members[0].clone(), 1))
        .await;
    assert_eq!(reason(&in_the_way.unwrap_err()), "RUN_IN_THE_WAY");
    road.runs_well(&planned).await;
    assert_eq!(
        road.balances().await,
        [
            "1100 Dr EUR 55.00",
            "1450 Dr EUR 300.00",
            "2200 Cr EUR 55.00",
            "3000 Cr EUR 300.00",
            "8000 Cr 30",
            "8020 Dr 30",
        ]
    );
}
