-- Provider payments whose fee is known, and those that stand without one.
SELECT count(*) FILTER (WHERE NOT payment.fee_known AND payment.state = 'succeeded') AS "unknown!",
    count(*) FILTER (WHERE payment.fee_known) AS "known!",
    coalesce(sum(payment.fee), 0)::bigint AS "sum!"
FROM payment
JOIN money_account ON money_account.campaign_id = $1
    AND money_account.money_account_id = payment.money_account_id
    AND money_account.kind = 'provider'
WHERE payment.campaign_id = $1
