//! What a watcher is told.

use std::time::Duration;

use pledgebook::{
    access::Role, grpc::pb, grpc::pb::watch_campaign_response::Event, id::CampaignId,
};
use tokio::task::JoinSet;
use tonic::Code;

use super::{
    super::{Step, draft, go},
    Watcher, narrow, now, pour, watch,
};
use crate::{
    calls::refused,
    harness::{Campaign, Clients, Tester, days_from_now, eur, id, make_key, terms, text},
};

/// A change as the database has it.
type Row = (i64, String, Option<i64>, Option<i64>, bool, bool);

async fn recorded_after(tester: &Tester, after: i64) -> Vec<Row> {
    let pool = tester.database.pool("pledgebook_report").await;
    let rows = sqlx::query_as(
        "SELECT change_no, method, first_entry_no, last_entry_no, refusal IS NOT NULL,
            same_as_change_no IS NOT NULL
         FROM change WHERE change_no > $1 ORDER BY change_no",
    );
    rows.bind(after).fetch_all(&pool).await.unwrap()
}

fn told(change: &pb::CampaignChange) -> Row {
    let entry = |number| (number != 0).then_some(number);
    (
        change.number,
        change.method.clone(),
        entry(change.first_entry_number),
        entry(change.last_entry_number),
        change.refused,
        change.already_recorded,
    )
}

/// What the journal says is held for shares after a change: all of 2100, in cents.
async fn held_after(tester: &Tester, change: i64) -> i64 {
    let pool = tester.database.pool("pledgebook_report").await;
    let sum = sqlx::query_scalar(
        "SELECT coalesce(-sum(line.amount), 0)::bigint FROM line
         JOIN account USING (campaign_id, account_no)
         JOIN journal_entry USING (campaign_id, entry_no)
         WHERE account.code = 2100 AND journal_entry.change_no <= $1",
    );
    sum.bind(change).fetch_one(&pool).await.unwrap()
}

