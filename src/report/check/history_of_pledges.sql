-- A pledge is as its last row of history left it.
WITH last_one AS (
    SELECT DISTINCT ON (subject_id) subject_id, snapshot::jsonb AS snapshot FROM history
    WHERE campaign_id = $1 AND snapshot ->> 'noun' = 'pledge'
    ORDER BY subject_id, change_no DESC, ordinal DESC
), compared AS (
    SELECT coalesce(pledge.pledge_id, last_one.subject_id) AS pledge_id,
        concat_ws(', ', member_id, state, amount, 'paid ' || paid, share_class_id, 'units ' || units,
            created_at, expires_at, 'errored at ' || errored_at, terms_version) AS stored,
        concat_ws(', ', snapshot ->> 'member', snapshot ->> 'state', snapshot ->> 'amount',
            'paid ' || (snapshot ->> 'paid'), snapshot ->> 'share_class',
            'units ' || (snapshot ->> 'units'), (snapshot ->> 'created_at')::timestamptz,
            (snapshot ->> 'expires_at')::timestamptz,
            'errored at ' || (snapshot ->> 'errored_at')::timestamptz,
            snapshot ->> 'terms_version') AS expected
    FROM (SELECT * FROM pledge WHERE campaign_id = $1) AS pledge
    FULL JOIN last_one ON last_one.subject_id = pledge.pledge_id
)
SELECT 'pledges/' || pledge_id, stored, expected FROM compared WHERE stored <> expected
