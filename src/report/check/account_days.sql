-- The movements by value date are the sums of the lines, and no day that is over is
-- newer than the open one.
WITH summed AS (
    SELECT line.account_no, entry.value_date,
        sum(greatest(line.amount, 0)) AS debits, sum(greatest(-line.amount, 0)) AS credits
    FROM line
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    WHERE line.campaign_id = $1
    GROUP BY line.account_no, entry.value_date
), stored AS (
    SELECT account_no, value_date, debits, credits FROM movement WHERE campaign_id = $1
)
SELECT concat('account ', account_no, ' on ', value_date),
    'debits ' || stored.debits || ', credits ' || stored.credits,
    'debits ' || summed.debits || ', credits ' || summed.credits
FROM stored FULL JOIN summed USING (account_no, value_date)
WHERE (stored.debits, stored.credits) IS DISTINCT FROM (summed.debits, summed.credits)
UNION ALL
SELECT concat('account ', account_no, ' on ', value_date), 'a day that is over',
    'the open day is ' || day
FROM account_day JOIN balance USING (campaign_id, account_no)
WHERE campaign_id = $1 AND value_date >= day
