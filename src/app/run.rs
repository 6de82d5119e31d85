//! Runs: making their lists, and working them.
//!
//! A list is made from one snapshot, beside the campaign's book, and written down before a
//! command freezes it: nothing that touches every member happens under the campaign's lock.
//! The worker of a process takes a running run for a while, puts some of its items into
//! the book's second lane, and waits for all of them before it takes more. Whoever is
//! killed leaves items that are worked or pending, and another worker goes on.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{App, AppError};
use crate::{
    book::BookError,
    domain::{
        Action, Command, Fingerprint, Outcome, Refusal, refund,
        run::{Plan, RunEvent, RunItem, RunItemState, RunKind},
        share::{Method, fill},
    },
    id::{CampaignId, RequestId, RunId, ShareClassId, derived},
    money::Amount,
    store::run::{Basis, Holding},
};

/// Items that are written, or worked, at once.
const CHUNK: usize = 256;
const WRITTEN_AT_ONCE: usize = 2_000;

/// How long a worker has a run: longer than any chunk takes.
const LEASE: Duration = Duration::from_secs(3);

/// How often a worker looks for runs that another process started, or left.
const LOOK: Duration = Duration::from_secs(2);

/// How long a list may take to be made before it counts as given up.
const GIVEN_UP_AFTER_MS: u64 = 3_600_000;

/// Who moves the items: a run's approval stands behind each.
const WORKER: &str = "run worker";

/// A list on its way into the database.
struct Writing<'a> {
    app: &'a App,
    campaign: CampaignId,
    plan: Plan,
    items: Vec<RunItem>,
}

/// What an item says.
struct Said {
    member: Option<crate::id::MemberId>,
    payment: Option<crate::id::PaymentId>,
    share_class: Option<ShareClassId>,
    units: i64,
    amount: Amount,
    released: Amount,
}

impl Writing<'_> {
    async fn write(&mut self, said: Said) -> Result<(), AppError> {
        let plan = &mut self.plan;
        let mut item = RunItem {
            run: plan.run,
            position: plan.items + 1,
            member: said.member,
            payment: said.payment,
            share_class: said.share_class,
            units: said.units,
            amount: said.amount,
            released: said.released,
            hash: [0; 32],
            state: RunItemState::Pending,
            problem: String::new(),
            change: None,
        };
        item.hash = item.chained(&plan.hash);
        plan.items = item.position;
        plan.hash = item.hash;
        let too_large = || AppError::Refused(Refusal::AmountTooLarge);
        plan.units = plan.units.checked_add(said.units).ok_or_else(too_large)?;
        plan.amount = plan.amount.checked_add(said.amount).ok_or_else(too_large)?;
        plan.released = plan
            .released
            .checked_add(said.released)
            .ok_or_else(too_large)?;
        self.items.push(item);
        if self.items.len() >= WRITTEN_AT_ONCE {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), AppError> {
        let items = std::mem::take(&mut self.items);
        Ok(self
            .app
            .store
            .run_items_write(self.campaign, &items)
            .await?)
    }
}

