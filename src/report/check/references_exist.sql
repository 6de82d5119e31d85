-- What a row names exists, and belongs to whom the row says.
SELECT subject, stored, 'one that exists'
FROM (
    SELECT DISTINCT 'a line of entries/' || line.entry_no, 'account ' || line.account_no
    FROM line
    LEFT JOIN account ON account.campaign_id = $1 AND account.account_no = line.account_no
    WHERE line.campaign_id = $1 AND account.account_no IS NULL
    UNION ALL
    SELECT DISTINCT 'a line of entries/' || line.entry_no, 'payments/' || line.payment_id
    FROM line
    LEFT JOIN payment ON payment.campaign_id = $1 AND payment.payment_id = line.payment_id
    WHERE line.campaign_id = $1 AND line.payment_id IS NOT NULL AND payment.payment_id IS NULL
    UNION ALL
    SELECT DISTINCT 'a line of entries/' || line.entry_no, 'pledges/' || line.pledge_id
    FROM line
    LEFT JOIN pledge ON pledge.campaign_id = $1 AND pledge.pledge_id = line.pledge_id
    WHERE line.campaign_id = $1 AND line.pledge_id IS NOT NULL AND pledge.pledge_id IS NULL
    UNION ALL
    SELECT 'account ' || account.account_no, concat_ws('/', chart_account.owner_kind, account.owner)
    FROM account
    LEFT JOIN chart_account ON chart_account.code = account.code
    LEFT JOIN member ON member.campaign_id = $1 AND member.member_id = account.owner
    LEFT JOIN payment ON payment.campaign_id = $1 AND payment.payment_id = account.owner
    LEFT JOIN money_account ON money_account.campaign_id = $1
        AND money_account.money_account_id = account.owner
    LEFT JOIN share_class ON share_class.campaign_id = $1
        AND share_class.share_class_id::text = account.commodity
    WHERE account.campaign_id = $1 AND NOT coalesce(
        CASE chart_account.owner_kind
            WHEN 'nobody' THEN account.owner = '00000000-0000-0000-0000-000000000000'
            WHEN 'member' THEN member.member_id IS NOT NULL
            WHEN 'payment' THEN payment.payment_id IS NOT NULL
            ELSE money_account.kind = chart_account.owner_kind
        END
        AND (chart_account.book <> 'U' OR share_class.share_class_id IS NOT NULL), false)
    UNION ALL
    SELECT 'pledges/' || pledge.pledge_id, concat_ws(' ', 'members/' || pledge.member_id,
        'shareClasses/' || pledge.share_class_id, 'terms ' || pledge.terms_version)
    FROM pledge
    LEFT JOIN member ON member.campaign_id = $1 AND member.member_id = pledge.member_id
    LEFT JOIN share_class ON share_class.campaign_id = $1
        AND share_class.share_class_id = pledge.share_class_id
    LEFT JOIN terms ON terms.campaign_id = $1 AND terms.version = pledge.terms_version
    WHERE pledge.campaign_id = $1 AND (member.member_id IS NULL OR terms.version IS NULL
        OR (pledge.share_class_id IS NOT NULL AND share_class.share_class_id IS NULL))
    UNION ALL
    SELECT 'payments/' || payment.payment_id, concat_ws(' ', 'members/' || payment.member_id,
        'pledges/' || payment.pledge_id, 'moneyAccounts/' || payment.money_account_id)
    FROM payment
    LEFT JOIN member ON member.campaign_id = $1 AND member.member_id = payment.member_id
    LEFT JOIN pledge ON pledge.campaign_id = $1 AND pledge.pledge_id = payment.pledge_id
        AND pledge.member_id = payment.member_id
    LEFT JOIN money_account ON money_account.campaign_id = $1
        AND money_account.money_account_id = payment.money_account_id
    WHERE payment.campaign_id = $1 AND (money_account.money_account_id IS NULL
        OR (payment.member_id IS NOT NULL AND member.member_id IS NULL)
        OR (payment.pledge_id IS NOT NULL AND pledge.pledge_id IS NULL))
) AS missing (subject, stored)
