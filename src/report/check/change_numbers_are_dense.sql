-- Changes are numbered 1, 2, … without a gap.
SELECT 'changes/' || change_no, 'follows ' || before, 'follows ' || change_no - 1
FROM (
    SELECT change_no, lag(change_no, 1, 0::bigint) OVER (ORDER BY change_no) AS before
    FROM change WHERE campaign_id = $1
) AS numbered
WHERE change_no <> before + 1
