//! The rows of every batch, as one statement: what a batch posted and what it made or changed,
//! each noun in its last state, in one round trip.
//!
//! The order matters. PostgreSQL carries out the main query first, then the parts from the last
//! to the first, and then fires their triggers in that order: headers and accounts before lines,
//! and changes before what refers to other rows. What the rows say of each other is asked while
//! the batch before is not committed yet; the first trigger that asks what stands waits for it,
//! which is the accounts' where some were opened.
//!
//! The campaign's lock is taken first, for whoever works under the head's lock, and this
//! batch's own, for the batch that comes behind it; the one of the batch before is left to the
//! triggers in a setting. Where both change the same row, this one waits before it comes to
//! those: otherwise a small batch would pass a large one and be refused for it, or each would
//! wait for the other. Such rows come last, and the persons before them carry the wait, also when
//! there are none.

use super::{
    Write, json, of,
    parts::{Parts, Statement},
};
use crate::{
    domain::{ChangeRow, Tally, World, Written},
    ledger::{PostedEntry, PostedLine},
    store::{
        StoreError,
        world::{batch_lock, campaign_lock},
    },
};

/// Entries of up to so many lines, where all have as many; a payment's has four. Each number is a
/// text of its own.
const FEW_LINES: usize = 8;

/// The outcomes, history, entries and lines of a batch, the accounts that it opened, the
/// nouns that it made or changed, and the tally.
///
/// # Errors
/// When a snapshot cannot be written as JSON, or an argument is too large to be sent.
pub(crate) fn statement(world: &World) -> Result<Statement, StoreError> {
    let written = &world.written;
    let last = written.changes.last().map_or(0, |change| change.number);
    let first = written.changes.first().map_or(1, |change| change.number);
    let behind = batch_lock(world.id, first - 1);
    let waits = world.touches_what_was_just_written();

    let mut parts = Parts::of(world.id)?;
    pledges(&mut parts, world)?;
    members(&mut parts, world)?;
    signatures(&mut parts, world)?;
    // New ones are not looked for first, and inserted before the wait.
    if written.known_payments {
        payments(&mut parts, world, true)?;
    }
    persons(&mut parts, written, waits.then_some(behind))?;
    if !written.known_payments {
        payments(&mut parts, world, false)?;
    }
    effects(&mut parts, world)?;
    changes(&mut parts, world)?;
    lines(&mut parts, &written.entries)?;
    accounts(&mut parts, written)?;
    entries(&mut parts, &written.entries)?;
    parts.end(
        campaign_lock(world.id),
        batch_lock(world.id, last),
        &behind.to_string(),
    )
}

fn pledges(parts: &mut Parts, world: &World) -> Write {
    let pledges: Vec<_> = of(&world.written.pledges, |id| world.pledges.get(id));
    parts
        .rows("pledge", &pledges)
        .column("pledge_id", |p| p.id.0)?
        .column("member_id", |p| p.member.0)?
        .column("state", |p| p.state.word())?
        .column("amount", |p| p.amount.units())?
        .column("paid", |p| p.paid.units())?
        .nullable("share_class_id", |p| p.share_class.map(|class| class.0))?
        .alike("units", |p| p.units)?
        .column("created_at", |p| p.created_at)?
        .column("expires_at", |p| p.expires_at)?
        .nullable("errored_at", |p| p.errored_at)?
        .alike("terms_version", |p| p.terms_version)?
        .upsert(
            "pledge_id",
            &["state", "amount", "paid", "units", "errored_at"],
        );
    Ok(())
}

fn members(parts: &mut Parts, world: &World) -> Write {
    let members: Vec<_> = of(&world.written.members, |id| world.members.get(id));
    parts
        .rows("member", &members)
        .column("member_id", |m| m.id.0)?
        .column("email_hash", |m| m.email_hash.as_slice())?
        .column("created_at", |m| m.created_at)?
        .column("live_pledges", |m| m.live_pledges)?
        .upsert("member_id", &["live_pledges"]);
    Ok(())
}

