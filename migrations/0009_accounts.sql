-- Opening an account, made cheaper. Whoever pays for the first time opens two or three, so on
-- the day on which a campaign goes viral every payment does.
--
-- What three keys checked row by row the trigger says set by set: the campaign exists, since
-- its head takes the numbers; the chart knows the code; and the application's role has a
-- balance inserted here alone, beside its account, and neither is ever taken away. The key of
-- the balances was asked once more when an account was posted to by the statement that
-- opened it.
ALTER TABLE account DROP CONSTRAINT account_campaign_id_fkey, DROP CONSTRAINT account_code_fkey;
ALTER TABLE balance DROP CONSTRAINT balance_belongs_to_an_account;

-- An account begins with a zero balance, and takes the campaign's next number.
CREATE OR REPLACE FUNCTION open_accounts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_campaign record;
BEGIN
    FOR of_campaign IN
        SELECT campaign_id, count(*) AS how_many, min(account_no) AS first_no, max(account_no) AS last_no
        FROM opened GROUP BY campaign_id
    LOOP
        UPDATE campaign_head SET account_no = of_campaign.last_no
        WHERE campaign_id = of_campaign.campaign_id
            AND account_no + 1 = of_campaign.first_no
            AND account_no + of_campaign.how_many = of_campaign.last_no;
        IF NOT FOUND THEN
            PERFORM refuse('account_numbers_are_dense', of_campaign.campaign_id::text);
        END IF;
    END LOOP;
    IF EXISTS (
        SELECT FROM opened LEFT JOIN chart_account USING (code) WHERE chart_account.code IS NULL
    ) THEN
        PERFORM refuse('an_account_has_a_code_of_the_chart', TG_TABLE_NAME);
    END IF;
    INSERT INTO balance (campaign_id, account_no, guard, unit)
    SELECT opened.campaign_id, opened.account_no, chart_account.guard,
        chart_account.book || opened.commodity
    FROM opened JOIN chart_account USING (code);
    RETURN NULL;
END
$$;
