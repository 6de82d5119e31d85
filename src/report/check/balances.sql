-- The balance of an account is the sum of its lines, and every account has one.
WITH summed AS (
    SELECT account_no, sum(amount) AS balance, sum(greatest(amount, 0)) AS debits
    FROM line WHERE campaign_id = $1 GROUP BY account_no
), expected AS (
    SELECT account_no, coalesce(summed.balance, 0) AS balance, coalesce(summed.debits, 0) AS debits
    FROM (SELECT account_no FROM account WHERE campaign_id = $1) AS opened
    FULL JOIN summed USING (account_no)
), stored AS (
    SELECT account_no, balance, debits FROM balance WHERE campaign_id = $1
)
SELECT 'account ' || account_no,
    stored.balance || ', debits ' || stored.debits,
    expected.balance || ', debits ' || expected.debits
FROM stored FULL JOIN expected USING (account_no)
WHERE (stored.balance, stored.debits) IS DISTINCT FROM (expected.balance, expected.debits)