fn signatures(parts: &mut Parts, world: &World) -> Write {
    let signatures: Vec<_> = of(&world.written.signatures, |id| world.signatures.get(id));
    parts
        .rows("signature", &signatures)
        .column("signature_id", |s| s.id.0)?
        .column("email_hash", |s| s.email_hash.as_slice())?
        .column("state", |s| s.state.word())?
        .column("created_at", |s| s.created_at)?
        .upsert("signature_id", &["state"]);
    Ok(())
}

fn payments(parts: &mut Parts, world: &World, known: bool) -> Write {
    let payments: Vec<_> = of(&world.written.payments, |id| world.payments.get(id));
    let rows = parts
        .rows("payment", &payments)
        .column("payment_id", |p| p.id.0)?
        .alike("money_account_id", |p| p.account.0)?
        .column("object_id", |p| p.object_id.as_str())?
        .alike("state", |p| p.state.word())?
        .alike("method", |p| p.method.word())?
        .column("gross", |p| p.gross.units())?
        .column("held", |p| p.held.units())?
        .alike("refundable", |p| p.refundable.units())?
        .alike("unallocated", |p| p.unallocated.units())?
        .column("fee", |p| p.fee.units())?
        .alike("fee_known", |p| p.fee_known)?
        .alike("fee_deferred", |p| p.fee_deferred.units())?
        .alike("allotted", |p| p.allotted.units())?
        .alike("refunded", |p| p.refunded.units())?
        .alike("returned", |p| p.returned.units())?
        .alike("charged", |p| p.charged.units())?
        .alike("lost", |p| p.lost.units())?
        .alike("reserved", |p| p.reserved.units())?
        .alike("flagged", |p| p.flagged)?
        .nullable("member_id", |p| p.member.map(|id| id.0))?
        .nullable("pledge_id", |p| p.pledge.map(|id| id.0))?
        .column("occurred_at", |p| p.occurred_at)?
        .alike("value_date", |p| p.value_date)?
        .alike("available_on", |p| p.available_on)?
        .alike("failure_code", |p| p.failure_code.as_str())?
        .column("entry_no", |p| p.entry)?;
    if !known {
        rows.insert();
        return Ok(());
    }
    rows.upsert(
        "payment_id",
        &[
            "state",
            "method",
            "gross",
            "held",
            "refundable",
            "unallocated",
            "fee",
            "fee_known",
            "fee_deferred",
            "allotted",
            "refunded",
            "returned",
            "charged",
            "lost",
            "reserved",
            "flagged",
            "member_id",
            "pledge_id",
            "occurred_at",
            "value_date",
            "available_on",
            "failure_code",
            "entry_no",
        ],
    );
    Ok(())
}

/// With the wait for the batch before, if this one is to: then they are a part without rows too.
fn persons(parts: &mut Parts, written: &Written, behind: Option<i64>) -> Write {
    let behind = behind.map(|behind| parts.bind(behind)).transpose()?;
    let wait = behind.map(|behind| {
        format!(" FROM (SELECT pg_advisory_xact_lock_shared({behind})) AS behind_the_one_before")
    });
    parts
        .rows("person", &written.persons)
        .even_without_rows(wait.is_some())
        .column("subject_id", |p| p.subject)?
        .column("display_name", |p| p.display_name.as_str())?
        .column("email", |p| p.email.as_str())?
        .part(&wait.unwrap_or_default());
    Ok(())
}

