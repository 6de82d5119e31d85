-- A run is as its last row of history left it.
WITH last_one AS (
    SELECT DISTINCT ON (subject_id) subject_id, snapshot::jsonb AS snapshot FROM history
    WHERE campaign_id = $1 AND snapshot ->> 'noun' = 'run'
    ORDER BY subject_id, change_no DESC, ordinal DESC
), compared AS (
    SELECT coalesce(run.run_id, last_one.subject_id) AS id,
        concat_ws(', ', kind, 'method ' || method, items, units, amount, released, as_of_change,
            'by ' || array_to_string(approved_by, ' '), starts, planned_at, state) AS stored,
        concat_ws(', ', snapshot ->> 'kind', 'method ' || (snapshot ->> 'method'), snapshot ->> 'items',
            snapshot ->> 'units', snapshot ->> 'amount', snapshot ->> 'released',
            snapshot ->> 'as_of_change', 'by ' || (
                SELECT coalesce(string_agg(who, ' ' ORDER BY place), '')
                FROM jsonb_array_elements_text(snapshot -> 'approved_by') WITH ORDINALITY AS by (who, place)
            ), snapshot ->> 'starts', (snapshot ->> 'planned_at')::timestamptz, snapshot ->> 'state') AS expected
    FROM (SELECT * FROM run WHERE campaign_id = $1) AS run
    FULL JOIN last_one ON last_one.subject_id = run.run_id
)
SELECT 'runs/' || id, stored, expected FROM compared WHERE stored <> expected
