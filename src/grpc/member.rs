//! `MemberService`.

use tonic::{Request, Response, Status};

use super::{
    Api, ApiError, Call, envelope,
    fields::{email, name, text, timestamp_of, wire},
    journal::outcome,
    page::Pages,
    pb::{self, member_service_server::MemberService},
};
use crate::{
    app::Written,
    book::BookError,
    domain::{
        Action, Snapshot,
        member::{Member, Person, Signature},
    },
    id::{CampaignId, MemberId, SignatureId},
};

fn member_of(campaign: CampaignId, member: &Member, person: Option<&Person>) -> pb::Member {
    pb::Member {
        name: name(campaign, "members", member.id),
        display_name: person.map_or_else(String::new, |person| person.display_name.clone()),
        email: person.map_or_else(String::new, |person| person.email.clone()),
        create_time: Some(timestamp_of(member.created_at)),
    }
}

fn signature_of(campaign: CampaignId, signature: &Signature) -> pb::Signature {
    pb::Signature {
        name: name(campaign, "signatures", signature.id),
        state: wire(
            pb::SignatureState::from_str_name,
            "SIGNATURE_STATE_",
            signature.state.word(),
        ),
        create_time: Some(timestamp_of(signature.created_at)),
    }
}

fn written_signature(written: &Written) -> Option<&Signature> {
    written
        .answer
        .snapshots
        .iter()
        .find_map(|snapshot| match snapshot {
            Snapshot::Signature(signature) => Some(signature),
            _ => None,
        })
}

fn written_member(written: &Written) -> Option<&Member> {
    written
        .answer
        .snapshots
        .iter()
        .find_map(|snapshot| match snapshot {
            Snapshot::Member(member) => Some(member),
            _ => None,
        })
}

#[tonic::async_trait]
impl MemberService for Api {
    async fn create_member(
        &self,
        request: Request<pb::CreateMemberRequest>,
    ) -> Result<Response<pb::CreateMemberResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let id = MemberId::mint();
        let address = email("email", &message.email)?;
        let person = Person {
            subject: id.0,
            display_name: text("display_name", &message.display_name, 1, 200)?,
            email: address.clone(),
        };
        let action = Action::CreateMember {
            member: id,
            display_name: person.display_name.clone(),
            email_hash: self.app.secrets.email(campaign, &address),
            email: address,
        };
        let envelope = envelope!("CreateMember", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        let person = Some(&person).filter(|_| !written.replayed);
        Ok(Response::new(pb::CreateMemberResponse {
            outcome: Some(outcome(campaign, &written, message.validate_only)),
            member: written_member(&written).map(|member| member_of(campaign, member, person)),
        }))
    }

    async fn get_member(
        &self,
        request: Request<pb::GetMemberRequest>,
    ) -> Result<Response<pb::GetMemberResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, id) = call.of_campaign("name", &message.name, "members")?;
        let found = self
            .app
            .store
            .member(campaign, id)
            .await
            .map_err(ApiError::from)?;
        let (member, person) = found.ok_or(ApiError::NotFound(message.name))?;
        let member = Some(member_of(campaign, &member, Some(&person)));
        Ok(Response::new(pb::GetMemberResponse { member }))
    }

    async fn list_members(
        &self,
        request: Request<pb::ListMembersRequest>,
    ) -> Result<Response<pb::ListMembersResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        self.app.currency(campaign).await.map_err(ApiError::from)?;
        let pages = Pages::of(&self.app.secrets, format!("ListMembers {campaign}"));
        let size = Pages::size(message.page_size)?;
        let after = pages.read(&message.page_token, |place| place.parse::<MemberId>().ok())?;
        let rows = self
            .app
            .store
            .members(campaign, after.map(|id| id.0), size + 1)
            .await;
        let rows = rows.map_err(ApiError::from)?;
        let (rows, next_page_token) = pages.cut(rows, size, |(last, _)| last.id.to_string());
        let members = rows
            .iter()
            .map(|(member, person)| member_of(campaign, member, Some(person)));
        Ok(Response::new(pb::ListMembersResponse {
            members: members.collect(),
            next_page_token,
        }))
    }

    async fn sign_campaign(
        &self,
        request: Request<pb::SignCampaignRequest>,
    ) -> Result<Response<pb::SignCampaignResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let address = email("email", &message.email)?;
        let action = Action::Sign {
            signature: SignatureId::mint(),
            display_name: text("display_name", &message.display_name, 1, 200)?,
            email_hash: self.app.secrets.email(campaign, &address),
            email: address,
        };
        let envelope = envelope!("SignCampaign", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        Ok(Response::new(pb::SignCampaignResponse {
            outcome: Some(outcome(campaign, &written, message.validate_only)),
            signature: written_signature(&written).map(|s| signature_of(campaign, s)),
        }))
    }

    async fn withdraw_signature(
        &self,
        request: Request<pb::WithdrawSignatureRequest>,
    ) -> Result<Response<pb::WithdrawSignatureResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, signature) = call.of_campaign("name", &message.name, "signatures")?;
        let action = Action::WithdrawSignature { signature };
        let envelope = envelope!("WithdrawSignature", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        Ok(Response::new(pb::WithdrawSignatureResponse {
            outcome: Some(outcome(campaign, &written, message.validate_only)),
            signature: written_signature(&written).map(|s| signature_of(campaign, s)),
        }))
    }

    async fn count_signatures(
        &self,
        request: Request<pb::CountSignaturesRequest>,
    ) -> Result<Response<pb::CountSignaturesResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let id = call.campaign("campaign", &message.campaign)?;
        let found = self.app.store.campaign(id).await.map_err(ApiError::from)?;
        let (_, tally, change) = found.ok_or(ApiError::from(BookError::CampaignNotFound))?;
        Ok(Response::new(pb::CountSignaturesResponse {
            change_number: change,
            signed: tally.signed,
            withdrawn: tally.withdrawn,
            converted: tally.converted,
        }))
    }
}
