//! Campaigns: creation, terms, share classes and life cycle.

mod creation;
mod life;
mod share_class;
mod terms;
mod watch;

use pledgebook::grpc::pb;
use tonic::Status;

use crate::harness::{Tester, id, terms as usual_terms};

fn new_campaign(tester: &Tester) -> pb::CreateCampaignRequest {
    pb::CreateCampaignRequest {
        request_id: id(),
        display_name: "We are the club".to_owned(),
        description: "Fans buy their club".to_owned(),
        currency_code: "EUR".to_owned(),
        terms: Some(usual_terms(&tester.clock, "EUR")),
        validate_only: false,
    }
}

async fn create(
    tester: &Tester,
    request: pb::CreateCampaignRequest,
) -> Result<pb::CreateCampaignResponse, Status> {
    let created = tester
        .treasurer()
        .campaigns()
        .create_campaign(request)
        .await;
    Ok(created?.into_inner())
}

/// A new campaign's name, in DRAFT.
async fn draft(tester: &Tester) -> String {
    let created = create(tester, new_campaign(tester)).await.unwrap();
    created.campaign.unwrap().name
}

async fn get(tester: &Tester, name: &str) -> Result<pb::Campaign, Status> {
    let request = pb::GetCampaignRequest {
        name: name.to_owned(),
    };
    let read = tester.treasurer().campaigns().get_campaign(request).await?;
    Ok(read.into_inner().campaign.unwrap())
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Gather,
    Pledge,
    Open,
    Cancel,
}

async fn go(tester: &Tester, name: &str, step: Step) -> Result<pb::Campaign, Status> {
    macro_rules! moved {
        ($method:ident($request:ident $(, $more:ident: $value:expr)*)) => {{
            let request = pb::$request {
                request_id: id(),
                name: name.to_owned(),
                validate_only: false,
                $($more: $value,)*
            };
            let moved = tester.treasurer().campaigns().$method(request).await?;
            Ok(moved.into_inner().campaign.unwrap())
        }};
    }
    match step {
        Step::Gather => moved!(start_gathering(StartGatheringRequest)),
        Step::Pledge => moved!(start_pledging(StartPledgingRequest)),
        Step::Open => moved!(open_campaign(OpenCampaignRequest)),
        Step::Cancel => moved!(cancel_campaign(
            CancelCampaignRequest,
            reason: "given up".to_owned()
        )),
    }
}

async fn revise(tester: &Tester, name: &str, terms: pb::Terms) -> Result<pb::Campaign, Status> {
    let request = pb::ReviseTermsRequest {
        request_id: id(),
        name: name.to_owned(),
        terms: Some(terms),
        reason: "the seller asks for more".to_owned(),
        validate_only: false,
    };
    let revised = tester.treasurer().campaigns().revise_terms(request).await?;
    Ok(revised.into_inner().campaign.unwrap())
}
