-- A member's share capital is the nominal value of the shares that the member
-- holds: in 3000, or in 2300 for a class that is a liability (invariant 4).
WITH summed AS (
    SELECT account.code, account.commodity, account.owner, -sum(line.amount) AS amount
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    WHERE account.campaign_id = $1 AND account.code IN (2300, 3000, 8000)
    GROUP BY account.code, account.commodity, account.owner
), capital AS (
    SELECT code, owner, sum(amount) AS amount FROM summed WHERE code <> 8000 GROUP BY code, owner
), nominal AS (
    SELECT CASE WHEN share_class.liability THEN 2300 ELSE 3000 END AS code, summed.owner,
        sum(summed.amount * share_class.nominal) AS amount
    FROM summed
    JOIN share_class ON share_class.campaign_id = $1
        AND share_class.share_class_id::text = summed.commodity
    WHERE summed.code = 8000 GROUP BY 1, 2
)
SELECT concat('members/', owner, ' in ', code), coalesce(capital.amount, 0), coalesce(nominal.amount, 0)
FROM capital FULL JOIN nominal USING (code, owner)
WHERE coalesce(capital.amount, 0) <> coalesce(nominal.amount, 0)
