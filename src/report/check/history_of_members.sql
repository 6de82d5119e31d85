-- A member is as its history left it.
WITH last_one AS (
    SELECT DISTINCT ON (subject_id) subject_id, snapshot FROM history
    WHERE campaign_id = $1 AND snapshot ->> 'noun' = 'member'
    ORDER BY subject_id, change_no DESC, ordinal DESC
), compared AS (
    SELECT coalesce(member.member_id, last_one.subject_id) AS member_id,
        concat_ws(', ', created_at) AS stored,
        concat_ws(', ', (snapshot ->> 'created_at')::timestamptz) AS expected
    FROM (SELECT * FROM member WHERE campaign_id = $1) AS member
    FULL JOIN last_one ON last_one.subject_id = member.member_id
)
SELECT 'members/' || member_id, stored, expected FROM compared WHERE stored <> expected
