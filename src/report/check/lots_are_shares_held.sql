-- What a member's lots of a class have left is what the member holds; they are numbered
-- without gaps; and each is of the entry that allotted it.
WITH held AS (
    SELECT account.owner AS member_id, account.commodity, -sum(line.amount) AS units
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    WHERE account.campaign_id = $1 AND account.code = 8000
    GROUP BY account.owner, account.commodity
), lots AS (
    SELECT member_id, share_class_id::text AS commodity, sum(units - cancelled) AS units
    FROM lot WHERE campaign_id = $1 GROUP BY member_id, share_class_id
), allotted AS (
    SELECT entry.entry_no, account.owner AS member_id, account.commodity, -line.amount AS units
    FROM account
    JOIN line ON line.campaign_id = $1 AND line.account_no = account.account_no
    JOIN journal_entry AS entry ON entry.campaign_id = $1 AND entry.entry_no = line.entry_no
    WHERE account.campaign_id = $1 AND account.code = 8000 AND entry.event = 'shares_allotted'
)
SELECT concat('members/', member_id, ' of ', commodity), coalesce(lots.units, 0)::text,
    coalesce(held.units, 0)::text
FROM lots FULL JOIN held USING (member_id, commodity)
WHERE coalesce(lots.units, 0) <> coalesce(held.units, 0)
UNION ALL
SELECT 'certificates', count(*) || ' up to ' || coalesce(max(certificate), 0), count(*) || ' up to ' || count(*)
FROM lot WHERE campaign_id = $1 HAVING count(*) <> coalesce(max(certificate), 0)
UNION ALL
SELECT 'certificate ' || lot.certificate, concat_ws(' ', lot.units, 'of entry', lot.entry_no),
    coalesce(allotted.units::text, 'no entry')
FROM (SELECT * FROM lot WHERE campaign_id = $1) AS lot
FULL JOIN allotted ON allotted.entry_no = lot.entry_no AND allotted.member_id = lot.member_id
    AND allotted.commodity = lot.share_class_id::text
WHERE lot.units IS DISTINCT FROM allotted.units
