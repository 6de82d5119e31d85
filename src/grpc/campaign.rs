//! `CampaignService`.

use tonic::{Request, Response, Status};

use super::{
    Api, ApiError, Call, ends_with_server, envelope,
    fields::{
        campaign_name, currency, date, money, money_of, name, outside_id, request_id, text,
        timestamp, timestamp_of, wire, word,
    },
    journal::outcome,
    page::Pages,
    pb::{self, campaign_service_server::CampaignService},
    watch,
};
use crate::{
    app::Written,
    book::BookError,
    domain::{
        Action, Snapshot,
        campaign::{Campaign, FeeBearer, Paid, Purchase, Stage, StageEvent, Terms, TermsDraft},
        share::ShareClass,
    },
    id::{self, CampaignId, ShareClassId},
    money::Currency,
};

fn terms(terms: Option<&pb::Terms>) -> Result<TermsDraft, ApiError> {
    let terms = terms.ok_or_else(|| ApiError::field("terms", "missing"))?;
    let amounts = [
        money("terms.target", terms.target.as_ref())?,
        money("terms.minimum", terms.minimum.as_ref())?,
        money("terms.maximum", terms.maximum.as_ref())?,
    ];
    let [target, minimum, maximum] = amounts;
    if amounts
        .iter()
        .any(|amount| amount.currency != target.currency)
    {
        return Err(ApiError::field(
            "terms",
            "all amounts are in the campaign's currency",
        ));
    }
    let deadline = timestamp("terms.deadline", terms.deadline.as_ref())?;
    let bearer = pb::FeeBearer::try_from(terms.fee_bearer).ok();
    let bearer = bearer.map(|bearer| bearer.as_str_name());
    let fee_bearer = word(
        "terms.fee_bearer",
        bearer,
        "FEE_BEARER_",
        FeeBearer::of_word,
    )?;
    Ok(TermsDraft {
        currency: target.currency,
        terms: Terms {
            version: 0,
            target: target.amount,
            minimum: minimum.amount,
            maximum: maximum.amount,
            deadline: deadline.ok_or_else(|| ApiError::field("terms.deadline", "missing"))?,
            minimum_members: terms.minimum_members,
            fee_bearer: fee_bearer.unwrap_or(FeeBearer::Undecided),
            fee_bearer_note: text("terms.fee_bearer_note", &terms.fee_bearer_note, 0, 1_000)?,
            card_clearing_days: terms.card_clearing_days,
            direct_debit_clearing_days: terms.direct_debit_clearing_days,
            bank_transfer_clearing_days: terms.bank_transfer_clearing_days,
        },
    })
}

fn share_class(class: Option<&pb::ShareClass>) -> Result<(ShareClass, Currency), ApiError> {
    let class = class.ok_or_else(|| ApiError::field("share_class", "missing"))?;
    let price = money("share_class.price", class.price.as_ref())?;
    let nominal = money("share_class.nominal", class.nominal.as_ref())?;
    if price.currency != nominal.currency {
        let problem = "price and nominal value are in the campaign's currency";
        return Err(ApiError::field("share_class", problem));
    }
    let class = ShareClass {
        id: ShareClassId::mint(),
        display_name: text("share_class.display_name", &class.display_name, 1, 200)?,
        price: price.amount,
        nominal: nominal.amount,
        authorised: class.authorised,
        minimum_per_member: class.minimum_per_member,
        maximum_per_member: class.maximum_per_member,
        liability: class.liability,
    };
    Ok((class, price.currency))
}

fn terms_of(terms: &Terms, currency: Currency) -> pb::Terms {
    pb::Terms {
        version: terms.version,
        target: Some(money_of(terms.target, currency)),
        minimum: Some(money_of(terms.minimum, currency)),
        maximum: Some(money_of(terms.maximum, currency)),
        deadline: Some(timestamp_of(terms.deadline)),
        minimum_members: terms.minimum_members,
        fee_bearer: wire(
            pb::FeeBearer::from_str_name,
            "FEE_BEARER_",
            terms.fee_bearer.word(),
        ),
        fee_bearer_note: terms.fee_bearer_note.clone(),
        card_clearing_days: terms.card_clearing_days,
        direct_debit_clearing_days: terms.direct_debit_clearing_days,
        bank_transfer_clearing_days: terms.bank_transfer_clearing_days,
    }
}

