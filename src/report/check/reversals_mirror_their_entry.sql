-- A reversal has its original's lines with the other sign, its value date, and
-- is neither a second one nor one of a reversal.
WITH reversal AS (
    SELECT reversal.entry_no, reversal.reverses, reversal.event, reversal.value_date,
        original.event AS original_event, original.value_date AS original_value_date,
        count(*) OVER (PARTITION BY reversal.reverses) AS how_many
    FROM journal_entry AS reversal
    LEFT JOIN journal_entry AS original ON original.campaign_id = $1
        AND original.entry_no = reversal.reverses
    WHERE reversal.campaign_id = $1 AND (reversal.reverses IS NOT NULL OR reversal.event = 'reversal')
), named AS (
    SELECT entry_no, 1 AS sign FROM reversal
    UNION
    SELECT reverses, -1 FROM reversal WHERE reverses IS NOT NULL
), moved AS (
    SELECT named.entry_no, named.sign, string_agg(
        concat_ws(' ', line.account_no, named.sign * line.amount::numeric,
            coalesce(line.payment_id::text, '-'), coalesce(line.pledge_id::text, '-')),
        ', ' ORDER BY line.line_no
    ) AS lines
    FROM named
    JOIN line ON line.campaign_id = $1 AND line.entry_no = named.entry_no
    GROUP BY named.entry_no, named.sign
)
SELECT 'entries/' || reversal.entry_no,
    concat_ws(', ', reversal.event, reversal.how_many || ' of its entry', reversal.value_date, own.lines),
    concat_ws(', ', 'reversal', '1 of its entry', reversal.original_value_date,
        CASE WHEN reversal.original_event <> 'reversal' THEN original.lines END)
FROM reversal
LEFT JOIN moved AS own ON own.entry_no = reversal.entry_no AND own.sign = 1
LEFT JOIN moved AS original ON original.entry_no = reversal.reverses AND original.sign = -1
WHERE (reversal.event, reversal.how_many, reversal.value_date, own.lines) IS DISTINCT FROM
    ('reversal', 1::bigint, reversal.original_value_date,
        CASE WHEN reversal.original_event <> 'reversal' THEN original.lines END)
