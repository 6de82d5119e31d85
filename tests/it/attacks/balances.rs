//! Balances that lie, accounts that are none, floors that are broken.

use super::{
    Account, Attack, Books, Breaks, Constraint, Denied, Protection, Row, Rule, attack, lines_into,
};

pub fn attacks(b: &Books) -> Vec<Attack> {
    let (p, h) = (b.provider, b.held);
    let next = b.entry + 1;
    // An account that was not moved is missing where its entries are summed.
    let follow = [
        Rule("running_balances_follow_the_balance"),
        Rule("an_entry_balances"),
    ];
    let has_account = [
        Rule("a_line_has_an_account_of_its_campaign"),
        Rule("running_balances_follow_the_balance"),
        Rule("an_entry_balances"),
    ];
    let no_such = |number: i32| Account {
        account_no: number,
        balance: 0,
        debits: 0,
        ..p
    };
    let [one, two] = b.foreign.map(no_such);
    let (bare, nobodys) = (no_such(b.bare), no_such(b.nobodys));
    let fair = b.rows(&[&[(p, 100), (h, -100)]]);
    let changed = |rows: &[Row], index: usize, change: fn(&mut Row)| {
        let mut rows = rows.to_vec();
        change(&mut rows[index]);
        b.post(&rows)
    };
    // More than is held: under the floor, which for a liability is above zero.
    let all = 1 - h.balance;
    let there_and_back = b.rows(&[&[(h, all), (p, -all)], &[(p, all), (h, -all)]]);
    let bound = 1_000_000_000_000_001;
    vec![
        attack(
            "a running balance that is wrong at the end",
            changed(&fair, 1, |row| row.balance += 1),
            Breaks("running_balances_follow_the_balance"),
            &follow,
        ),
        attack(
            "a running sum of debits that is wrong at the end",
            changed(&fair, 0, |row| row.debits += 1),
            Breaks("running_balances_follow_the_balance"),
            &follow,
        ),
        attack(
            "a running balance that is wrong on the way",
            changed(
                &b.rows(&[&[(p, 100), (h, -100)], &[(p, 50), (h, -50)]]),
                1,
                |row| row.balance -= 7,
            ),
            Breaks("running_balances_follow_the_balance"),
            &follow,
        ),
        attack(
            "a balance that ends under its floor",
            b.post(&b.rows(&[&[(h, all), (p, -all)]])),
            Breaks("balance_keeps_its_floor"),
            &[
                Constraint("balance", "balance_keeps_its_floor"),
                Rule("no_running_balance_is_under_its_floor"),
            ],
        ),
        attack(
            "a balance that is under its floor on the way",
            b.post(&there_and_back),
            Breaks("no_running_balance_is_under_its_floor"),
            &[Rule("no_running_balance_is_under_its_floor")],
        ),
        attack(
            "a balance that is under its floor on the way, and lies about it",
            changed(&there_and_back, 0, |row| row.balance = 0),
            Breaks("running_balances_follow_the_balance"),
            &follow,
        ),
        attack(
            "lines on accounts of another campaign",
            b.post(&b.rows(&[&[(one, 100), (two, -100)]])),
            Breaks("a_line_has_an_account_of_its_campaign"),
            &has_account,
        ),
        attack(
            "lines on accounts of another campaign beside right ones",
            b.post(&b.rows(&[&[(p, 9), (h, -9), (one, 100), (two, -100)]])),
            Breaks("a_line_has_an_account_of_its_campaign"),
            &has_account,
        ),
        attack(
            "lines on an account without a balance row",
            b.post(&b.rows(&[&[(bare, 100), (bare, -100)]])),
            Breaks("a_line_has_an_account_of_its_campaign"),
            &has_account,
        ),
        attack(
            "lines on an account that nobody opened",
            b.post(&b.rows(&[&[(nobodys, 100), (nobodys, -100)]])),
            Breaks("a_line_has_an_account_of_its_campaign"),
            &has_account,
        ),
        attack(
            "a line of nothing",
            b.post(&b.rows(&[&[(p, 0), (h, 0)]])),
            Breaks("amount_is_bounded"),
            &[Constraint("line", "amount_is_bounded")],
        ),
        attack(
            "a line over the bound",
            b.post(&b.rows(&[&[(p, bound), (h, -bound)]])),
            Breaks("amount_is_bounded"),
            &[Constraint("line", "amount_is_bounded")],
        ),
        attack(
            "a table of its own in the place of the balances",
            {
                let mut steps = vec![
                    "CREATE TEMP TABLE balance AS SELECT campaign_id, account_no, balance, debits,
                        0::smallint AS guard, unit, day, balance_before_day, debits_before_day
                     FROM public.balance"
                        .to_owned(),
                    "GRANT ALL ON pg_temp.balance TO pledgebook_owner".to_owned(),
                ];
                steps.extend(b.post(&b.rows(&[&[(h, all), (p, -all)]])));
                steps
            },
            Breaks("balance_keeps_its_floor"),
            &[Protection::privilege(
                "ALTER FUNCTION post_lines() SET search_path = pg_temp, public",
            )],
        ),
        attack(
            "the owner's trigger function on a table of its own",
            [
                "CREATE TEMP TABLE forged (LIKE public.line)".to_owned(),
                "CREATE TRIGGER post AFTER INSERT ON forged REFERENCING NEW TABLE AS posted
                 FOR EACH STATEMENT EXECUTE FUNCTION post_lines()"
                    .to_owned(),
                b.change(Some((next, next))),
                b.header(next, &fair),
                lines_into("forged", &fair),
            ],
            Denied("permission denied for function post_lines"),
            &[Protection::privilege(
                "GRANT EXECUTE ON FUNCTION post_lines() TO pledgebook_app",
            )],
        ),
    ]
}
