-- Nobody's money exceeds the most that the share classes together allow a
-- member, where each of them has a most (invariant 8).
WITH cap AS (
    SELECT sum(price::numeric * maximum_per_member) AS most FROM share_class
    WHERE campaign_id = $1
    HAVING bool_and(maximum_per_member > 0)
)
SELECT 'members/' || account.owner, -sum(line.amount), 'at most ' || cap.most
FROM cap CROSS JOIN account
JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
WHERE account.campaign_id = $1 AND account.code = 2100
GROUP BY account.owner, cap.most
HAVING -sum(line.amount) > cap.most
