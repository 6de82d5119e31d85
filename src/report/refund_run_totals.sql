-- Run $2 by state: the refunds that its items made, and the items that made none, which
-- partial indexes find.
SELECT 'done' AS "item_state!", state AS "refund_state?", count(*) AS "items!",
    sum(amount)::bigint AS "amount!"
FROM refund WHERE campaign_id = $1 AND run_id = $2
GROUP BY state
UNION ALL
SELECT state, NULL, count(*), sum(amount)::bigint
FROM run_item WHERE campaign_id = $1 AND run_id = $2 AND state = 'pending'
GROUP BY state
UNION ALL
SELECT state, NULL, count(*), sum(amount)::bigint
FROM run_item WHERE campaign_id = $1 AND run_id = $2 AND state = 'exception'
GROUP BY state
ORDER BY 1, 2
