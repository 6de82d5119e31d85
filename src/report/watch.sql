-- How far each of the campaigns $1 has come.
SELECT campaign_id, change_no
FROM campaign_head
WHERE campaign_id = ANY($1)
