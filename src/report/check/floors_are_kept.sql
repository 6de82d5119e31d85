-- No line leaves its account on the side where it may never stand.
SELECT concat('entries/', line.entry_no, ' line ', line.line_no, ' account ',
        concat_ws('.', account.code, account.commodity, account.owner)),
    line.balance, 'no ' || CASE chart_account.guard WHEN 1 THEN 'credit' ELSE 'debit' END || ' balance'
FROM line
JOIN account ON account.campaign_id = $1 AND account.account_no = line.account_no
JOIN chart_account ON chart_account.code = account.code
WHERE line.campaign_id = $1 AND sign(line.balance) = -chart_account.guard AND chart_account.guard <> 0
