-- The campaign is as its last row of history left it.
WITH last_one AS (
    SELECT change_no, snapshot FROM history
    WHERE campaign_id = $1 AND subject_id = $1 AND snapshot ->> 'noun' = 'campaign'
    ORDER BY change_no DESC, ordinal DESC LIMIT 1
), compared AS (
    SELECT
        concat_ws(', ', display_name, description, currency, stage, 'from ' || suspended_from,
            'terms ' || terms_version,
            created_at, 'opened ' || opened_at, 'changed by ' || changed_by) AS stored,
        concat_ws(', ', snapshot ->> 'display_name', snapshot ->> 'description',
            snapshot ->> 'currency', snapshot ->> 'stage',
            'from ' || (snapshot ->> 'suspended_from'),
            'terms ' || (snapshot #>> '{terms,version}'), (snapshot ->> 'created_at')::timestamptz,
            'opened ' || (snapshot ->> 'opened_at')::timestamptz,
            'changed by ' || change_no) AS expected
    FROM (SELECT * FROM campaign WHERE campaign_id = $1) AS campaign
    FULL JOIN last_one ON true
)
SELECT 'campaigns/' || $1::text, stored, expected FROM compared WHERE stored <> expected
