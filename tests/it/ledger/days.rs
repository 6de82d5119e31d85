//! Value dates: days that are open, that end, and that are posted to afterwards.

use futures::future::join_all;
use pledgebook::{
    book::Settings,
    grpc::pb::{self, DateBasis, Side},
};
use time::Duration;

use super::manual::{entry, line, post};
use crate::{
    calls::{amount, day},
    harness::{Campaign, Tester, eur},
};

struct Desk {
    tester: Tester,
    campaign: Campaign,
    /// What was posted, in cents, with its value date.
    posted: Vec<(String, i64)>,
}

impl Desk {
    async fn open() -> Self {
        // Nothing is kept, so each batch waits for the head and takes in what queues meanwhile.
        let settings = Settings {
            kept_rows: 0,
            ..Settings::default()
        };
        let tester = Tester::start_with(settings).await;
        let campaign = Campaign::open(&tester, "EUR").await;
        Self {
            tester,
            campaign,
            posted: Vec::new(),
        }
    }

    /// Posts each amount so many days from today, all of them in one batch.
    async fn post(&mut self, postings: &[(i64, i64)]) {
        let before = self.batches().await;
        let held = self.tester.database.hold(&self.campaign.name).await;
        let requests = postings.iter().map(|(days, cents)| pb::PostEntryRequest {
            value_date: day(&self.tester.clock, *days),
            ..self.entry(*cents)
        });
        let calls = requests.map(|request| post(&self.tester, request));
        let release = async {
            self.tester.database.until_somebody_waits().await;
            // The others have queued by then: they are sent at once.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            held.rollback().await.unwrap();
        };
        let (answers, ()) = tokio::join!(join_all(calls), release);
        for answer in answers {
            answer.unwrap();
        }
        assert_eq!(self.batches().await, before + 1);
        for (days, cents) in postings {
            self.posted.push((day(&self.tester.clock, *days), *cents));
        }
        self.must_say_so().await;
    }

    fn entry(&self, cents: i64) -> pb::PostEntryRequest {
        let amount = || eur(&format!("{}.{:02}", cents / 100, cents % 100));
        let line = |account, side| line(&self.campaign, account, side, amount());
        let lines = vec![
            line("5500.EUR", Side::Debit),
            line("3200.EUR", Side::Credit),
        ];
        entry(&self.campaign, lines)
    }

    async fn number(&self, statement: &'static str) -> i64 {
        let pool = self.tester.database.pool("pledgebook_report").await;
        sqlx::query_scalar(statement)
            .fetch_one(&pool)
            .await
            .unwrap()
    }

    async fn batches(&self) -> i64 {
        self.number("SELECT count(DISTINCT recorded_at) FROM change")
            .await
    }

    async fn days_that_are_over(&self) -> i64 {
        self.number("SELECT count(*) FROM account_day").await
    }

    /// On every day the balance is what was posted up to then.
    async fn must_say_so(&self) {
        for (until, _) in &self.posted {
            let request = pb::GetTrialBalanceRequest {
                campaign: self.campaign.name.clone(),
                date_basis: DateBasis::ValueDate.into(),
                value_date: until.clone(),
                ..Default::default()
            };
            let mut reports = self.tester.treasurer().reports();
            let report = reports
                .get_trial_balance(request)
                .await
                .unwrap()
                .into_inner();
            let on_time = self.posted.iter().filter(|(day, _)| day <= until);
            let cents: i64 = on_time.map(|(_, cents)| cents).sum();
            let expected = format!("{}.{:02}", cents / 100, cents % 100);
            let closing: Vec<_> = report
                .rows
                .iter()
                .map(|row| (amount(&row.closing_debit), amount(&row.closing_credit)))
                .collect();
            assert_eq!(closing, [("", &*expected), (&*expected, "")], "{until}");
        }
        self.tester.must_be_clean(&self.campaign.name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_ends_when_a_later_one_begins_whatever_order_they_come_in() {
    let mut desk = Desk::open().await;
    desk.post(&[(0, 100), (0, 10)]).await;
    // The open day stands in the balance row alone.
    assert_eq!(desk.days_that_are_over().await, 0);
    desk.post(&[(-1, 1_000)]).await;
    assert_eq!(desk.days_that_are_over().await, 2);

    desk.tester.clock.shift(Duration::days(3));
    desk.post(&[(0, 3)]).await;
    assert_eq!(desk.days_that_are_over().await, 4);
    // On the open day, on the one that ended, and in between: all in one batch.
    desk.post(&[(0, 20), (-3, 200), (-2, 2_000), (0, 40)]).await;
    assert_eq!(desk.days_that_are_over().await, 6);

    desk.tester.clock.shift(Duration::days(1));
    // The day that ends with this batch gets some of it too.
    desk.post(&[(-1, 5), (0, 50), (-4, 500), (-1, 7)]).await;
    assert_eq!(desk.days_that_are_over().await, 8);
    desk.post(&[(0, 9)]).await;
    assert_eq!(desk.days_that_are_over().await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_one_batch_have_days_of_their_own() {
    let mut desk = Desk::open().await;
    desk.post(&[(0, 100)]).await;
    desk.tester.clock.shift(Duration::days(2));
    // 5500 and 3200 are a day further than 2800, which opens now.
    let member = desk.campaign.member(&desk.tester, "ada@example.org").await;
    let account = format!("2800.EUR.{}", member.rsplit('/').next().unwrap());
    let lines = |cents: &str| {
        vec![
            line(&desk.campaign, "3200.EUR", Side::Debit, eur(cents)),
            line(&desk.campaign, &account, Side::Credit, eur(cents)),
        ]
    };
    for (days, cents) in [(0, "0.30"), (-1, "0.20"), (0, "0.10")] {
        let request = pb::PostEntryRequest {
            value_date: day(&desk.tester.clock, days),
            ..entry(&desk.campaign, lines(cents))
        };
        post(&desk.tester, request).await.unwrap();
        desk.tester.must_be_clean(&desk.campaign.name).await;
    }
    // 3200 on the first day and on the one between; 5500 is still in its first.
    assert_eq!(desk.days_that_are_over().await, 3);
}
