//! Numbers, moments and identities that were used, skipped or made up.

use std::slice::from_ref;

use uuid::Uuid;

use super::{Attack, Books, Breaks, Constraint, Denied, Protection, Row, Rule, attack, lines};

pub fn attacks(b: &Books) -> Vec<Attack> {
    let (p, h) = (b.provider, b.held);
    let (next, change) = (b.entry + 1, b.change + 1);
    let fair = b.rows(&[&[(p, 100), (h, -100)]]);
    let moved_up: Vec<Row> = fair
        .iter()
        .map(|row| Row {
            entry: next + 1,
            ..*row
        })
        .collect();
    let accounts = format!("{{{},{}}}", p.account_no, h.account_no);
    let (now, named) = (b.last_moment(), Some((next, next)));
    let of_its_change = Rule("an_entry_is_of_the_change_that_names_it");
    let of_the_next = Rule("lines_are_of_the_next_entries");
    let has_lines = Rule("an_entry_has_its_lines");
    let dense = Rule("change_numbers_are_dense_and_time_goes_on");
    let follows_its_batch = Rule("a_batch_follows_what_it_was_decided_on");
    // The next change after it, in the same statement.
    let beside = |first: String| {
        let second = b.change_at(change + 1, None, &now);
        format!("{first}, {}", second.split_once("VALUES ").unwrap().1)
    };
    let with = |columns: &str, values: &str| {
        b.change(None)
            .replacen("last_entry_no)", &format!("last_entry_no, {columns})"), 1)
            .replacen("NULL, NULL)", &format!("NULL, NULL, {values})"), 1)
    };
    let made =
        |refusal: &str, history: &str| with("refusal, history", &format!("{refusal}, {history}"));
    let header = |entry, change| b.header_of(entry, change, &accounts, None);
    let posted = |change_no| vec![b.change(named), header(next, change_no), lines(&fair)];
    let reversing = |reverses: &[i64]| {
        let rows = match reverses.len() {
            1 => fair.clone(),
            _ => b.rows(&[&[(p, 100), (h, -100)], &[(p, 50), (h, -50)]]),
        };
        let mut steps = b.post(&rows);
        for ((entry, reverses), step) in (next..).zip(reverses).zip(&mut steps[1..]) {
            *step = b.header_of(entry, change, &accounts, Some(*reverses));
        }
        steps
    };
    let follows = [Constraint(
        "journal_entry",
        "a_reversal_follows_its_original",
    )];
    let account = |number: i32, code: i16, owner: &str| {
        format!(
            "INSERT INTO account (campaign_id, account_no, code, commodity, owner)
             VALUES ('{}', {number}, {code}, 'EUR', '{owner}')",
            b.id
        )
    };
    let nobody = Uuid::nil().to_string();
    // A second row that is right by itself, but for the campaign.
    let of_both = |statement: &str, number: i64, column: &str| {
        let row = statement.split_once("VALUES ").unwrap().1;
        let its_own = format!(
            "'{0}', (SELECT {column} + 1 FROM campaign_head WHERE campaign_id = '{0}'),",
            b.other
        );
        let row = row.replacen(&format!("'{}', {number},", b.id), &its_own, 1);
        format!("{statement}, {row}")
    };
    let arrives = Rule("a_payment_arrives_on_an_account_of_its_campaign");
    let claimed = |campaign: Uuid, money_account: &str| {
        format!(
            "INSERT INTO effect (campaign_id, money_account_id, object_id, effect, seq, amount,
                 payment_id, change_no)
             VALUES ('{campaign}', {money_account}, 'ch_1', 'capture', '', 1,
                 gen_random_uuid(), 1)"
        )
    };
    let of_ours = format!(
        "(SELECT money_account_id FROM money_account WHERE campaign_id = '{}' LIMIT 1)",
        b.id
    );
    vec![
        attack(
            "a gap in the entry numbers",
            [b.change(named), header(next + 1, change), lines(&moved_up)],
            Breaks("an_entry_is_of_the_change_that_names_it"),
            &[
                of_its_change.clone(),
                of_the_next.clone(),
                has_lines.clone(),
            ],
        ),
        attack(
            "an entry that its change names and that is left out",
            [
                b.change(Some((next, next + 1))),
                header(next + 1, change),
                lines(&moved_up),
            ],
            Breaks("lines_are_of_the_next_entries"),
            &[of_the_next, has_lines.clone()],
        ),
        attack(
            "an entry number that was used",
            [b.change(named), header(b.entry, change)],
            Breaks("journal_entry_pkey"),
            &[
                Constraint("journal_entry", "journal_entry_pkey"),
                of_its_change.clone(),
                has_lines.clone(),
            ],
        ),
        attack(
            "an entry of another moment than its change",
            {
                let mut steps = posted(change);
                steps[1] =
                    steps[1].replacen(&format!("'2026-01-31', {now}"), "'2026-01-31', now()", 1);
                steps
            },
            Breaks("an_entry_is_of_the_moment_of_its_change"),
            &[Rule("an_entry_is_of_the_moment_of_its_change")],
        ),
        attack(
            "an entry of a change that does not exist",
            posted(change + 5),
            Breaks("an_entry_is_of_the_change_that_names_it"),
            from_ref(&of_its_change),
        ),
        attack(
            "an entry that is slipped under an old change",
            posted(1),
            Breaks("an_entry_is_of_the_change_that_names_it"),
            from_ref(&of_its_change),
        ),
        attack(
            "an entry that no change names",
            [b.change(None), header(next, change), lines(&fair)],
            Breaks("an_entry_is_of_the_change_that_names_it"),
            &[of_its_change, has_lines],
        ),
        attack(
            "a change that names an old entry as its own",
            [b.change(Some((1, 1)))],
            Breaks("a_change_names_the_next_entries"),
            &[Rule("a_change_names_the_next_entries")],
        ),
        attack(
            "a gap in the change numbers",
            [b.change_at(change + 1, None, &now)],
            Breaks("change_numbers_are_dense_and_time_goes_on"),
            from_ref(&dense),
        ),
        attack(
            "a change number that was used",
            [b.change_at(b.change, None, &now)],
            Breaks("change_pkey"),
            &[Constraint("change", "change_pkey"), dense.clone()],
        ),
        attack(
            "a change that goes back in time",
            [b.change_at(change, None, &format!("{now} - interval '1 microsecond'"))],
            Breaks("change_numbers_are_dense_and_time_goes_on"),
            from_ref(&dense),
        ),
        attack(
            "a change that goes back in time beside one that does not",
            [beside(b.change_at(
                change,
                None,
                &format!("{now} + interval '1 day'"),
            ))],
            Breaks("change_numbers_are_dense_and_time_goes_on"),
            from_ref(&dense),
        ),
        attack(
            "a batch that was decided on another one than the last",
            [b.change(None)
                .replacen("SELECT batch", "SELECT batch + 1", 1)],
            Breaks("a_batch_follows_what_it_was_decided_on"),
            from_ref(&follows_its_batch),
        ),
        attack(
            "a batch that does not say on what it was decided",
            [b.change(None)
                .replacen("SELECT batch", "SELECT NULL::bigint", 1)],
            Breaks("a_batch_follows_what_it_was_decided_on"),
            from_ref(&follows_its_batch),
        ),
        attack(
            "a batch that its second change names",
            [beside(
                b.change(None).replacen(", 7,", ", NULL,", 1).replacen(
                    "SELECT batch",
                    "SELECT NULL::bigint",
                    1,
                ),
            )],
            Breaks("a_batch_follows_what_it_was_decided_on"),
            from_ref(&follows_its_batch),
        ),
        attack(
            "a tally that is not whole",
            [with(
                "tally",
                "ROW(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, NULL)",
            )],
            Breaks("the_tally_is_whole"),
            &[Constraint("campaign_head", "the_tally_is_whole")],
        ),
        attack(
            "a tally that no batch names",
            [with(
                "tally",
                "ROW(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)",
            )
            .replacen(", 7,", ", NULL,", 1)],
            Breaks("a_tally_is_a_batchs"),
            &[
                Constraint("change", "a_tally_is_a_batchs"),
                follows_its_batch.clone(),
            ],
        ),
        attack(
            "two batches in one statement",
            [beside(b.change(None))],
            Breaks("a_batch_follows_what_it_was_decided_on"),
            from_ref(&follows_its_batch),
        ),
        attack(
            "changes of two campaigns in one statement",
            [of_both(&b.change(None), change, "change_no")],
            Breaks("a_statement_posts_to_one_campaign"),
            &[Rule("a_statement_posts_to_one_campaign")],
        ),
        attack(
            "a change at the end of time, after which there is none",
            [b.change_at(change, None, "'infinity'")],
            Breaks("a_moment_is_finite"),
            &[Constraint("change", "a_moment_is_finite")],
        ),
        attack(
            "a request id with a second outcome",
            [b.change(None)
                .replacen("gen_random_uuid()", &format!("'{}'", b.request), 1)],
            Breaks("one_outcome_a_request_id"),
            &[Constraint("change", "one_outcome_a_request_id")],
        ),
        attack(
            "a refusal that made something",
            [made("'{}'", "'[]'")],
            Breaks("what_is_not_done_makes_nothing"),
            &[Constraint("change", "what_is_not_done_makes_nothing")],
        ),
        attack(
            "a history that nobody can read",
            [made("NULL", "'{}'")],
            Breaks("history_is_a_list"),
            &[Constraint("change", "history_is_a_list")],
        ),
        attack(
            "a movement that is claimed on an account of nobody's",
            [claimed(b.id, "gen_random_uuid()")],
            Breaks("a_payment_arrives_on_an_account_of_its_campaign"),
            from_ref(&arrives),
        ),
        attack(
            "a movement that is claimed for another campaign than its account's",
            [claimed(b.other, &of_ours)],
            Breaks("a_payment_arrives_on_an_account_of_its_campaign"),
            from_ref(&arrives),
        ),
        attack(
            "a payment that arrives on an account of nobody's",
            [format!(
                "INSERT INTO payment (campaign_id, payment_id, money_account_id, object_id, state,
                     method, gross, held, refundable, unallocated, fee, fee_known, fee_deferred,
                     occurred_at, value_date, available_on, failure_code, entry_no)
                 VALUES ('{}', gen_random_uuid(), gen_random_uuid(), 'ch_1', 'succeeded', 'card',
                     1, 1, 0, 0, 0, false, 0, now(), now(), now(), '', 1)",
                b.id
            )],
            Breaks("a_payment_arrives_on_an_account_of_its_campaign"),
            &[arrives],
        ),
        attack(
            "a payment that is moved to another account of money",
            [format!(
                "UPDATE payment SET money_account_id = gen_random_uuid() WHERE campaign_id = '{}'",
                b.id
            )],
            Denied("permission denied for table payment"),
            &[Protection::privilege(
                "GRANT UPDATE (money_account_id) ON payment TO pledgebook_app",
            )],
        ),
        attack(
            "an entry that is reversed twice",
            reversing(&[1, 1]),
            Breaks("an_entry_is_reversed_once"),
            &[Protection::privilege(
                "DROP INDEX an_entry_is_reversed_once",
            )],
        ),
        attack(
            "an entry that reverses itself",
            reversing(&[next]),
            Breaks("a_reversal_follows_its_original"),
            &follows,
        ),
        attack(
            "an entry that reverses one before the first",
            reversing(&[0]),
            Breaks("a_reversal_follows_its_original"),
            &follows,
        ),
        attack(
            "a movement of money that is claimed twice",
            [format!(
                "INSERT INTO effect SELECT * FROM effect WHERE campaign_id = '{}' LIMIT 1",
                b.id
            )],
            Breaks("a_movement_posts_once"),
            &[Constraint("effect", "a_movement_posts_once")],
        ),
        attack(
            "an account at a provider that two campaigns have",
            [format!(
                "INSERT INTO money_account
                 SELECT '{}', gen_random_uuid(), kind, institution, external_id, currency, livemode
                 FROM money_account WHERE campaign_id = '{}'",
                b.other, b.id
            )],
            Breaks("an_account_belongs_to_one_campaign"),
            &[Constraint(
                "money_account",
                "an_account_belongs_to_one_campaign",
            )],
        ),
        attack(
            "a gap in the account numbers",
            [account(b.bare + 2, 4200, &nobody)],
            Breaks("account_numbers_are_dense"),
            &[Rule("account_numbers_are_dense")],
        ),
        attack(
            "accounts of two campaigns in one statement",
            [of_both(
                &account(b.bare + 1, 4200, &nobody),
                i64::from(b.bare + 1),
                "account_no",
            )],
            Breaks("account_numbers_are_dense"),
            &[Rule("account_numbers_are_dense")],
        ),
        attack(
            "an account of a campaign that does not exist",
            [format!(
                "INSERT INTO account (campaign_id, account_no, code, commodity, owner)
                 VALUES (gen_random_uuid(), 1, 4200, 'EUR', '{nobody}')"
            )],
            Breaks("account_numbers_are_dense"),
            &[Rule("account_numbers_are_dense")],
        ),
        attack(
            "one account under two numbers",
            [account(b.bare + 1, p.code, &p.owner.to_string())],
            Breaks("one_account_a_code_commodity_and_owner"),
            &[Constraint(
                "account",
                "one_account_a_code_commodity_and_owner",
            )],
        ),
        attack(
            "an account that the chart does not know",
            [account(b.bare + 1, 2101, &nobody)],
            Breaks("an_account_has_a_code_of_the_chart"),
            &[Rule("an_account_has_a_code_of_the_chart")],
        ),
    ]
}
