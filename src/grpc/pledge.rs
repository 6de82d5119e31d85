//! `PledgeService`.

use tonic::{Request, Response, Status};

use super::{
    Api, ApiError, Call, envelope,
    fields::{money_of, name, name_or_none, promise, timestamp, timestamp_of, wire, word},
    journal::outcome,
    page::Pages,
    pb::{self, pledge_service_server::PledgeService},
};
use crate::{
    app::Written,
    domain::{
        Action, Snapshot,
        pledge::{EXPIRE_AT_MOST, Pledge, PledgeState},
    },
    id::{CampaignId, MemberId, PledgeId},
    money::Currency,
};

fn pledge_of(campaign: CampaignId, currency: Currency, pledge: &Pledge) -> pb::Pledge {
    pb::Pledge {
        name: name(campaign, "pledges", pledge.id),
        member: name(campaign, "members", pledge.member),
        state: wire(
            pb::PledgeState::from_str_name,
            "PLEDGE_STATE_",
            pledge.state.word(),
        ),
        amount: Some(money_of(pledge.amount, currency)),
        paid: Some(money_of(pledge.paid, currency)),
        outstanding: Some(money_of(pledge.outstanding(), currency)),
        share_class: name_or_none(campaign, "shareClasses", pledge.share_class),
        units: pledge.units,
        create_time: Some(timestamp_of(pledge.created_at)),
        expire_time: Some(timestamp_of(pledge.expires_at)),
        terms_version: pledge.terms_version,
    }
}

fn written_pledges(
    campaign: CampaignId,
    currency: Currency,
    written: &Written,
) -> impl Iterator<Item = pb::Pledge> {
    written
        .answer
        .snapshots
        .iter()
        .filter_map(move |snapshot| match snapshot {
            Snapshot::Pledge(pledge) => Some(pledge_of(campaign, currency, pledge)),
            _ => None,
        })
}

/// Answers a write with the outcome and the pledge after it.
macro_rules! answer {
    ($response:ident, $campaign:expr, $currency:expr, $message:expr, $written:expr) => {
        Ok(Response::new(pb::$response {
            outcome: Some(outcome($campaign, &$written, $message.validate_only)),
            pledge: written_pledges($campaign, $currency, &$written).next(),
        }))
    };
}

#[tonic::async_trait]
impl PledgeService for Api {
    async fn create_pledge(
        &self,
        request: Request<pb::CreatePledgeRequest>,
    ) -> Result<Response<pb::CreatePledgeResponse>, Status> {
        use pb::create_pledge_request::Promise as Wire;
        let (call, message) = Call::of(request)?;
        let (campaign, member) = call.of_campaign("member", &message.member, "members")?;
        let promise = match &message.promise {
            Some(Wire::Amount(money)) => promise(Some(money), None),
            Some(Wire::Units(units)) => promise(None, Some(*units)),
            None => promise(None, None),
        };
        let class = &message.share_class;
        let action = Action::CreatePledge {
            pledge: PledgeId::mint(),
            member,
            promise: promise?,
            share_class: call.of_this(campaign, "share_class", class, "shareClasses")?,
            expires_at: timestamp("expire_time", message.expire_time.as_ref())?,
        };
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let envelope = envelope!("CreatePledge", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        answer!(CreatePledgeResponse, campaign, currency, message, written)
    }

    async fn amend_pledge(
        &self,
        request: Request<pb::AmendPledgeRequest>,
    ) -> Result<Response<pb::AmendPledgeResponse>, Status> {
        use pb::amend_pledge_request::Promise as Wire;
        let (call, message) = Call::of(request)?;
        let (campaign, pledge) = call.of_campaign("name", &message.name, "pledges")?;
        let promise = match &message.promise {
            Some(Wire::Amount(money)) => promise(Some(money), None),
            Some(Wire::Units(units)) => promise(None, Some(*units)),
            None => promise(None, None),
        };
        let action = Action::AmendPledge {
            pledge,
            promise: promise?,
        };
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let envelope = envelope!("AmendPledge", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        answer!(AmendPledgeResponse, campaign, currency, message, written)
    }

    async fn cancel_pledge(
        &self,
        request: Request<pb::CancelPledgeRequest>,
    ) -> Result<Response<pb::CancelPledgeResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, pledge) = call.of_campaign("name", &message.name, "pledges")?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let envelope = envelope!("CancelPledge", message);
        let action = Action::CancelPledge { pledge };
        let written = self.write(&call, campaign, &envelope, action).await?;
        answer!(CancelPledgeResponse, campaign, currency, message, written)
    }

    async fn get_pledge(
        &self,
        request: Request<pb::GetPledgeRequest>,
    ) -> Result<Response<pb::GetPledgeResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, id) = call.of_campaign("name", &message.name, "pledges")?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let found = self
            .app
            .store
            .pledge(campaign, id)
            .await
            .map_err(ApiError::from)?;
        let pledge = found.ok_or(ApiError::NotFound(message.name))?;
        let pledge = Some(pledge_of(campaign, currency, &pledge));
        Ok(Response::new(pb::GetPledgeResponse { pledge }))
    }

    async fn list_pledges(
        &self,
        request: Request<pb::ListPledgesRequest>,
    ) -> Result<Response<pb::ListPledgesResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let member: Option<MemberId> =
            call.of_this(campaign, "member", &message.member, "members")?;
        let state = pb::PledgeState::try_from(message.state).ok();
        let state = state.map(|state| state.as_str_name());
        let state = word("state", state, "PLEDGE_STATE_", PledgeState::of_word)?;
        let list = format!("ListPledges {campaign} {member:?} {state:?}");
        let pages = Pages::of(&self.app.secrets, list);
        let size = Pages::size(message.page_size)?;
        let after = pages.read(&message.page_token, |place| place.parse::<PledgeId>().ok())?;
        let after = after.map(|id| id.0);
        let rows = self
            .app
            .store
            .pledges(campaign, member, state, after, size + 1)
            .await;
        let rows = rows.map_err(ApiError::from)?;
        let (rows, next_page_token) = pages.cut(rows, size, |last| last.id.to_string());
        let pledges = rows
            .iter()
            .map(|pledge| pledge_of(campaign, currency, pledge));
        Ok(Response::new(pb::ListPledgesResponse {
            pledges: pledges.collect(),
            next_page_token,
        }))
    }

    async fn expire_pledges(
        &self,
        request: Request<pb::ExpirePledgesRequest>,
    ) -> Result<Response<pb::ExpirePledgesResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let currency = self.app.currency(campaign).await.map_err(ApiError::from)?;
        let limit = match i64::from(message.limit) {
            0 => EXPIRE_AT_MOST,
            limit @ 1..=EXPIRE_AT_MOST => limit,
            _ => return Err(ApiError::field("limit", "from 1 to 500, or 0 for 500").into()),
        };
        let envelope = envelope!("ExpirePledges", message);
        let action = Action::ExpirePledges { limit };
        let written = self.write(&call, campaign, &envelope, action).await?;
        let pledges: Vec<pb::Pledge> = written_pledges(campaign, currency, &written).collect();
        Ok(Response::new(pb::ExpirePledgesResponse {
            outcome: Some(outcome(campaign, &written, message.validate_only)),
            more: i64::try_from(pledges.len()).is_ok_and(|count| count >= limit),
            pledges,
        }))
    }
}
