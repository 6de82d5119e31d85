-- Batches that are written ahead: the next batch inserts its rows while the one before it
-- is not committed yet, and waits for the head only when its triggers run.

-- Changes take the campaign's next numbers, time does not run backwards, and the
-- entries that they name are the next ones, each named once. The head is locked before it
-- is looked at: whoever has to wait for it sees what it waited for. A batch that was
-- decided on what is not so any more is refused here, whatever process it comes from.
CREATE OR REPLACE FUNCTION number_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_campaign record;
    the_head campaign_head;
BEGIN
    FOR of_campaign IN
        SELECT campaign_id, count(*) AS how_many, min(change_no) AS first_no, max(change_no) AS last_no,
            min(recorded_at) AS first_at, max(recorded_at) AS last_at,
            min(first_entry_no) AS first_entry_no, max(last_entry_no) AS last_entry_no,
            sum(last_entry_no - first_entry_no + 1) AS entries
        FROM recorded GROUP BY campaign_id
    LOOP
        SELECT * INTO the_head FROM campaign_head
        WHERE campaign_id = of_campaign.campaign_id FOR NO KEY UPDATE;
        IF the_head.claimed_entry_no + 1 <> of_campaign.first_entry_no
            OR the_head.claimed_entry_no + of_campaign.entries <> of_campaign.last_entry_no THEN
            PERFORM refuse('a_change_names_the_next_entries', of_campaign.campaign_id::text);
        END IF;
        UPDATE campaign_head SET change_no = of_campaign.last_no, recorded_at = of_campaign.last_at,
            claimed_entry_no = coalesce(of_campaign.last_entry_no, claimed_entry_no),
            written_in = pg_current_xact_id(),
            written_from = CASE written_in WHEN pg_current_xact_id() THEN written_from
                ELSE of_campaign.first_no END
        WHERE campaign_id = of_campaign.campaign_id
            AND change_no + 1 = of_campaign.first_no
            AND change_no + of_campaign.how_many = of_campaign.last_no
            AND recorded_at <= of_campaign.first_at;
        IF NOT FOUND THEN
            PERFORM refuse('change_numbers_are_dense_and_time_goes_on', of_campaign.campaign_id::text);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
