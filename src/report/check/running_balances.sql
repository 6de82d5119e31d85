-- A line's balance and debits are the sums of its account's lines up to it.
SELECT concat('entries/', entry_no, ' line ', line_no, ' account ', account_no),
    concat(balance, ', debits ', debits), concat(balance_up_to, ', debits ', debits_up_to)
FROM (
    SELECT account_no, entry_no, line_no, balance, debits,
        sum(amount) OVER up_to AS balance_up_to,
        sum(greatest(amount, 0)) OVER up_to AS debits_up_to
    FROM line WHERE campaign_id = $1
    WINDOW up_to AS (
        PARTITION BY account_no ORDER BY entry_no, line_no ROWS UNBOUNDED PRECEDING
    )
) AS running
WHERE balance <> balance_up_to OR debits <> debits_up_to