fn share_class_of(campaign: &Campaign, class: &ShareClass) -> pb::ShareClass {
    pb::ShareClass {
        name: name(campaign.id, "shareClasses", class.id),
        display_name: class.display_name.clone(),
        price: Some(money_of(class.price, campaign.currency)),
        nominal: Some(money_of(class.nominal, campaign.currency)),
        authorised: class.authorised,
        minimum_per_member: class.minimum_per_member,
        maximum_per_member: class.maximum_per_member,
        liability: class.liability,
    }
}

pub(super) fn stage_of(stage: Stage) -> i32 {
    wire(
        pb::CampaignStage::from_str_name,
        "CAMPAIGN_STAGE_",
        stage.word(),
    )
}

pub(super) fn campaign_of(campaign: &Campaign) -> pb::Campaign {
    let classes = campaign.share_classes.iter();
    pb::Campaign {
        name: campaign_name(campaign.id),
        display_name: campaign.display_name.clone(),
        description: campaign.description.clone(),
        currency_code: campaign.currency.code().to_owned(),
        stage: stage_of(campaign.stage),
        terms: Some(terms_of(&campaign.terms, campaign.currency)),
        share_classes: classes
            .map(|class| share_class_of(campaign, class))
            .collect(),
        create_time: Some(timestamp_of(campaign.created_at)),
        open_time: campaign.opened_at.map(timestamp_of),
        etag: campaign.changed_by.to_string(),
        suspended_from: campaign.suspended_from.map_or(0, stage_of),
    }
}

/// The campaign after a write.
fn written_campaign(written: &Written) -> Option<&Campaign> {
    written
        .answer
        .snapshots
        .iter()
        .find_map(|snapshot| match snapshot {
            Snapshot::Campaign(campaign) => Some(&**campaign),
            Snapshot::Member(_)
            | Snapshot::Signature(_)
            | Snapshot::Pledge(_)
            | Snapshot::Payment(_)
            | Snapshot::MoneyAccount(_)
            | Snapshot::Payout(_)
            | Snapshot::Refund(_)
            | Snapshot::Lot(_)
            | Snapshot::Run(_) => None,
        })
}

/// Answers a write with the outcome and the campaign after it.
macro_rules! answer {
    ($response:ident, $campaign:expr, $message:expr, $written:expr) => {
        Ok(Response::new(pb::$response {
            outcome: Some(outcome($campaign, &$written, $message.validate_only)),
            campaign: written_campaign(&$written).map(campaign_of),
        }))
    };
}

/// A later step of a campaign's life, from its request to its answer.
macro_rules! step {
    ($api:ident, $request:ident, $method:literal, $response:ident, $action:expr) => {{
        let (call, message) = Call::of($request)?;
        let id = call.campaign("name", &message.name)?;
        let reason = text("reason", &message.reason, 0, 1_000)?;
        let action = $action(reason);
        let written = $api
            .write(&call, id, &envelope!($method, message), action)
            .await?;
        answer!($response, id, message, written)
    }};
}

const fn along(event: StageEvent) -> impl FnOnce(String) -> Action {
    move |reason| Action::MoveCampaign { event, reason }
}

/// The purchase, as it is told.
fn purchase(
    call: &Call,
    campaign: CampaignId,
    message: &pb::CompletePurchaseRequest,
) -> Result<Purchase, ApiError> {
    let account = call.of_this(
        campaign,
        "bank_account",
        &message.bank_account,
        "moneyAccounts",
    )?;
    let paid = match account {
        None if message.paid.is_some() || !message.object_id.is_empty() => {
            return Err(ApiError::field("bank_account", "which account has paid?"));
        }
        None => None,
        Some(account) => Some(Paid {
            account,
            object_id: outside_id("object_id", &message.object_id)?,
            amount: money("paid", message.paid.as_ref())?,
        }),
    };
    Ok(Purchase {
        price: money("price", message.price.as_ref())?,
        paid,
        occurred_at: timestamp("occurred_at", message.occurred_at.as_ref())?,
        value_date: date("value_date", &message.value_date)?,
        reason: text("reason", &message.reason, 0, 1_000)?,
    })
}

impl Api {
    async fn move_campaign<M: prost::Message>(
        &self,
        call: &Call,
        campaign: CampaignId,
        request: &super::Envelope<'_, M>,
        event: StageEvent,
        reason: String,
    ) -> Result<Written, ApiError> {
        let action = Action::MoveCampaign { event, reason };
        self.write(call, campaign, request, action).await
    }
}

