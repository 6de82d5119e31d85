-- Each batch was decided on the one before it. What was recorded before batches had names tells
-- nothing of it.
SELECT 'changes/' || change_no, follows, before
FROM (
    SELECT change_no, follows, lag(batch, 1, 0::bigint) OVER (ORDER BY change_no) AS before
    FROM change WHERE campaign_id = $1 AND batch IS NOT NULL
) AS in_order
WHERE follows IS DISTINCT FROM before
