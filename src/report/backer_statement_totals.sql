-- Member $2, with name, and what the member's accounts stood at as of entry $3.
SELECT person.display_name AS "display_name?",
    coalesce(sum(stood.balance) FILTER (WHERE stood.code = 9000), 0)::bigint AS "outstanding!",
    coalesce(-sum(stood.balance) FILTER (WHERE stood.code = 2100), 0)::bigint AS "held!",
    coalesce(-sum(stood.balance) FILTER (WHERE stood.code = 2200), 0)::bigint AS "refundable!"
FROM member
JOIN campaign ON campaign.campaign_id = $1
LEFT JOIN person ON person.campaign_id = $1 AND person.subject_id = member.member_id
LEFT JOIN LATERAL (
    SELECT account.code, last_line.balance FROM account
    CROSS JOIN LATERAL (
        SELECT line.balance FROM line
        WHERE line.campaign_id = $1 AND line.account_no = account.account_no
            AND line.entry_no <= $3
        ORDER BY line.entry_no DESC, line.line_no DESC LIMIT 1
    ) AS last_line
    WHERE account.campaign_id = $1 AND account.owner = $2
        AND account.code IN (9000, 2100, 2200) AND account.commodity = campaign.currency
) AS stood ON true
WHERE member.campaign_id = $1 AND member.member_id = $2
GROUP BY member.member_id, person.display_name
