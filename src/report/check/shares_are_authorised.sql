-- What a class may issue is what was posted as authorised, issued or not.
WITH posted AS (
    SELECT account.commodity,
        sum(line.amount) FILTER (WHERE account.code = 8020) AS authorised,
        -sum(line.amount) FILTER (WHERE account.code <> 8020) AS issued_or_not
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    WHERE account.campaign_id = $1 AND account.code IN (8000, 8010, 8020, 8030)
    GROUP BY account.commodity
)
SELECT 'shareClasses/' || coalesce(share_class.share_class_id::text, posted.commodity),
    share_class.authorised, concat_ws(' of ', posted.issued_or_not, posted.authorised)
FROM (SELECT * FROM share_class WHERE campaign_id = $1) AS share_class
FULL JOIN posted ON posted.commodity = share_class.share_class_id::text
WHERE (share_class.authorised, share_class.authorised)
    IS DISTINCT FROM (posted.authorised, posted.issued_or_not)
