//! Entries that do not balance, have no lines, or lines that are not theirs.

use super::{Attack, Books, Breaks, Constraint, Protection, Row, Rule, Step, attack, lines};

pub fn attacks(b: &Books) -> Vec<Attack> {
    let (p, h, m) = (b.provider, b.held, b.memo);
    let (next, change) = (b.entry + 1, b.change + 1);
    let fair = b.rows(&[&[(p, 100), (h, -100)]]);
    let two = b.rows(&[&[(p, 100), (h, -100)], &[(p, 50), (h, -50)]]);
    let unbalanced = b.rows(&[&[(p, 100), (h, -90)]]);
    let balances = [Rule("an_entry_balances")];
    let complete = [Rule("lines_complete_their_entry")];
    // Without a header that is still to come a line has no day, and moves no balance.
    let dayless = Rule("running_balances_follow_the_balance");
    let renumbered = |first: i16| {
        let mut rows = fair.clone();
        for (line, row) in (first..).zip(&mut rows) {
            row.line = line;
        }
        rows
    };
    let mut reopened = renumbered(90);
    for row in &mut reopened {
        row.entry = b.entry;
    }
    let of_other: Vec<Row> = {
        let mut rows = b.rows(&[&[(p, 100), (h, -100), (p, 50), (h, -50)]]);
        rows[2].campaign = b.other;
        rows[3].campaign = b.other;
        rows
    };
    let numbers = |rows: &[Row]| format!("{{{},{}}}", rows[0].account, rows[1].account);
    vec![
        attack(
            "an entry that does not balance",
            b.post(&unbalanced),
            Breaks("an_entry_balances"),
            &balances,
        ),
        attack(
            "an entry that balances over all books but not in each",
            b.post(&b.rows(&[&[(p, 100), (m, -100)]])),
            Breaks("an_entry_balances"),
            &balances,
        ),
        attack(
            "two entries that balance only together",
            b.post(&b.rows(&[&[(p, 100), (h, -90)], &[(p, 90), (h, -100)]])),
            Breaks("an_entry_balances"),
            &balances,
        ),
        attack(
            "an entry with one line",
            b.post(&b.rows(&[&[(p, 100)]])),
            Breaks("an_entry_has_two_lines"),
            &[
                Constraint("journal_entry", "an_entry_has_two_lines"),
                Rule("an_entry_balances"),
            ],
        ),
        attack(
            "a header without lines",
            [b.change(Some((next, next))), b.header(next, &fair)],
            Breaks("an_entry_has_its_lines"),
            &[Rule("an_entry_has_its_lines")],
        ),
        attack(
            "a change without the entry that it names",
            [b.change(Some((next, next)))],
            Breaks("an_entry_has_its_lines"),
            &[Rule("an_entry_has_its_lines")],
        ),
        attack(
            "lines without a header",
            [b.change(None), lines(&fair)],
            Breaks("lines_complete_their_entry"),
            &[
                Rule("lines_complete_their_entry"),
                dayless,
                // The head's digest is that of its last header.
                Protection::privilege(
                    "ALTER TABLE campaign_head ALTER COLUMN digest DROP NOT NULL",
                ),
                Rule("an_entry_has_its_lines"),
            ],
        ),
        attack(
            "a second balanced pair on an old entry",
            [b.change(None), lines(&reopened)],
            Breaks("lines_complete_their_entry"),
            &[
                Rule("lines_complete_their_entry"),
                Rule("lines_are_of_the_next_entries"),
            ],
        ),
        attack(
            "lines that are numbered from 2",
            {
                let mut steps = b.post(&fair);
                steps[2] = lines(&renumbered(2));
                steps
            },
            Breaks("lines_complete_their_entry"),
            &complete,
        ),
        attack(
            "lines that are numbered from 0, where no reader looks",
            [
                b.change(Some((next, next))),
                b.header_of(next, change, &format!("[0:1]={}", numbers(&fair)), None),
                lines(&renumbered(0)),
            ],
            Breaks("lines_are_numbered_from_one"),
            &[Constraint("journal_entry", "lines_are_numbered_from_one")],
        ),
        attack(
            "fewer lines than the header announces",
            {
                let rows = b.rows(&[&[(p, 100), (h, -100), (p, 1), (h, -1)]]);
                let mut steps = b.post(&rows);
                steps[2] = lines(&rows[..2]);
                steps
            },
            Breaks("lines_complete_their_entry"),
            &complete,
        ),
        attack(
            "more lines than the header announces",
            {
                let rows = b.rows(&[&[(p, 100), (h, -100), (p, 1), (h, -1)]]);
                let mut steps = b.post(&rows[..2]);
                steps[2] = lines(&rows);
                steps
            },
            Breaks("lines_complete_their_entry"),
            &complete,
        ),
        attack(
            "a header that names other accounts than its lines",
            {
                let mut steps = b.post(&fair);
                let lie = format!("{{{},{}}}", h.account_no, p.account_no);
                steps[1] = b.header_of(next, change, &lie, None);
                steps
            },
            Breaks("lines_complete_their_entry"),
            &complete,
        ),
        attack(
            "lines of the second entry before those of the first",
            {
                let mut steps = b.post(&two);
                let second = b.rows(&[&[(p, 50), (h, -50)]]);
                let second: Vec<Row> = second
                    .into_iter()
                    .map(|row| Row {
                        entry: next + 1,
                        ..row
                    })
                    .collect();
                steps[3] = lines(&second);
                steps
            },
            Breaks("lines_are_of_the_next_entries"),
            &[
                Rule("lines_are_of_the_next_entries"),
                Rule("an_entry_has_its_lines"),
            ],
        ),
        attack(
            "two campaigns in one statement",
            {
                let mut steps = b.post(&fair);
                steps[2] = lines(&of_other);
                steps
            },
            Breaks("a_statement_posts_to_one_campaign"),
            &[
                Rule("a_statement_posts_to_one_campaign"),
                Rule("lines_complete_their_entry"),
            ],
        ),
        Attack {
            name: "COPY of an entry that does not balance".to_owned(),
            steps: vec![
                Step::Sql(b.change(Some((next, next)))),
                Step::Sql(b.header(next, &unbalanced)),
                Step::Copy(
                    "COPY line (campaign_id, account_no, entry_no, line_no, amount, balance,
                        debits) FROM STDIN"
                        .to_owned(),
                    unbalanced
                        .iter()
                        .map(|row| {
                            format!(
                                "{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
                                row.campaign,
                                row.account,
                                row.entry,
                                row.line,
                                row.amount,
                                row.balance,
                                row.debits
                            )
                        })
                        .collect(),
                ),
            ],
            broken: Breaks("an_entry_balances"),
            protections: balances.to_vec(),
        },
    ]
}
