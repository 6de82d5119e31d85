-- Each account after entry $2 and after entry $4, by one probe of the lines'
-- primary key each; an account without a line up to $2 does not exist yet.
SELECT account.code, account.commodity,
    CASE WHEN $3::boolean THEN account.owner END AS "owner?",
    count(*) AS "sub_accounts!",
    coalesce(sum(opening.balance), 0)::bigint AS "opening!",
    (sum(closing.debits) - coalesce(sum(opening.debits), 0))::bigint AS "period_debit!",
    (sum(closing.debits) - sum(closing.balance)
        - coalesce(sum(opening.debits) - sum(opening.balance), 0))::bigint AS "period_credit!",
    sum(closing.balance)::bigint AS "closing!"
FROM account
CROSS JOIN LATERAL (
    SELECT line.balance, line.debits FROM line
    WHERE line.campaign_id = $1 AND line.account_no = account.account_no AND line.entry_no <= $2
    ORDER BY line.entry_no DESC, line.line_no DESC LIMIT 1
) AS closing
LEFT JOIN LATERAL (
    SELECT line.balance, line.debits FROM line
    WHERE line.campaign_id = $1 AND line.account_no = account.account_no AND line.entry_no <= $4
    ORDER BY line.entry_no DESC, line.line_no DESC LIMIT 1
) AS opening ON true
WHERE account.campaign_id = $1
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
