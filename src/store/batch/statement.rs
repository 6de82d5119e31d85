//! The rows of every batch, as one statement.

use sqlx::{AssertSqlSafe, Execute, PgConnection, SqlSafeStr, SqlStr, postgres::PgArguments};
use uuid::Uuid;

use super::{json, of};
use crate::{
    domain::{ChangeRow, World, Written},
    ledger::PostedEntry,
    store::{
        StoreError,
        world::{batch_lock, campaign_lock},
    },
};

/// A statement with its rows, which needs the world no more.
#[derive(Clone)]
pub(crate) struct Statement {
    sql: SqlStr,
    rows: PgArguments,
}

impl Statement {
    /// Carries it out, in the connection's database transaction or as one of its own.
    pub(crate) async fn execute(self, connection: &mut PgConnection) -> Result<(), StoreError> {
        sqlx::query_with(self.sql, self.rows)
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// The outcomes, history, entries and lines of a batch, the accounts that it opened, the
/// nouns that it made or changed, and the tally.
///
/// # Errors
/// When a snapshot cannot be written as JSON.
pub(crate) fn statement(world: &World) -> Result<Statement, StoreError> {
    let written = &world.written;
    let changes = &written.changes;
    let now = changes.first().map(|change| change.recorded_at);
    let first = changes.first().map_or(1, |change| change.number);
    let last = changes.last().map_or(0, |change| change.number);
    let each = |f: fn(&ChangeRow) -> Option<i64>| changes.iter().map(f).collect::<Vec<_>>();
    let refusals: Vec<Option<String>> = changes
        .iter()
        .map(|change| change.refusal.as_ref().map(json).transpose())
        .collect::<Result<_, _>>()?;
    let opened = &written.accounts;
    let history = histories(written)?;
    let entries = &written.entries;
    let moments = changes.iter().map(|change| change.recorded_at);
    let mut moments = moments.chain(entries.iter().map(|entry| entry.recorded_at));
    debug_assert!(
        moments.all(|at| Some(at) == now),
        "a batch is recorded at one moment"
    );
    let lines = entries.iter();
    let mut lines: Vec<_> = lines
        .flat_map(|entry| {
            (1_i16..)
                .zip(&entry.lines)
                .map(|(n, line)| (entry.number, n, line))
        })
        .collect();
    // In the order of their key, in which their index takes them and post_lines() asks for them.
    lines.sort_unstable_by_key(|(entry, n, line)| (line.account_no, *entry, *n));
    let effects: Vec<_> = of(&written.effects, |key| world.effects.get_key_value(key));
    let payments: Vec<_> = of(&written.payments, |id| world.payments.get(id));
    let persons = &written.persons;
    let signatures: Vec<_> = of(&written.signatures, |id| world.signatures.get(id));
    let members: Vec<_> = of(&written.members, |id| world.members.get(id));
    let pledges: Vec<_> = of(&written.pledges, |id| world.pledges.get(id));
    let tally = &world.tally;
    let behind = batch_lock(world.id, first - 1);
    let waits = world.touches_what_was_just_written();
    let mut query = sqlx::query_file!(
        "src/store/batch/batch.sql",
        world.id.0,
        &changes.iter().map(|c| c.number).collect::<Vec<_>>(),
        &changes.iter().map(|c| c.request_id.0).collect::<Vec<_>>(),
        &changes
            .iter()
            .map(|c| c.method.as_str())
            .collect::<Vec<_>>() as &[&str],
        &changes
            .iter()
            .map(|c| c.principal.as_str())
            .collect::<Vec<_>>() as &[&str],
        &changes
            .iter()
            .map(|c| c.fields.as_slice())
            .collect::<Vec<_>>() as &[&[u8]],
        now,
        &each(|c| c.entries.map(|(first, _)| first)) as &[Option<i64>],
        &each(|c| c.entries.map(|(_, last)| last)) as &[Option<i64>],
        &each(|c| c.same_as) as &[Option<i64>],
        &refusals as &[Option<String>],
        &changes
            .iter()
            .map(|c| c.reason.as_str())
            .collect::<Vec<_>>() as &[&str],
        &history as &[Option<String>],
        &opened.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        &opened
            .iter()
            .map(|(_, key)| key.code.number())
            .collect::<Vec<_>>(),
        &opened
            .iter()
            .map(|(_, key)| key.commodity.to_string())
            .collect::<Vec<_>>(),
        &opened
            .iter()
            .map(|(_, key)| key.owner.uuid())
            .collect::<Vec<_>>(),
        &entries.iter().map(|e| e.number).collect::<Vec<_>>(),
        &entries.iter().map(|e| e.change).collect::<Vec<_>>(),
        &entries
            .iter()
            .map(|e| e.entry.event().word())
            .collect::<Vec<_>>() as &[&str],
        &entries
            .iter()
            .map(|e| e.entry.occurred_at())
            .collect::<Vec<_>>(),
        &entries
            .iter()
            .map(|e| e.entry.value_date())
            .collect::<Vec<_>>(),
        &entries
            .iter()
            .map(|e| e.entry.reverses())
            .collect::<Vec<_>>() as &[Option<i64>],
        &entries.iter().map(accounts_of).collect::<Vec<_>>(),
        &entries
            .iter()
            .map(|e| e.digest.as_slice())
            .collect::<Vec<_>>() as &[&[u8]],
        &lines.iter().map(|(.., l)| l.account_no).collect::<Vec<_>>(),
        &lines.iter().map(|(entry, ..)| *entry).collect::<Vec<_>>(),
        &lines.iter().map(|(_, n, _)| *n).collect::<Vec<_>>(),
        &lines
            .iter()
            .map(|(.., l)| l.line.amount.units())
            .collect::<Vec<_>>(),
        &lines
            .iter()
            .map(|(.., l)| l.balance.net.units())
            .collect::<Vec<_>>(),
        &lines
            .iter()
            .map(|(.., l)| l.balance.debits.units())
            .collect::<Vec<_>>(),
        &lines
            .iter()
            .map(|(.., l)| l.line.payment.map(|id| id.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &lines
            .iter()
            .map(|(.., l)| l.line.pledge.map(|id| id.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &effects
            .iter()
            .map(|(key, _)| key.account.0)
            .collect::<Vec<_>>(),
        &effects
            .iter()
            .map(|(key, _)| key.object.as_str())
            .collect::<Vec<_>>() as &[&str],
        &effects
            .iter()
            .map(|(key, _)| key.effect)
            .collect::<Vec<_>>() as &[&str],
        &effects
            .iter()
            .map(|(key, _)| key.seq.as_str())
            .collect::<Vec<_>>() as &[&str],
        &effects
            .iter()
            .map(|(_, row)| row.amount.units())
            .collect::<Vec<_>>(),
        &effects
            .iter()
            .map(|(_, row)| row.payment.map(|id| id.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &effects
            .iter()
            .map(|(_, row)| row.change)
            .collect::<Vec<_>>(),
        &payments.iter().map(|p| p.id.0).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.account.0).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.object_id.as_str())
            .collect::<Vec<_>>() as &[&str],
        &payments.iter().map(|p| p.state.word()).collect::<Vec<_>>() as &[&str],
        &payments.iter().map(|p| p.method.word()).collect::<Vec<_>>() as &[&str],
        &payments.iter().map(|p| p.gross.units()).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.held.units()).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.refundable.units())
            .collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.unallocated.units())
            .collect::<Vec<_>>(),
        &payments.iter().map(|p| p.fee.units()).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.fee_known).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.fee_deferred.units())
            .collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.allotted.units())
            .collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.refunded.units())
            .collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.returned.units())
            .collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.charged.units())
            .collect::<Vec<_>>(),
        &payments.iter().map(|p| p.lost.units()).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.reserved.units())
            .collect::<Vec<_>>(),
        &payments.iter().map(|p| p.flagged).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.member.map(|m| m.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &payments
            .iter()
            .map(|p| p.pledge.map(|p| p.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &payments.iter().map(|p| p.occurred_at).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.value_date).collect::<Vec<_>>(),
        &payments.iter().map(|p| p.available_on).collect::<Vec<_>>(),
        &payments
            .iter()
            .map(|p| p.failure_code.as_str())
            .collect::<Vec<_>>() as &[&str],
        &payments.iter().map(|p| p.entry).collect::<Vec<_>>(),
        &persons.iter().map(|p| p.subject).collect::<Vec<_>>(),
        &persons
            .iter()
            .map(|p| p.display_name.as_str())
            .collect::<Vec<_>>() as &[&str],
        &persons.iter().map(|p| p.email.as_str()).collect::<Vec<_>>() as &[&str],
        &signatures.iter().map(|s| s.id.0).collect::<Vec<_>>(),
        &signatures
            .iter()
            .map(|s| s.email_hash.as_slice())
            .collect::<Vec<_>>() as &[&[u8]],
        &signatures
            .iter()
            .map(|s| s.state.word())
            .collect::<Vec<_>>() as &[&str],
        &signatures.iter().map(|s| s.created_at).collect::<Vec<_>>(),
        &members.iter().map(|m| m.id.0).collect::<Vec<_>>(),
        &members
            .iter()
            .map(|m| m.email_hash.as_slice())
            .collect::<Vec<_>>() as &[&[u8]],
        &members.iter().map(|m| m.created_at).collect::<Vec<_>>(),
        &members.iter().map(|m| m.live_pledges).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.id.0).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.member.0).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.state.word()).collect::<Vec<_>>() as &[&str],
        &pledges.iter().map(|p| p.amount.units()).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.paid.units()).collect::<Vec<_>>(),
        &pledges
            .iter()
            .map(|p| p.share_class.map(|c| c.0))
            .collect::<Vec<_>>() as &[Option<Uuid>],
        &pledges.iter().map(|p| p.units).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.created_at).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.expires_at).collect::<Vec<_>>(),
        &pledges.iter().map(|p| p.errored_at).collect::<Vec<_>>()
            as &[Option<time::OffsetDateTime>],
        &pledges.iter().map(|p| p.terms_version).collect::<Vec<_>>(),
        written.tally,
        tally.signed,
        tally.withdrawn,
        tally.converted,
        tally.pledging_members,
        tally.pledged.units(),
        tally.paying_members,
        tally.held.units(),
        tally.payments,
        tally.failures,
        tally.refundable.units(),
        tally.returned.units(),
        tally.unallocated.units(),
        tally.allotted.units(),
        tally.refunded.units(),
        tally.certificates,
        campaign_lock(world.id),
        batch_lock(world.id, last),
        waits.then_some(behind),
        world.head.batch,
        written.follows,
        behind.to_string()
    );
    let rows = query.take_arguments();
    let rows = rows.map_err(|error| StoreError::Fault(sqlx::Error::Encode(error)))?;
    let empty = [
        ("pledges", pledges.is_empty()),
        ("members", members.is_empty()),
        ("signatures", signatures.is_empty()),
        ("payments", payments.is_empty()),
        ("persons", persons.is_empty() && !waits),
        ("effects", effects.is_empty()),
        ("lines", lines.is_empty()),
        ("entries", entries.is_empty()),
        ("accounts", opened.is_empty()),
    ];
    Ok(Statement {
        rows: rows.unwrap_or_default(),
        sql: AssertSqlSafe(text(&empty, written.known_payments)).into_sql_str(),
    })
}

