-- Account $2 at the end of day $3: the sum of its days, of which there are few.
SELECT coalesce(sum(debits - credits), 0)::bigint AS "balance!",
    coalesce(sum(debits), 0)::bigint AS "debits!"
FROM movement
WHERE campaign_id = $1 AND account_no = $2 AND value_date <= $3
