-- What the accounts of each of the codes $4 in the currency $3 stood at together as of
-- entry $2, debit positive.
SELECT account.code, sum(stood.balance)::bigint AS "balance!"
FROM account
CROSS JOIN LATERAL (
    SELECT line.balance FROM line
    WHERE line.campaign_id = $1 AND line.account_no = account.account_no AND line.entry_no <= $2
    ORDER BY line.entry_no DESC, line.line_no DESC LIMIT 1
) AS stood
WHERE account.campaign_id = $1 AND account.commodity = $3 AND account.code = ANY($4)
GROUP BY account.code
