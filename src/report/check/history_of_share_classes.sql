-- The share classes are those that the campaign's last row of history has.
WITH last_one AS (
    SELECT class.class
    FROM (
        SELECT snapshot FROM history
        WHERE campaign_id = $1 AND subject_id = $1 AND snapshot ->> 'noun' = 'campaign'
        ORDER BY change_no DESC, ordinal DESC LIMIT 1
    ) AS campaign
    CROSS JOIN LATERAL json_array_elements(campaign.snapshot -> 'share_classes') AS class (class)
), compared AS (
    SELECT coalesce(kept.share_class_id::text, class ->> 'id') AS share_class_id,
        concat_ws(', ', kept.display_name, kept.price, kept.nominal, kept.authorised,
            kept.minimum_per_member, kept.maximum_per_member, kept.liability::text) AS stored,
        concat_ws(', ', class ->> 'display_name', class ->> 'price', class ->> 'nominal',
            class ->> 'authorised', class ->> 'minimum_per_member', class ->> 'maximum_per_member',
            class ->> 'liability') AS expected
    FROM (SELECT * FROM share_class WHERE campaign_id = $1) AS kept
    FULL JOIN last_one ON class ->> 'id' = kept.share_class_id::text
)
SELECT 'shareClasses/' || share_class_id, stored, expected FROM compared WHERE stored <> expected
