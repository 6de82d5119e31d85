//! Lists of runs, refunds and lots: what was approved is what is done.

use super::{Attack, Books, Breaks, Constraint, Denied, Privilege, Rule, StaysWritten, attack};

const RUN: &str = "01900000-0000-7000-8000-00000000aaaa";

fn item(b: &Books, position: i64) -> String {
    format!(
        "INSERT INTO run_item (campaign_id, run_id, position, units, amount, released, hash)
         VALUES ('{}', '{RUN}', {position}, 0, 100, 0, sha256('{position}'))",
        b.id
    )
}

/// A run of so many items, with the hash of the last one.
fn run(b: &Books, items: i64, last: i64) -> String {
    format!(
        "INSERT INTO run (campaign_id, run_id, kind, state, items, units, amount, released, hash,
            as_of_change, approved_by, starts, done, exceptions, planned_at)
         VALUES ('{}', '{RUN}', 'refund', 'planned', {items}, 0, 100, 0, sha256('{last}'), 1, '{{}}',
            0, 0, 0, now())",
        b.id
    )
}

pub fn attacks(b: &Books) -> Vec<Attack> {
    let frozen = "a_runs_list_is_frozen";
    let made = "a_run_is_made_of_its_items";
    let mut attacks = vec![
        attack(
            "an item added to a frozen list",
            [item(b, 1), run(b, 1, 1), item(b, 2)],
            Breaks(frozen),
            &[Rule(frozen)],
        ),
        attack(
            "an item taken out of a frozen list",
            [
                item(b, 1),
                run(b, 1, 1),
                format!("DELETE FROM run_item WHERE run_id = '{RUN}'"),
            ],
            Breaks(frozen),
            &[Rule(frozen)],
        ),
        attack(
            "a run of more items than its list has",
            [item(b, 1), run(b, 2, 1)],
            Breaks(made),
            &[Rule(made)],
        ),
        attack(
            "a run with another list's hash",
            [item(b, 1), run(b, 1, 7)],
            Breaks(made),
            &[Rule(made)],
        ),
        attack(
            "an item that is done by nobody",
            [
                item(b, 1),
                format!("UPDATE run_item SET state = 'done' WHERE run_id = '{RUN}'"),
            ],
            Breaks("an_item_is_worked_by_a_change"),
            &[Constraint("run_item", "an_item_is_worked_by_a_change")],
        ),
        attack(
            "more reserved than stands",
            [format!(
                "UPDATE payment SET reserved = 2 * gross WHERE campaign_id = '{}'",
                b.id
            )],
            Breaks("no_more_is_reserved_than_stands"),
            &[Constraint("payment", "no_more_is_reserved_than_stands")],
        ),
        attack(
            "shares out of nothing",
            [format!(
                "UPDATE payment SET allotted = allotted + 100 WHERE campaign_id = '{}'",
                b.id
            )],
            Breaks("parts_of_a_payment_are_the_whole"),
            &[Constraint("payment", "parts_of_a_payment_are_the_whole")],
        ),
    ];
    for (table, column, words) in [
        ("run_item", "amount", "permission denied for table run_item"),
        ("run", "amount", "permission denied for table run"),
        ("refund", "amount", "permission denied for table refund"),
        ("lot", "units", "permission denied for table lot"),
        ("payout", "amount", "permission denied for table payout"),
    ] {
        attacks.push(attack(
            &format!("another {column} of a {table}"),
            [format!("UPDATE {table} SET {column} = {column} + 1")],
            Denied(words),
            &[Privilege(format!(
                "GRANT UPDATE ON {table} TO pledgebook_app"
            ))],
        ));
    }
    for (table, words) in [
        ("run", "permission denied for table run"),
        ("refund", "permission denied for table refund"),
        ("lot", "permission denied for table lot"),
        ("payout", "permission denied for table payout"),
    ] {
        attacks.push(attack(
            &format!("DELETE of {table}"),
            [format!("DELETE FROM {table}")],
            Denied(words),
            &[
                Privilege(format!("GRANT DELETE ON {table} TO pledgebook_app")),
                StaysWritten(table),
            ],
        ));
    }
    attacks
}
