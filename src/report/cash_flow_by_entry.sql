-- What the accounts of the codes $3 in the currency $2 stood at after entry $4 and after
-- entry $5, by whose they are: one probe of the lines' primary key each.
SELECT account.owner AS "owner!", max(money_account.kind) AS "kind?",
    max(money_account.institution) AS "institution?",
    coalesce(sum(opening.balance), 0)::bigint AS "opening!",
    sum(closing.balance)::bigint AS "closing!"
FROM account
LEFT JOIN money_account ON money_account.campaign_id = $1
    AND money_account.money_account_id = account.owner
CROSS JOIN LATERAL (
    SELECT line.balance FROM line
    WHERE line.campaign_id = $1 AND line.account_no = account.account_no AND line.entry_no <= $5
    ORDER BY line.entry_no DESC, line.line_no DESC LIMIT 1
) AS closing
LEFT JOIN LATERAL (
    SELECT line.balance FROM line
    WHERE line.campaign_id = $1 AND line.account_no = account.account_no AND line.entry_no <= $4
    ORDER BY line.entry_no DESC, line.line_no DESC LIMIT 1
) AS opening ON true
WHERE account.campaign_id = $1 AND account.commodity = $2 AND account.code = ANY($3)
GROUP BY account.owner
ORDER BY 2 DESC NULLS LAST, 3, 1
