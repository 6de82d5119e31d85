//! A refund's life: asked, agreed to, sent, come back, sent again.

use pledgebook::{access::Role, clock::Clock, grpc::pb};

use super::{Road, cast::step};
use crate::harness::{detail, eur, id, lines, reason};

impl Road {
    async fn ask(&self, payment: &str, amount: Option<&str>) -> Result<pb::Refund, tonic::Status> {
        let request = pb::RequestRefundRequest {
            request_id: id(),
            payment: payment.to_owned(),
            amount: amount.and_then(eur),
            reason: "cooling off".to_owned(),
            validate_only: false,
        };
        let front_end = self.tester.as_role(Role::FrontEnd);
        let asked = front_end.refunds().request_refund(request).await?;
        Ok(asked.into_inner().refund.unwrap())
    }

    async fn agree(&self, refund: &pb::Refund) -> Result<pb::ApproveRefundResponse, tonic::Status> {
        let request = pb::ApproveRefundRequest {
            request_id: id(),
            refund: refund.name.clone(),
            validate_only: false,
        };
        let agreed = self.treasurer.refunds().approve_refund(request).await?;
        Ok(agreed.into_inner())
    }

    async fn payment_now(&self, payment: &str) -> pb::Payment {
        let request = pb::GetPaymentRequest {
            name: payment.to_owned(),
        };
        let read = self.treasurer.payments().get_payment(request).await;
        read.unwrap().into_inner().payment.unwrap()
    }

    async fn instructions(&self) -> Vec<pb::RefundInstruction> {
        let request = pb::ListRefundInstructionsRequest {
            campaign: self.campaign.name.clone(),
            ..Default::default()
        };
        let mut refunds = self.treasurer.refunds();
        let listed = refunds.list_refund_instructions(request).await;
        listed.unwrap().into_inner().instructions
    }

    async fn send(
        &self,
        refund: &str,
        object: &str,
    ) -> Result<pb::SubmitRefundResponse, tonic::Status> {
        let request = pb::SubmitRefundRequest {
            request_id: id(),
            refund: refund.to_owned(),
            object_id: object.to_owned(),
            ..Default::default()
        };
        let bridge = self.tester.as_role(Role::Webhook);
        Ok(bridge.refunds().submit_refund(request).await?.into_inner())
    }

    async fn arrive(&self, refund: &str, object: &str) -> Result<pb::RefundState, tonic::Status> {
        let request = pb::SettleRefundRequest {
            request_id: id(),
            refund: refund.to_owned(),
            object_id: object.to_owned(),
            ..Default::default()
        };
        let settled = self.treasurer.refunds().settle_refund(request).await?;
        Ok(settled.into_inner().refund.unwrap().state())
    }

    async fn come_back(
        &self,
        refund: &str,
        object: &str,
    ) -> Result<pb::FailRefundResponse, tonic::Status> {
        let request = pb::FailRefundRequest {
            request_id: id(),
            refund: refund.to_owned(),
            object_id: object.to_owned(),
            failure_code: "account_closed".to_owned(),
            ..Default::default()
        };
        Ok(self
            .treasurer
            .refunds()
            .fail_refund(request)
            .await?
            .into_inner())
    }

