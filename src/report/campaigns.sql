-- Every campaign, also one whose row or whose head is missing.
SELECT campaign_id AS "campaign_id!" FROM campaign_head
UNION
SELECT campaign_id FROM campaign
ORDER BY 1