/// One client's turn: a promise, a signature, a payment that is told twice, and what
/// is refused.
async fn take_part(clients: Clients, campaign: Campaign, member: String, who: usize) {
    for turn in 0..6 {
        let promise = campaign.promise(&member, "10");
        let promised = clients.pledges().create_pledge(promise).await.unwrap();
        let pledge = promised.into_inner().pledge.unwrap().name;
        let signature = pb::SignCampaignRequest {
            request_id: id(),
            campaign: campaign.name.clone(),
            display_name: "S".to_owned(),
            email: format!("s{who}_{turn}@example.org"),
            ..Default::default()
        };
        clients.members().sign_campaign(signature).await.unwrap();
        let payment = campaign.payment(&format!("ch_{who}_{turn}"), &pledge, "7.50");
        for request_id in [id(), id()] {
            let payment = pb::RecordPaymentRequest {
                request_id,
                ..payment.clone()
            };
            clients.payments().record_payment(payment).await.unwrap();
        }
        let cancel = pb::CancelPledgeRequest {
            request_id: id(),
            name: format!("{}/pledges/{}", campaign.name, id()),
            ..Default::default()
        };
        refused(clients.pledges().cancel_pledge(cancel).await, "NOT_FOUND");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_is_told_every_change_once_with_the_progress_it_came_to() {
    let tester = Tester::start().await;
    let other = tester.another_server().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let mut members = Vec::new();
    for who in 0..8 {
        members.push(
            campaign
                .member(&tester, &format!("m{who}@example.org"))
                .await,
        );
    }
    let here = tester.treasurer();
    let there = tester.as_role_on(&other, Role::Treasurer);
    let request = watch(&campaign, 0);
    let mut watchers = [
        Watcher::ask(&tester.as_role(Role::FrontEnd), request.clone())
            .await
            .unwrap(),
        Watcher::ask(&there, request).await.unwrap(),
    ];
    let (before, progress) = now(&here, &campaign).await;
    for watcher in &mut watchers {
        let snapshot = watcher.snapshot().await;
        assert_eq!(snapshot.change_number, before);
        assert_eq!(snapshot.progress.as_ref(), Some(&progress));
        assert_eq!(snapshot.campaign, Some(campaign.read(&tester).await));
    }

    let mut clients = JoinSet::new();
    for (who, member) in members.into_iter().enumerate() {
        let at = if who % 2 == 0 { &here } else { &there };
        let campaign = Campaign {
            name: campaign.name.clone(),
            currency: campaign.currency.clone(),
            provider: campaign.provider.clone(),
            bank: campaign.bank.clone(),
        };
        clients.spawn(take_part(at.clone(), campaign, member, who));
    }
    let last = before + 8 * 6 * 5;
    let [one, two] = &mut watchers;
    tokio::join!(one.follow(last), two.follow(last), clients.join_all());

    let recorded = recorded_after(&tester, before).await;
    let (change, progress) = now(&here, &campaign).await;
    assert_eq!(change, last);
    for watcher in &watchers {
        let changes: Vec<Row> = watcher.changes.iter().map(told).collect();
        assert_eq!(changes, recorded);
        assert_eq!(changes.iter().filter(|row| row.4).count(), 8 * 6);
        assert_eq!(changes.iter().filter(|row| row.5).count(), 8 * 6);
        assert!(watcher.progress.len() > 2, "progress is told on the way");
        assert_eq!(watcher.progress.last(), Some(&(last, progress.clone())));
        for (change, progress) in &watcher.progress {
            let held = held_after(&tester, *change).await;
            let held = format!("EUR {}.{:02}", held / 100, held % 100);
            assert_eq!(text(&progress.collected), held, "after change {change}");
        }
    }
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_commits_is_told_as_well() {
    let tester = Tester::start().await;
    let other = tester.another_server().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let mut watcher = Watcher::begin(&tester.treasurer(), &campaign).await;
    // Nothing is written at the watcher's own server.
    let there = tester.as_role_on(&other, Role::Treasurer);
    for number in 0..3 {
        let payment = campaign.payment_by(&format!("ch_{number}"), None, "5");
        let recorded = there.payments().record_payment(payment).await.unwrap();
        let change = recorded.into_inner().outcome.unwrap().change_number;
        let in_time = tokio::time::timeout(Duration::from_secs(2), watcher.follow(change));
        in_time.await.expect("a look every 200 ms");
        assert_eq!(watcher.changes.last().unwrap().method, "RecordPayment");
    }
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_comes_back_goes_on_where_it_was() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let clients = tester.treasurer();
    let mut watcher = Watcher::begin(&clients, &campaign).await;
    pour(&tester, &campaign, "first", 10).await;
    watcher.read().await.unwrap();
    let from = watcher.told;
    drop(watcher);
    pour(&tester, &campaign, "meanwhile", 2_300).await;

    let other = tester.another_server().await;
    let there = tester.as_role_on(&other, Role::Auditor);
    let (last, progress) = now(&clients, &campaign).await;
    let mut resumed = Watcher::ask(&there, watch(&campaign, from)).await.unwrap();
    resumed.follow(last).await;
    let changes: Vec<_> = resumed.changes.iter().map(told).collect();
    assert_eq!(changes, recorded_after(&tester, from).await);
    // In batches, and only the last of them knows the progress.
    assert_eq!(resumed.messages, 3);
    assert_eq!(resumed.progress, [(last, progress)]);

    // From the last change on there is nothing to tell until something happens.
    let mut resumed = Watcher::ask(&there, watch(&campaign, last)).await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_millis(600), resumed.read()).await;
    assert!(quiet.is_err());
    pour(&tester, &campaign, "last", 1).await;
    resumed.follow(last + 1).await;
    tester.must_be_clean(&campaign.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_comes_while_nothing_changes() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let clients = tester.treasurer();
    let request = pb::WatchCampaignRequest {
        heartbeat_seconds: 1,
        ..watch(&campaign, 0)
    };
    let began = std::time::Instant::now();
    let mut watcher = Watcher::ask(&clients, request.clone()).await.unwrap();
    let snapshot = watcher.snapshot().await;
    // Time moves by the service's clock, and the beats by the wall's.
    tester.clock.shift(time::Duration::days(3));
    for _ in 0..2 {
        let Event::Heartbeat(heartbeat) = watcher.event().await.unwrap() else {
            panic!("a heartbeat was to come");
        };
        assert_eq!(heartbeat.change_number, snapshot.change_number);
        let at = heartbeat.time.unwrap().seconds;
        let expected = days_from_now(&tester.clock, 0).unwrap().seconds;
        assert!((expected - 30..=expected).contains(&at));
    }
    assert!(began.elapsed() > Duration::from_secs(2));
    // A change comes at once, and then it beats again.
    pour(&tester, &campaign, "ch", 1).await;
    watcher.read().await.unwrap();
    assert!(
        matches!(watcher.event().await, Ok(Event::Heartbeat(beat)) if beat.change_number == watcher.told)
    );

    for heartbeat_seconds in [-1, 61, i32::MAX, i32::MIN] {
        let request = pb::WatchCampaignRequest {
            heartbeat_seconds,
            ..request.clone()
        };
        let status = refused(
            clients.campaigns().watch_campaign(request).await,
            "INVALID_FIELD",
        );
        assert_eq!(
            crate::harness::detail(&status, "field"),
            "heartbeat_seconds"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_has_not_come_yet_is_refused() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let clients = tester.treasurer();
    let (last, _) = now(&clients, &campaign).await;
    let ask = async |after| {
        clients
            .campaigns()
            .watch_campaign(watch(&campaign, after))
            .await
    };
    for after in [last + 1, i64::MAX] {
        let status = refused(ask(after).await, "AS_OF_IN_FUTURE");
        assert_eq!(status.code(), Code::FailedPrecondition);
    }
    for after in [-1, i64::MIN] {
        let status = refused(ask(after).await, "INVALID_FIELD");
        assert_eq!(crate::harness::detail(&status, "field"), "after_change");
    }
    // The control: the last one is not in the future.
    ask(last).await.unwrap();
    // A watcher who is refused leaves nothing behind that would disturb another.
    let mut watcher = Watcher::begin(&clients, &campaign).await;
    pour(&tester, &campaign, "ch", 1).await;
    watcher.follow(last + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_campaign_sees_nothing_to_watch() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let own = Campaign::open_with(&tester, terms(&tester.clock, "USD"), None).await;
    let bound: CampaignId = own
        .name
        .strip_prefix("campaigns/")
        .unwrap()
        .parse()
        .unwrap();
    let key = make_key(&tester.server.app, Role::FrontEnd, Some(bound)).await;
    let clients = Clients::new(tester.server.channel(), Some(&key));
    for after in [0, 1, 1_000] {
        let asked = clients
            .campaigns()
            .watch_campaign(watch(&campaign, after))
            .await;
        assert_eq!(refused(asked, "CAMPAIGN_NOT_FOUND").code(), Code::NotFound);
    }
    let nobodys = pb::WatchCampaignRequest {
        name: format!("campaigns/{}", id()),
        ..Default::default()
    };
    let asked = tester.treasurer().campaigns().watch_campaign(nobodys).await;
    assert_eq!(refused(asked, "CAMPAIGN_NOT_FOUND").code(), Code::NotFound);

    // The control: of its own it is told, and of nothing else.
    let mut watcher = Watcher::begin(&clients, &own).await;
    pour(&tester, &campaign, "ch", 3).await;
    pour(&tester, &own, "ch", 1).await;
    watcher.follow(watcher.told + 1).await;
    assert_eq!(watcher.changes.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_and_its_opening_are_seen_by_those_who_may() {
    let tester = Tester::start().await;
    let clients = tester.treasurer();
    let campaign = Campaign {
        name: draft(&tester).await,
        currency: "EUR".to_owned(),
        provider: String::new(),
        bank: String::new(),
    };
    let mut watcher = Watcher::ask(&clients, watch(&campaign, 0)).await.unwrap();
    let snapshot = watcher.snapshot().await;
    assert_eq!(snapshot.campaign.unwrap().stage(), pb::CampaignStage::Draft);
    for step in [Step::Gather, Step::Pledge, Step::Open] {
        go(&tester, &campaign.name, step).await.unwrap();
    }
    watcher.follow(snapshot.change_number + 3).await;
    let (_, progress) = watcher.progress.last().unwrap();
    assert_eq!(progress.stage(), pb::CampaignStage::Open);
    assert_eq!(progress.minimum, eur("50000.00"));
    let methods: Vec<_> = watcher
        .changes
        .iter()
        .map(|change| change.method.as_str())
        .collect();
    assert_eq!(methods, ["StartGathering", "StartPledging", "OpenCampaign"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_slowly_keeps_nobody_waiting_and_misses_nothing() {
    const CHANGES: usize = 6_000;
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let mut slow = Watcher::begin(&narrow(&tester), &campaign).await;
    let mut quick = Watcher::begin(&tester.treasurer(), &campaign).await;
    let last = quick.told + i64::try_from(CHANGES).unwrap();
    tokio::join!(pour(&tester, &campaign, "ch", CHANGES), quick.follow(last));
    slow.follow(last).await;
    assert_eq!(slow.changes, quick.changes);
    assert_eq!(slow.progress.last(), quick.progress.last());
    tester.must_be_clean(&campaign.name).await;
}