fn effects(parts: &mut Parts, world: &World) -> Write {
    let effects: Vec<_> = of(&world.written.effects, |key| {
        world.effects.get_key_value(key)
    });
    parts
        .rows("effect", &effects)
        .alike("money_account_id", |(key, _)| key.account.0)?
        .column("object_id", |(key, _)| key.object.as_str())?
        .alike("effect", |(key, _)| key.effect)?
        .alike("seq", |(key, _)| key.seq.as_str())?
        .column("amount", |(_, row)| row.amount.units())?
        .nullable("payment_id", |(_, row)| row.payment.map(|id| id.0))?
        .column("change_no", |(_, row)| row.change)?
        .insert();
    Ok(())
}

/// With what is a batch's and not a change's beside its first one.
fn changes(parts: &mut Parts, world: &World) -> Write {
    let written = &world.written;
    let changes = &written.changes;
    let refusals: Vec<Option<String>> = changes
        .iter()
        .map(|change| change.refusal.as_ref().map(json).transpose())
        .collect::<Result<_, _>>()?;
    let histories = histories(written)?;
    let rows: Vec<_> = changes.iter().zip(refusals).zip(histories).collect();
    let now = parts.bind(recorded_at(written))?;
    let batch = [
        ("batch", parts.bind(world.head.batch)?),
        ("follows", parts.bind(written.follows)?),
    ];
    let tally = tally(parts, &world.tally, written.tally)?;
    let rows = parts
        .rows("change", &rows)
        .column("change_no", |((c, _), _)| c.number)?
        .column("request_id", |((c, _), _)| c.request_id.0)?
        .alike("method", |((c, _), _)| c.method.as_ref())?
        .alike("principal", |((c, _), _)| c.principal.as_str())?
        .column("fields", |((c, _), _)| c.fields.as_slice())?
        .value("recorded_at", &now)
        .nullable("first_entry_no", |((c, _), _)| c.entries.map(|(n, _)| n))?
        .nullable("last_entry_no", |((c, _), _)| c.entries.map(|(_, n)| n))?
        .nullable("same_as_change_no", |((c, _), _)| c.same_as)?
        .nullable_as("refusal", "::json", |((_, refusal), _)| refusal.as_deref())?
        .alike("reason", |((c, _), _)| c.reason.as_str())?
        .nullable_as("history", "::json", |(_, history)| history.as_deref())?;
    // Side by side, the shorter ones end in NULL.
    let rows = batch
        .iter()
        .chain(&tally)
        .fold(rows, |rows, (name, of_first)| {
            rows.value(name, &format!("unnest(ARRAY[{of_first}])"))
        });
    rows.insert();
    Ok(())
}

/// The tally, if it is another one than before.
fn tally(
    parts: &mut Parts,
    tally: &Tally,
    is_written: bool,
) -> Result<Option<(&'static str, String)>, StoreError> {
    if !is_written {
        return Ok(None);
    }
    let numbers = [
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
    ];
    let numbers = numbers.map(|number| parts.bind(number));
    let numbers: Vec<String> = numbers.into_iter().collect::<Result<_, _>>()?;
    let row = format!("ROW({})::tally_numbers", numbers.join(", "));
    Ok(Some(("tally", row)))
}

fn lines(parts: &mut Parts, entries: &[PostedEntry]) -> Write {
    let lines = entries.iter().flat_map(|entry| {
        let lines = (1_i16..).zip(&entry.lines);
        lines.map(|(n, line)| (entry.number, n, line))
    });
    let mut lines: Vec<(i64, i16, &PostedLine)> = lines.collect();
    // In the order of their key, in which their index takes them and post_lines() asks for them.
    lines.sort_unstable_by_key(|(entry, n, line)| (line.account_no, *entry, *n));
    parts
        .rows("line", &lines)
        .column("account_no", |(.., l)| l.account_no)?
        .column("entry_no", |(entry, ..)| *entry)?
        .column("line_no", |(_, n, _)| *n)?
        .column("amount", |(.., l)| l.line.amount.units())?
        .column("balance", |(.., l)| l.balance.net.units())?
        .column("debits", |(.., l)| l.balance.debits.units())?
        .nullable("payment_id", |(.., l)| l.line.payment.map(|id| id.0))?
        .nullable("pledge_id", |(.., l)| l.line.pledge.map(|id| id.0))?
        .insert();
    Ok(())
}

