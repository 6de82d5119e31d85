-- What was charged up to entry $2 beside payments' fees: what went to 5000 and 5100, and what
-- members bore of the fees that stood in 1500, or had become an expense, under 1500.
SELECT (CASE account.code WHEN 5400 THEN 1500 ELSE account.code END)::smallint AS "code!",
    count(*) FILTER (WHERE line.amount > 0) AS "count!",
    coalesce(sum(line.amount) FILTER (WHERE line.amount > 0), 0)::bigint AS "debits!",
    coalesce(-sum(line.amount) FILTER (WHERE line.amount < 0), 0)::bigint AS "credits!"
FROM account
JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no AND line.entry_no <= $2
JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
LEFT JOIN journal_entry AS original ON original.campaign_id = $1
    AND original.entry_no = entry.reverses
WHERE account.campaign_id = $1 AND account.commodity = $3
    AND CASE account.code
        WHEN 1500 THEN coalesce(original.event, entry.event) = 'fee_charged'
        WHEN 5400 THEN coalesce(original.event, entry.event) = 'fee_charged'
        WHEN 5000 THEN coalesce(original.event, entry.event) <> 'payment_fee'
        ELSE true
    END
    AND account.code IN (1500, 5000, 5100, 5400)
GROUP BY 1
ORDER BY 1
