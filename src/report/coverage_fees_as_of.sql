-- The same as of entry $2, from the lines of provider balances: a payment stands
-- while its money has arrived and not left, and its fee is known once it is charged.
-- A reversal belongs to what it reverses.
WITH payment AS (
    SELECT line.payment_id,
        coalesce(sum(line.amount) FILTER (WHERE about.event <> 'payment_fee'), 0) AS standing,
        coalesce(-sum(line.amount) FILTER (WHERE about.event = 'payment_fee'), 0) AS fee
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
        AND line.entry_no <= $2
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    JOIN journal_entry AS about ON about.campaign_id = $1
        AND about.entry_no = coalesce(entry.reverses, entry.entry_no)
    WHERE account.campaign_id = $1 AND account.code = 1000 AND line.payment_id IS NOT NULL
    GROUP BY line.payment_id
)
SELECT count(*) FILTER (WHERE fee = 0 AND standing > 0) AS "unknown!",
    count(*) FILTER (WHERE fee > 0) AS "known!",
    coalesce(sum(fee), 0)::bigint AS "sum!"
FROM payment
