-- A change posts the entries from its first to its last and no others, and
-- entries stand in the order of their changes.
WITH posted AS (
    SELECT change_no, min(entry_no) AS first_no, max(entry_no) AS last_no, count(*) AS how_many
    FROM journal_entry WHERE campaign_id = $1 GROUP BY change_no
), said AS (
    SELECT change_no, first_entry_no AS first_no, last_entry_no AS last_no,
        last_entry_no - first_entry_no + 1 AS how_many
    FROM change WHERE campaign_id = $1
)
SELECT 'changes/' || change_no,
    concat('entries ', said.first_no, ' to ', said.last_no),
    concat(posted.how_many, ' entries ', posted.first_no, ' to ', posted.last_no)
FROM said FULL JOIN posted USING (change_no)
WHERE (said.first_no, said.last_no, said.how_many)
    IS DISTINCT FROM (posted.first_no, posted.last_no, posted.how_many)
UNION ALL
SELECT 'entries/' || entry_no, 'of change ' || change_no, 'of change ' || before || ' or later'
FROM (
    SELECT entry_no, change_no, lag(change_no) OVER (ORDER BY entry_no) AS before
    FROM journal_entry WHERE campaign_id = $1
) AS in_order
WHERE change_no < before
