//! The database refuses a buggy application: SQL in the application's own role
//! that tries to break the books of a campaign with real data.
//!
//! Every attack names the rule, constraint or privilege that stops it, and is
//! stopped by that and by nothing else that happens to be wrong with it: the
//! control takes away what the attack names, and then it goes through.

use std::collections::HashMap;

use pledgebook::grpc::pb;
use sqlx::{
    AssertSqlSafe, Connection, FromRow, PgConnection, PgPool, postgres::PgPoolCopyExt as _,
};
use uuid::Uuid;

use crate::harness::{Campaign, Database, Tester, detail, reason, text};

/// An account of the attacked campaign, as it stands.
#[derive(Clone, Copy, Debug, FromRow)]
struct Account {
    account_no: i32,
    code: i16,
    owner: Uuid,
    balance: i64,
    debits: i64,
}

/// A campaign with real data, and what an attacker would know of it.
struct Books {
    id: Uuid,
    change: i64,
    entry: i64,
    provider: Account,
    held: Account,
    memo: Account,
    /// Numbers that only the other campaign has.
    foreign: [i32; 2],
    /// An account that has lost its balance row.
    bare: i32,
    /// A number that no campaign has.
    nobodys: i32,
    other: Uuid,
    request: Uuid,
}

/// One line as an attacker writes it.
#[derive(Clone, Copy, Debug)]
struct Row {
    campaign: Uuid,
    account: i32,
    entry: i64,
    line: i16,
    amount: i64,
    balance: i64,
    debits: i64,
}

const DIGEST: &str = "decode(repeat('ab', 32), 'hex')";

impl Books {
    /// The campaign's last moment: the only one that a new entry may have.
    fn last_moment(&self) -> String {
        format!(
            "(SELECT recorded_at FROM campaign_head WHERE campaign_id = '{}')",
            self.id
        )
    }

    fn change_at(&self, number: i64, entries: Option<(i64, i64)>, at: &str) -> String {
        let (first, last) = entries.map_or(("NULL".to_owned(), "NULL".to_owned()), |(f, l)| {
            (f.to_string(), l.to_string())
        });
        format!(
            "INSERT INTO change (campaign_id, change_no, request_id, method, principal, fields,
                recorded_at, first_entry_no, last_entry_no)
             VALUES ('{}', {number}, gen_random_uuid(), 'Attack', 'attacker', '', {at}, {first}, {last})",
            self.id
        )
    }

    /// The next change, with the entries that it names as its own.
    fn change(&self, entries: Option<(i64, i64)>) -> String {
        self.change_at(self.change + 1, entries, &self.last_moment())
    }

    fn header_of(&self, entry: i64, change: i64, accounts: &str, reverses: Option<i64>) -> String {
        let reverses = reverses.map_or("NULL".to_owned(), |entry| entry.to_string());
        let at = self.last_moment();
        format!(
            "INSERT INTO journal_entry (campaign_id, entry_no, change_no, event, occurred_at,
                value_date, recorded_at, reverses, accounts, digest)
             VALUES ('{}', {entry}, {change}, 'pledge_created', {at}, '2026-01-31', {at}, {reverses},
                '{accounts}', {DIGEST})",
            self.id
        )
    }

    /// A header of the next change.
    fn header(&self, entry: i64, rows: &[Row]) -> String {
        let rows = rows.iter().filter(|row| row.entry == entry);
        let accounts: Vec<String> = rows.map(|row| row.account.to_string()).collect();
        let accounts = format!("{{{}}}", accounts.join(","));
        self.header_of(entry, self.change + 1, &accounts, None)
    }

    /// Lines with the running balances that they would have, entry after entry.
    fn rows(&self, entries: &[&[(Account, i64)]]) -> Vec<Row> {
        let mut standing: HashMap<i32, (i64, i64)> = HashMap::new();
        let mut rows = Vec::new();
        for (entry, legs) in (self.entry + 1..).zip(entries) {
            for (line, (account, amount)) in (1..).zip(*legs) {
                let (balance, debits) = standing
                    .entry(account.account_no)
                    .or_insert((account.balance, account.debits));
                *balance += amount;
                *debits += amount.max(&0);
                rows.push(Row {
                    campaign: self.id,
                    account: account.account_no,
                    entry,
                    line,
                    amount: *amount,
                    balance: *balance,
                    debits: *debits,
                });
            }
        }
        rows
    }

    /// A change, its headers and its lines: all in order but for what is wrong with the rows.
    fn post(&self, rows: &[Row]) -> Vec<String> {
        let last = rows.iter().map(|row| row.entry).max().unwrap();
        let mut steps = vec![self.change(Some((self.entry + 1, last)))];
        steps.extend((self.entry + 1..=last).map(|entry| self.header(entry, rows)));
        steps.push(lines(rows));
        steps
    }
}

