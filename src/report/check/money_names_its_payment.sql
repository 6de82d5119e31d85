-- Every line of a payer's money and of a deferred fee says whose payment it is.
SELECT concat('entries/', line.entry_no, ' line ', line.line_no), 'no payment', 'its payment'
FROM account
JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
WHERE account.campaign_id = $1 AND account.code IN (1500, 2100, 2200, 2210, 2300, 2900, 3000, 3010)
    AND line.payment_id IS NULL
