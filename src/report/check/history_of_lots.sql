-- A lot is as its last row of history left it; a member's lots stand in the member's history.
WITH last_one AS (
    SELECT DISTINCT ON (snapshot ->> 'certificate') snapshot::jsonb AS snapshot FROM history
    WHERE campaign_id = $1 AND snapshot ->> 'noun' = 'lot'
    ORDER BY snapshot ->> 'certificate', change_no DESC, ordinal DESC
), compared AS (
    SELECT coalesce(lot.certificate::text, snapshot ->> 'certificate') AS certificate,
        concat_ws(', ', member_id, share_class_id, units, cancelled, entry_no, allotted_at) AS stored,
        concat_ws(', ', snapshot ->> 'member', snapshot ->> 'share_class', snapshot ->> 'units',
            snapshot ->> 'cancelled', snapshot ->> 'entry',
            (snapshot ->> 'allotted_at')::timestamptz) AS expected
    FROM (SELECT * FROM lot WHERE campaign_id = $1) AS lot
    FULL JOIN last_one ON snapshot ->> 'certificate' = lot.certificate::text
)
SELECT 'certificate ' || certificate, stored, expected FROM compared WHERE stored <> expected
