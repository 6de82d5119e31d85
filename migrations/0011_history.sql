-- What a change made of the nouns stands in the change's own row. A payment made two rows of
-- history beside it, each with an entry in an index of its own and a rule to ask that they
-- were written together; nobody looks for them but by their change.

ALTER TABLE change
    -- The nouns that it made or changed, in order: their ids, and each as it was after the change.
    ADD COLUMN history json,
    ADD CONSTRAINT history_is_a_list CHECK (json_typeof(history) = 'array'),
    ADD CONSTRAINT what_is_not_done_makes_nothing
        CHECK (history IS NULL OR (refusal IS NULL AND same_as_change_no IS NULL));

-- What was kept so far moves over, by the owner and within this migration.
ALTER TABLE change DISABLE TRIGGER stays_written;
UPDATE change SET history = made.history
FROM (
    SELECT campaign_id, change_no,
        json_agg(json_build_object('subject', subject_id, 'snapshot', snapshot) ORDER BY ordinal) AS history
    FROM history GROUP BY campaign_id, change_no
) AS made
WHERE change.campaign_id = made.campaign_id AND change.change_no = made.change_no;
ALTER TABLE change ENABLE ALWAYS TRIGGER stays_written;
DROP TABLE history;
DROP FUNCTION keep_history();

-- For reports and for whoever reads by hand: one row a noun.
CREATE VIEW history AS
SELECT campaign_id, change_no, made.ordinal::smallint AS ordinal,
    (made.item ->> 'subject')::uuid AS subject_id, made.item -> 'snapshot' AS snapshot
FROM change
CROSS JOIN LATERAL json_array_elements(history) WITH ORDINALITY AS made (item, ordinal);
GRANT SELECT ON history TO pledgebook_app, pledgebook_report;

-- The head said which changes may still be given their history.
ALTER TABLE campaign_head DROP COLUMN written_in, DROP COLUMN written_from;

-- As before, without what was for the history.
CREATE OR REPLACE FUNCTION number_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_campaign record;
BEGIN
    UPDATE campaign_head SET change_no = given.last_no, recorded_at = given.last_at,
        claimed_entry_no = coalesce(given.last_entry_no, claimed_entry_no)
    FROM (
        SELECT campaign_id, count(*) AS how_many, min(change_no) AS first_no, max(change_no) AS last_no,
            min(recorded_at) AS first_at, max(recorded_at) AS last_at,
            min(first_entry_no) AS first_entry_no, max(last_entry_no) AS last_entry_no,
            sum(last_entry_no - first_entry_no + 1) AS entries, count(*) OVER () AS campaigns
        FROM recorded GROUP BY campaign_id
    ) AS given
    WHERE campaign_head.campaign_id = given.campaign_id AND given.campaigns = 1
        AND change_no + 1 = given.first_no AND change_no + given.how_many = given.last_no
        AND campaign_head.recorded_at <= given.first_at AND given.first_at = given.last_at
        AND (given.entries IS NULL OR (claimed_entry_no + 1 = given.first_entry_no
            AND claimed_entry_no + given.entries = given.last_entry_no));
    IF FOUND THEN
        RETURN NULL;
    END IF;
    FOR of_campaign IN
        SELECT campaign_id, min(first_entry_no) AS first_entry_no, max(last_entry_no) AS last_entry_no,
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
        ELSE
            PERFORM refuse('change_numbers_are_dense_and_time_goes_on', of_campaign.campaign_id::text);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
