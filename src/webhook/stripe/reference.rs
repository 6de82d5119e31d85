//! Our own reference, as the metadata of Stripe's objects carries it back.

use serde::Deserialize;

use crate::{
    domain::Payer,
    id::{CampaignId, MemberId, PledgeId},
};

/// Who pays for what, as whoever made the charge wrote it down.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata {
    pledge_id: Option<String>,
    member_id: Option<String>,
    campaign_id: Option<String>,
}

/// Whose money it is, and what was named where something was. A pledge names its
/// member, so it goes first. What cannot be read, or stands in another campaign,
/// names nobody here: the money is then unallocated and a person must look.
pub(super) fn payer(metadata: &Metadata, campaign: CampaignId) -> (Payer, Option<String>) {
    if let Some(text) = filled(metadata.campaign_id.as_deref())
        && id_in(text, None, "campaigns") != Some(campaign)
    {
        return (Payer::Unknown, Some(named("another campaign", text)));
    }
    if let Some(text) = filled(metadata.pledge_id.as_deref()) {
        let pledge = id_in::<PledgeId>(text, Some(campaign), "pledges");
        return (
            pledge.map_or(Payer::Unknown, Payer::Pledge),
            Some(named("pledge", text)),
        );
    }
    if let Some(text) = filled(metadata.member_id.as_deref()) {
        let member = id_in::<MemberId>(text, Some(campaign), "members");
        return (
            member.map_or(Payer::Unknown, Payer::Member),
            Some(named("member", text)),
        );
    }
    (Payer::Unknown, None)
}

/// Stripe unsets a key by an empty value.
fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn named(what: &str, text: &str) -> String {
    let text: String = text.chars().take(100).collect();
    format!("{what} {text:?}")
}

/// The id in `id`, `{collection}/id` or `campaigns/{campaign}/{collection}/id`;
/// nothing when it is of another campaign.
fn id_in<T: std::str::FromStr>(
    text: &str,
    campaign: Option<CampaignId>,
    collection: &str,
) -> Option<T> {
    let mut parts = text.rsplit('/');
    let id = parts.next()?.parse().ok()?;
    let rest: Vec<&str> = parts.collect();
    match (rest.as_slice(), campaign) {
        ([], _) => Some(id),
        (&[there], None) if there == collection => Some(id),
        (&[there, of, "campaigns"], Some(campaign)) if there == collection => {
            (of.parse() == Ok(campaign)).then_some(id)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payer_is_named_by_id_or_by_resource_name() {
        let (campaign, pledge, member) = (CampaignId::mint(), PledgeId::mint(), MemberId::mint());
        let metadata = |pledge_id: Option<String>, member_id, campaign_id| Metadata {
            pledge_id,
            member_id,
            campaign_id,
        };
        let name = format!("campaigns/{campaign}/pledges/{pledge}");
        for text in [pledge.to_string(), name] {
            let metadata = metadata(Some(text), Some(member.to_string()), None);
            assert_eq!(payer(&metadata, campaign).0, Payer::Pledge(pledge));
        }
        for text in [campaign.to_string(), format!("campaigns/{campaign}")] {
            let metadata = metadata(None, Some(member.to_string()), Some(text));
            assert_eq!(payer(&metadata, campaign).0, Payer::Member(member));
        }
        let nobody = metadata(Some(String::new()), None, None);
        assert_eq!(payer(&nobody, campaign), (Payer::Unknown, None));
    }

    #[test]
    fn what_is_not_of_this_campaign_names_nobody_here() {
        let (campaign, other, pledge) = (CampaignId::mint(), CampaignId::mint(), PledgeId::mint());
        for text in [
            "order-17".to_owned(),
            format!("campaigns/{other}/pledges/{pledge}"),
            format!("campaigns/{campaign}/members/{pledge}"),
            format!("x/{pledge}"),
        ] {
            let metadata = Metadata {
                pledge_id: Some(text),
                ..Metadata::default()
            };
            let (payer, named) = payer(&metadata, campaign);
            assert_eq!(payer, Payer::Unknown);
            assert!(named.is_some());
        }
        for text in [other.to_string(), "elsewhere".to_owned()] {
            let metadata = Metadata {
                pledge_id: Some(pledge.to_string()),
                campaign_id: Some(text),
                ..Metadata::default()
            };
            let (payer, named) = payer(&metadata, campaign);
            assert_eq!(payer, Payer::Unknown);
            assert!(named.unwrap().starts_with("another campaign"));
        }
    }
}
