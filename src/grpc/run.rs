//! `RunService`.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{
    Api, ApiError, Call, Envelope, envelope,
    fields::{money_of, name, name_or_none, text, timestamp_of, wire, word},
    journal::outcome,
    page::Pages,
    pb::{self, run_service_server::RunService},
    status,
};
use crate::{
    app::Written,
    domain::{
        Action, Snapshot,
        run::{Run, RunEvent, RunItem, RunItemState, RunKind},
        share::Method,
    },
    id::{CampaignId, RunId},
    money::Currency,
};

/// How often a watched run is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How shares are divided, as a request says it.
pub(super) fn method(method: i32) -> Result<Option<Method>, ApiError> {
    let method = pb::AllotmentMethod::try_from(method).ok();
    let method = method.map(|method| method.as_str_name());
    word("method", method, "ALLOTMENT_METHOD_", Method::of_word)
}

fn run_of(campaign: CampaignId, currency: Currency, run: &Run) -> pb::Run {
    pb::Run {
        name: name(campaign, "runs", run.id),
        kind: wire(pb::RunKind::from_str_name, "RUN_KIND_", run.kind.word()),
        method: run.method.map_or(0, |method| {
            wire(
                pb::AllotmentMethod::from_str_name,
                "ALLOTMENT_METHOD_",
                method.word(),
            )
        }),
        state: wire(pb::RunState::from_str_name, "RUN_STATE_", run.state.word()),
        items: run.items,
        units: run.units,
        amount: Some(money_of(run.amount, currency)),
        released: Some(money_of(run.released, currency)),
        hash: hex::encode(run.hash),
        as_of_change: run.as_of_change,
        approved_by: run.approved_by.clone(),
        plan_time: Some(timestamp_of(run.planned_at)),
        done: run.done,
        exceptions: run.exceptions,
    }
}

fn item_of(campaign: CampaignId, currency: Currency, item: &RunItem) -> pb::RunItem {
    pb::RunItem {
        position: item.position,
        member: name_or_none(campaign, "members", item.member),
        payment: name_or_none(campaign, "payments", item.payment),
        share_class: name_or_none(campaign, "shareClasses", item.share_class),
        units: item.units,
        amount: Some(money_of(item.amount, currency)),
        released: Some(money_of(item.released, currency)),
        hash: hex::encode(item.hash),
        state: wire(
            pb::RunItemState::from_str_name,
            "RUN_ITEM_STATE_",
            item.state.word(),
        ),
        problem: item.problem.clone(),
        change_number: item.change.unwrap_or(0),
    }
}

fn written_run(written: &Written) -> Option<&Run> {
    let snapshots = &written.answer.snapshots;
    snapshots.iter().find_map(|snapshot| match snapshot {
        Snapshot::Run(run) => Some(&**run),
        _ => None,
    })
}

/// A step of one run, from its request to its answer.
macro_rules! step {
    ($api:ident, $request:ident, $method:literal, $response:ident, $event:expr) => {{
        let (call, message) = Call::of($request)?;
        let (campaign, run) = call.of_campaign("run", &message.run, "runs")?;
        let action = Action::MoveRun {
            run,
            event: $event,
            reason: text("reason", &message.reason, 0, 1_000)?,
        };
        let envelope = envelope!($method, message);
        let (outcome, run) = $api.run(&call, campaign, &envelope, action).await?;
        Ok(Response::new(pb::$response {
            outcome: Some(outcome),
            run,
        }))
    }};
}

impl Api {
    async fn run<M: prost::Message>(
        &self,
        call: &Call,
        campaign: CampaignId,
        request: &Envelope<'_, M>,
        action: Action,
    ) -> Result<(pb::Outcome, Option<pb::Run>), ApiError> {
        let currency = self.app.currency(campaign).await?;
        let written = self.write(call, campaign, request, action).await?;
        let run = written_run(&written).map(|run| run_of(campaign, currency, run));
        Ok((outcome(campaign, &written, request.validate_only), run))
    }