/// What each change made, in the order of the changes: the JSON of a list, or nothing.
fn histories(written: &Written) -> Result<Vec<Option<String>>, StoreError> {
    let mut made = written
        .history
        .chunk_by(|a, b| a.change == b.change)
        .peekable();
    let of = |change: &ChangeRow| {
        let rows = made.next_if(|rows| rows.first().is_some_and(|row| row.change == change.number));
        rows.map(|rows| json(&rows)).transpose()
    };
    written.changes.iter().map(of).collect()
}

/// The text of batch.sql without the parts that are empty, by their names, and without what
/// becomes of payments that were there before, if none was: then they are behind the persons,
/// and so inserted before the wait, if there is one. The arguments stay, each with its type:
/// PostgreSQL allows some that no text names.
fn text(empty: &[(&str, bool)], known_payments: bool) -> String {
    let text = include_str!("batch.sql");
    let cut = text
        .split_once("WITH ")
        .and_then(|(_, text)| text.split_once("\n)\nSELECT "));
    let Some((parts, locks)) = cut else {
        return text.to_owned();
    };
    let part = |part: &'static str| {
        let (name, _) = part.split_once(" AS (")?;
        let is_empty = empty.contains(&(name, true));
        let known = part.split_once("\n    ON CONFLICT ");
        let known = known.filter(|_| name == "payments" && !known_payments);
        (!is_empty).then(|| known.map_or(part, |(new, _)| new))
    };
    let mut parts: Vec<_> = parts.split("\n), ").filter_map(part).collect();
    let at = |name| parts.iter().position(|of| of.starts_with(name));
    if !known_payments && let (Some(payments), Some(wait)) = (at("payments "), at("persons ")) {
        parts.swap(payments, wait);
    }
    format!("WITH {}\n)\nSELECT {locks}", parts.join("\n), "))
}

