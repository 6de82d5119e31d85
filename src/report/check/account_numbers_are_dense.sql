-- Accounts are numbered 1, 2, … without a gap.
SELECT 'account ' || account_no, 'follows ' || before, 'follows ' || account_no - 1
FROM (
    SELECT account_no, lag(account_no, 1, 0) OVER (ORDER BY account_no) AS before
    FROM account WHERE campaign_id = $1
) AS numbered
WHERE account_no <> before + 1
