-- Each item of a run is hashed with the one before it, and its run has the last one's hash.
WITH chained AS (
    SELECT run_item.*, lag(hash, 1, decode(repeat('00', 32), 'hex'))
            OVER (PARTITION BY run_id ORDER BY position) AS before,
        lead(position) OVER (PARTITION BY run_id ORDER BY position) IS NULL AS is_last
    FROM run_item WHERE campaign_id = $1
)
SELECT concat('runs/', chained.run_id, ' item ', position), encode(chained.hash, 'hex'),
    encode(right_one.hash, 'hex')
FROM chained
JOIN run ON run.campaign_id = $1 AND run.run_id = chained.run_id
CROSS JOIN LATERAL (
    SELECT sha256(before || int8send(position)
        || uuid_send(coalesce(member_id, '00000000-0000-0000-0000-000000000000'))
        || uuid_send(coalesce(payment_id, '00000000-0000-0000-0000-000000000000'))
        || uuid_send(coalesce(share_class_id, '00000000-0000-0000-0000-000000000000'))
        || int8send(chained.units) || int8send(chained.amount) || int8send(chained.released)) AS hash
) AS right_one
WHERE chained.hash <> right_one.hash OR (is_last AND chained.hash <> run.hash)
