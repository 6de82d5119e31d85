-- All lines after line $3 of entry $2 and up to entry $4, in order. An entry's
-- header names the accounts of its lines, so each line is one probe of the
-- primary key (LIMIT 1 keeps the planner from walking a hot account instead); so
-- many entries hold at least that many lines, and the one of the cursor comes on top.
SELECT entry.entry_no, entry.change_no, entry.event, entry.occurred_at, entry.value_date,
    entry.recorded_at, line.line_no, line.account_no, account.code, account.commodity,
    account.owner, line.amount, line.balance, line.debits, line.payment_id, line.pledge_id
FROM (
    SELECT * FROM journal_entry
    WHERE campaign_id = $1 AND entry_no >= $2 AND entry_no <= $4
    ORDER BY entry_no LIMIT $5::bigint + 1
) AS entry
CROSS JOIN LATERAL unnest(entry.accounts) WITH ORDINALITY AS named (account_no, line_no)
CROSS JOIN LATERAL (
    SELECT * FROM line
    WHERE line.campaign_id = $1 AND line.account_no = named.account_no
        AND line.entry_no = entry.entry_no AND line.line_no = named.line_no
    LIMIT 1
) AS line
JOIN account ON account.campaign_id = $1 AND account.account_no = line.account_no
WHERE (entry.entry_no, line.line_no) > ($2, $3::smallint)
ORDER BY entry.entry_no, line.line_no
LIMIT $5
