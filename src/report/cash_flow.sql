-- What moved on the accounts of the codes $3 in the currency $2, by whose they are and by
-- event, in the entries after $4 up to $5 and on the days after $6 up to $7. A reversal
-- belongs to what it reverses.
SELECT account.owner AS "owner!", coalesce(original.event, entry.event) AS "event!",
    sum(line.amount)::bigint AS "amount!"
FROM account
JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    AND line.entry_no > $4 AND line.entry_no <= $5
JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
LEFT JOIN journal_entry AS original ON original.campaign_id = $1
    AND original.entry_no = entry.reverses
WHERE account.campaign_id = $1 AND account.commodity = $2 AND account.code = ANY($3)
    AND ($6::date IS NULL OR entry.value_date > $6)
    AND ($7::date IS NULL OR entry.value_date <= $7)
GROUP BY 1, 2
