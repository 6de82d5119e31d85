-- The shares of member $2 as of entry $3, by class.
SELECT account.commodity, -last_line.balance AS "units!"
FROM account
CROSS JOIN LATERAL (
    SELECT line.balance FROM line
    WHERE line.campaign_id = $1 AND line.account_no = account.account_no AND line.entry_no <= $3
    ORDER BY line.entry_no DESC, line.line_no DESC LIMIT 1
) AS last_line
WHERE account.campaign_id = $1 AND account.owner = $2 AND account.code = 8000
    AND last_line.balance <> 0
ORDER BY account.commodity
