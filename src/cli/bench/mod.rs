//! `pledgebook bench`: load through the front door, and the books checked afterwards.
//!
//! | file | has |
//! |---|---|
//! | `profile`, `amount` | the loads by name; how much people give |
//! | `plan` | a run's charges and calls with their times, by seed |
//! | `own`, `setup` | a service of the run's own; the campaign, its members and pledges |
//! | `pace`, `call` | sends what is due; makes the calls |
//! | `record`, `progress` | answers and latencies; the bar |
//! | `books`, `report` | acknowledged against the ledger; what is printed |
//!
//! **The loop is open.** A campaign that opens on the evening news does not wait for
//! the service: people come when they come. So each call has its time in advance, and
//! is sent at that time whether or not those before it were answered. A generator
//! that waits for an answer before it sends the next call (a closed loop) slows down
//! with the service that it measures, and leaves out just the calls that would have
//! met the stall. That mistake is called *coordinated omission*. Latency is therefore
//! counted from when a call was **due**, not from when it was sent: when the generator
//! itself is late, that is in the figures too, and also reported by itself. Only a
//! large bound on calls in flight protects the machine; what it holds up is counted as
//! "not sent in time", and sent. A fee that waits for its payment counts as in flight.
//!
//! **Through the front door**: the campaign, its members and its pledges are made by
//! gRPC before the clock starts; payments, fees, failures and duplicates are gRPC calls
//! with a treasurer's key. Three of a hundred charges fail, at once: failures after
//! success are not part of the load. A fee names its payment, and so waits for the
//! payment's answer; its latency counts that wait.
//!
//! **A run is a profile compressed**: what took a campaign three months arrives in half
//! a minute with the same shape. The rate, in charges a second, is the mean over the
//! run, so it says how many of the campaign's charges the run has.
//!
//! **It ends with the books.** What was acknowledged is counted here, call by call, and
//! must be what the ledger holds, to the cent and to the entry; then the service checks
//! itself. A call whose answer was lost is asked for again with its request id.

mod amount;
mod books;
mod call;
mod own;
mod pace;
mod plan;
mod profile;
mod progress;
mod record;
mod report;
mod setup;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::{
    amount::Amounts,
    books::Books,
    pace::Paced,
    profile::{NoProfile, PROFILES, Profile, Stretch},
    record::Figures,
    report::Report,
};
use self::{
    call::Caller, own::Own, plan::Plan, progress::Progress, record::Recorder, setup::Campaign,
};
use super::{Failure, client::Clients, open, print};
use crate::{config::Settings, id::RequestId};

/// The most members that a run makes when it is not told a number: they are made
/// before the clock starts, and somebody waits for it.
const MOST_MEMBERS: usize = 5_000;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The loop is open: every call is sent when it is due, whatever became of those before it, and its
latency counts from then. Without --target a cluster and a server are started for the run and
removed after it; the generator then shares the cores with what it measures.

Exit status 0 says: the check is clean, the ledger holds what was acknowledged, to the cent, and
no answer was unexpected. Being refused as OVERLOADED is expected.

  pledgebook bench --profile monzo --duration 20s
  pledgebook bench --profile one-percent-of-twitter --rate 500
  pledgebook bench --profile packers --target http://127.0.0.1:7433 --key pb_...")]
pub(super) struct Arguments {
    /// Which load; --list says what they are.
    #[arg(
        long,
        required_unless_present = "list",
        value_parser = PossibleValuesParser::new(PROFILES.map(|profile| profile.name))
            .try_map(|name| name.parse::<Profile>())
    )]
    profile: Option<Profile>,
    /// Show the profiles and end.
    #[arg(long)]
    list: bool,
    /// Charges a second on average, instead of the profile's; fees and duplicates come on top.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// How long charges arrive, as in 30s, 1500ms or 2m; the profile is compressed to it.
    #[arg(long, default_value = "30s", value_parser = duration)]
    duration: Duration,
    /// How many members with a pledge there are, instead of the profile's number, or 5,000.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    members: Option<u32>,
    /// Another seed draws other amounts and times.
    #[arg(long, default_value_t = Load::SEED)]
    seed: u64,
    /// HTTP/2 connections.
    #[arg(long, default_value_t = Load::CONNECTIONS, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// The most calls in flight; what is due beyond them is sent late and counted.
    #[arg(long, default_value_t = Load::IN_FLIGHT, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    in_flight: u32,
    /// Load this server instead. It gets a campaign that stays: a ledger forgets nothing.
    #[arg(long, value_name = "URL", requires = "key", conflicts_with = "data")]
    target: Option<String>,
    /// A treasurer's or an admin's key for the target.
    #[arg(long, requires = "target")]
    key: Option<String>,
    /// Keep the run's own cluster in this folder instead of removing it.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// What to load a service with.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The shape, the amounts, the campaign.
    pub profile: Profile,
    /// What decides the draws.
    pub seed: u64,
    /// Charges a second on average.
    pub rate: u32,
    /// How long charges arrive.
    pub duration: Duration,
    /// How many members there are, each with a pledge.
    pub members: usize,
    /// HTTP/2 connections.
    pub connections: u16,
    /// The most calls in flight.
    pub in_flight: u32,
}

impl Load {
    /// The seed when none is given.
    pub const SEED: u64 = 2016;
    /// The connections when no number is given.
    pub const CONNECTIONS: u16 = 4;
    /// The most calls in flight when no number is given: far more than a service in
    /// health ever has, and few enough for the machine's memory.
    pub const IN_FLIGHT: u32 = 16_384;

