-- A campaign's tally beside the terms in force.
SELECT campaign.display_name, campaign.stage, campaign.currency, campaign_head.change_no,
    tally.signed + tally.converted AS "signatures!", tally.pledging_members AS "pledging_members!",
    tally.pledged AS "pledged!",
    tally.paying_members AS "paying_members!", tally.held + tally.allotted AS "collected!", terms.target, terms.minimum, terms.deadline
FROM campaign
JOIN campaign_head ON campaign_head.campaign_id = campaign.campaign_id
JOIN tally ON tally.campaign_id = campaign.campaign_id
JOIN terms ON terms.campaign_id = campaign.campaign_id AND terms.version = campaign.terms_version
WHERE campaign.campaign_id = $1
