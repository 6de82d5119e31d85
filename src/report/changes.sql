-- The changes after $2 up to $3, in order: neither who asked nor for whom.
SELECT change_no, method, recorded_at, first_entry_no, last_entry_no,
    refusal IS NOT NULL AS "refused!", same_as_change_no IS NOT NULL AS "already_recorded!"
FROM change
WHERE campaign_id = $1 AND change_no > $2 AND change_no <= $3
ORDER BY change_no
