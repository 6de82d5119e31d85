-- The headers of the entries numbered $2, each with the entry that reverses it
-- and had been recorded by entry $3.
SELECT entry.entry_no, entry.change_no, entry.event, entry.occurred_at, entry.value_date,
    entry.recorded_at, entry.reverses, entry.digest, reversal.entry_no AS "reversed_by?"
FROM journal_entry AS entry
LEFT JOIN journal_entry AS reversal ON reversal.campaign_id = $1
    AND reversal.reverses = entry.entry_no AND reversal.entry_no <= $3
WHERE entry.campaign_id = $1 AND entry.entry_no = ANY($2)
ORDER BY entry.entry_no
