-- A signature is as its last row of history left it.
WITH last_one AS (
    SELECT DISTINCT ON (subject_id) subject_id, snapshot FROM history
    WHERE campaign_id = $1 AND snapshot ->> 'noun' = 'signature'
    ORDER BY subject_id, change_no DESC, ordinal DESC
), compared AS (
    SELECT coalesce(signature.signature_id, last_one.subject_id) AS signature_id,
        concat_ws(', ', state, created_at) AS stored,
        concat_ws(', ', snapshot ->> 'state', (snapshot ->> 'created_at')::timestamptz) AS expected
    FROM (SELECT * FROM signature WHERE campaign_id = $1) AS signature
    FULL JOIN last_one ON last_one.subject_id = signature.signature_id
)
SELECT 'signatures/' || signature_id, stored, expected FROM compared WHERE stored <> expected
