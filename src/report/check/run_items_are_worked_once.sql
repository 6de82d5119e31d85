-- An item that was worked names its change, no two the same one; one that is done has left
-- something there, and an exception nothing.
SELECT concat('runs/', item.run_id, ' item ', item.position), concat_ws(' ', item.state, 'by', item.change_no),
    'a change of its own'
FROM (
    SELECT run_item.*, count(*) OVER (PARTITION BY change_no) AS of_change
    FROM run_item WHERE campaign_id = $1 AND state <> 'pending'
) AS item
LEFT JOIN change ON change.campaign_id = $1 AND change.change_no = item.change_no
WHERE change.change_no IS NULL OR change.method <> 'WorkRunItem' OR change.refusal IS NOT NULL
    OR item.of_change <> 1
    OR (item.state = 'exception' AND change.first_entry_no IS NOT NULL)