#[tonic::async_trait]
impl CampaignService for Api {
    type WatchCampaignStream = watch::Messages;

    async fn create_campaign(
        &self,
        request: Request<pb::CreateCampaignRequest>,
    ) -> Result<Response<pb::CreateCampaignResponse>, Status> {
        let (call, message) = Call::of(request)?;
        if call.caller.campaign.is_some() {
            return Err(ApiError::RoleNotAllowed.into());
        }
        let id = id::derived(
            "campaign",
            &[
                call.caller.principal.as_bytes(),
                request_id(&message.request_id)?.0.as_bytes(),
            ],
        );
        let action = Action::CreateCampaign {
            display_name: text("display_name", &message.display_name, 1, 200)?,
            description: text("description", &message.description, 0, 10_000)?,
            currency: currency("currency_code", &message.currency_code)?,
            terms: terms(message.terms.as_ref())?,
        };
        let id = CampaignId(id);
        let written = self
            .write(&call, id, &envelope!("CreateCampaign", message), action)
            .await?;
        answer!(CreateCampaignResponse, id, message, written)
    }

    async fn get_campaign(
        &self,
        request: Request<pb::GetCampaignRequest>,
    ) -> Result<Response<pb::GetCampaignResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = call.campaign("name", &message.name)?;
        let found = self.app.store.campaign(id).await.map_err(ApiError::from)?;
        let (campaign, _, _) = found.ok_or(ApiError::from(BookError::CampaignNotFound))?;
        let campaign = Some(campaign_of(&campaign));
        Ok(Response::new(pb::GetCampaignResponse { campaign }))
    }

    async fn list_campaigns(
        &self,
        request: Request<pb::ListCampaignsRequest>,
    ) -> Result<Response<pb::ListCampaignsResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let only = call.caller.campaign;
        let pages = Pages::of(&self.app.secrets, format!("ListCampaigns {only:?}"));
        let size = Pages::size(message.page_size)?;
        let before = pages.read(&message.page_token, |place| {
            let (nanos, id) = place.split_once(' ')?;
            let at = time::OffsetDateTime::from_unix_timestamp_nanos(nanos.parse().ok()?).ok()?;
            Some((at, id.parse::<CampaignId>().ok()?.0))
        })?;
        let rows = self.app.store.campaigns(only, before, size + 1).await;
        let (campaigns, next_page_token) = pages.cut(rows.map_err(ApiError::from)?, size, |last| {
            format!("{} {}", last.created_at.unix_timestamp_nanos(), last.id)
        });
        Ok(Response::new(pb::ListCampaignsResponse {
            campaigns: campaigns.iter().map(campaign_of).collect(),
            next_page_token,
        }))
    }

    async fn update_campaign(
        &self,
        request: Request<pb::UpdateCampaignRequest>,
    ) -> Result<Response<pb::UpdateCampaignResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = call.campaign("name", &message.name)?;
        let action = update(&message)?;
        let written = self
            .write(&call, id, &envelope!("UpdateCampaign", message), action)
            .await?;
        answer!(UpdateCampaignResponse, id, message, written)
    }

    async fn revise_terms(
        &self,
        request: Request<pb::ReviseTermsRequest>,
    ) -> Result<Response<pb::ReviseTermsResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = call.campaign("name", &message.name)?;
        let action = Action::ReviseTerms {
            terms: terms(message.terms.as_ref())?,
            reason: text("reason", &message.reason, 0, 1_000)?,
        };
        let written = self
            .write(&call, id, &envelope!("ReviseTerms", message), action)
            .await?;
        answer!(ReviseTermsResponse, id, message, written)
    }

    async fn add_share_class(
        &self,
        request: Request<pb::AddShareClassRequest>,
    ) -> Result<Response<pb::AddShareClassResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = call.campaign("campaign", &message.campaign)?;
        let (class, currency) = share_class(message.share_class.as_ref())?;
        let action = Action::AddShareClass { class, currency };
        let written = self
            .write(&call, id, &envelope!("AddShareClass", message), action)
            .await?;
        let campaign = written_campaign(&written);
        // A replay answers with the class of then: no two have one name.
        let asked = message
            .share_class
            .as_ref()
            .map(|class| &class.display_name);
        let class = campaign.and_then(|campaign| {
            let class = campaign
                .share_classes
                .iter()
                .find(|c| Some(&c.display_name) == asked);
            class.map(|class| share_class_of(campaign, class))
        });
        Ok(Response::new(pb::AddShareClassResponse {
            outcome: Some(outcome(id, &written, message.validate_only)),
            campaign: campaign.map(campaign_of),
            share_class: class,
        }))
    }

    async fn start_gathering(
        &self,
        request: Request<pb::StartGatheringRequest>,
    ) -> Result<Response<pb::StartGatheringResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = call.campaign("name", &message.name)?;
        let envelope = envelope!("StartGathering", message);
        let event = StageEvent::StartGathering;
        let written = self
            .move_campaign(&call, id, &envelope, event, String::new())
            .await?;
        answer!(StartGatheringResponse, id, message, written)
    }

    async fn start_pledging(
        &self,
        request: Request<pb::StartPledgingRequest>,
    ) -> Result<Response<pb::StartPledgingResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = call.campaign("name", &message.name)?;
        let envelope = envelope!("StartPledging", message);
        let event = StageEvent::StartPledging;
        let written = self
            .move_campaign(&call, id, &envelope, event, String::new())
            .await?;
        answer!(StartPledgingResponse, id, message, written)
    }

    async fn open_campaign(
        &self,
        request: Request<pb::OpenCampaignRequest>,
    ) -> Result<Response<pb::OpenCampaignResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = call.campaign("name", &message.name)?;
        let envelope = envelope!("OpenCampaign", message);
        let event = StageEvent::Open;
        let written = self
            .move_campaign(&call, id, &envelope, event, String::new())
            .await?;
        answer!(OpenCampaignResponse, id, message, written)
    }

    async fn cancel_campaign(
        &self,
        request: Request<pb::CancelCampaignRequest>,
    ) -> Result<Response<pb::CancelCampaignResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = call.campaign("name", &message.name)?;
        let reason = text("reason", &message.reason, 0, 1_000)?;
        let envelope = envelope!("CancelCampaign", message);
        let written = self
            .move_campaign(&call, id, &envelope, StageEvent::Cancel, reason)
            .await?;
        answer!(CancelCampaignResponse, id, message, written)
    }

    async fn close_campaign(
        &self,
        request: Request<pb::CloseCampaignRequest>,
    ) -> Result<Response<pb::CloseCampaignResponse>, Status> {
        step!(
            self,
            request,
            "CloseCampaign",
            CloseCampaignResponse,
            along(StageEvent::Close)
        )
    }

    async fn conclude_campaign(
        &self,
        request: Request<pb::ConcludeCampaignRequest>,
    ) -> Result<Response<pb::ConcludeCampaignResponse>, Status> {
        step!(
            self,
            request,
            "ConcludeCampaign",
            ConcludeCampaignResponse,
            |reason| Action::ConcludeCampaign { reason }
        )
    }

    async fn start_completion(
        &self,
        request: Request<pb::StartCompletionRequest>,
    ) -> Result<Response<pb::StartCompletionResponse>, Status> {
        step!(
            self,
            request,
            "StartCompletion",
            StartCompletionResponse,
            along(StageEvent::StartCompleting)
        )
    }

    async fn lose_acquisition(
        &self,
        request: Request<pb::LoseAcquisitionRequest>,
    ) -> Result<Response<pb::LoseAcquisitionResponse>, Status> {
        step!(
            self,
            request,
            "LoseAcquisition",
            LoseAcquisitionResponse,
            along(StageEvent::LoseAcquisition)
        )
    }

    async fn finish_allotment(
        &self,
        request: Request<pb::FinishAllotmentRequest>,
    ) -> Result<Response<pb::FinishAllotmentResponse>, Status> {
        step!(
            self,
            request,
            "FinishAllotment",
            FinishAllotmentResponse,
            along(StageEvent::FinishAllotment)
        )
    }

    async fn start_refunding(
        &self,
        request: Request<pb::StartRefundingRequest>,
    ) -> Result<Response<pb::StartRefundingResponse>, Status> {
        step!(
            self,
            request,
            "StartRefunding",
            StartRefundingResponse,
            along(StageEvent::StartRefunding)
        )
    }

    async fn finish_refunding(
        &self,
        request: Request<pb::FinishRefundingRequest>,
    ) -> Result<Response<pb::FinishRefundingResponse>, Status> {
        step!(
            self,
            request,
            "FinishRefunding",
            FinishRefundingResponse,
            along(StageEvent::FinishRefunding)
        )
    }

    async fn archive_campaign(
        &self,
        request: Request<pb::ArchiveCampaignRequest>,
    ) -> Result<Response<pb::ArchiveCampaignResponse>, Status> {
        step!(
            self,
            request,
            "ArchiveCampaign",
            ArchiveCampaignResponse,
            along(StageEvent::Archive)
        )
    }

    async fn suspend_campaign(
        &self,
        request: Request<pb::SuspendCampaignRequest>,
    ) -> Result<Response<pb::SuspendCampaignResponse>, Status> {
        step!(
            self,
            request,
            "SuspendCampaign",
            SuspendCampaignResponse,
            |reason| Action::SuspendCampaign {
                resume: false,
                reason
            }
        )
    }

    async fn resume_campaign(
        &self,
        request: Request<pb::ResumeCampaignRequest>,
    ) -> Result<Response<pb::ResumeCampaignResponse>, Status> {
        step!(
            self,
            request,
            "ResumeCampaign",
            ResumeCampaignResponse,
            |reason| Action::SuspendCampaign {
                resume: true,
                reason
            }
        )
    }

    async fn complete_purchase(
        &self,
        request: Request<pb::CompletePurchaseRequest>,
    ) -> Result<Response<pb::CompletePurchaseResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = call.campaign("name", &message.name)?;
        let action = Action::CompletePurchase(purchase(&call, id, &message)?);
        let envelope = envelope!("CompletePurchase", message);
        let written = self.write(&call, id, &envelope, action).await?;
        answer!(CompletePurchaseResponse, id, message, written)
    }

    async fn get_public_progress(
        &self,
        request: Request<pb::GetPublicProgressRequest>,
    ) -> Result<Response<pb::GetPublicProgressResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = call.campaign("name", &message.name)?;
        let progress = self
            .reports
            .public_progress(id)
            .await
            .map_err(ApiError::from)?;
        if progress.stage == Stage::Draft {
            // Nobody is to know of it yet.
            return Err(ApiError::from(BookError::CampaignNotFound).into());
        }
        let money = |amount| Some(money_of(amount, progress.currency));
        Ok(Response::new(pb::GetPublicProgressResponse {
            display_name: progress.display_name.clone(),
            stage: stage_of(progress.stage),
            change_number: progress.change_number,
            signatures: progress.signatures,
            pledging_members: progress.pledging_members,
            pledged: money(progress.pledged),
            paying_members: progress.paying_members,
            collected: money(progress.collected),
            target: money(progress.target),
            minimum: money(progress.minimum),
            deadline: Some(timestamp_of(progress.deadline)),
            collected_basis_points: progress.collected_basis_points().unwrap_or(0),
        }))
    }

    async fn watch_campaign(
        &self,
        request: Request<pb::WatchCampaignRequest>,
    ) -> Result<Response<Self::WatchCampaignStream>, Status> {
        let (call, message) = Call::of(request)?;
        Ok(ends_with_server(self.watch(call, &message).await?))
    }
}

fn update(message: &pb::UpdateCampaignRequest) -> Result<Action, ApiError> {
    let mask = |problem: String| ApiError::Field {
        field: "update_mask".to_owned(),
        problem,
        reason: pb::ErrorReason::UpdateMask,
    };
    let paths = message
        .update_mask
        .as_ref()
        .map_or(&[][..], |mask| &mask.paths);
    if paths.is_empty() {
        return Err(mask(
            "name what to update: display_name, description".to_owned(),
        ));
    }
    let (mut display_name, mut description) = (None, None);
    for path in paths {
        match path.as_str() {
            "display_name" => {
                display_name = Some(text("display_name", &message.display_name, 1, 200)?);
            }
            "description" => {
                description = Some(text("description", &message.description, 0, 10_000)?);
            }
            // Cut, since a caller may send much and the answer is a header.
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(mask(format!("{other:?} cannot be updated")));
            }
        }
    }
    let etag = (!message.etag.is_empty()).then(|| {
        message
            .etag
            .parse()
            .map_err(|_| ApiError::field("etag", "not an etag of ours"))
    });
    Ok(Action::UpdateCampaign {
        display_name,
        description,
        expected_change: etag.transpose()?,
    })
}
