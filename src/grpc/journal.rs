//! Entries, balances and outcomes on the wire.

use super::{
    fields::{amount_of, name, name_or_none, timestamp_of, wire},
    pb,
};
use crate::{
    app::Written,
    id::CampaignId,
    ledger::{AccountKey, Book, Owner, PostedEntry, PostedLine, Side},
    money::Commodity,
};

pub(super) fn book(book: Book) -> i32 {
    match book {
        Book::Financial => pb::Book::Financial,
        Book::Memo => pb::Book::Memo,
        Book::Units => pb::Book::Units,
    }
    .into()
}

pub(super) fn side(side: Side) -> i32 {
    match side {
        Side::Debit => pb::Side::Debit,
        Side::Credit => pb::Side::Credit,
    }
    .into()
}

pub(super) fn event(event: crate::ledger::Event) -> i32 {
    wire(pb::EntryEvent::from_str_name, "ENTRY_EVENT_", event.word())
}

/// The member whose account it is, as a name.
pub(super) fn member_of(campaign: CampaignId, account: &AccountKey) -> String {
    match account.owner {
        Owner::Member(member) => name(campaign, "members", member),
        Owner::Nobody | Owner::MoneyAccount(_) | Owner::Payment(_) => String::new(),
    }
}

/// The share class whose units an account counts, as a name.
pub(super) fn share_class_of(campaign: CampaignId, commodity: Commodity) -> String {
    match commodity {
        Commodity::Shares(class) => name(campaign, "shareClasses", class),
        Commodity::Currency(_) => String::new(),
    }
}

pub(super) fn line(campaign: CampaignId, posted: &PostedLine) -> pb::JournalLine {
    let line = &posted.line;
    let account = &line.account;
    let on = if line.amount.is_positive() {
        Side::Debit
    } else {
        Side::Credit
    };
    let magnitude = if line.amount.is_positive() {
        line.amount
    } else {
        line.amount.negated()
    };
    let after = posted.balance.on_side(account.code.normal_side());
    pb::JournalLine {
        account: name(campaign, "accounts", account),
        code: account.code.number().to_string(),
        display_name: account.code.name().to_owned(),
        side: side(on),
        amount: Some(amount_of(magnitude, account.commodity)),
        balance_after: Some(amount_of(after, account.commodity)),
        book: book(account.code.book()),
        payment: name_or_none(campaign, "payments", line.payment),
        pledge: name_or_none(campaign, "pledges", line.pledge),
        member: member_of(campaign, account),
        share_class: share_class_of(campaign, account.commodity),
    }
}

pub(super) fn entry(
    campaign: CampaignId,
    posted: &PostedEntry,
    reversed_by: Option<i64>,
) -> pb::JournalEntry {
    pb::JournalEntry {
        name: name(campaign, "entries", posted.number),
        number: posted.number,
        change_number: posted.change,
        event: event(posted.entry.event()),
        occurred_at: Some(timestamp_of(posted.entry.occurred_at())),
        value_date: posted.entry.value_date().to_string(),
        recorded_at: Some(timestamp_of(posted.recorded_at)),
        lines: posted
            .lines
            .iter()
            .map(|posted| line(campaign, posted))
            .collect(),
        reverses: name_or_none(campaign, "entries", posted.entry.reverses()),
        reversed_by: name_or_none(campaign, "entries", reversed_by),
        digest: hex::encode(posted.digest),
    }
}

/// An entry that is only proposed: without what only the commit gives it.
fn proposed(campaign: CampaignId, posted: &PostedEntry) -> pb::JournalEntry {
    pb::JournalEntry {
        name: String::new(),
        number: 0,
        change_number: 0,
        recorded_at: None,
        digest: String::new(),
        ..entry(campaign, posted, None)
    }
}

/// What a write recorded; with `validate_only` what it would record.
pub(super) fn outcome(campaign: CampaignId, written: &Written, validate_only: bool) -> pb::Outcome {
    let entries = &written.answer.entries;
    let mut last: Vec<&PostedLine> = Vec::new();
    for line in entries.iter().flat_map(|entry| &entry.lines) {
        last.retain(|known| known.account_no != line.account_no);
        last.push(line);
    }
    let balance = |posted: &&PostedLine| {
        let account = &posted.line.account;
        let normal = account.code.normal_side();
        pb::AccountBalance {
            account: name(campaign, "accounts", account),
            code: account.code.number().to_string(),
            balance: Some(amount_of(posted.balance.on_side(normal), account.commodity)),
            normal_side: side(normal),
        }
    };
    let numbers = entries.iter().map(|entry| entry.number);
    let only_proposed = validate_only && !written.recorded_before;
    let proposals = entries.iter().filter(|_| only_proposed);
    pb::Outcome {
        change_number: written.change,
        entry_numbers: numbers.filter(|_| !only_proposed).collect(),
        balances: last.iter().map(balance).collect(),
        replayed: written.replayed,
        already_recorded: written.recorded_before,
        recorded_at: (!only_proposed).then(|| timestamp_of(written.answer.recorded_at)),
        proposed_entries: proposals.map(|entry| proposed(campaign, entry)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Event;

    #[test]
    fn every_event_has_a_name_on_the_wire() {
        let on_the_wire = (1..).map_while(|n| pb::EntryEvent::try_from(n).ok());
        let mut count = 0;
        for value in on_the_wire {
            let word = value
                .as_str_name()
                .trim_start_matches("ENTRY_EVENT_")
                .to_lowercase();
            let event = Event::of_word(&word).unwrap_or_else(|| panic!("{word}"));
            assert_eq!(super::event(event), i32::from(value));
            count += 1;
        }
        assert_eq!(count, 33);
    }
}
