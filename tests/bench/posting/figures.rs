//! What was measured: samples by name, their medians, the table and the file.

use std::{collections::BTreeMap, time::Duration};

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use serde_json::{Value, json};

use crate::place::Place;

/// What each figure has to come to: "at least" and "aim", and whether more is better.
const GOALS: [(&str, f64, f64, bool); 18] = [
    ("book_vs_copy", 0.40, 0.55, true),
    ("book64_vs_naive", 12.0, 25.0, true),
    ("book64_vs_cala", 50.0, 100.0, true),
    ("book_vs_cala_batch", 10.0, 25.0, true),
    ("payment_vs_copy", 0.35, 0.60, true),
    ("unary_vs_echo", 0.20, 0.40, true),
    ("stream_vs_book", 0.70, 0.90, true),
    ("p99_1k_vs_idle", 6.0, 2.5, false),
    ("p99_5k_vs_idle", 10.0, 4.0, false),
    ("two_servers_vs_one", 0.90, 1.10, true),
    ("growth_write", 1.25, 1.1, false),
    ("growth_balance", 2.0, 1.2, false),
    ("growth_statement", 2.0, 1.2, false),
    ("growth_trial_balance", 2.0, 1.2, false),
    ("bytes_per_posting", 1_000.0, 650.0, false),
    ("rss_4096_mb", 600.0, 300.0, false),
    ("allotment_live_p99_vs_usual", 5.0, 3.0, false),
    ("refunds_live_p99_vs_usual", 5.0, 3.0, false),
];

#[derive(Default)]
pub struct Figures {
    conditions: BTreeMap<String, Value>,
    figures: BTreeMap<String, Vec<f64>>,
    rates: BTreeMap<String, Vec<f64>>,
    times: BTreeMap<String, Vec<f64>>,
    counts: BTreeMap<String, Vec<f64>>,
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    }
}

fn least(samples: &[f64]) -> f64 {
    samples.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(samples: &[f64]) -> f64 {
    samples.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn short(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.3}"),
        10.0..1_000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

impl Figures {
    pub async fn begin(place: &Place, options: &str) -> Self {
        let mut figures = Self::default();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        figures.condition("cores", cores);
        figures.condition("fdatasync, ms", format!("{:.3}", place.sync_time()));
        figures.condition("PostgreSQL", place.version().await);
        figures.condition("options", options);
        figures
    }

    pub fn condition(&mut self, name: &str, value: impl ToString) {
        let value = value.to_string();
        println!("  {name}: {value}");
        self.conditions.insert(name.to_owned(), value.into());
    }

    /// One of the figures that have a goal.
    pub fn figure(&mut self, name: &str, value: f64) {
        assert!(GOALS.iter().any(|(known, ..)| *known == name), "{name}");
        println!("  {name}: {}", short(value));
        self.figures.entry(name.to_owned()).or_default().push(value);
    }

    /// A figure that is a ratio of two others of the same round.
    pub fn ratio(&mut self, name: &str, of: f64, to: f64) {
        self.figure(name, of / to);
    }

    /// So many a second.
    pub fn rate(&mut self, name: &str, value: f64) {
        println!("  {name}: {}/s", short(value));
        self.rates.entry(name.to_owned()).or_default().push(value);
    }

    /// So long.
    pub fn time(&mut self, name: &str, value: Duration) {
        let value = value.as_secs_f64() * 1_000.0;
        println!("  {name}: {} ms", short(value));
        self.times.entry(name.to_owned()).or_default().push(value);
    }

    /// So many.
    pub fn count(&mut self, name: &str, value: f64) {
        println!("  {name}: {}", short(value));
        self.counts.entry(name.to_owned()).or_default().push(value);
    }

    pub fn print(&self) {
        for (title, samples) in [
            ("a second", &self.rates),
            ("milliseconds", &self.times),
            ("count", &self.counts),
        ] {
            if samples.is_empty() {
                continue;
            }
            let mut table = Table::new();
            table.set_header([title, "median", "min", "max"]);
            for (name, samples) in samples {
                table.add_row([
                    name.clone(),
                    short(median(samples)),
                    short(least(samples)),
                    short(most(samples)),
                ]);
            }
            print(table);
        }
        let mut table = Table::new();
        table.set_header(["figure", "median", "min", "max", "at least", "aim", ""]);
        for (name, at_least, aim, more) in GOALS {
            let Some(samples) = self.figures.get(name) else {
                continue;
            };
            let value = median(samples);
            let reaches = |goal: f64| if more { value >= goal } else { value <= goal };
            let verdict = match (reaches(at_least), reaches(aim)) {
                (_, true) => "aim",
                (true, false) => "done",
                (false, false) => "MISSED",
            };
            table.add_row([
                name.to_owned(),
                short(value),
                short(least(samples)),
                short(most(samples)),
                short(at_least),
                short(aim),
                verdict.to_owned(),
            ]);
        }
        print(table);
    }

    /// `target/posting.json`. Beside a part of the figures, those of earlier runs stay.
    pub fn write(&self, is_part: bool) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/posting.json");
        let before = is_part.then(|| std::fs::read(&path).ok()).flatten();
        let before: Option<Value> = before.and_then(|file| serde_json::from_slice(&file).ok());
        let mut figures = match before.as_ref().map(|file| &file["figures"]) {
            Some(Value::Object(figures)) => figures.clone(),
            _ => serde_json::Map::new(),
        };
        for (name, samples) in &self.figures {
            let figure = json!({
                "median": median(samples),
                "min": least(samples),
                "max": most(samples),
                "rounds": samples.len(),
            });
            figures.insert(name.clone(), figure);
        }
        let all = |samples: &BTreeMap<String, Vec<f64>>| {
            let medians = samples
                .iter()
                .map(|(name, of)| (name.clone(), json!(median(of))));
            Value::Object(medians.collect())
        };
        let file = json!({
            "conditions": self.conditions,
            "figures": figures,
            "per_second": all(&self.rates),
            "milliseconds": all(&self.times),
            "counts": all(&self.counts),
        });
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, serde_json::to_vec_pretty(&file).unwrap()).unwrap();
        println!("written: {}", path.display());
    }
}

fn print(mut table: Table) {
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
}