    /// Makes a run's list and freezes it. A list that is not frozen after all, since the
    /// request was answered before or is refused, is removed again.
    async fn plan<M: prost::Message>(
        &self,
        call: &Call,
        campaign: CampaignId,
        request: &Envelope<'_, M>,
        kind: RunKind,
        method: Option<Method>,
        reason: String,
    ) -> Result<(pb::Outcome, Option<pb::Run>), ApiError> {
        self.app.currency(campaign).await?;
        let plan = self.app.plan_run(campaign, kind, method, reason).await?;
        let id = plan.run;
        let planned = self
            .run(call, campaign, request, Action::PlanRun(plan))
            .await;
        let frozen = planned.as_ref().is_ok_and(|(_, run)| {
            run.as_ref()
                .is_some_and(|run| run.name == name(campaign, "runs", id))
        });
        if !frozen {
            self.app.forget_lists(campaign, id, true).await?;
        }
        planned
    }

    async fn found_run(&self, campaign: CampaignId, id: RunId) -> Result<pb::Run, ApiError> {
        let currency = self.app.currency(campaign).await?;
        let found = self.app.store.run(campaign, id).await?;
        let run = found.ok_or_else(|| ApiError::NotFound(name(campaign, "runs", id)))?;
        Ok(run_of(campaign, currency, &run))
    }

    /// Tells how far a run is whenever that changes, until it is over.
    async fn watch_run_into(
        &self,
        campaign: CampaignId,
        id: RunId,
        told: &mpsc::Sender<Result<pb::WatchRunResponse, Status>>,
    ) -> Result<(), ApiError> {
        let mut last = None;
        loop {
            let run = self.found_run(campaign, id).await?;
            let over = matches!(
                run.state(),
                pb::RunState::Done | pb::RunState::DoneWithExceptions | pb::RunState::Cancelled
            );
            if last.as_ref() != Some(&run) {
                last = Some(run.clone());
                let message = pb::WatchRunResponse { run: Some(run) };
                if told.send(Ok(message)).await.is_err() {
                    return Ok(());
                }
            }
            if over {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[tonic::async_trait]
impl RunService for Api {
    type WatchRunStream = ReceiverStream<Result<pb::WatchRunResponse, Status>>;

    async fn plan_allotment(
        &self,
        request: Request<pb::PlanAllotmentRequest>,
    ) -> Result<Response<pb::PlanAllotmentResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let method = method(message.method)?.unwrap_or(Method::WaterFilling);
        let reason = text("reason", &message.reason, 0, 1_000)?;
        let envelope = Envelope {
            method: "PlanAllotment",
            request_id: &message.request_id,
            validate_only: false,
            message: &message,
        };
        let kind = RunKind::Allotment;
        let planned = self.plan(&call, campaign, &envelope, kind, Some(method), reason);
        let (outcome, run) = planned.await?;
        Ok(Response::new(pb::PlanAllotmentResponse {
            outcome: Some(outcome),
            run,
        }))
    }

    async fn plan_refunds(
        &self,
        request: Request<pb::PlanRefundsRequest>,
    ) -> Result<Response<pb::PlanRefundsResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let reason = text("reason", &message.reason, 0, 1_000)?;
        let envelope = Envelope {
            method: "PlanRefunds",
            request_id: &message.request_id,
            validate_only: false,
            message: &message,
        };
        let planned = self.plan(&call, campaign, &envelope, RunKind::Refund, None, reason);
        let (outcome, run) = planned.await?;
        Ok(Response::new(pb::PlanRefundsResponse {
            outcome: Some(outcome),
            run,
        }))
    }

    async fn approve_run(
        &self,
        request: Request<pb::ApproveRunRequest>,
    ) -> Result<Response<pb::ApproveRunResponse>, Status> {
        // Whether it is the second approval is the run's to say.
        let event = RunEvent::Approve(false);
        step!(self, request, "ApproveRun", ApproveRunResponse, event)
    }

    async fn start_run(
        &self,
        request: Request<pb::StartRunRequest>,
    ) -> Result<Response<pb::StartRunResponse>, Status> {
        let started = step!(self, request, "StartRun", StartRunResponse, RunEvent::Start);
        self.app.run_was_started();
        started
    }

    async fn pause_run(
        &self,
        request: Request<pb::PauseRunRequest>,
    ) -> Result<Response<pb::PauseRunResponse>, Status> {
        step!(self, request, "PauseRun", PauseRunResponse, RunEvent::Pause)
    }

    async fn cancel_run(
        &self,
        request: Request<pb::CancelRunRequest>,
    ) -> Result<Response<pb::CancelRunResponse>, Status> {
        let event = RunEvent::Cancel;
        step!(self, request, "CancelRun", CancelRunResponse, event)
    }

    async fn get_run(
        &self,
        request: Request<pb::GetRunRequest>,
    ) -> Result<Response<pb::GetRunResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, id) = call.of_campaign("name", &message.name, "runs")?;
        let run = Some(self.found_run(campaign, id).await?);
        Ok(Response::new(pb::GetRunResponse { run }))
    }

