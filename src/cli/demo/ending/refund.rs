//! Runs that two people approve, and the bridge that executes refunds.

use futures::{StreamExt, TryStreamExt, stream};

use super::super::{campaign::Playing, inbox::ONE_PAGE};
use crate::{
    cli::{Failure, client::present},
    grpc::pb,
};

/// So many refunds at once.
const AT_ONCE: usize = 32;

impl Playing {
    pub(super) async fn plan_refunds(&mut self, reason: &str) -> Result<pb::Run, Failure> {
        let request = pb::PlanRefundsRequest {
            request_id: self.request("plan refunds"),
            campaign: self.name.clone(),
            reason: reason.to_owned(),
        };
        let planned = self.clients.runs().plan_refunds(request).await?;
        let run = present(planned.into_inner().run, "run")?;
        self.known.refund_run = Some(run.name.clone());
        Ok(run)
    }

    pub(super) async fn plan_allotment(&self) -> Result<pb::Run, Failure> {
        let request = pb::PlanAllotmentRequest {
            request_id: self.request("plan allotment"),
            campaign: self.name.clone(),
            method: pb::AllotmentMethod::WaterFilling.into(),
            reason: "the purchase is made".to_owned(),
        };
        let planned = self.clients.runs().plan_allotment(request).await?;
        present(planned.into_inner().run, "run")
    }

    /// Two people approve a run, it is started, and watched until it is over.
    pub(super) async fn work(&self, run: &pb::Run) -> Result<(), Failure> {
        for (who, clients) in [("first", &self.clients), ("second", &self.players.second)] {
            let request = pb::ApproveRunRequest {
                request_id: self.request(&format!("{who} approval of {}", run.name)),
                run: run.name.clone(),
                ..Default::default()
            };
            clients.runs().approve_run(request).await?;
        }
        let request = pb::StartRunRequest {
            request_id: self.request(&format!("start of {}", run.name)),
            run: run.name.clone(),
            ..Default::default()
        };
        self.clients.runs().start_run(request).await?;
        let request = pb::WatchRunRequest {
            name: run.name.clone(),
        };
        let mut watched = self.clients.runs().watch_run(request).await?.into_inner();
        let mut last = None;
        while let Some(told) = watched.message().await? {
            last = told.run;
        }
        let over = present(last, "run")?;
        if over.state() != pb::RunState::Done || over.done != run.items {
            let state = over.state().as_str_name();
            return Err(format!(
                "{state}: of {} items {} are done and {} could not be",
                run.items, over.done, over.exceptions
            )
            .into());
        }
        Ok(())
    }

    /// A run's list.
    pub(in crate::cli::demo) async fn items(&self, run: &str) -> Result<Vec<pb::RunItem>, Failure> {
        let request = pb::ListRunItemsRequest {
            run: run.to_owned(),
            page_size: ONE_PAGE,
            ..Default::default()
        };
        let items = self.clients.runs().list_run_items(request).await?;
        Ok(items.into_inner().items)
    }

    /// What waits for the bridge.
    pub(super) async fn instructions(&self) -> Result<Vec<pb::RefundInstruction>, Failure> {
        let request = pb::ListRefundInstructionsRequest {
            campaign: self.name.clone(),
            page_size: ONE_PAGE,
            ..Default::default()
        };
        let mut refunds = self.players.bridge.refunds();
        let listed = refunds.list_refund_instructions(request).await?;
        Ok(listed.into_inner().instructions)
    }

    /// The bridge sends everything that waits; gives how much it was.
    pub(super) async fn bridge_sends(&self) -> Result<usize, Failure> {
        let mut instructions = self.instructions().await?;
        // In the order of the payments, so that every statement tells the same story again.
        instructions.sort_by_cached_key(|instruction| {
            let refund = instruction.refund.as_ref();
            refund.map(|refund| refund.payment.clone())
        });
        let count = instructions.len();
        let sends = instructions.into_iter().map(async |instruction| {
            let refund = present(instruction.refund, "refund")?;
            let key = instruction.idempotency_key;
            let request = pb::SubmitRefundRequest {
                request_id: self.request(&format!("send {key}")),
                refund: refund.name,
                object_id: format!("re_{key}"),
                ..Default::default()
            };
            self.players.bridge.refunds().submit_refund(request).await?;
            Ok::<(), Failure>(())
        });
        for send in sends {
            send.await?;
        }
        Ok(count)
    }

    /// The bridge hears that everything it sent has arrived; gives how much it was.
    pub(super) async fn refunds_arrive(&self) -> Result<usize, Failure> {
        let request = pb::ListRefundsRequest {
            campaign: self.name.clone(),
            state: pb::RefundState::Submitted.into(),
            page_size: ONE_PAGE,
            ..Default::default()
        };
        let sent = self.clients.refunds().list_refunds(request).await?;
        let sent = sent.into_inner().refunds;
        let count = sent.len();
        let arrivals = sent.into_iter().map(async |refund| {
            // A bank's debit is a movement of its own.
            let object_id = if refund.money_account == self.bank_account {
                format!("debit of {}", refund.object_id)
            } else {
                String::new()
            };
            let request = pb::SettleRefundRequest {
                request_id: self.request(&format!("arrival of {}", refund.object_id)),
                refund: refund.name,
                object_id,
                ..Default::default()
            };
            self.players.bridge.refunds().settle_refund(request).await?;
            Ok::<(), Failure>(())
        });
        let arrivals = stream::iter(arrivals).buffer_unordered(AT_ONCE);
        arrivals.try_collect::<()>().await?;
        Ok(count)
    }

    /// The refund of a payment.
    async fn refund_of(&self, payment: String) -> Result<pb::Refund, Failure> {
        let request = pb::ListRefundsRequest {
            campaign: self.name.clone(),
            payment,
            ..Default::default()
        };
        let listed = self.clients.refunds().list_refunds(request).await?;
        let refund = listed.into_inner().refunds.pop();
        refund.ok_or_else(|| "a payment has no refund".into())
    }

    /// A refund comes back, although it had arrived.
    pub(super) async fn refund_bounces(&self, payment: String) -> Result<pb::Refund, Failure> {
        let refund = self.refund_of(payment).await?;
        let request = pb::FailRefundRequest {
            request_id: self.request("bounce"),
            refund: refund.name,
            object_id: format!("failure of {}", refund.object_id),
            failure_code: "expired_card".to_owned(),
            ..Default::default()
        };
        let failed = self.players.bridge.refunds().fail_refund(request).await?;
        present(failed.into_inner().refund, "refund")
    }

    /// What came back is to be sent again, by the bank.
    pub(super) async fn resend_by_bank(&self, payment: String) -> Result<(), Failure> {
        let refund = self.refund_of(payment).await?;
        let request = pb::ResendRefundRequest {
            request_id: self.request("resend"),
            refund: refund.name,
            money_account: self.bank_account.clone(),
            validate_only: false,
        };
        self.clients.refunds().resend_refund(request).await?;
        Ok(())
    }
}
