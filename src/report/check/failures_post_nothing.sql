-- A charge that failed at once is an effect of its payment's movement, once, in
-- a change without entries.
SELECT concat('failure of payments/', effect.payment_id, ' in changes/', effect.change_no),
    concat_ws(' ', effect.money_account_id, effect.object_id, '"' || effect.seq || '"',
        'entry ' || change.first_entry_no),
    concat_ws(' ', payment.money_account_id, payment.object_id, '""')
FROM effect
LEFT JOIN change ON change.campaign_id = $1 AND change.change_no = effect.change_no
LEFT JOIN payment ON payment.campaign_id = $1 AND payment.payment_id = effect.payment_id
WHERE effect.campaign_id = $1 AND effect.effect = 'failure'
    AND (change.change_no IS NULL OR change.first_entry_no IS NOT NULL
        OR (effect.money_account_id, effect.object_id, effect.seq)
            IS DISTINCT FROM (payment.money_account_id, payment.object_id, ''))
