//! Tables for people: amounts to the right and in groups of three digits, nothing
//! where there is nothing.

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};

use crate::{cli::print, grpc::pb};

/// A line under the heading and none between columns.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table in the making. A heading that begins with `>` is over a column of
/// numbers, which stand to the right.
pub(super) struct Sheet {
    table: Table,
    right: Vec<bool>,
}

impl Sheet {
    pub(super) fn new(headings: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(STYLE);
        let right: Vec<bool> = headings.iter().map(|text| text.starts_with('>')).collect();
        let mut sheet = Self { table, right };
        let heading = headings.iter().map(|text| text.trim_start_matches('>'));
        let cells = sheet.cells(heading.map(str::to_owned));
        sheet.table.set_header(cells);
        sheet
    }

    pub(super) fn row<const COLUMNS: usize>(&mut self, cells: [String; COLUMNS]) {
        let cells = self.cells(cells);
        self.table.add_row(cells);
    }

    /// A row of nothing: air between the parts of a table.
    pub(super) fn gap(&mut self) {
        let cells = self.cells(
            self.right
                .iter()
                .map(|_| " ".to_owned())
                .collect::<Vec<_>>(),
        );
        self.table.add_row(cells);
    }

    fn cells(&self, cells: impl IntoIterator<Item = String>) -> Vec<Cell> {
        let with_side = cells.into_iter().zip(&self.right);
        with_side
            .map(|(text, right)| {
                let side = if *right {
                    CellAlignment::Right
                } else {
                    CellAlignment::Left
                };
                Cell::new(text).set_alignment(side)
            })
            .collect()
    }

    pub(super) fn print(&self) {
        print(format_args!("{}\n", self.table.trim_fmt()));
    }
}

/// An amount without its currency, which the report's head names; nothing for nothing.
pub(super) fn amount(money: Option<&pb::Money>) -> String {
    money.map_or_else(String::new, |money| grouped(&money.amount))
}

/// The same, with nothing for zero.
pub(super) fn movement(money: Option<&pb::Money>) -> String {
    let zero = |text: &str| !text.bytes().any(|digit| (b'1'..=b'9').contains(&digit));
    money
        .map(|money| money.amount.as_str())
        .filter(|text| !zero(text))
        .map_or_else(String::new, grouped)
}

/// "1234567.89" as "1,234,567.89".
pub(super) fn grouped(decimal: &str) -> String {
    let (whole, fraction) = decimal.split_at(decimal.find('.').unwrap_or(decimal.len()));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut grouped = sign.to_owned();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

/// Hundredths of a per cent as per cent; below zero there is nothing to say.
pub(super) fn per_cent(basis_points: i64) -> String {
    if basis_points < 0 {
        return "n/a".to_owned();
    }
    format!("{}.{:02} %", basis_points / 100, basis_points % 100)
}

/// "ENTRY_EVENT_PAYMENT_SUCCEEDED" as "payment succeeded".
pub(super) fn words(name: &str, prefix: &str) -> String {
    let rest = name.strip_prefix(prefix).unwrap_or(name);
    rest.replace('_', " ").to_lowercase()
}

/// The width to which text is set.
const WIDTH: usize = 100;

/// Text with a margin in front of its first line and the same space in front of
/// the others.
pub(super) fn paragraph(margin: &str, text: &str) -> String {
    let indent = " ".repeat(margin.chars().count());
    let mut set = margin.to_owned();
    let mut column = indent.len();
    for (position, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if position > 0 && column + 1 + length > WIDTH {
            set.push('\n');
            set.push_str(&indent);
            column = indent.len();
        } else if position > 0 {
            set.push(' ');
            column += 1;
        }
        set.push_str(word);
        column += length;
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped_by_three() {
        for (text, shown) in [
            ("0.00", "0.00"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1234567.89", "-1,234,567.89"),
            ("-123.45", "-123.45"),
        ] {
            assert_eq!(grouped(text), shown);
        }
    }

    #[test]
    fn nothing_moved_shows_nothing() {
        let money = |amount: &str| pb::Money {
            currency_code: "EUR".to_owned(),
            amount: amount.to_owned(),
        };
        assert_eq!(movement(Some(&money("0.00"))), "");
        assert_eq!(movement(Some(&money("-10.00"))), "-10.00");
        assert_eq!(movement(None), "");
        assert_eq!(amount(Some(&money("0.00"))), "0.00");
    }

    #[test]
    fn a_paragraph_keeps_its_margin() {
        let set = paragraph("day 1  ", &"word ".repeat(30));
        assert!(set.starts_with("day 1  word word"));
        assert!(set.lines().all(|line| line.len() <= WIDTH));
        assert!(
            set.lines()
                .skip(1)
                .all(|line| line.starts_with("       word"))
        );
        assert_eq!(set.split_whitespace().count(), 32);
    }

    #[test]
    fn hundredths_of_a_per_cent_are_shown_whole() {
        assert_eq!(per_cent(6_841), "68.41 %");
        assert_eq!(per_cent(10_005), "100.05 %");
        assert_eq!(per_cent(-1), "n/a");
    }
}
