//! What a run found, and how it reads.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{
    Load,
    books::Books,
    pace::Paced,
    plan::{Kind, micros},
    profile::length,
    record::Figures,
};
use crate::{
    cli::{
        Failure, check, print,
        tables::{Sheet, grouped},
    },
    grpc::pb,
    money::{Amount, Currency},
};

/// What a run found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was asked for.
    pub load: Load,
    /// Charges of the plan.
    pub charges: usize,
    /// Calls of the plan.
    pub calls: usize,
    /// Payments, fees, failures and duplicates.
    pub figures: [Figures; Kind::COUNT],
    /// How the sending went.
    pub paced: Paced,
    /// From the start to the last answer.
    pub took: Duration,
    /// Fees that were due before their payment's answer had come.
    pub fees_waited: u64,
    /// Fees that were not sent, since their payment was not recorded.
    pub fees_unsent: u64,
    /// Calls whose outcome was asked for again after the run.
    pub asked_again: usize,
    /// Calls of which it is still not known what became of them.
    pub unsettled: usize,
    /// Answers that no caller should see.
    pub unexpected: u64,
    /// What the ledger should say, from what was acknowledged.
    pub acknowledged: Books,
    /// What the ledger says.
    pub ledger: Books,
    /// What the check found.
    pub checked: pb::CheckCampaignResponse,
}

const KINDS: [&str; Kind::COUNT] = ["payment", "fee", "failure", "duplicate"];

