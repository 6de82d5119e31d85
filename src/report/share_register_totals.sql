-- What stood of each class as of entry $2: one probe of the lines' primary key an account.
SELECT share_class.share_class_id, share_class.display_name, share_class.nominal,
    share_class.liability,
    coalesce(sum(stood.balance) FILTER (WHERE account.code = 8020), 0)::bigint AS "authorised!",
    coalesce(-sum(stood.balance) FILTER (WHERE account.code = 8000), 0)::bigint AS "held!",
    coalesce(-sum(stood.balance) FILTER (WHERE account.code = 8030), 0)::bigint AS "cancelled!",
    coalesce(-sum(stood.balance) FILTER (WHERE account.code = 8010), 0)::bigint AS "unissued!"
FROM share_class
JOIN account ON account.campaign_id = $1 AND account.commodity = share_class.share_class_id::text
    AND account.code IN (8000, 8010, 8020, 8030)
CROSS JOIN LATERAL (
    SELECT line.balance FROM line
    WHERE line.campaign_id = $1 AND line.account_no = account.account_no AND line.entry_no <= $2
    ORDER BY line.entry_no DESC, line.line_no DESC LIMIT 1
) AS stood
WHERE share_class.campaign_id = $1
GROUP BY share_class.campaign_id, share_class.share_class_id
ORDER BY share_class.share_class_id
