-- A payout is as its last row of history left it.
WITH last_one AS (
    SELECT DISTINCT ON (subject_id) subject_id, snapshot::jsonb AS snapshot FROM history
    WHERE campaign_id = $1 AND snapshot ->> 'noun' = 'payout'
    ORDER BY subject_id, change_no DESC, ordinal DESC
), compared AS (
    SELECT coalesce(payout.payout_id, last_one.subject_id) AS id,
        concat_ws(', ', money_account_id, object_id, bank_account_id, is_top_up, state, amount,
            'failed ' || failure_code, occurred_at) AS stored,
        concat_ws(', ', snapshot ->> 'account', snapshot ->> 'object_id', snapshot ->> 'bank',
            (snapshot ->> 'is_top_up')::boolean, snapshot ->> 'state', snapshot ->> 'amount',
            'failed ' || (snapshot ->> 'failure_code'), (snapshot ->> 'occurred_at')::timestamptz) AS expected
    FROM (SELECT * FROM payout WHERE campaign_id = $1) AS payout
    FULL JOIN last_one ON last_one.subject_id = payout.payout_id
)
SELECT 'payouts/' || id, stored, expected FROM compared WHERE stored <> expected
