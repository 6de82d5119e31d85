-- What a balance repeats of its account and the chart is what they say.
SELECT 'account ' || balance.account_no,
    concat_ws(' ', balance.guard, balance.unit),
    concat_ws(' ', chart_account.guard, chart_account.book || account.commodity)
FROM balance
LEFT JOIN account ON account.campaign_id = $1 AND account.account_no = balance.account_no
LEFT JOIN chart_account ON chart_account.code = account.code
WHERE balance.campaign_id = $1
    AND (balance.guard, balance.unit)
        IS DISTINCT FROM (chart_account.guard, chart_account.book || account.commodity)
