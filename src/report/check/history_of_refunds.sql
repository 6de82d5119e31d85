-- A refund is as its last row of history left it.
WITH last_one AS (
    SELECT DISTINCT ON (subject_id) subject_id, snapshot::jsonb AS snapshot FROM history
    WHERE campaign_id = $1 AND snapshot ->> 'noun' = 'refund'
    ORDER BY subject_id, change_no DESC, ordinal DESC
), compared AS (
    SELECT coalesce(refund.refund_id, last_one.subject_id) AS id,
        concat_ws(', ', payment_id, 'member ' || member_id, amount, state, money_account_id,
            'attempt ' || attempt, object_id, 'failed ' || failure_code, 'run ' || run_id, requested_by,
            requested_at) AS stored,
        concat_ws(', ', snapshot ->> 'payment', 'member ' || (snapshot ->> 'member'), snapshot ->> 'amount',
            snapshot ->> 'state', snapshot ->> 'account', 'attempt ' || (snapshot ->> 'attempt'),
            snapshot ->> 'object_id', 'failed ' || (snapshot ->> 'failure_code'),
            'run ' || (snapshot ->> 'run'), snapshot ->> 'requested_by',
            (snapshot ->> 'requested_at')::timestamptz) AS expected
    FROM (SELECT * FROM refund WHERE campaign_id = $1) AS refund
    FULL JOIN last_one ON last_one.subject_id = refund.refund_id
)
SELECT 'refunds/' || id, stored, expected FROM compared WHERE stored <> expected