/// The accounts of an entry's lines, as the text of an array.
fn accounts_of(entry: &PostedEntry) -> String {
    let numbers = entry.lines.iter().map(|line| line.account_no.to_string());
    format!("{{{}}}", numbers.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::text;

    fn tables(text: &str) -> Vec<String> {
        let tables = text.split("INSERT INTO ").skip(1);
        let tables = tables.map(|part| part.split(' ').next().unwrap_or_default().to_owned());
        tables.collect()
    }

    #[test]
    fn a_part_without_rows_is_left_out() {
        let all = tables(&text(&[("lines", false)], true));
        assert_eq!(all.len(), 10, "{all:?}");
        assert_eq!(all.last().map(String::as_str), Some("journal_entry"));
        for (name, table) in [
            ("pledges", "pledge"),
            ("lines", "line"),
            ("accounts", "account"),
        ] {
            let left = tables(&text(&[(name, true)], true));
            assert_eq!(left.len(), 9, "{left:?}");
            assert!(!left.contains(&table.to_owned()), "{left:?}");
        }
        let first_and_last = text(&[("pledges", true), ("entries", true)], true);
        assert!(first_and_last.starts_with("WITH members AS (\n    INSERT"));
        assert!(first_and_last.contains("unnest($17::uuid[])\n)\nSELECT pg_advisory"));
    }

    #[test]
    fn new_payments_are_not_looked_for() {
        let of = |known: bool, waits: bool| {
            let text = text(&[("persons", !waits)], known);
            let (_, payments) = text.split_once("payments AS (").unwrap();
            let (payments, others) = payments.split_once("\n), ").unwrap();
            assert!(payments.contains("unnest($66::bigint[])"), "{payments}");
            let waits = others.contains("behind_the_one_before");
            (payments.contains("ON CONFLICT"), waits, tables(&text).len())
        };
        assert_eq!(of(true, true), (true, true, 10));
        assert_eq!(of(false, true), (false, false, 10));
        assert_eq!(of(false, false), (false, false, 9));
    }
}
