-- Entries by hand: why they were made stands with the change itself, since such an
-- entry touches no noun whose history could keep the reason.

ALTER TABLE change
    -- Why, in the words of whoever asked.
    ADD COLUMN reason text NOT NULL DEFAULT '';

-- The reasons given so far move over: the one exception to "what is written stays
-- written", made by the owner and within this migration.
ALTER TABLE change DISABLE TRIGGER stays_written;
UPDATE change SET reason = told.reason
FROM (SELECT DISTINCT campaign_id, change_no, reason FROM history WHERE reason <> '') AS told
WHERE change.campaign_id = told.campaign_id AND change.change_no = told.change_no;
ALTER TABLE change ENABLE ALWAYS TRIGGER stays_written;
ALTER TABLE history DROP COLUMN reason;

-- Few entries reverse another: the rest need no row in this index.
ALTER TABLE journal_entry DROP CONSTRAINT an_entry_is_reversed_once;
CREATE UNIQUE INDEX an_entry_is_reversed_once ON journal_entry (campaign_id, reverses)
WHERE reverses IS NOT NULL;
