-- A member's commitments are what is outstanding on the member's pledges (invariant 5).
SELECT 'members/' || coalesce(promised.member_id, pledged.member_id),
    coalesce(promised.amount, 0), coalesce(pledged.outstanding, 0)
FROM (
    SELECT account.owner AS member_id, sum(line.amount) AS amount
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    WHERE account.campaign_id = $1 AND account.code = 9000
    GROUP BY account.owner
) AS promised
FULL JOIN (
    SELECT member_id, sum(amount::numeric - paid) AS outstanding FROM pledge
    WHERE campaign_id = $1 AND state IN ('committed', 'part_paid', 'paid', 'errored')
    GROUP BY member_id
) AS pledged ON pledged.member_id = promised.member_id
WHERE coalesce(promised.amount, 0) <> coalesce(pledged.outstanding, 0)
