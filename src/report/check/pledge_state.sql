-- A pledge that is open is committed, in part paid or paid, as far as it is; one
-- on which nothing is paid may also have a failed charge behind it.
SELECT 'pledges/' || pledge_id, state, extent.expected
FROM pledge
CROSS JOIN LATERAL (
    SELECT CASE WHEN paid = 0 THEN 'committed' WHEN paid < amount THEN 'part_paid' ELSE 'paid' END
        AS expected
) AS extent
WHERE campaign_id = $1 AND state IN ('committed', 'part_paid', 'paid', 'errored')
    AND state <> extent.expected
    AND NOT (state = 'errored' AND paid = 0 AND errored_at IS NOT NULL)
