-- A batch says which one it was decided on. Batches are decided on what is not committed yet, and
-- the numbers of their changes alone do not tell whether it was: had the batch before failed,
-- another server's could have taken the same numbers. Whoever wrote ahead had to keep its database
-- transaction open until it knew. Now the database itself refuses what was decided on something
-- else, and a batch is one round trip.

ALTER TABLE campaign_head
    -- What the last batch calls itself: a number at random, 0 before the first that does. Only
    -- the trigger moves it; `fence` stays as what lets the application lock the row.
    ADD COLUMN batch bigint NOT NULL DEFAULT 0;

ALTER TABLE change
    -- For the first change of a batch: what the batch calls itself, and the one on which it was
    -- decided.
    ADD COLUMN batch bigint,
    ADD COLUMN follows bigint;

-- As before, and a batch follows the one on which it was decided.
CREATE OR REPLACE FUNCTION number_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_campaign record;
BEGIN
    UPDATE campaign_head SET change_no = given.last_no, recorded_at = given.last_at,
        batch = given.batch, claimed_entry_no = coalesce(given.last_entry_no, claimed_entry_no)
    FROM (
        SELECT campaign_id, count(*) AS how_many, min(change_no) AS first_no, max(change_no) AS last_no,
            min(recorded_at) AS first_at, max(recorded_at) AS last_at,
            min(first_entry_no) AS first_entry_no, max(last_entry_no) AS last_entry_no,
            sum(last_entry_no - first_entry_no + 1) AS entries, count(*) OVER () AS campaigns,
            max(batch) AS batch, max(follows) AS follows,
            count(batch) = 1 AND count(follows) = 1 AND min(change_no) = min(change_no)
                FILTER (WHERE batch IS NOT NULL AND follows IS NOT NULL) AS are_a_batch
        FROM recorded GROUP BY campaign_id
    ) AS given
    WHERE campaign_head.campaign_id = given.campaign_id AND given.campaigns = 1
        AND change_no + 1 = given.first_no AND change_no + given.how_many = given.last_no
        AND campaign_head.recorded_at <= given.first_at AND given.first_at = given.last_at
        AND (given.entries IS NULL OR (claimed_entry_no + 1 = given.first_entry_no
            AND claimed_entry_no + given.entries = given.last_entry_no))
        AND campaign_head.batch = given.follows AND given.are_a_batch;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    FOR of_campaign IN
        SELECT campaign_id, count(*) AS how_many, min(change_no) AS first_no, max(change_no) AS last_no,
            min(recorded_at) AS first_at, max(recorded_at) AS last_at,
            min(first_entry_no) AS first_entry_no, max(last_entry_no) AS last_entry_no,
            sum(last_entry_no - first_entry_no + 1) AS entries, count(*) OVER () AS campaigns
        FROM recorded GROUP BY campaign_id
    LOOP
        IF of_campaign.campaigns > 1 THEN
            PERFORM refuse('a_statement_posts_to_one_campaign', of_campaign.campaign_id::text);
        ELSIF EXISTS (
            SELECT FROM campaign_head
            WHERE campaign_id = of_campaign.campaign_id
                AND (claimed_entry_no + 1 <> of_campaign.first_entry_no
                    OR claimed_entry_no + of_campaign.entries <> of_campaign.last_entry_no)
        ) THEN
            PERFORM refuse('a_change_names_the_next_entries', of_campaign.campaign_id::text);
        ELSIF EXISTS (
            SELECT FROM campaign_head
            WHERE campaign_id = of_campaign.campaign_id
                AND change_no + 1 = of_campaign.first_no
                AND change_no + of_campaign.how_many = of_campaign.last_no
                AND recorded_at <= of_campaign.first_at
                AND of_campaign.first_at = of_campaign.last_at
        ) THEN
            PERFORM refuse('a_batch_follows_what_it_was_decided_on', of_campaign.campaign_id::text);
        ELSE
            PERFORM refuse('change_numbers_are_dense_and_time_goes_on', of_campaign.campaign_id::text);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
