-- What providers charged for payments up to entry $2, by how they were paid. A reversal
-- belongs to what it reverses.
WITH fee AS (
    SELECT line.payment_id,
        -sum(line.amount) FILTER (WHERE line.amount < 0) AS charged,
        coalesce(sum(line.amount) FILTER (WHERE line.amount > 0), 0) AS returned
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
        AND line.entry_no <= $2
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    LEFT JOIN journal_entry AS original ON original.campaign_id = $1
        AND original.entry_no = entry.reverses
    WHERE account.campaign_id = $1 AND account.code = 1000 AND line.payment_id IS NOT NULL
        AND coalesce(original.event, entry.event) = 'payment_fee'
    GROUP BY line.payment_id
)
SELECT payment.method,
    count(*) FILTER (WHERE fee.charged > fee.returned) AS "count!",
    coalesce(sum(payment.gross) FILTER (WHERE fee.charged > fee.returned), 0)::bigint AS "volume!",
    coalesce(sum(fee.charged), 0)::bigint AS "charged!", sum(fee.returned)::bigint AS "returned!"
FROM fee
JOIN payment ON payment.campaign_id = $1 AND payment.payment_id = fee.payment_id
GROUP BY payment.method
ORDER BY payment.method