    async fn posted(&self, outcome: Option<pb::Outcome>) -> Vec<String> {
        let mut posted = Vec::new();
        for number in outcome.unwrap().entry_numbers {
            posted.extend(lines(&self.campaign.entry(&self.tester, number).await));
        }
        posted
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_asked_agreed_to_sent_and_arrives() {
    let road = Road::open(Road::terms(&Clock::default()), None).await;
    let payment = road.pays("ada", "60").await;
    let refund = road.ask(&payment, Some("25")).await.unwrap();
    assert_eq!(refund.state(), pb::RefundState::Requested);
    assert_eq!(road.payment_now(&payment).await.reserved, eur("25.00"));
    assert!(road.instructions().await.is_empty());

    // No more than is left beside it, whoever asks.
    let more = road.ask(&payment, Some("35.01")).await.unwrap_err();
    assert_eq!(reason(&more), "REFUND_EXCEEDS");
    assert_eq!(detail(&more, "refundable"), "EUR 35.00");

    let agreed = road.agree(&refund).await.unwrap();
    assert_eq!(
        road.posted(agreed.outcome).await,
        ["Dr 2100 EUR 25.00", "Cr 2200 EUR 25.00"]
    );
    // Lowered by it, the pledge is still paid.
    let pledge = road.payment_now(&payment).await.pledge;
    let request = pb::GetPledgeRequest { name: pledge };
    let pledge = road.treasurer.pledges().get_pledge(request).await.unwrap();
    let pledge = pledge.into_inner().pledge.unwrap();
    assert_eq!((pledge.amount, pledge.paid), (eur("35.00"), eur("35.00")));
    assert_eq!(pledge.state, i32::from(pb::PledgeState::Paid));

    let [instruction] = road.instructions().await.try_into().unwrap();
    let again = &road.instructions().await[0];
    assert_eq!(instruction.idempotency_key, again.idempotency_key);
    assert_eq!(instruction.payment_object_id, "ch_ada");
    let sent = road.send(&refund.name, "re_1").await.unwrap();
    assert_eq!(
        road.posted(sent.outcome).await,
        ["Dr 2200 EUR 25.00", "Cr 1000 EUR 25.00"]
    );
    // The provider's word comes twice.
    let twice = road.send(&refund.name, "re_1").await.unwrap();
    assert!(twice.outcome.unwrap().already_recorded);
    assert_eq!(
        road.arrive(&refund.name, "").await.unwrap(),
        pb::RefundState::Settled
    );
    let now = road.payment_now(&payment).await;
    assert_eq!(
        (now.held, now.refunded, now.reserved),
        (eur("35.00"), eur("25.00"), None)
    );
    assert_eq!(
        road.balances().await,
        ["1000 Dr EUR 35.00", "2100 Cr EUR 35.00"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_a_refund_does_not_agree_to_it() {
    let road = Road::open(Road::terms(&Clock::default()), None).await;
    let payment = road.pays("ada", "60").await;
    let request = pb::RequestRefundRequest {
        request_id: id(),
        payment,
        ..Default::default()
    };
    let asked = road.treasurer.refunds().request_refund(request).await;
    let refund = asked.unwrap().into_inner().refund.unwrap();
    assert_eq!(refund.amount, eur("60.00"));
    let alone = road.agree(&refund).await.unwrap_err();
    assert_eq!(reason(&alone), "SECOND_PERSON_REQUIRED");
    let request = pb::RejectRefundRequest {
        request_id: id(),
        refund: refund.name.clone(),
        ..Default::default()
    };
    road.treasurer
        .refunds()
        .reject_refund(request)
        .await
        .unwrap();
    // What it laid claim to is free again.
    let other = road.ask(&refund.payment, None).await.unwrap();
    assert_eq!(other.amount, eur("60.00"));
    assert_eq!(
        road.balances().await,
        ["1000 Dr EUR 60.00", "2100 Cr EUR 60.00"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_comes_back_is_owed_and_sent_again_by_bank() {
    let road = Road::open(Road::terms(&Clock::default()), None).await;
    let payment = road.pays("ada", "60").await;
    let refund = road.ask(&payment, None).await.unwrap();
    road.agree(&refund).await.unwrap();
    let first_key = road.instructions().await[0].idempotency_key.clone();
    road.send(&refund.name, "re_1").await.unwrap();
    road.arrive(&refund.name, "").await.unwrap();
    // It had settled, and comes back all the same.
    let failed = road.come_back(&refund.name, "back_1").await.unwrap();
    assert_eq!(
        road.posted(failed.outcome).await,
        ["Dr 1000 EUR 60.00", "Cr 2210 EUR 60.00"]
    );
    assert!(road.instructions().await.is_empty());
    assert_eq!(road.payment_now(&payment).await.returned, eur("60.00"));

    // Nobody is found, and then somebody is.
    let request = pb::MarkRefundUnclaimedRequest {
        request_id: id(),
        refund: refund.name.clone(),
        ..Default::default()
    };
    let mut refunds = road.treasurer.refunds();
    let unclaimed = refunds.mark_refund_unclaimed(request).await.unwrap();
    let unclaimed = unclaimed.into_inner().refund.unwrap();
    assert_eq!(unclaimed.state(), pb::RefundState::Unclaimed);
    assert_eq!(
        road.balances().await,
        ["1000 Dr EUR 60.00", "2210 Cr EUR 60.00"]
    );
    let request = pb::ResendRefundRequest {
        request_id: id(),
        refund: refund.name.clone(),
        money_account: road.campaign.bank.clone(),
        validate_only: false,
    };
    refunds.resend_refund(request).await.unwrap();
    let [instruction] = road.instructions().await.try_into().unwrap();
    assert_ne!(instruction.idempotency_key, first_key);
    assert_eq!(instruction.refund.unwrap().attempt, 2);
    road.payout("po_1", "60", false).await;
    let sent = road.send(&refund.name, "sepa 1").await.unwrap();
    assert_eq!(
        road.posted(sent.outcome).await,
        ["Dr 2210 EUR 60.00", "Cr 1150 EUR 60.00"]
    );
    // Turned down before the bank debits it, and sent once more.
    let failed = road.come_back(&refund.name, "rejected 1").await.unwrap();
    assert_eq!(
        road.posted(failed.outcome).await,
        ["Dr 1150 EUR 60.00", "Cr 2210 EUR 60.00"]
    );
    let request = pb::ResendRefundRequest {
        request_id: id(),
        refund: refund.name.clone(),
        money_account: road.campaign.bank.clone(),
        validate_only: false,
    };
    refunds.resend_refund(request).await.unwrap();
    road.send(&refund.name, "sepa 2").await.unwrap();
    assert_eq!(
        road.arrive(&refund.name, "debit 2").await.unwrap(),
        pb::RefundState::Settled
    );
    let none: [&str; 0] = [];
    assert_eq!(road.balances().await, none);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flagged_payment_is_neither_refunded_nor_allotted() {
    let road = Road::open(Road::terms(&Clock::default()), None).await;
    let payment = road.pays("ada", "60").await;
    let flag = |payment: &str| pb::FlagDisputeRequest {
        request_id: id(),
        payment: payment.to_owned(),
        reason: "inquiry".to_owned(),
        validate_only: false,
    };
    let mut payments = road.treasurer.payments();
    payments.flag_dispute(flag(&payment)).await.unwrap();
    let refused = road.ask(&payment, None).await.unwrap_err();
    assert_eq!(reason(&refused), "PAYMENT_STATE");
    let twice = payments.flag_dispute(flag(&payment)).await.unwrap_err();
    assert_eq!(reason(&twice), "PAYMENT_STATE");
    let request = pb::ClearDisputeRequest {
        request_id: id(),
        payment: payment.clone(),
        ..Default::default()
    };
    payments.clear_dispute(request).await.unwrap();
    let refund = road.ask(&payment, None).await.unwrap();
    // All of it is spoken for: there is nothing left to keep.
    let late = payments.flag_dispute(flag(&payment)).await.unwrap_err();
    assert_eq!(reason(&late), "PAYMENT_STATE");
    road.agree(&refund).await.unwrap();
    road.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_campaign_holds_what_arrives_and_sends_nothing() {
    use pb::CampaignStage as Stage;
    let road = Road::open(Road::terms(&Clock::default()), None).await;
    let payment = road.pays("ada", "60").await;
    let refund = road.ask(&payment, None).await.unwrap();
    assert_eq!(
        step!(road, suspend_campaign, SuspendCampaignRequest).unwrap(),
        Stage::Suspended
    );
    let stopped = road.agree(&refund).await.unwrap_err();
    assert_eq!(reason(&stopped), "CAMPAIGN_STAGE");
    let member = road.members().await[0].clone();
    let arrives = pb::RecordPaymentRequest {
        payer: Some(pb::record_payment_request::Payer::Member(member)),
        ..road.campaign.payment("ch_2", "", "40")
    };
    let held = road.treasurer.payments().record_payment(arrives).await;
    assert_eq!(
        held.unwrap().into_inner().payment.unwrap().held,
        eur("40.00")
    );
    assert_eq!(
        step!(road, resume_campaign, ResumeCampaignRequest).unwrap(),
        Stage::Open
    );
    road.agree(&refund).await.unwrap();
    assert_eq!(
        road.balances().await,
        [
            "1000 Dr EUR 100.00",
            "2100 Cr EUR 40.00",
            "2200 Cr EUR 60.00"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_can_fail_after_it_has_arrived() {
    let road = Road::open(Road::terms(&Clock::default()), None).await;
    road.pays("ada", "60").await;
    let payout = road.payout("po_1", "50", false).await;
    let fail = || pb::RecordPayoutFailureRequest {
        request_id: id(),
        payout: payout.clone(),
        failure_code: "account_closed".to_owned(),
        ..Default::default()
    };
    let mut payments = road.treasurer.payments();
    let failed = payments
        .record_payout_failure(fail())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        road.posted(failed.outcome).await,
        [
            "Dr 1050 EUR 50.00",
            "Cr 1100 EUR 50.00",
            "Dr 1000 EUR 50.00",
            "Cr 1050 EUR 50.00"
        ]
    );
    let twice = payments
        .record_payout_failure(fail())
        .await
        .unwrap()
        .into_inner();
    assert!(twice.outcome.unwrap().already_recorded);
    let request = pb::RecordPayoutArrivalRequest {
        request_id: id(),
        payout: payout.clone(),
        ..Default::default()
    };
    // It had arrived, and that stands as it was told.
    let told = payments
        .record_payout_arrival(request)
        .await
        .unwrap()
        .into_inner();
    assert!(told.outcome.unwrap().already_recorded);
    assert_eq!(
        road.balances().await,
        ["1000 Dr EUR 60.00", "2100 Cr EUR 60.00"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_taken_back_after_its_allotment_takes_its_shares_along() {
    let class = pb::ShareClass {
        display_name: "Ordinary".to_owned(),
        price: eur("12"),
        nominal: eur("10"),
        authorised: 100,
        ..Default::default()
    };
    let road = Road::open(Road::terms(&Clock::default()), Some(class)).await;
    let payment = road.pays("ada", "130").await;
    road.payout("po_1", "130", false).await;
    road.buy("120").await;
    let planned = road.plan_allotment(pb::AllotmentMethod::WaterFilling).await;
    road.runs_well(&planned).await;
    let refunds = road.plan_refunds().await;
    road.runs_well(&refunds).await;
    road.bridge().await;
    // Ten shares, and ten euros that went back: the bank takes all 130.
    let failed = pb::RecordPaymentFailureRequest {
        request_id: id(),
        money_account: road.campaign.provider.clone(),
        object_id: "ch_ada".to_owned(),
        failure_code: "fraudulent".to_owned(),
        ..Default::default()
    };
    let failed = road
        .treasurer
        .payments()
        .record_payment_failure(failed)
        .await;
    let failed = failed.unwrap().into_inner();
    assert_eq!(
        road.posted(failed.outcome).await,
        [
            "Dr 3000 EUR 100.00",
            "Dr 3010 EUR 20.00",
            "Dr 8000 10",
            "Cr 8030 10",
            "Dr 1300 EUR 10.00",
            "Cr 1300 EUR 10.00",
            "Dr 5200 EUR 10.00",
            "Cr 1000 EUR 130.00"
        ]
    );
    let now = road.payment_now(&payment).await;
    assert_eq!(
        (now.allotted, now.refunded, now.lost),
        (None, eur("10.00"), eur("10.00"))
    );
    let request = pb::ListLotsRequest {
        campaign: road.campaign.name.clone(),
        ..Default::default()
    };
    let lots = road.treasurer.shares().list_lots(request).await.unwrap();
    let lot = &lots.into_inner().lots[0];
    assert_eq!((lot.units, lot.cancelled), (10, 10));
    assert_eq!(
        road.balances().await,
        [
            "1000 Cr EUR 140.00",
            "1100 Dr EUR 10.00",
            "1450 Dr EUR 120.00",
            "5200 Dr EUR 10.00",
            "8010 Cr 90",
            "8020 Dr 100",
            "8030 Cr 10",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_needs_two_people_and_can_be_paused_and_cancelled() {
    let road = Road::open(Road::terms(&Clock::default()), None).await;
    let payment = road.pays("ada", "60").await;
    let nothing = pb::PlanRefundsRequest {
        request_id: id(),
        campaign: road.campaign.name.clone(),
        ..Default::default()
    };
    let nothing = road
        .treasurer
        .runs()
        .plan_refunds(nothing)
        .await
        .unwrap_err();
    assert_eq!(reason(&nothing), "NOTHING_TO_RUN");
    let late = road.campaign.payment("ch_2", "", "9");
    let pledge = road.payment_now(&payment).await.pledge;
    let late = pb::RecordPaymentRequest {
        payer: Some(pb::record_payment_request::Payer::Pledge(pledge)),
        ..late
    };
    road.treasurer
        .payments()
        .record_payment(late)
        .await
        .unwrap();
    let run = road.plan_refunds().await;
    assert_eq!((run.items, run.amount.clone()), (1, eur("9.00")));
    let start = || pb::StartRunRequest {
        request_id: id(),
        run: run.name.clone(),
        ..Default::default()
    };
    let approve = || pb::ApproveRunRequest {
        request_id: id(),
        run: run.name.clone(),
        ..Default::default()
    };
    let mut runs = road.treasurer.runs();
    assert_eq!(
        reason(&runs.start_run(start()).await.unwrap_err()),
        "RUN_STATE"
    );
    runs.approve_run(approve()).await.unwrap();
    let alone = runs.approve_run(approve()).await.unwrap_err();
    assert_eq!(reason(&alone), "SECOND_PERSON_REQUIRED");
    let approved = road.admin.runs().approve_run(approve()).await.unwrap();
    assert_eq!(
        approved.into_inner().run.unwrap().state(),
        pb::RunState::Approved
    );

    // The money moves before the run does: its item becomes an exception, and nothing moves.
    let [payment] = road.payments_due().await.try_into().unwrap();
    road.ask(&payment, None).await.unwrap();
    runs.start_run(start()).await.unwrap();
    let request = pb::WatchRunRequest {
        name: run.name.clone(),
    };
    let watched = runs.watch_run(request).await.unwrap().into_inner();
    let over = crate::harness::all(watched)
        .await
        .pop()
        .unwrap()
        .run
        .unwrap();
    assert_eq!(over.state(), pb::RunState::DoneWithExceptions);
    assert_eq!((over.done, over.exceptions), (0, 1));
    let request = pb::ListRunItemsRequest {
        run: run.name.clone(),
        state: pb::RunItemState::Exception.into(),
        ..Default::default()
    };
    let items = runs
        .list_run_items(request)
        .await
        .unwrap()
        .into_inner()
        .items;
    assert!(items[0].problem.contains("has moved"), "{:?}", items[0]);
    road.balances().await;
}

impl Road {
    /// The payments of which something is refundable.
    async fn payments_due(&self) -> Vec<String> {
        let request = pb::ListPaymentsRequest {
            campaign: self.campaign.name.clone(),
            ..Default::default()
        };
        let listed = self.treasurer.payments().list_payments(request).await;
        let payments = listed.unwrap().into_inner().payments.into_iter();
        let due = payments.filter(|payment| payment.refundable != eur("0.00"));
        due.map(|payment| payment.name).collect()
    }
}

/// A worker that is killed between a refusal and the pause that follows it leaves an item
/// that is pending and answered: the next worker must stop there, and not try for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_item_was_refused_before_waits_for_somebody() {
    use pledgebook::domain::{Action, Command, Fingerprint, run::RunItem};
    let road = Road::open(Road::terms(&Clock::default()), None).await;
    let payment = road.pays("ada", "60").await;
    let pledge = road.payment_now(&payment).await.pledge;
    let late = road.campaign.payment("ch_2", &pledge, "9");
    road.treasurer
        .payments()
        .record_payment(late)
        .await
        .unwrap();
    let planned = road.plan_refunds().await;
    let (of, run) = planned.name.split_once("/runs/").unwrap();
    let (of, run) = (
        of["campaigns/".len()..].parse().unwrap(),
        run.parse().unwrap(),
    );
    let refused = Command {
        request_id: RunItem::request_id(run, 1, 1),
        method: "WorkRunItem".into(),
        principal: "run worker".to_owned(),
        fingerprint: Fingerprint::default(),
        action: Action::WorkRunItem { run, position: 1 },
    };
    let app = &road.tester.server.app;
    app.books
        .queue_item(of, refused)
        .await
        .unwrap()
        .outcome()
        .await
        .unwrap();
    road.start(&planned.name).await;
    let state = async || {
        let request = pb::GetRunRequest {
            name: planned.name.clone(),
        };
        let read = road.treasurer.runs().get_run(request).await.unwrap();
        read.into_inner().run.unwrap().state()
    };
    while state().await == pb::RunState::Running {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(state().await, pb::RunState::Paused);
    let request = pb::StartRunRequest {
        request_id: id(),
        run: planned.name.clone(),
        ..Default::default()
    };
    road.treasurer.runs().start_run(request).await.unwrap();
    while state().await == pb::RunState::Running {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(state().await, pb::RunState::Done);
    road.balances().await;
}
