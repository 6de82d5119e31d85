//! Whether anybody is still owed anything at a campaign's end.

use super::{campaign::Playing, ending::closing, offer::Ending};
use crate::{
    cli::{Failure, client::present, print, tables::paragraph},
    grpc::pb,
};

/// What is owed: share application money, refunds, and receipts of nobody.
const OWED: [&str; 4] = ["2100", "2200", "2210", "2900"];
/// Money between two places.
const ON_ITS_WAY: [&str; 3] = ["1000", "1050", "1150"];
/// What only a purchase keeps open while it is made.
const OF_THE_PURCHASE: [&str; 2] = ["1400", "2400"];
/// What is left where everything has gone back: nothing at the bank, nothing advanced.
const OF_EVERYTHING: [&str; 2] = ["1100", "2510"];

/// Says whether anybody is still owed anything, from a trial balance; true when nobody is.
pub(super) async fn say(playing: &Playing) -> Result<bool, Failure> {
    let report = playing.trial_balance().await?;
    let last = match playing.plan.offer.ending {
        Ending::Bought { .. } => OF_THE_PURCHASE,
        Ending::PaidBack { .. } => OF_EVERYTHING,
    };
    let codes = [&OWED[..], &ON_ITS_WAY, &last].concat();
    let entry = present(report.head, "head")?.entry_number;
    let left = left_over(&report.rows, &codes)?;
    let what = match left.as_slice() {
        [] => format!(
            "nobody is owed anything. At entry {entry} the trial balance has {} at 0.00.",
            names_of(&report.rows, &codes)
        ),
        _ => format!(
            "NOT EVERYTHING IS SETTLED at entry {entry}: {}.",
            left.join(", ")
        ),
    };
    let text = format!("{}: {what}", playing.plan.offer.title);
    print(format_args!("{}\n", paragraph("SETTLED · ", &text)));
    Ok(left.is_empty())
}

/// What of these accounts is not zero, each as "2200 is -12.00". Books in which no
/// application money ever moved prove nothing, and count as unsettled.
fn left_over(rows: &[pb::TrialBalanceRow], codes: &[&str]) -> Result<Vec<String>, Failure> {
    let mut left = Vec::new();
    if !rows.iter().any(|row| row.code == "2100") {
        left.push("no application money was ever held".to_owned());
    }
    for code in codes {
        let balance = closing(rows, code)?;
        if !balance.is_zero() {
            let row = rows.iter().find(|row| row.code == *code);
            let money =
                row.and_then(|row| row.closing_debit.as_ref().or(row.closing_credit.as_ref()));
            let shown = money.map_or_else(String::new, |money| money.amount.clone());
            left.push(format!("{code} is {shown}"));
        }
    }
    Ok(left)
}

/// "1000 provider balance, …", of what the campaign has used.
fn names_of(rows: &[pb::TrialBalanceRow], codes: &[&str]) -> String {
    let used = rows.iter().filter(|row| codes.contains(&row.code.as_str()));
    let names: Vec<String> = used
        .map(|row| format!("{} {}", row.code, row.display_name.to_lowercase()))
        .collect();
    match names.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        names => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(code: &str, debit: &str, credit: &str) -> pb::TrialBalanceRow {
        let money = |amount: &str| {
            (!amount.is_empty()).then(|| pb::Money {
                currency_code: "GBP".to_owned(),
                amount: amount.to_owned(),
            })
        };
        pb::TrialBalanceRow {
            code: code.to_owned(),
            display_name: format!("Account {code}"),
            closing_debit: money(debit),
            closing_credit: money(credit),
            ..Default::default()
        }
    }

    #[test]
    fn settled_books_have_nothing_left() {
        let rows = [
            row("1000", "0.00", ""),
            row("2100", "", "0.00"),
            row("5400", "3.20", ""),
        ];
        assert!(
            left_over(&rows, &["1000", "2100", "2200"])
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            names_of(&rows, &["1000", "2100", "2200"]),
            "1000 account 1000 and 2100 account 2100"
        );
    }

    #[test]
    fn a_cent_on_either_side_is_left_over() {
        let rows = [
            row("1000", "0.01", ""),
            row("2100", "", ""),
            row("2200", "", "0.01"),
        ];
        let left = left_over(&rows, &["1000", "2100", "2200"]).unwrap();
        assert_eq!(left, ["1000 is 0.01", "2200 is 0.01"]);
    }

    #[test]
    fn books_without_money_prove_nothing() {
        assert_eq!(
            left_over(&[], &["1000"]).unwrap(),
            ["no application money was ever held"]
        );
    }
}
