-- Every entry balances by itself in every book and commodity.
SELECT concat_ws(' ', 'entries/' || line.entry_no, chart_account.book, account.commodity),
    sum(line.amount), 0
FROM line
JOIN account ON account.campaign_id = $1 AND account.account_no = line.account_no
JOIN chart_account ON chart_account.code = account.code
WHERE line.campaign_id = $1
GROUP BY line.entry_no, chart_account.book, account.commodity
HAVING sum(line.amount) <> 0
