-- The lines of account $6 after line $3 of entry $2 and up to entry $4, in
-- order: a range of the primary key.
SELECT entry.entry_no, entry.change_no, entry.event, entry.occurred_at, entry.value_date,
    entry.recorded_at, line.line_no, line.account_no, account.code, account.commodity,
    account.owner, line.amount, line.balance, line.debits, line.payment_id, line.pledge_id
FROM (
    SELECT * FROM line
    WHERE campaign_id = $1 AND account_no = $6 AND (entry_no, line_no) > ($2, $3::smallint)
        AND entry_no <= $4
    ORDER BY entry_no, line_no LIMIT $5
) AS line
JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
JOIN account ON account.campaign_id = $1 AND account.account_no = line.account_no
ORDER BY line.entry_no, line.line_no
