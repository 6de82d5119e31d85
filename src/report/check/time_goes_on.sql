-- A change is never recorded before the one before it, and an entry when its change is.
SELECT 'changes/' || change_no, recorded_at::text, 'not before ' || before
FROM (
    SELECT change_no, recorded_at, lag(recorded_at) OVER (ORDER BY change_no) AS before
    FROM change WHERE campaign_id = $1
) AS in_order
WHERE recorded_at < before
UNION ALL
SELECT 'entries/' || entry.entry_no, entry.recorded_at::text, change.recorded_at::text
FROM journal_entry AS entry
LEFT JOIN change ON change.campaign_id = $1 AND change.change_no = entry.change_no
WHERE entry.campaign_id = $1 AND entry.recorded_at IS DISTINCT FROM change.recorded_at