fn accounts(parts: &mut Parts, written: &Written) -> Write {
    parts
        .rows("account", &written.accounts)
        .column("account_no", |(number, _)| *number)?
        .column("code", |(_, key)| key.code.number())?
        .column("commodity", |(_, key)| key.commodity.to_string())?
        .column("owner", |(_, key)| key.owner.uuid())?
        .insert();
    Ok(())
}

fn entries(parts: &mut Parts, written: &[PostedEntry]) -> Write {
    let Some(first) = written.first() else {
        return Ok(());
    };
    let now = parts.bind(first.recorded_at)?;
    let rows = parts
        .rows("journal_entry", written)
        .column("entry_no", |e| e.number)?
        .column("change_no", |e| e.change)?
        .alike("event", |e| e.entry.event().word())?
        .column("occurred_at", |e| e.entry.occurred_at())?
        .alike("value_date", |e| e.entry.value_date())?
        .value("recorded_at", &now)
        .nullable("reverses", |e| e.entry.reverses())?
        .column("digest", |e| e.digest.as_slice())?;
    // Most batches are of entries with as many lines each. In the others an array comes as its text,
    // since an array of arrays of different lengths is none in SQL.
    let lines = first.lines.len();
    let are_alike = written.iter().all(|e| e.lines.len() == lines);
    let rows = if are_alike && lines <= FEW_LINES {
        let account = |e: &PostedEntry, n| e.lines.get(n).map(|line: &PostedLine| line.account_no);
        rows.arrays("accounts", lines, account)?
    } else {
        rows.column_as("accounts", "::int[]", |e| {
            let numbers = e.lines.iter().map(|line| line.account_no.to_string());
            format!("{{{}}}", numbers.collect::<Vec<_>>().join(","))
        })?
    };
    rows.insert();
    Ok(())
}

/// The moment at which the batch is recorded; a batch that changes nothing has none.
fn recorded_at(written: &Written) -> Option<time::OffsetDateTime> {
    let now = written.changes.first().map(|change| change.recorded_at);
    let changes = written.changes.iter().map(|change| change.recorded_at);
    let entries = written.entries.iter().map(|entry| entry.recorded_at);
    debug_assert!(
        changes.chain(entries).all(|at| Some(at) == now),
        "a batch is recorded at one moment"
    );
    now
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::{Head, member::Person, payment::Payment},
        id::CampaignId,
    };

    #[test]
    fn new_payments_are_not_looked_for_and_come_before_the_wait() {
        let payment: Payment = serde_json::from_value(json!({
            "id": Uuid::nil(), "account": Uuid::nil(), "object_id": "ch_1", "state": "succeeded",
            "method": "card", "gross": 100, "held": 100, "member": null, "pledge": null,
            "occurred_at": "2026-03-01T12:00:00Z", "value_date": [2026, 60],
            "available_on": [2026, 60], "failure_code": "", "entry": 1,
        }))
        .unwrap();
        let of = |known: bool| {
            let mut world = World::new(CampaignId(Uuid::nil()), Head::default());
            world.written.payments.insert(payment.id);
            world.written.known_payments = known;
            world.written.persons.push(Person {
                subject: Uuid::nil(),
                display_name: "Ada".to_owned(),
                email: "ada@example.org".to_owned(),
            });
            world.put_payment(payment.clone());
            let statement = statement(&world).unwrap();
            let sql = statement.text();
            let at = |part| sql.find(part).unwrap();
            let looked_for = sql.contains("DO UPDATE");
            (at("payments AS") > at("persons AS"), looked_for)
        };
        // PostgreSQL carries out the last part first.
        assert_eq!(of(false), (true, false));
        assert_eq!(of(true), (false, true));
    }
}