impl App {
    /// Makes the list of a run and writes it down; a command freezes it then.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn plan_run(
        &self,
        campaign: CampaignId,
        kind: RunKind,
        method: Option<Method>,
        reason: String,
    ) -> Result<Plan, AppError> {
        let run = RunId::mint();
        self.forget_lists(campaign, run, false).await?;
        let basis = self.store.run_basis(campaign).await?;
        let mut basis = basis.ok_or(BookError::CampaignNotFound)?;
        let mut writing = Writing {
            app: self,
            campaign,
            plan: Plan {
                run,
                kind,
                method,
                items: 0,
                units: 0,
                amount: Amount::ZERO,
                released: Amount::ZERO,
                hash: [0; 32],
                as_of_change: basis.change,
                reason,
            },
            items: Vec::new(),
        };
        match kind {
            RunKind::Allotment => {
                let method = method.unwrap_or(Method::WaterFilling);
                list_allotment(&mut basis, method, &mut writing).await?;
            }
            RunKind::Refund => list_refunds(&mut basis, &mut writing).await?,
        }
        writing.flush().await?;
        Ok(writing.plan)
    }

    /// Removes lists that nobody froze: this one when it was not, and those long given up.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn forget_lists(
        &self,
        campaign: CampaignId,
        run: RunId,
        own: bool,
    ) -> Result<(), AppError> {
        // The first 48 bits of a version 7 UUID are its milliseconds.
        let (high, low) = run.0.as_u64_pair();
        let before = (high >> 16).saturating_sub(GIVEN_UP_AFTER_MS) << 16;
        let older_than = RunId(Uuid::from_u64_pair(before, low));
        let own = own.then_some(run);
        Ok(self
            .store
            .run_items_forget(campaign, own, older_than)
            .await?)
    }

    /// Wakes this process's worker: a run was started.
    pub fn run_was_started(&self) {
        self.run_started.notify_one();
    }

    /// Works runs until it is told to stop. An item that is queued then is still worked, or
    /// left to another worker.
    pub async fn work_runs(&self, stop: CancellationToken) {
        let holder = Uuid::from_u128(rand::random());
        while !stop.is_cancelled() {
            let worked = self.work_some(holder, &stop).await;
            let idle = match worked {
                Ok(items) => items == 0,
                Err(error) => {
                    tracing::warn!(%error, "runs are not worked for the moment");
                    true
                }
            };
            if idle {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.run_started.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        }
    }

    /// Works some items of every run that is running and nobody else works.
    async fn work_some(&self, holder: Uuid, stop: &CancellationToken) -> Result<usize, AppError> {
        let mut worked = 0;
        for (campaign, run) in self.store.runs_running().await? {
            if stop.is_cancelled() {
                break;
            }
            if self.store.run_lease(campaign, run, holder, LEASE).await? {
                worked += self.work_chunk(campaign, run).await?;
            }
        }
        Ok(worked)
    }

    async fn work_chunk(&self, campaign: CampaignId, id: RunId) -> Result<usize, AppError> {
        let Some(run) = self.store.run(campaign, id).await? else {
            return Ok(0);
        };
        let limit = i64::try_from(CHUNK).unwrap_or(i64::MAX);
        let positions = self.store.run_pending(campaign, id, limit).await?;
        let first = positions.first().copied();
        let mut queued = Vec::with_capacity(positions.len());
        for position in positions {
            let command = Command {
                request_id: RunItem::request_id(id, position, run.starts),
                method: "WorkRunItem".into(),
                principal: WORKER.to_owned(),
                fingerprint: Fingerprint::default(),
                action: Action::WorkRunItem { run: id, position },
            };
            queued.push(self.books.queue_item(campaign, command).await?.outcome());
        }
        let (mut worked, mut replayed) = (0, false);
        for outcome in join_all(queued).await {
            match outcome? {
                Outcome::Done(_) => worked += 1,
                Outcome::Replayed(_) | Outcome::RecordedBefore { .. } => replayed = true,
                // Somebody has paused the run, or has worked the item: nothing is left to do.
                Outcome::Refused(Refusal::RunState { .. } | Refusal::RunItemWorked) => {}
                Outcome::Refused(refusal) => {
                    self.pause(campaign, &run, &refusal.to_string()).await?;
                    return Ok(worked);
                }
            }
        }
        // What was answered before and is still to be worked was refused then, by a worker
        // that was killed before it had paused the run.
        if replayed && worked == 0 {
            let next = self.store.run_pending(campaign, id, 1).await?;
            if first.is_some() && next.first().copied() == first {
                self.pause(campaign, &run, "an item was refused before")
                    .await?;
            }
        }
        Ok(worked)
    }

    /// Pauses a run whose items are refused: somebody has to look, and start it again.
    async fn pause(
        &self,
        campaign: CampaignId,
        run: &crate::domain::run::Run,
        why: &str,
    ) -> Result<(), AppError> {
        tracing::warn!(%campaign, run = %run.id, why, "a run is paused");
        let parts: [&[u8]; 2] = [run.id.0.as_bytes(), &run.starts.to_be_bytes()];
        let command = Command {
            request_id: RequestId(derived("run paused", &parts)),
            method: "PauseRun".into(),
            principal: WORKER.to_owned(),
            fingerprint: Fingerprint::default(),
            action: Action::MoveRun {
                run: run.id,
                event: RunEvent::Pause,
                reason: why.to_owned(),
            },
        };
        self.books.submit(campaign, command, None).await?;
        Ok(())
    }
}

/// What each member's money buys of each class, when all ask at once.
async fn list_allotment(
    basis: &mut Basis,
    method: Method,
    list: &mut Writing<'_>,
) -> Result<(), AppError> {
    let holdings = basis.holdings().await?;
    let mut by_class: BTreeMap<Option<ShareClassId>, Vec<Holding>> = BTreeMap::new();
    for holding in holdings {
        let of_class = by_class.entry(holding.share_class).or_default();
        of_class.push(holding);
    }
    for (id, holdings) in by_class {
        let class = id.and_then(|id| basis.campaign.share_class(id)).cloned();
        let units = match &class {
            None => vec![0; holdings.len()],
            Some(class) => {
                let supply = basis.unissued(class.id).await?;
                let most = |holding: &Holding| match class.maximum_per_member {
                    0 => i64::MAX,
                    most => most.saturating_sub(holding.shares).max(0),
                };
                let request = |holding: &Holding| class.affords(holding.held).min(most(holding));
                let requests: Vec<i64> = holdings.iter().map(request).collect();
                fill(method, supply, class.minimum_per_member, &requests)
            }
        };
        for (holding, units) in holdings.into_iter().zip(units) {
            let amount = class
                .as_ref()
                .map_or(Ok(Amount::ZERO), |class| class.cost(units))?;
            list.write(Said {
                member: Some(holding.member),
                payment: None,
                share_class: id,
                units,
                amount,
                released: holding.held.saturating_sub(amount),
            })
            .await?;
        }
    }
    Ok(())
}

/// What each payment has to give back.
async fn list_refunds(basis: &mut Basis, list: &mut Writing<'_>) -> Result<(), AppError> {
    let limit = i64::try_from(WRITTEN_AT_ONCE).unwrap_or(i64::MAX);
    let mut after = Uuid::nil();
    loop {
        let payments = basis.payments_due(after, limit).await?;
        let Some(last) = payments.last() else {
            return Ok(());
        };
        after = last.id.0;
        for payment in payments {
            let due = refund::plan(&basis.campaign, &payment);
            if due.amount.is_positive() || due.charge.is_positive() {
                list.write(Said {
                    member: payment.member,
                    payment: Some(payment.id),
                    share_class: None,
                    units: 0,
                    amount: due.amount,
                    released: due.charge,
                })
                .await?;
            }
        }
    }
}
