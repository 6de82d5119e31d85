//! The database refuses a buggy application: SQL in the application's own role
//! that tries to break the books of a campaign with real data.
//!
//! Every attack names the rule, constraint or privilege that stops it, and is
//! stopped by that and by nothing else that happens to be wrong with it: the
//! control takes away what the attack names, and then it goes through.

mod balances;
mod endings;
mod entries;
mod numbers;
mod protections;
mod rows;

use std::{collections::HashMap, slice::from_ref};

use pledgebook::grpc::pb;
use sqlx::{AssertSqlSafe, Connection, FromRow, PgConnection, PgPool};
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
                recorded_at, batch, follows, first_entry_no, last_entry_no)
             VALUES ('{id}', {number}, gen_random_uuid(), 'Attack', 'attacker', '', {at}, 7,
                (SELECT batch FROM campaign_head WHERE campaign_id = '{id}'), {first}, {last})",
            id = self.id
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

fn attacks(books: &Books) -> Vec<Attack> {
    let mut attacks = entries::attacks(books);
    attacks.extend(numbers::attacks(books));
    attacks.extend(balances::attacks(books));
    attacks.extend(rows::attacks(books));
    attacks.extend(endings::attacks(books));
    attacks.extend(protections::attacks(books));
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
        "journal_entry",
        "line",
        "campaign",
        "terms",
        "money_account",
        "effect",
        "payment",
        "pledge",
        "payout",
        "refund",
        "lot",
        "run",
        "run_item",
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
    assert_eq!(books.held.balance, -10_000);
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
    assert_eq!(held, books.held.balance - 2_500);
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
        let ended = with(&tester.database, from_ref(grant), true, &attack).await;
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
