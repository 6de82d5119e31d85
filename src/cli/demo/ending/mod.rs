//! How a campaign comes to its end, day by day.
//!
//! | file | has |
//! |---|---|
//! | `success` | too few shares for what was paid: the purchase, and shares for everybody |
//! | `failure` | too little was paid: everybody's money goes back |
//! | `refund` | runs that two people approve, and the bridge that executes refunds |
//! | `bank` | money between provider, bank, seller and underwriter; balances to reckon with |

mod bank;
mod failure;
mod refund;
mod success;

pub(super) use self::bank::closing;

use super::{campaign::Playing, offer::Ending};
use crate::{cli::Failure, grpc::pb};

/// The last day of the story.
pub(super) const TODAY: i64 = 96;

/// Moves the campaign on by a call, which has to lead to this stage.
macro_rules! step {
    ($playing:expr, $method:ident, $request:ident, $stage:ident, $reason:expr) => {{
        let request = $crate::grpc::pb::$request {
            request_id: $playing.request(stringify!($method)),
            name: $playing.name.clone(),
            reason: $reason.to_owned(),
            validate_only: false,
        };
        let mut campaigns = $playing.clients.campaigns();
        let moved = campaigns.$method(request).await?.into_inner();
        let campaign = $crate::cli::client::present(moved.campaign, "campaign")?;
        $crate::cli::demo::ending::must_be(&campaign, $crate::grpc::pb::CampaignStage::$stage)?;
    }};
}
use step;

fn must_be(campaign: &pb::Campaign, stage: pb::CampaignStage) -> Result<(), Failure> {
    if campaign.stage() == stage {
        return Ok(());
    }
    let (is, should) = (campaign.stage().as_str_name(), stage.as_str_name());
    Err(format!("the campaign is {is} and should be {should}").into())
}

impl Playing {
    /// What is done on a day toward the end; gives what there is to tell of it.
    pub(super) async fn end(&mut self, day: i64) -> Result<Vec<String>, Failure> {
        let told = match self.plan.offer.ending {
            Ending::Bought { price } => self.succeed(day, price).await,
            Ending::PaidBack { advance } => self.pay_back(day, advance).await,
        };
        told.map_err(|failure| format!("day {day} of {}: {failure}", self.plan.offer.title).into())
    }

    /// The id of a request of this campaign's end.
    fn request(&self, what: &str) -> String {
        let of = format!("{} end {what}", self.plan.offer.key);
        self.run.id(&of).to_string()
    }

    /// The deadline has passed: the offer closes, and promises that were not kept run out.
    async fn close(&self) -> Result<String, Failure> {
        step!(
            self,
            close_campaign,
            CloseCampaignRequest,
            Closing,
            "the deadline has passed"
        );
        let request = pb::ExpirePledgesRequest {
            request_id: self.request("expire"),
            campaign: self.name.clone(),
            ..Default::default()
        };
        let expired = self.clients.pledges().expire_pledges(request).await?;
        let expired = expired.into_inner();
        if expired.more {
            return Err("more promises ran out than one call expires".into());
        }
        Ok(format!(
            "The deadline has passed, and the offer closes. {} promises that were not kept, or \
             not in full, run out.",
            expired.pledges.len()
        ))
    }

    /// What is held, and what of it has cleared, in words.
    async fn cleared(&self) -> Result<String, Failure> {
        let request = pb::GetCampaignProgressRequest {
            campaign: self.name.clone(),
        };
        let mut reports = self.clients.reports();
        let report = reports.get_campaign_progress(request).await?.into_inner();
        let of = |rung| {
            let row = report.rows.iter().find(|row| row.rung() == rung);
            row.map_or_else(String::new, |row| {
                let amount = crate::cli::tables::amount(row.amount.as_ref());
                format!("{amount} of {} members", row.members)
            })
        };
        Ok(format!(
            "{} {} is held, {} has cleared, and the minimum is {}",
            self.plan.currency(),
            of(pb::CertaintyRung::Captured),
            of(pb::CertaintyRung::Cleared),
            crate::cli::tables::amount(report.minimum.as_ref()),
        ))
    }
}
