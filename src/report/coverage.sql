-- The accounts of the codes $4 (held, debit counts) and $5 (owed, credit counts)
-- in the currency $3, as of entry $2. Of currency clearing only a credit is owed.
SELECT account.code, account.code = ANY($4) AS "counts_as_held!",
    sum(CASE
        WHEN account.code = ANY($4) THEN stood.balance
        WHEN account.code = 1600 THEN greatest(-stood.balance, 0)
        ELSE -stood.balance
    END)::bigint AS "amount!"
FROM account
CROSS JOIN LATERAL (
    SELECT line.balance FROM line
    WHERE line.campaign_id = $1 AND line.account_no = account.account_no AND line.entry_no <= $2
    ORDER BY line.entry_no DESC, line.line_no DESC LIMIT 1
) AS stood
WHERE account.campaign_id = $1 AND account.commodity = $3
    AND (account.code = ANY($4) OR account.code = ANY($5::smallint[]))
GROUP BY account.code
ORDER BY account.code
