-- The campaign, and the entry up to which a report goes: $2, or the last one.
SELECT campaign.display_name, campaign.currency, campaign_head.entry_no AS last_entry_no,
    journal_entry.recorded_at AS "recorded_at?", journal_entry.digest AS "digest?"
FROM campaign
JOIN campaign_head ON campaign_head.campaign_id = campaign.campaign_id
LEFT JOIN journal_entry ON journal_entry.campaign_id = campaign.campaign_id
    AND journal_entry.entry_no = coalesce($2, campaign_head.entry_no)
WHERE campaign.campaign_id = $1
