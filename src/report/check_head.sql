-- The campaign's numbers; zeros when its head is missing, which a rule then names.
SELECT coalesce(campaign_head.change_no, 0) AS "change_no!",
    coalesce(campaign_head.entry_no, 0) AS "entry_no!"
FROM (SELECT $1::uuid AS campaign_id) AS asked
LEFT JOIN campaign_head ON campaign_head.campaign_id = asked.campaign_id
LEFT JOIN campaign ON campaign.campaign_id = asked.campaign_id
WHERE campaign_head.campaign_id IS NOT NULL OR campaign.campaign_id IS NOT NULL
