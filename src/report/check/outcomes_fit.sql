-- A change is done, refused, or repeats an earlier one that was done; only what
-- is done has entries, history or effects.
SELECT 'changes/' || change.change_no,
    concat_ws(', ', 'repeats ' || change.same_as_change_no,
        CASE WHEN change.refusal IS NOT NULL THEN 'refused' END,
        'entries from ' || change.first_entry_no,
        CASE WHEN left_something.change_no IS NOT NULL THEN 'with history or effects' END),
    'done, refused, or the repetition of an earlier change that was done'
FROM change
LEFT JOIN change AS first_one ON first_one.campaign_id = $1
    AND first_one.change_no = change.same_as_change_no
LEFT JOIN (
    SELECT change_no FROM history WHERE campaign_id = $1
    UNION
    SELECT change_no FROM effect WHERE campaign_id = $1
) AS left_something ON left_something.change_no = change.change_no
WHERE change.campaign_id = $1
    AND (change.refusal IS NOT NULL OR change.same_as_change_no IS NOT NULL)
    AND (left_something.change_no IS NOT NULL OR change.first_entry_no IS NOT NULL
        OR (change.refusal IS NOT NULL AND change.same_as_change_no IS NOT NULL)
        OR (change.same_as_change_no IS NOT NULL AND NOT coalesce(
            first_one.change_no < change.change_no AND first_one.refusal IS NULL
            AND first_one.same_as_change_no IS NULL, false)))
UNION ALL
SELECT kept.what || ' of change ' || kept.change_no, 'a change that does not exist', 'one that does'
FROM (
    SELECT DISTINCT 'history', change_no FROM history WHERE campaign_id = $1
    UNION
    SELECT DISTINCT 'effect', change_no FROM effect WHERE campaign_id = $1
) AS kept (what, change_no)
LEFT JOIN change ON change.campaign_id = $1 AND change.change_no = kept.change_no
WHERE change.change_no IS NULL
