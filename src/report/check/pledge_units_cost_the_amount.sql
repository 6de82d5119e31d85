-- A promise of shares is worth their price.
SELECT 'pledges/' || pledge.pledge_id, pledge.amount, pledge.units::numeric * share_class.price
FROM pledge
JOIN share_class ON share_class.campaign_id = $1
    AND share_class.share_class_id = pledge.share_class_id
WHERE pledge.campaign_id = $1 AND pledge.units > 0
    AND pledge.amount <> pledge.units::numeric * share_class.price
