//! What a call does besides deciding: hands commands to the book, fetches the
//! answer again when there is one, looks single things up.
//!
//! What few calls do is boxed: each call has the room for everything that it might wait for, and
//! questions to the database take kilobytes, which were fetched and left again by every call.

mod run;
pub mod webhook;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{
    book::{BookError, Books},
    clock::Clock,
    domain::{Action, Answer, Command, Outcome, Refusal},
    id::CampaignId,
    money::Currency,
    secret::Secrets,
    store::{Given, Store, StoreError},
};

/// The application: everything that a call needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    /// The door to the database.
    pub store: Store,
    /// Where commands go.
    pub books: Books,
    /// The time.
    pub clock: Clock,
    /// Keys.
    pub secrets: Secrets,
    /// Wakes the worker of runs.
    run_started: Arc<Notify>,
    /// Campaigns' currencies, which never change.
    currencies: Arc<Mutex<HashMap<CampaignId, Currency>>>,
}

/// What a write came to.
#[derive(Clone, Debug)]
pub struct Written {
    /// This request's change; for a preview the change that it is as of.
    pub change: i64,
    /// What was done, by this request or by the one that it repeats.
    pub answer: Answer,
    /// True when the request id had been answered before.
    pub replayed: bool,
    /// True when another request had recorded the same movement of money.
    pub recorded_before: bool,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A rule of the domain.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The book.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The database, while reading.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// When to come back after an overload: several batches' time.
pub const RETRY_AFTER: Duration = Duration::from_millis(500);

impl App {
    /// The application over its parts.
    #[must_use]
    pub fn new(store: Store, books: Books, clock: Clock, secrets: Secrets) -> Self {
        Self {
            store,
            books,
            clock,
            secrets,
            run_started: Arc::default(),
            currencies: Arc::default(),
        }
    }

    /// A campaign's currency; also how a call learns that there is such a campaign.
    ///
    /// # Errors
    /// [`BookError::CampaignNotFound`], or the database's.
    pub async fn currency(&self, campaign: CampaignId) -> Result<Currency, AppError> {
        let known = |app: &Self| {
            let known = app
                .currencies
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            known.get(&campaign).copied()
        };
        if let Some(currency) = known(self) {
            return Ok(currency);
        }
        let currency = Box::pin(self.store.campaign_currency(campaign)).await?;
        let currency = currency.ok_or(BookError::CampaignNotFound)?;
        let mut known = self
            .currencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.insert(campaign, currency);
        Ok(currency)
    }

    /// Carries a command out, or repeats the answer it was given before.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn write(
        &self,
        campaign: CampaignId,
        command: Command,
        deadline: Option<Instant>,
    ) -> Result<Written, AppError> {
        if matches!(command.action, Action::CreateCampaign { .. }) {
            Box::pin(self.store.head_ensure(campaign)).await?;
        }
        let outcome = self.books.submit(campaign, command, deadline).await?;
        self.written(campaign, outcome).await
    }

    /// What an outcome is answered with; one that repeats another is fetched again.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn written(
        &self,
        campaign: CampaignId,
        outcome: Outcome,
    ) -> Result<Written, AppError> {
        match outcome {
            Outcome::Done(answer) => Ok(Written {
                change: answer.change,
                answer,
                replayed: false,
                recorded_before: false,
            }),
            Outcome::Refused(refusal) => Err(refusal.into()),
            Outcome::Replayed(change) => Box::pin(self.given(campaign, change, true)).await,
            Outcome::RecordedBefore { change, .. } => {
                Box::pin(self.given(campaign, change, false)).await
            }
        }
    }

    async fn given(
        &self,
        campaign: CampaignId,
        change: i64,
        replayed: bool,
    ) -> Result<Written, AppError> {
        match self.store.answer(campaign, change).await? {
            Given::Refused(refusal) => Err(refusal.into()),
            Given::Done {
                answer,
                recorded_before,
            } => Ok(Written {
                change,
                answer,
                replayed,
                recorded_before,
            }),
        }
    }

    /// What a command would come to.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn preview(
        &self,
        campaign: CampaignId,
        command: &Command,
    ) -> Result<Written, AppError> {
        let (change, outcome) = self.books.preview(campaign, command).await?;
        match outcome {
            Outcome::Done(answer) => Ok(Written {
                change,
                answer,
                replayed: false,
                recorded_before: false,
            }),
            Outcome::Refused(refusal) => Err(refusal.into()),
            Outcome::Replayed(recorded)
            | Outcome::RecordedBefore {
                same_as: recorded, ..
            } => {
                let written = self.given(campaign, recorded, false).await?;
                Ok(Written {
                    change,
                    recorded_before: true,
                    ..written
                })
            }
        }
    }
}
