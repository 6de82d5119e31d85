-- The lines of the entries numbered $2, in order.
SELECT entry.entry_no, entry.change_no, entry.event, entry.occurred_at, entry.value_date,
    entry.recorded_at, line.line_no, line.account_no, account.code, account.commodity,
    account.owner, line.amount, line.balance, line.debits, line.payment_id, line.pledge_id
FROM journal_entry AS entry
CROSS JOIN LATERAL unnest(entry.accounts) WITH ORDINALITY AS named (account_no, line_no)
CROSS JOIN LATERAL (
    SELECT * FROM line
    WHERE line.campaign_id = $1 AND line.account_no = named.account_no
        AND line.entry_no = entry.entry_no AND line.line_no = named.line_no
    LIMIT 1
) AS line
JOIN account ON account.campaign_id = $1 AND account.account_no = line.account_no
WHERE entry.campaign_id = $1 AND entry.entry_no = ANY($2)
ORDER BY entry.entry_no, line.line_no
