-- Entries are numbered 1, 2, … without a gap.
SELECT 'entries/' || entry_no, 'follows ' || before, 'follows ' || entry_no - 1
FROM (
    SELECT entry_no, lag(entry_no, 1, 0::bigint) OVER (ORDER BY entry_no) AS before
    FROM journal_entry WHERE campaign_id = $1
) AS numbered
WHERE entry_no <> before + 1