impl Report {
    /// What is wrong, a sentence each; nothing when all is in order.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.ledger != self.acknowledged {
            complaints.push("the ledger is not what was acknowledged".to_owned());
        }
        if !self.checked.differences.is_empty() {
            complaints.push("the check found differences".to_owned());
        }
        if self.unexpected > 0 {
            complaints.push(format!(
                "{} answers that no caller should see",
                self.unexpected
            ));
        }
        if self.unsettled > 0 {
            let unsettled = self.unsettled;
            complaints.push(format!(
                "of {unsettled} calls nobody knows what became of them"
            ));
        }
        complaints
    }

    /// Prints it; `place` says where the service ran.
    pub(super) fn print(&self, place: &str) -> Result<(), Failure> {
        self.conditions(place);
        self.answers();
        self.late();
        self.books()?;
        let differences = self.checked.differences.iter().map(|difference| {
            [
                difference.rule.clone(),
                difference.subject.clone(),
                difference.stored.clone(),
                difference.expected.clone(),
            ]
        });
        let rules = self.checked.rules.len();
        check::say("CHECK", self.checked.entry_number, rules, differences);
        let complaints = self.complaints();
        for complaint in &complaints {
            print(format_args!("NOT IN ORDER: {complaint}"));
        }
        if complaints.is_empty() {
            print("In order: every acknowledged cent is in the ledger, and no other.");
        }
        Ok(())
    }

    fn conditions(&self, place: &str) {
        let Load {
            profile,
            seed,
            rate,
            duration,
            members,
            connections,
            in_flight,
        } = &self.load;
        let compressed = profile.span.as_millis() / duration.as_millis().max(1);
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let build = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        let answered: u64 = self
            .figures
            .iter()
            .map(|figures| figures.latency.len())
            .sum();
        print(format_args!(
            "LOAD · {} · seed {seed} · {} of {} charges in {}: {} compressed {} ×\n\
             {place}\n\
             {cores} cores · {build} build · {connections} connections · at most {} in flight\n\
             asked:   {} charges/s on average, {} at the peak, on {} members: {} calls with fees \
             and duplicates\n\
             reached: {} calls came up in {} s, {}/s; {} answered in {} s, {}/s\n",
            profile.name,
            grouped(&self.charges.to_string()),
            grouped(&profile.charges.to_string()),
            length(*duration),
            length(profile.span),
            grouped(&compressed.to_string()),
            grouped(&in_flight.to_string()),
            grouped(&rate.to_string()),
            grouped(&profile.peak(*rate).to_string()),
            grouped(&members.to_string()),
            grouped(&self.calls.to_string()),
            grouped(&self.paced.lag.len().to_string()),
            seconds(self.paced.sending),
            grouped(&a_second(self.paced.lag.len(), self.paced.sending).to_string()),
            grouped(&answered.to_string()),
            seconds(self.took),
            grouped(&a_second(answered, self.took).to_string()),
        ));
    }

    fn answers(&self) {
        print("Milliseconds from when a call was due to its answer:\n");
        let mut sheet = Sheet::new(&[
            "Call",
            ">Sent",
            ">Done",
            ">Replayed",
            ">Recorded before",
            ">Refused",
            ">p50",
            ">p90",
            ">p99",
            ">p99.9",
            ">Max",
        ]);
        for (kind, figures) in KINDS.iter().zip(&self.figures) {
            let refused: u64 = figures.refused.values().sum();
            let counts = [
                figures.sent,
                figures.done,
                figures.replayed,
                figures.recorded_before,
                refused,
            ];
            let [sent, done, replayed, before, refused] = counts.map(|n| grouped(&n.to_string()));
            let [p50, p90, p99, p999, max] = quantiles(&figures.latency);
            let kind = (*kind).to_owned();
            sheet.row([
                kind, sent, done, replayed, before, refused, p50, p90, p99, p999, max,
            ]);
        }
        sheet.print();
        for (kind, figures) in KINDS.iter().zip(&self.figures) {
            for (reason, number) in &figures.refused {
                print(format_args!("refused, {kind}: {number} × {reason}"));
            }
        }
    }

    fn late(&self) {
        let [p50, _, p99, _, max] = quantiles(&self.paced.lag);
        print(format_args!(
            "not sent in time, at the bound of {} in flight: {}\n\
             sent so long after being due, ms: p50 {p50}, p99 {p99}, max {max}\n\
             fees due before their payment was answered: {}, and not sent, the payment not being \
             recorded: {}\n\
             asked again what became of them: {}, still not known: {}\n",
            grouped(&self.load.in_flight.to_string()),
            grouped(&self.paced.not_in_time.to_string()),
            grouped(&self.fees_waited.to_string()),
            grouped(&self.fees_unsent.to_string()),
            self.asked_again,
            self.unsettled,
        ));
    }

    fn books(&self) -> Result<(), Failure> {
        let currency: Currency = self.load.profile.currency.parse()?;
        let plain = |number: i64| grouped(&number.to_string());
        let money = |units| grouped(&Amount::of_units(units).display(currency));
        let (told, found) = (&self.acknowledged, &self.ledger);
        let mut sheet = Sheet::new(&[
            "",
            "In the ledger",
            ">Acknowledged",
            ">Found",
            ">Difference",
        ]);
        sheet.row([
            String::new(),
            "Journal entries".to_owned(),
            plain(told.entries),
            plain(found.entries),
            plain(found.entries - told.entries),
        ]);
        for (code, name, told, found) in [
            ("1000", "Provider balance", told.provider, found.provider),
            ("2100", "Share application money", told.held, found.held),
            ("2200", "Refunds payable", told.refundable, found.refundable),
        ] {
            sheet.row([
                code.to_owned(),
                format!("{name}, {currency}"),
                money(told),
                money(found),
                money(found - told),
            ]);
        }
        sheet.print();
        Ok(())
    }
}

/// Median, the other percentiles that are shown, and the most, in milliseconds.
fn quantiles(of: &Histogram<u64>) -> [String; 5] {
    if of.is_empty() {
        return Default::default();
    }
    let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|q| of.value_at_quantile(q));
    [p50, p90, p99, p999, of.max()].map(milliseconds)
}

/// Microseconds as milliseconds with a tenth.
pub(super) fn milliseconds(micros: u64) -> String {
    grouped(&format!("{}.{}", micros / 1_000, micros % 1_000 / 100))
}

fn seconds(of: Duration) -> String {
    format!("{}.{}", of.as_secs(), of.subsec_millis() / 100)
}

fn a_second(number: u64, in_time: Duration) -> u64 {
    number * 1_000_000 / micros(in_time).max(1)
}
