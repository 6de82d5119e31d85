-- What is paid on a pledge is what its payments hold or have turned into shares.
SELECT 'pledges/' || pledge.pledge_id, pledge.paid, coalesce(held.paid, 0)
FROM pledge
LEFT JOIN (
    SELECT pledge_id, sum(held + allotted) AS paid FROM payment
    WHERE campaign_id = $1 AND pledge_id IS NOT NULL
    GROUP BY pledge_id
) AS held ON held.pledge_id = pledge.pledge_id
WHERE pledge.campaign_id = $1 AND pledge.paid <> coalesce(held.paid, 0)
