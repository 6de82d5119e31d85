-- The items of run $2 after position $3, each with the refund that it made.
SELECT item.position, item.member_id, item.payment_id AS "payment_id!", item.amount, item.released,
    item.state, item.problem, refund.refund_id AS "refund_id?", refund.attempt AS "attempt?",
    refund.state AS "refund_state?", refund.object_id AS "object_id?",
    refund.failure_code AS "failure_code?", money_account.kind
FROM run_item AS item
JOIN payment ON payment.campaign_id = $1 AND payment.payment_id = item.payment_id
LEFT JOIN refund ON refund.campaign_id = $1 AND refund.payment_id = item.payment_id
    AND refund.run_id = $2
JOIN money_account ON money_account.campaign_id = $1
    AND money_account.money_account_id = coalesce(refund.money_account_id, payment.money_account_id)
WHERE item.campaign_id = $1 AND item.run_id = $2 AND item.position > $3
ORDER BY item.position
LIMIT $4
