-- What the memo book has of a pledge is what is outstanding on it (invariant 5).
SELECT 'pledges/' || coalesce(pledge.pledge_id, promised.pledge_id),
    coalesce(promised.amount, 0), coalesce(pledge.outstanding, 0)
FROM (
    SELECT pledge_id, CASE WHEN state IN ('committed', 'part_paid', 'paid', 'errored')
        THEN amount::numeric - paid ELSE 0 END AS outstanding
    FROM pledge WHERE campaign_id = $1
) AS pledge
FULL JOIN (
    SELECT line.pledge_id, sum(line.amount) AS amount
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    WHERE account.campaign_id = $1 AND account.code = 9000
    GROUP BY line.pledge_id
) AS promised ON promised.pledge_id = pledge.pledge_id
WHERE coalesce(promised.amount, 0) <> coalesce(pledge.outstanding, 0)