    async fn list_runs(
        &self,
        request: Request<pb::ListRunsRequest>,
    ) -> Result<Response<pb::ListRunsResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let pages = Pages::of(&self.app.secrets, format!("ListRuns {campaign}"));
        let size = Pages::size(message.page_size)?;
        let after = pages.read(&message.page_token, |place| place.parse::<RunId>().ok())?;
        let rows = self
            .app
            .store
            .runs(campaign, after.map(|id| id.0), size + 1);
        let rows = rows.await.map_err(ApiError::from)?;
        let (rows, next_page_token) = pages.cut(rows, size, |last| last.id.to_string());
        let runs = rows.iter().map(|run| run_of(campaign, currency, run));
        Ok(Response::new(pb::ListRunsResponse {
            runs: runs.collect(),
            next_page_token,
        }))
    }

    async fn list_run_items(
        &self,
        request: Request<pb::ListRunItemsRequest>,
    ) -> Result<Response<pb::ListRunItemsResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, run) = call.of_campaign("run", &message.run, "runs")?;
        self.found_run(campaign, run).await?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let state = pb::RunItemState::try_from(message.state).ok();
        let state = state.map(|state| state.as_str_name());
        let state = word("state", state, "RUN_ITEM_STATE_", RunItemState::of_word)?;
        let pages = Pages::of(
            &self.app.secrets,
            format!("ListRunItems {campaign} {run} {state:?}"),
        );
        let size = Pages::size(message.page_size)?;
        let after = pages.read(&message.page_token, |place| place.parse::<i64>().ok())?;
        let store = &self.app.store;
        let rows = store.run_items(campaign, run, state, after.unwrap_or(0), size + 1);
        let rows = rows.await.map_err(ApiError::from)?;
        let (rows, next_page_token) = pages.cut(rows, size, |last| last.position.to_string());
        let items = rows.iter().map(|item| item_of(campaign, currency, item));
        Ok(Response::new(pb::ListRunItemsResponse {
            items: items.collect(),
            next_page_token,
        }))
    }

    async fn watch_run(
        &self,
        request: Request<pb::WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, id) = call.of_campaign("name", &message.name, "runs")?;
        self.found_run(campaign, id).await?;
        let (told, stream) = mpsc::channel(2);
        let api = self.clone();
        tokio::spawn(async move {
            let ended = tokio::select! {
                biased;
                () = api.shutdown.cancelled() => Err(status::shutting_down()),
                ended = api.watch_run_into(campaign, id, &told) => ended,
            };
            if let Err(error) = ended {
                let _ = told.send(Err(error.into())).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
