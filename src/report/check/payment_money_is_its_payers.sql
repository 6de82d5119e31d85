-- A payment's money stands on its member's accounts, on its pledge, or on its
-- own; and it came in on its provider's or bank's.
WITH standing AS (
    SELECT line.payment_id, account.code, account.owner,
        CASE WHEN account.code NOT IN (1000, 1100, 2900) THEN line.pledge_id END AS pledge_id,
        sum(line.amount) AS amount
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    WHERE account.campaign_id = $1
        AND (account.code IN (2100, 2200, 2210, 2300, 2900, 3000)
            -- A refund may leave from another account than the one that the money came in on.
            OR (account.code IN (1000, 1100) AND entry.event NOT IN ('refund_sent', 'refund_failed')))
        AND line.payment_id IS NOT NULL
    GROUP BY 1, 2, 3, 4
    HAVING sum(line.amount) <> 0
)
SELECT concat('payments/', payment.payment_id, ' in ', standing.code),
    concat_ws(' ', standing.owner, standing.pledge_id),
    concat_ws(' ', owner.expected,
        CASE WHEN standing.code NOT IN (1000, 1100, 2900) THEN payment.pledge_id END)
FROM standing
JOIN payment ON payment.campaign_id = $1 AND payment.payment_id = standing.payment_id
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN standing.code NOT IN (1000, 1100, 2900) THEN payment.member_id
        WHEN standing.code = 2900 THEN payment.payment_id
        ELSE payment.money_account_id
    END AS expected
) AS owner
WHERE standing.owner IS DISTINCT FROM owner.expected
    OR (standing.code NOT IN (1000, 1100, 2900) AND standing.pledge_id IS DISTINCT FROM payment.pledge_id)