    /// A load of a profile, with the rest as it is when it is not told otherwise.
    #[must_use]
    pub fn of(
        profile: Profile,
        rate: Option<u32>,
        duration: Duration,
        members: Option<usize>,
    ) -> Self {
        let rate = rate.unwrap_or(profile.rate);
        let charges = u128::from(rate) * duration.as_millis() / 1_000;
        let payers = usize::try_from(charges).unwrap_or(usize::MAX);
        let usual = profile.members.min(payers).clamp(1, MOST_MEMBERS);
        Self {
            rate,
            duration,
            members: members.unwrap_or(usual),
            profile,
            seed: Self::SEED,
            connections: Self::CONNECTIONS,
            in_flight: Self::IN_FLIGHT,
        }
    }
}

/// Reads "30s", "1500ms" or "2m".
fn duration(text: &str) -> Result<Duration, String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let scale: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err("write a number and ms, s or m, as in 30s".to_owned()),
    };
    let millis = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(scale));
    let allowed = 100..=86_400_000;
    match millis {
        Some(millis) if allowed.contains(&millis) => Ok(Duration::from_millis(millis)),
        _ => Err("from 100ms to 1440m".to_owned()),
    }
}

pub(super) async fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let profile = match (&arguments.profile, arguments.list) {
        (Some(profile), false) => profile.clone(),
        (_, true) | (None, _) => {
            profile::list();
            return Ok(ExitCode::SUCCESS);
        }
    };
    let members = arguments.members.map(usize::try_from).transpose()?;
    let asked = Load {
        seed: arguments.seed,
        connections: arguments.connections,
        in_flight: arguments.in_flight,
        ..Load::of(profile, arguments.rate, arguments.duration, members)
    };
    let told = open::until_told()?;
    let (report, place) = match (&arguments.target, &arguments.key) {
        (Some(target), Some(key)) => {
            let report = unless_told(&told, load(target, key, &asked)).await?;
            (report, format!("a server at {target}"))
        }
        _ => {
            let own = Own::start(settings, arguments.data.clone()).await?;
            let (address, key) = (&own.address, own.key.reveal());
            let report = unless_told(&told, load(address, key, &asked)).await;
            own.end().await?;
            let place = "server and cluster of the run's own, on the cores of the generator";
            (report?, place.to_owned())
        }
    };
    report.print(&place)?;
    Ok(if report.complaints().is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs to the end, or until somebody wants it to end.
async fn unless_told(
    told: &CancellationToken,
    run: impl Future<Output = Result<Report, Failure>>,
) -> Result<Report, Failure> {
    tokio::select! {
        report = run => report,
        () = told.cancelled() => Err("stopped before the end of the run".into()),
    }
}

/// Loads the service at an address such as `http://127.0.0.1:7433`, with a treasurer's
/// or an admin's key, and compares its books with what it acknowledged.
///
/// # Errors
/// When the service cannot be reached, the set-up is refused, or the reports cannot be
/// read. What becomes of the load itself is in the [`Report`].
pub async fn load(target: &str, key: &str, load: &Load) -> Result<Report, Failure> {
    let plan = Plan::draw(load)?;
    let (charges, calls) = (plan.charges.len(), plan.arrivals.len());
    if charges == 0 {
        return Err("no charge in this time at this rate".into());
    }
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        connections.push(Clients::connect(target, key).await?);
    }
    print(format_args!(
        "Making a campaign of {} members with their pledges, then {calls} calls.",
        load.members
    ));
    let run = RequestId::mint().0;
    let campaign = Campaign::make(&connections, run, load, &plan).await?;
    let recorder = Arc::new(Recorder::new()?);
    let caller = Arc::new(Caller::new(
        connections,
        run,
        campaign,
        plan,
        Arc::clone(&recorder),
    ));
    let before = caller.ledger().await?;

    let schedule = caller.schedule();
    let progress = Progress::show(calls, Arc::clone(&recorder))?;
    let started = Instant::now();
    let in_flight = usize::try_from(load.in_flight)?;
    let paced = pace::pace(schedule, started, in_flight, |number, due| {
        Arc::clone(&caller).send(number, due)
    });
    let paced = paced.await?;
    let took = started.elapsed();
    drop(progress);

    let (asked_again, unsettled) = caller.settle().await;
    Ok(Report {
        load: load.clone(),
        charges,
        calls,
        figures: recorder.figures(),
        paced,
        took,
        fees_waited: caller.fees_waited.load(Ordering::Relaxed),
        fees_unsent: caller.fees_unsent.load(Ordering::Relaxed),
        asked_again,
        unsettled,
        unexpected: recorder.unexpected.load(Ordering::Relaxed),
        acknowledged: caller.acknowledged(before),
        ledger: caller.ledger().await?,
        checked: caller.check().await?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit_and_bounds() {
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in [
            "20",
            "s",
            "-1s",
            "1.5s",
            "0s",
            "99ms",
            "2h",
            "99999999999999999999s",
            "",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_run_has_no_more_members_than_can_pay_in_it() {
        let of = |name: &str, rate, members| {
            let second = Duration::from_secs(1);
            Load::of(name.parse().unwrap(), rate, second, members).members
        };
        assert_eq!(of("monzo", Some(70), None), 70);
        assert_eq!(of("village-shop", Some(9_000), None), 183);
        assert_eq!(of("monzo", Some(9_000), None), MOST_MEMBERS);
        assert_eq!(of("monzo", Some(70), Some(3)), 3);
    }
}
