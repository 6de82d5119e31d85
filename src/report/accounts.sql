-- The accounts after ($4, $5, $6), of code $2 and member $3 where these are given.
SELECT account.code, account.commodity, account.owner, balance.balance, balance.debits
FROM account
JOIN chart_account ON chart_account.code = account.code
JOIN balance ON balance.campaign_id = account.campaign_id AND balance.account_no = account.account_no
WHERE account.campaign_id = $1
    AND ($2::smallint IS NULL OR account.code = $2)
    AND ($3::uuid IS NULL OR (account.owner = $3 AND chart_account.owner_kind = 'member'))
    AND ($4::smallint IS NULL
        OR (account.code, account.commodity, account.owner) > ($4, $5::text, $6::uuid))
ORDER BY account.code, account.commodity, account.owner
LIMIT $7
