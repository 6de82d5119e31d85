//! The life of a campaign, step by step.

use pledgebook::grpc::{pb, pb::CampaignStage as Stage};
use time::Duration;

use super::{Step, draft, get, go, revise};
use crate::{
    calls::refused,
    harness::{Campaign, Tester, detail, terms},
};

const STEPS: [Step; 4] = [Step::Gather, Step::Pledge, Step::Open, Step::Cancel];

/// The step that leads on, and where to.
type Next = Option<(Step, Stage)>;

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_goes_its_way_step_by_step_and_no_other() {
    let tester = Tester::start().await;
    // The way to each stage, its name, and the one step beside CANCELLED that leads on.
    let stages: [(&[Step], &str, Next); 5] = [
        (&[], "draft", Some((Step::Gather, Stage::Gathering))),
        (
            &[Step::Gather],
            "gathering",
            Some((Step::Pledge, Stage::Pledging)),
        ),
        (
            &[Step::Gather, Step::Pledge],
            "pledging",
            Some((Step::Open, Stage::Open)),
        ),
        (&[Step::Gather, Step::Pledge, Step::Open], "open", None),
        (&[Step::Cancel], "cancelled", None),
    ];
    for (way, stage, on) in stages {
        let name = draft(&tester).await;
        for step in way {
            go(&tester, &name, *step).await.unwrap();
        }
        let before = get(&tester, &name).await.unwrap();
        let leads_on = |step: Step| {
            let next = on.is_some_and(|(next, _)| next == step);
            next || (step == Step::Cancel && stage != "cancelled")
        };
        for step in STEPS.into_iter().filter(|step| !leads_on(*step)) {
            let status = refused(go(&tester, &name, step).await, "CAMPAIGN_STAGE");
            assert_eq!(detail(&status, "stage"), stage, "{step:?}");
        }
        // What is refused changes nothing, the etag included.
        assert_eq!(get(&tester, &name).await.unwrap(), before);
        assert_eq!(before.open_time.is_some(), stage == "open");
        if let Some((step, next)) = on {
            assert_eq!(go(&tester, &name, step).await.unwrap().stage(), next);
        }
        if stage != "cancelled" {
            let cancelled = go(&tester, &name, Step::Cancel).await.unwrap();
            assert_eq!(cancelled.stage(), Stage::Cancelled);
        }
        tester.must_be_clean(&name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_does_not_open_without_a_fee_bearer_or_after_its_deadline() {
    let tester = Tester::start().await;
    let undecided = pb::Terms {
        fee_bearer: 0,
        ..terms(&tester.clock, "EUR")
    };
    let campaign = Campaign::pledging_with(&tester, undecided, None).await;
    refused(
        go(&tester, &campaign.name, Step::Open).await,
        "FEE_BEARER_REQUIRED",
    );
    assert_eq!(campaign.read(&tester).await.stage(), Stage::Pledging);
    let decided = pb::Terms {
        fee_bearer: pb::FeeBearer::MembersDisclosed.into(),
        fee_bearer_note: "2.5 % when the campaign fails".to_owned(),
        ..terms(&tester.clock, "EUR")
    };
    revise(&tester, &campaign.name, decided).await.unwrap();
    let opened = go(&tester, &campaign.name, Step::Open).await.unwrap();
    assert_eq!(opened.stage(), Stage::Open);

    let late = Campaign::pledging_with(&tester, terms(&tester.clock, "EUR"), None).await;
    tester.clock.shift(Duration::days(31));
    refused(go(&tester, &late.name, Step::Open).await, "DEADLINE_PASSED");
    tester.must_be_clean(&campaign.name).await;
    tester.must_be_clean(&late.name).await;
}
