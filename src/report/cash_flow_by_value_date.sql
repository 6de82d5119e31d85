-- What the accounts of the codes $3 in the currency $2 stood at at the end of day $5 and of
-- day $6, by whose they are: the totals by day, less what was recorded after
-- entry $4. No line is zero, so an account without turnover was not used yet.
WITH money AS (
    SELECT account_no, owner FROM account
    WHERE campaign_id = $1 AND commodity = $2 AND code = ANY($3)
), day AS (
    SELECT money.owner, movement.value_date, movement.debits - movement.credits AS amount,
        movement.debits + movement.credits AS turnover
    FROM money
    JOIN movement ON movement.campaign_id = $1 AND movement.account_no = money.account_no
    WHERE movement.value_date <= $6
    UNION ALL
    SELECT money.owner, entry.value_date, -line.amount, -abs(line.amount)
    FROM money
    JOIN line ON line.campaign_id = $1 AND line.account_no = money.account_no
        AND line.entry_no > $4
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    WHERE entry.value_date <= $6
)
SELECT day.owner AS "owner!", max(money_account.kind) AS "kind?",
    max(money_account.institution) AS "institution?",
    coalesce(sum(day.amount) FILTER (WHERE day.value_date <= $5), 0)::bigint AS "opening!",
    sum(day.amount)::bigint AS "closing!"
FROM day
LEFT JOIN money_account ON money_account.campaign_id = $1
    AND money_account.money_account_id = day.owner
GROUP BY day.owner
HAVING sum(day.turnover) > 0
ORDER BY 2 DESC NULLS LAST, 3, 1
