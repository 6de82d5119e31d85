-- A campaign's tally, as it stands in its head, beside the terms in force.
SELECT campaign.display_name, campaign.stage, campaign.currency, head.change_no,
    (head.tally).signed + (head.tally).converted AS "signatures!",
    (head.tally).pledging_members AS "pledging_members!",
    (head.tally).pledged AS "pledged!",
    (head.tally).paying_members AS "paying_members!",
    (head.tally).held + (head.tally).allotted AS "collected!",
    terms.target, terms.minimum, terms.deadline
FROM campaign
JOIN campaign_head AS head ON head.campaign_id = campaign.campaign_id
JOIN terms ON terms.campaign_id = campaign.campaign_id AND terms.version = campaign.terms_version
WHERE campaign.campaign_id = $1
