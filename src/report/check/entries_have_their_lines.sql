-- An entry has the lines 1 to n on the accounts that its header names, and no
-- line stands without a header.
WITH announced AS (
    SELECT entry.entry_no,
        string_agg(named.line_no || ': account ' || named.account_no, ', ' ORDER BY named.line_no) AS lines
    FROM journal_entry AS entry
    CROSS JOIN LATERAL unnest(entry.accounts) WITH ORDINALITY AS named (account_no, line_no)
    WHERE entry.campaign_id = $1 GROUP BY entry.entry_no
), posted AS (
    SELECT entry_no,
        string_agg(line_no || ': account ' || account_no, ', ' ORDER BY line_no, account_no) AS lines
    FROM line WHERE campaign_id = $1 GROUP BY entry_no
)
SELECT 'entries/' || entry_no, posted.lines, announced.lines
FROM announced FULL JOIN posted USING (entry_no)
WHERE announced.lines IS DISTINCT FROM posted.lines
