-- The totals by day up to $5, less what was recorded after entry $2; opening is
-- up to day $4. No line is zero, so an account whose movements come to nothing
-- on both sides had none.
WITH recorded_later AS (
    SELECT named.account_no, journal_entry.value_date,
        sum(greatest(line.amount, 0)) AS debits, sum(greatest(-line.amount, 0)) AS credits
    FROM journal_entry
    CROSS JOIN LATERAL unnest(journal_entry.accounts) WITH ORDINALITY AS named (account_no, line_no)
    CROSS JOIN LATERAL (
        SELECT line.amount FROM line
        WHERE line.campaign_id = $1 AND line.account_no = named.account_no
            AND line.entry_no = journal_entry.entry_no AND line.line_no = named.line_no
        LIMIT 1
    ) AS line
    WHERE journal_entry.campaign_id = $1 AND journal_entry.entry_no > $2
        AND journal_entry.value_date <= $5
    GROUP BY named.account_no, journal_entry.value_date
), day AS (
    SELECT account_no, value_date, debits, credits FROM movement
    WHERE campaign_id = $1 AND value_date <= $5
    UNION ALL
    SELECT account_no, value_date, -debits, -credits FROM recorded_later
), moved AS (
    SELECT account_no,
        coalesce(sum(debits - credits) FILTER (WHERE value_date <= $4), 0) AS opening,
        coalesce(sum(debits) FILTER (WHERE (value_date <= $4) IS NOT TRUE), 0) AS period_debit,
        coalesce(sum(credits) FILTER (WHERE (value_date <= $4) IS NOT TRUE), 0) AS period_credit
    FROM day GROUP BY account_no
    HAVING sum(debits) + sum(credits) > 0
)
SELECT account.code, account.commodity,
    CASE WHEN $3::boolean THEN account.owner END AS "owner?",
    count(*) AS "sub_accounts!",
    sum(moved.opening)::bigint AS "opening!",
    sum(moved.period_debit)::bigint AS "period_debit!",
    sum(moved.period_credit)::bigint AS "period_credit!",
    sum(moved.opening + moved.period_debit - moved.period_credit)::bigint AS "closing!"
FROM moved
JOIN account ON account.campaign_id = $1 AND account.account_no = moved.account_no
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