fn lines_into(table: &str, rows: &[Row]) -> String {
    let values = rows.iter().map(|row| {
        format!(
            "('{}', {}, {}, {}, {}, {}, {})",
            row.campaign, row.account, row.entry, row.line, row.amount, row.balance, row.debits
        )
    });
    format!(
        "INSERT INTO {table} (campaign_id, account_no, entry_no, line_no, amount, balance, debits)
         VALUES {}",
        values.collect::<Vec<_>>().join(", ")
    )
}

fn lines(rows: &[Row]) -> String {
    lines_into("public.line", rows)
}

/// What an attack does, step by step in one database transaction.
enum Step {
    Sql(String),
    Copy(String, String),
}

/// What stops an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    /// A rule or constraint of this name.
    Rule(&'static str),
    /// A privilege that the role lacks; the message says so in these words.
    Denied(&'static str),
}

/// Something that protects the books, and that a control can take away.
#[derive(Clone, Debug)]
enum Protection {
    /// A rule that a trigger keeps.
    Rule(&'static str),
    /// A constraint of a table.
    Constraint(&'static str, &'static str),
    /// The trigger that keeps what is written in a table.
    StaysWritten(&'static str),
    /// A privilege that nobody has granted: how to grant it.
    Privilege(String),
}

use Broken::{Denied, Rule as Breaks};
use Protection::{Constraint, Privilege, Rule, StaysWritten};

impl Protection {
    fn privilege(grant: &str) -> Self {
        Privilege(grant.to_owned())
    }
}

/// Takes protections away, as the superuser.
fn without(protections: &[Protection]) -> Vec<String> {
    let rules: Vec<&str> = protections
        .iter()
        .filter_map(|protection| match protection {
            Rule(name) => Some(*name),
            Constraint(..) | StaysWritten(_) | Privilege(_) => None,
        })
        .collect();
    let mut statements = Vec::new();
    if !rules.is_empty() {
        statements.push(format!(
            "CREATE OR REPLACE FUNCTION refuse(broken text, detail text) RETURNS void
             LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
             BEGIN
                 IF broken = ANY ('{{{}}}') THEN RETURN; END IF;
                 RAISE EXCEPTION '%: %', broken, detail
                     USING ERRCODE = 'check_violation', CONSTRAINT = broken;
             END $$",
            rules.join(",")
        ));
    }
    for protection in protections {
        match protection {
            Rule(_) => {}
            Constraint(table, name) => {
                statements.push(format!("ALTER TABLE {table} DROP CONSTRAINT {name}"));
            }
            StaysWritten(table) => {
                statements.push(format!("ALTER TABLE {table} DISABLE TRIGGER stays_written"))
            }
            Privilege(grant) => statements.push(grant.clone()),
        }
    }
    statements
}

struct Attack {
    name: String,
    steps: Vec<Step>,
    broken: Broken,
    /// All that stands in its way, the first one to be met first. Nothing where
    /// only the role's own rank would let it through.
    protections: Vec<Protection>,
}

fn attack(
    name: &str,
    steps: impl IntoIterator<Item = String>,
    broken: Broken,
    protections: &[Protection],
) -> Attack {
    Attack {
        name: name.to_owned(),
        steps: steps.into_iter().map(Step::Sql).collect(),
        broken,
        protections: protections.to_vec(),
    }
}

/// Entries that do not balance, have no lines, or lines that are not theirs.
fn on_entries(b: &Books) -> Vec<Attack> {
    let (p, h, m) = (b.provider, b.held, b.memo);
    let (next, change) = (b.entry + 1, b.change + 1);
    let fair = b.rows(&[&[(p, 100), (h, -100)]]);
    let two = b.rows(&[&[(p, 100), (h, -100)], &[(p, 50), (h, -50)]]);
    let unbalanced = b.rows(&[&[(p, 100), (h, -90)]]);
    let balances = [Rule("an_entry_balances")];
    let complete = [Rule("lines_complete_their_entry")];
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
                Rule("an_entry_has_its_lines"),
            ],
        ),
        attack(
            "a second balanced pair on an old entry",
            [b.change(None), lines(&reopened)],
            Breaks("lines_complete_their_entry"),
            &[
                Rule("lines_complete_their_entry"),
                Rule("entry_numbers_are_dense"),
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
            Breaks("entry_numbers_are_dense"),
            &[Rule("entry_numbers_are_dense")],
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

/// Numbers, moments and identities that were used, skipped or made up.
fn on_numbers(b: &Books) -> Vec<Attack> {
    let (p, h) = (b.provider, b.held);
    let (next, change) = (b.entry + 1, b.change + 1);
    let fair = b.rows(&[&[(p, 100), (h, -100)]]);
    let accounts = format!("{{{},{}}}", p.account_no, h.account_no);
    let (now, named) = (b.last_moment(), Some((next, next)));
    let of_its_change = Rule("an_entry_is_of_the_change_that_names_it");
    let numbered = Rule("entry_numbers_are_dense_and_of_this_moment");
    let has_lines = Rule("an_entry_has_its_lines");
    let dense = Rule("change_numbers_are_dense_and_time_goes_on");
    let history = |change: i64| {
        format!(
            "INSERT INTO history (campaign_id, change_no, ordinal, subject_id, snapshot)
             VALUES ('{}', {change}, 99, gen_random_uuid(), '{{}}')",
            b.id
        )
    };
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
    vec![
        attack(
            "a gap in the entry numbers",
            [
                b.change(named),
                header(next + 1, change),
                lines(
                    &fair
                        .iter()
                        .map(|row| Row {
                            entry: next + 1,
                            ..*row
                        })
                        .collect::<Vec<_>>(),
                ),
            ],
            Breaks("entry_numbers_are_dense_and_of_this_moment"),
            &[
                numbered.clone(),
                of_its_change.clone(),
                Rule("entry_numbers_are_dense"),
                has_lines.clone(),
            ],
        ),
        attack(
            "an entry number that was used",
            [b.change(named), header(b.entry, change)],
            Breaks("journal_entry_pkey"),
            &[
                Constraint("journal_entry", "journal_entry_pkey"),
                numbered.clone(),
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
            Breaks("entry_numbers_are_dense_and_of_this_moment"),
            &[numbered, has_lines.clone()],
        ),
        attack(
            "an entry of a change that does not exist",
            posted(change + 5),
            Breaks("an_entry_is_of_the_change_that_names_it"),
            &[of_its_change.clone()],
        ),
        attack(
            "an entry that is slipped under an old change",
            posted(1),
            Breaks("an_entry_is_of_the_change_that_names_it"),
            &[of_its_change.clone()],
        ),
        attack(
            "an entry that no change names",
            [b.change(None), header(next, change), lines(&fair)],
            Breaks("an_entry_is_of_the_change_that_names_it"),
            &[of_its_change, has_lines.clone()],
        ),
        attack(
            "a change that names an old entry as its own",
            [b.change(Some((1, 1)))],
            Breaks("a_change_names_the_next_entries"),
            &[Rule("a_change_names_the_next_entries"), has_lines],
        ),
        attack(
            "a gap in the change numbers",
            [b.change_at(change + 1, None, &now)],
            Breaks("change_numbers_are_dense_and_time_goes_on"),
            &[dense.clone()],
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
            &[dense],
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
            "history that is added to an old change",
            [b.change(None), history(1)],
            Breaks("history_is_written_with_its_change"),
            &[Rule("history_is_written_with_its_change")],
        ),
        attack(
            "history that is added to the last change afterwards",
            [history(b.change)],
            Breaks("history_is_written_with_its_change"),
            &[Rule("history_is_written_with_its_change")],
        ),
        attack(
            "history of a change that does not exist",
            [history(change)],
            Breaks("history_is_written_with_its_change"),
            &[Rule("history_is_written_with_its_change")],
        ),
        attack(
            "an entry that is reversed twice",
            reversing(&[1, 1]),
            Breaks("an_entry_is_reversed_once"),
            &[Constraint("journal_entry", "an_entry_is_reversed_once")],
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
            Breaks("account_code_fkey"),
            &[Constraint("account", "account_code_fkey")],
        ),
    ]
}

/// Balances that lie, accounts that are none, floors that are broken.
fn on_balances(b: &Books) -> Vec<Attack> {
    let (p, h) = (b.provider, b.held);
    let next = b.entry + 1;
    let follow = [Rule("running_balances_follow_the_balance")];
    let has_account = [Rule("a_line_has_an_account_of_its_campaign")];
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
                        0::smallint AS guard, unit FROM public.balance"
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

/// Rows that are written by nobody's hand but a trigger's, or by nobody again.
fn on_rows(b: &Books) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut denied = |what: &str, statement: String, words, protections: &[Protection]| {
        attacks.push(attack(what, [statement], Denied(words), protections));
    };
    for (table, column, words) in [
        ("line", "amount", "permission denied for table line"),
        (
            "journal_entry",
            "digest",
            "permission denied for table journal_entry",
        ),
        ("change", "refusal", "permission denied for table change"),
        ("history", "snapshot", "permission denied for table history"),
        ("account", "owner", "permission denied for table account"),
        (
            "chart_account",
            "guard",
            "permission denied for table chart_account",
        ),
        ("effect", "amount", "permission denied for table effect"),
        ("terms", "maximum", "permission denied for table terms"),
        (
            "money_account",
            "livemode",
            "permission denied for table money_account",
        ),
    ] {
        denied(
            &format!("UPDATE of {table}"),
            format!("UPDATE {table} SET {column} = {column}"),
            words,
            &[
                Privilege(format!("GRANT UPDATE ON {table} TO pledgebook_app")),
                StaysWritten(table),
            ],
        );
    }
    for (table, which, words) in [
        ("line", "true", "permission denied for table line"),
        (
            "journal_entry",
            "true",
            "permission denied for table journal_entry",
        ),
        ("change", "true", "permission denied for table change"),
        ("history", "true", "permission denied for table history"),
        // One that nothing refers to: the rest is held by foreign keys too.
        (
            "account",
            "code = 4100",
            "permission denied for table account",
        ),
        (
            "chart_account",
            "code = 9101",
            "permission denied for table chart_account",
        ),
        ("effect", "true", "permission denied for table effect"),
        ("terms", "true", "permission denied for table terms"),
        ("balance", "true", "permission denied for table balance"),
        (
            "account_day",
            "true",
            "permission denied for table account_day",
        ),
    ] {
        denied(
            &format!("DELETE of {table}"),
            format!("DELETE FROM {table} WHERE {which}"),
            words,
            &[
                Privilege(format!("GRANT DELETE ON {table} TO pledgebook_app")),
                StaysWritten(table),
            ],
        );
    }
    for (table, words) in [
        ("line", "permission denied for table line"),
        ("journal_entry", "permission denied for table journal_entry"),
        ("change", "permission denied for table change"),
        ("history", "permission denied for table history"),
        ("effect", "permission denied for table effect"),
        ("terms", "permission denied for table terms"),
        ("balance", "permission denied for table balance"),
        ("account_day", "permission denied for table account_day"),
    ] {
        denied(
            &format!("TRUNCATE of {table}"),
            format!("TRUNCATE {table}"),
            words,
            &[
                Privilege(format!("GRANT TRUNCATE ON {table} TO pledgebook_app")),
                StaysWritten(table),
            ],
        );
    }
    let balance = "permission denied for table balance";
    let head = "permission denied for table campaign_head";
    let day = "permission denied for table account_day";
    let grant = |what: &str| [Privilege(format!("GRANT {what} TO pledgebook_app"))];
    denied(
        "UPDATE of a balance",
        format!(
            "UPDATE balance SET balance = balance * 2 WHERE campaign_id = '{}'",
            b.id
        ),
        balance,
        &grant("UPDATE ON balance"),
    );
    denied(
        "INSERT of a balance",
        format!(
            "INSERT INTO balance VALUES ('{}', {}, 7, 7, 0, 'FEUR')",
            b.id, b.bare
        ),
        balance,
        &grant("INSERT ON balance"),
    );
    denied(
        "UPDATE of an account's day",
        "UPDATE account_day SET credits = credits + 1".to_owned(),
        day,
        &grant("UPDATE ON account_day"),
    );
    denied(
        "INSERT of an account's day",
        format!(
            "INSERT INTO account_day VALUES ('{}', 1, '2001-01-01', 5, 5)",
            b.id
        ),
        day,
        &grant("INSERT ON account_day"),
    );
    denied(
        "a change number of its own choice",
        format!(
            "UPDATE campaign_head SET change_no = change_no + 1 WHERE campaign_id = '{}'",
            b.id
        ),
        head,
        &grant("UPDATE ON campaign_head"),
    );
    denied(
        "a digest of its own choice",
        format!(
            "UPDATE campaign_head SET digest = {DIGEST} WHERE campaign_id = '{}'",
            b.id
        ),
        head,
        &grant("UPDATE ON campaign_head"),
    );
    denied(
        "a head that begins with numbers of its own choice",
        "INSERT INTO campaign_head (campaign_id, change_no) VALUES (gen_random_uuid(), 7)"
            .to_owned(),
        head,
        &grant("INSERT ON campaign_head"),
    );
    denied(
        "an upsert over an old outcome",
        format!(
            "INSERT INTO change SELECT * FROM change WHERE campaign_id = '{}' AND change_no = 1
             ON CONFLICT (campaign_id, change_no) DO UPDATE SET method = 'Other'",
            b.id
        ),
        "permission denied for table change",
        &[
            Protection::privilege("GRANT UPDATE ON change TO pledgebook_app"),
            StaysWritten("change"),
        ],
    );
    denied(
        "a key that becomes an administrator's",
        "UPDATE api_key SET role = 'admin'".to_owned(),
        "permission denied for table api_key",
        &grant("UPDATE ON api_key"),
    );
    denied(
        "a migration that was never run",
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'forged', true, '', 0)"
            .to_owned(),
        "permission denied for table _sqlx_migrations",
        &grant("INSERT ON _sqlx_migrations"),
    );
    attacks
}

/// What would take the protections themselves away.
fn on_protections(b: &Books) -> Vec<Attack> {
    let owns = |table: &str| {
        [Privilege(format!(
            "ALTER TABLE {table} OWNER TO pledgebook_app"
        ))]
    };
    let grant = |what: &str| [Privilege(format!("GRANT {what} TO pledgebook_app"))];
    let one = |name: &str, statement: &str, words, protections: &[Protection]| {
        attack(name, [statement.to_owned()], Denied(words), protections)
    };
    vec![
        one(
            "a trigger that is disabled",
            "ALTER TABLE line DISABLE TRIGGER post_lines",
            "must be owner of table line",
            &owns("line"),
        ),
        one(
            "a trigger that is dropped",
            "DROP TRIGGER stays_written ON journal_entry",
            "must be owner of relation journal_entry",
            &owns("journal_entry"),
        ),
        one(
            "a constraint that is dropped",
            "ALTER TABLE balance DROP CONSTRAINT balance_keeps_its_floor",
            "must be owner of table balance",
            &owns("balance"),
        ),
        one(
            "a column that is added",
            "ALTER TABLE line ADD COLUMN note text",
            "must be owner of table line",
            &owns("line"),
        ),
        one(
            "a table that is dropped",
            "DROP TABLE history",
            "must be owner of table history",
            &owns("history"),
        ),
        one(
            "a rule in the place of an insert",
            "CREATE RULE nothing AS ON INSERT TO history DO INSTEAD NOTHING",
            "must be owner of table history",
            &owns("history"),
        ),
        one(
            "a trigger of its own",
            "CREATE TRIGGER again AFTER INSERT ON line
             REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION post_lines()",
            "permission denied for table line",
            &[
                Protection::privilege("GRANT TRIGGER ON line TO pledgebook_app"),
                Protection::privilege("GRANT EXECUTE ON FUNCTION post_lines() TO pledgebook_app"),
            ],
        ),
        one(
            "a session without triggers",
            "SET session_replication_role = replica",
            "permission denied to set parameter \"session_replication_role\"",
            &grant("SET ON PARAMETER session_replication_role"),
        ),
        one(
            "another function in the place of the trigger's",
            "CREATE OR REPLACE FUNCTION post_lines() RETURNS trigger
             LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "permission denied for schema public",
            &[
                Protection::privilege("GRANT CREATE ON SCHEMA public TO pledgebook_app"),
                Protection::privilege("ALTER FUNCTION post_lines() OWNER TO pledgebook_app"),
            ],
        ),
        one(
            "a function without its search path",
            "ALTER FUNCTION post_lines() RESET search_path",
            "must be owner of function post_lines",
            &[Protection::privilege(
                "ALTER FUNCTION post_lines() OWNER TO pledgebook_app",
            )],
        ),
        one(
            "a table in the schema that every function looks in",
            "CREATE TABLE public.opened (code smallint)",
            "permission denied for schema public",
            &grant("CREATE ON SCHEMA public"),
        ),
        one(
            "a function in the schema that every function looks in",
            "CREATE FUNCTION public.greatest_of(bigint, bigint) RETURNS bigint
             LANGUAGE sql AS 'SELECT 0::bigint'",
            "permission denied for schema public",
            &grant("CREATE ON SCHEMA public"),
        ),
        one(
            "a schema of its own",
            "CREATE SCHEMA books",
            "permission denied for database",
            &[Privilege(format!(
                "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO pledgebook_app', current_database()); END $$"
            ))],
        ),
        attack(
            "a privilege that it grants itself",
            [
                "GRANT UPDATE ON line TO pledgebook_app".to_owned(),
                format!(
                    "UPDATE line SET amount = amount WHERE campaign_id = '{}'",
                    b.id
                ),
            ],
            Denied("permission denied for table line"),
            &[
                Protection::privilege("GRANT UPDATE ON line TO pledgebook_app WITH GRANT OPTION"),
                StaysWritten("line"),
            ],
        ),
        one(
            "the owner's role",
            "SET ROLE pledgebook_owner",
            "permission denied to set role \"pledgebook_owner\"",
            &grant("pledgebook_owner"),
        ),
        one(
            "a membership in the owner's role",
            "GRANT pledgebook_owner TO pledgebook_app",
            "must have admin option on role \"pledgebook_owner\"",
            &[],
        ),
        one(
            "a rank above all",
            "ALTER ROLE pledgebook_app SUPERUSER",
            "must be superuser to alter superuser",
            &[],
        ),
        one(
            "a program that the server runs",
            "COPY line FROM PROGRAM 'true'",
            "external program",
            &grant("pg_execute_server_program"),
        ),
        one(
            "a file that the server reads",
            "COPY line FROM '/dev/null'",
            "COPY from a file",
            &grant("pg_read_server_files"),
        ),
        one(
            "a lock that stops the books",
            "LOCK TABLE line IN ACCESS EXCLUSIVE MODE",
            "permission denied for table line",
            &grant("DELETE ON line"),
        ),
        one(
            "a row of an account made by the owner's trigger function",
            "CREATE TEMP TABLE forged (LIKE public.account);
             CREATE TRIGGER open AFTER INSERT ON forged REFERENCING NEW TABLE AS opened
             FOR EACH STATEMENT EXECUTE FUNCTION open_accounts()",
            "permission denied for function open_accounts",
            &grant("EXECUTE ON FUNCTION open_accounts()"),
        ),
    ]
}

fn attacks(books: &Books) -> Vec<Attack> {
    let mut attacks = on_entries(books);
    attacks.extend(on_numbers(books));
    attacks.extend(on_balances(books));
    attacks.extend(on_rows(books));
    attacks.extend(on_protections(books));
    attacks
}

async fn run(connection: &mut PgConnection, steps: &[Step]) -> Result<(), sqlx::Error> {
    for step in steps {
        match step {
            Step::Sql(statement) => execute(connection, statement).await?,
            Step::Copy(statement, rows) => {
                let mut copy = connection.copy_in_raw(statement).await?;
                copy.send(rows.as_bytes()).await?;
                copy.finish().await?;
            }
        }
    }
    Ok(())
}

async fn execute(connection: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
    let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
    statement.execute(connection).await.map(|_| ())
}

/// Runs an attack as the application itself: its own connection, one committed
/// database transaction.
async fn as_application(database: &Database, attack: &Attack) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(&database.url("pledgebook_app")).await?;
    execute(&mut connection, "BEGIN").await?;
    run(&mut connection, &attack.steps).await?;
    execute(&mut connection, "COMMIT").await?;
    connection.close().await
}

/// Runs an attack with something changed before, in a database transaction that
/// checks all that a commit would check, and is then undone.
async fn with(
    database: &Database,
    changed: &[String],
    become_application: bool,
    attack: &Attack,
) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(&database.url("postgres")).await?;
    execute(&mut connection, "BEGIN").await?;
    for statement in changed {
        execute(&mut connection, statement).await?;
    }
    if become_application {
        // The session's own authority: SET ROLE asks who logged in.
        execute(
            &mut connection,
            "SET LOCAL SESSION AUTHORIZATION pledgebook_app",
        )
        .await?;
    }
    run(&mut connection, &attack.steps).await?;
    execute(&mut connection, "SET CONSTRAINTS ALL IMMEDIATE").await?;
    connection.close_hard().await
}

fn why(error: &sqlx::Error) -> (String, String, String) {
    match error.as_database_error() {
        Some(error) => (
            error.code().unwrap_or_default().into_owned(),
            error.constraint().unwrap_or_default().to_owned(),
            error.message().to_owned(),
        ),
        None => (String::new(), String::new(), error.to_string()),
    }
}

/// What is wrong with how an attack ended; nothing when it was stopped by what it names.
fn not_stopped(attack: &Attack, ended: &Result<(), sqlx::Error>, by: Broken) -> Option<String> {
    let Err(error) = ended else {
        return Some(format!("{}: it went through", attack.name));
    };
    let (code, constraint, message) = why(error);
    let as_named = match by {
        Breaks(name) => constraint == name,
        Denied(words) => code == "42501" && message.contains(words),
    };
    (!as_named).then(|| {
        format!(
            "{}: not {by:?} but {code} {constraint:?} {message}",
            attack.name
        )
    })
}

/// Everything that the attacks are after, in a form that shows every change.
async fn all_there_is(pool: &PgPool) -> Vec<(String, i64, String)> {
    let mut found = Vec::new();
    for table in [
        "chart_account",
        "campaign_head",
        "account",
        "balance",
        "account_day",
        "change",
        "history",
        "journal_entry",
        "line",
        "campaign",
        "terms",
        "money_account",
        "effect",
        "payment",
        "pledge",
        "api_key",
        "_sqlx_migrations",
        "(SELECT tgname, tgenabled, tgrelid FROM pg_trigger)",
        "(SELECT proname, prosrc, proacl, proconfig, proowner FROM pg_proc)",
        "(SELECT relname, relacl, relowner, relkind FROM pg_class WHERE relpersistence = 'p')",
        "(SELECT conname, conrelid FROM pg_constraint)",
        "(SELECT rolname, rolsuper FROM pg_roles)",
    ] {
        let statement = format!(
            "SELECT count(*), coalesce(md5(string_agg(each, '' ORDER BY each)), '')
             FROM (SELECT md5(of::text) AS each FROM {table} AS of) AS every"
        );
        let (count, digest): (i64, String) = sqlx::query_as(AssertSqlSafe(statement))
            .fetch_one(pool)
            .await
            .unwrap();
        found.push((table.to_owned(), count, digest));
    }
    found
}

fn uuid_of(name: &str) -> Uuid {
    name.rsplit('/').next().unwrap().parse().unwrap()
}

/// Two campaigns with money in them. The second has more accounts, so that some
/// of its numbers are nobody's in the first.
async fn prepare(tester: &Tester) -> (Books, Campaign, String) {
    let campaign = Campaign::open(tester, "EUR").await;
    let other = Campaign::open(tester, "EUR").await;
    let treasurer = tester.treasurer();
    let mut pledges = Vec::new();
    for (of, email) in [
        (&campaign, "ada@example.org"),
        (&campaign, "bob@example.org"),
        (&other, "cyd@example.org"),
        (&other, "dan@example.org"),
        (&other, "eve@example.org"),
        (&other, "fay@example.org"),
    ] {
        let member = of.member(tester, email).await;
        let pledge = of.pledge(tester, &member, "100").await;
        let request = of.payment(&format!("ch_{email}"), &pledge, "120.50");
        treasurer.payments().record_payment(request).await.unwrap();
        pledges.push(of.pledge(tester, &member, "75").await);
    }
    let id = uuid_of(&campaign.name);
    let pool = tester.database.pool("postgres").await;
    // An account whose balance row is gone: what a broken restore would leave.
    let damage = format!(
        "INSERT INTO account (campaign_id, account_no, code, commodity, owner)
         SELECT campaign_id, account_no + 1, 4100, 'EUR', '{}' FROM campaign_head
         WHERE campaign_id = '{id}';
         ALTER TABLE balance DISABLE TRIGGER stays_written;
         DELETE FROM balance USING account WHERE account.campaign_id = '{id}' AND code = 4100
             AND balance.campaign_id = account.campaign_id AND balance.account_no = account.account_no;
         ALTER TABLE balance ENABLE ALWAYS TRIGGER stays_written",
        Uuid::nil()
    );
    tester.database.execute("postgres", &damage).await.unwrap();
    let head = "SELECT change_no, entry_no, account_no FROM campaign_head WHERE campaign_id = $1";
    let (change, entry, last): (i64, i64, i32) = sqlx::query_as(head)
        .bind(id)
        .fetch_one(&pool)
        .await
        .unwrap();
    let of_other: (i64, i64, i32) = sqlx::query_as(head)
        .bind(uuid_of(&other.name))
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(of_other.2 >= last + 2, "{of_other:?} {last}");
    let accounts: Vec<Account> = sqlx::query_as(
        "SELECT account_no, code, owner, balance, debits
         FROM account JOIN balance USING (campaign_id, account_no) WHERE campaign_id = $1
         ORDER BY account_no",
    )
    .bind(id)
    .fetch_all(&pool)
    .await
    .unwrap();
    let of_code = |code: i16| {
        *accounts
            .iter()
            .find(|account| account.code == code)
            .unwrap()
    };
    let request: Uuid = sqlx::query_scalar(
        "SELECT request_id FROM change WHERE campaign_id = $1 AND change_no = 1",
    )
    .bind(id)
    .fetch_one(&pool)
    .await
    .unwrap();
    let books = Books {
        id,
        change,
        entry,
        provider: of_code(1000),
        held: of_code(2100),
        memo: of_code(9001),
        foreign: [last + 1, last + 2],
        bare: last,
        nobodys: of_other.2 + 100,
        other: uuid_of(&other.name),
        request,
    };
    assert_eq!(books.held.balance, -100_00);
    (books, campaign, pledges[0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_attack_in_the_applications_role_succeeds() {
    let tester = Tester::start().await;
    let (books, campaign, pledge) = prepare(&tester).await;
    let pool = tester.database.pool("postgres").await;
    let before = all_there_is(&pool).await;
    let attacks = attacks(&books);
    assert!(attacks.len() > 80, "{}", attacks.len());
    let mut wrong = Vec::new();
    for attack in &attacks {
        let ended = as_application(&tester.database, attack).await;
        wrong.extend(not_stopped(attack, &ended, attack.broken));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(all_there_is(&pool).await, before);

    // The books still take what is right, and go on from where they stood.
    let request = campaign.payment("ch_after", &pledge, "25.00");
    let paid = tester
        .treasurer()
        .payments()
        .record_payment(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(text(&paid.payment.unwrap().held), "EUR 25.00");
    let outcome = paid.outcome.unwrap();
    assert_eq!(outcome.change_number, books.change + 1);
    assert_eq!(outcome.entry_numbers, [books.entry + 1]);
    let held: i64 = sqlx::query_scalar(
        "SELECT balance FROM balance WHERE campaign_id = $1 AND account_no = $2",
    )
    .bind(books.id)
    .bind(books.held.account_no)
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(held, books.held.balance - 25_00);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_what_stops_it_every_attack_succeeds() {
    let tester = Tester::start().await;
    let (books, _, _) = prepare(&tester).await;
    let pool = tester.database.pool("postgres").await;
    let before = all_there_is(&pool).await;

    // What the attacks are made of is right by itself.
    let (p, h) = (books.provider, books.held);
    let rows = books.rows(&[&[(p, 100), (h, -100)], &[(p, 50), (h, -50)]]);
    let fair = attack("a right posting", books.post(&rows), Breaks(""), &[]);
    with(&tester.database, &[], true, &fair).await.unwrap();

    let mut wrong = Vec::new();
    let mut controlled = 0;
    for attack in attacks(&books) {
        if attack.protections.is_empty() {
            continue;
        }
        controlled += 1;
        let changed = without(&attack.protections);
        if let Err(error) = with(&tester.database, &changed, true, &attack).await {
            wrong.push(format!("{}: {:?}", attack.name, why(&error)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(controlled > 75, "{controlled}");
    assert_eq!(all_there_is(&pool).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_was_granted_too_much_still_changes_nothing_that_is_written() {
    let tester = Tester::start().await;
    let (books, _, _) = prepare(&tester).await;
    let mut wrong = Vec::new();
    let mut count = 0;
    for attack in attacks(&books) {
        let [Privilege(grant), StaysWritten(_)] = &attack.protections[..] else {
            continue;
        };
        count += 1;
        let ended = with(&tester.database, &[grant.clone()], true, &attack).await;
        wrong.extend(not_stopped(
            &attack,
            &ended,
            Breaks("what_is_written_stays_written"),
        ));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(count > 25, "{count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_in_replica_mode_meets_the_same_rules() {
    let tester = Tester::start().await;
    let (books, _, _) = prepare(&tester).await;
    let mut wrong = Vec::new();
    let mut count = 0;
    let replica = ["SET LOCAL session_replication_role = replica".to_owned()];
    for attack in attacks(&books) {
        let (Breaks(_), Some(Rule(_))) = (attack.broken, attack.protections.first()) else {
            continue;
        };
        count += 1;
        let ended = with(&tester.database, &replica, false, &attack).await;
        wrong.extend(not_stopped(&attack, &ended, attack.broken));
    }
    for attack in attacks(&books) {
        if let Some(StaysWritten(_)) = attack.protections.last() {
            count += 1;
            let ended = with(&tester.database, &replica, false, &attack).await;
            wrong.extend(not_stopped(
                &attack,
                &ended,
                Breaks("what_is_written_stays_written"),
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(count > 50, "{count}");
}

/// The second lock on the door is only met when the first one fails: a server
/// that finds a posting refused says that it is at fault, and what is right in
/// the same batch is carried out.
#[tokio::test(flavor = "multi_thread")]
async fn a_posting_that_the_database_refuses_is_a_fault_and_leaves_no_trace() {
    let tester = Tester::start().await;
    let (books, campaign, pledge) = prepare(&tester).await;
    // Stands for whatever rule a mistake of ours would break.
    let statements = format!(
        "CREATE OR REPLACE FUNCTION refuse_always() RETURNS trigger
         LANGUAGE plpgsql SECURITY DEFINER AS $$
         BEGIN PERFORM refuse('for_this_test', ''); RETURN NULL; END $$;
         CREATE TRIGGER refuse_always AFTER INSERT ON journal_entry FOR EACH ROW
         WHEN (NEW.campaign_id = '{}' AND NEW.event = 'payment_succeeded')
         EXECUTE FUNCTION refuse_always()",
        books.id
    );
    tester
        .database
        .execute("postgres", &statements)
        .await
        .unwrap();
    let pool = tester.database.pool("postgres").await;
    let request = campaign.payment("ch_refused", &pledge, "1.00");
    let refused = tester
        .treasurer()
        .payments()
        .record_payment(request.clone())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Internal);
    assert_eq!(reason(&refused), "INTERNAL");
    assert!(!detail(&refused, "incident").is_empty());
    assert!(
        !format!("{refused:?}").contains("for_this_test"),
        "{refused:?}"
    );
    let changes: i64 =
        sqlx::query_scalar("SELECT change_no FROM campaign_head WHERE campaign_id = $1")
            .bind(books.id)
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(changes, books.change);

    // Nothing is recorded under its request id, so the same request is done once it can be.
    let drop = "DROP TRIGGER refuse_always ON journal_entry";
    tester.database.execute("postgres", drop).await.unwrap();
    let paid = tester
        .treasurer()
        .payments()
        .record_payment(request)
        .await
        .unwrap()
        .into_inner();
    let outcome: pb::Outcome = paid.outcome.unwrap();
    assert!(!outcome.replayed);
    assert_eq!(outcome.change_number, books.change + 1);
}
