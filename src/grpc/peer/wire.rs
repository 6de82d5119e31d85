//! Commands and outcomes as JSON, sealed. Servers of two versions may meet while they are
//! upgraded, and a command must not mean less there than where it was asked: a message opens
//! only where version and schema are the same, and a field that an action does not know is an
//! error.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    book::{BookError, Handed},
    domain::{Action, Answer, Command, Fingerprint, Outcome, Refusal, Snapshot, run::Run},
    grpc::fingerprint,
    id::{CampaignId, RequestId},
    ledger::{Digest, Event, JournalEntry, PostedEntry, PostedLine},
    secret::{SecretError, Secrets},
    store::schema,
};

/// Why a message is not understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// Not sealed by a server of this installation, or for another campaign.
    #[error(transparent)]
    Sealed(#[from] SecretError),
    /// Not what this version knows.
    #[error("not a message of this version")]
    Unknown(#[from] serde_json::Error),
}

/// What a message belongs to: it opens nowhere else. So nobody on the way can repeat or
/// exchange messages of a stream, and a server that has taken over another one's address, for
/// another database perhaps, does not understand what was meant for that one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    /// Of which campaign the commands are.
    pub(super) campaign: CampaignId,
    /// The process that is to carry them out.
    pub(super) process: u32,
    /// Drawn for the stream.
    pub(super) id: u64,
}

/// Which way a message goes.
#[derive(Clone, Copy)]
enum Content {
    Commands,
    Outcomes,
}

impl Stream {
    /// The additional data of the stream's message of this number, from 0 in each direction.
    fn about(self, content: Content, number: u64) -> Vec<u8> {
        let content: &[u8] = match content {
            Content::Commands => b"commands ",
            Content::Outcomes => b"outcomes ",
        };
        [
            content,
            self.campaign.0.as_bytes(),
            &self.process.to_be_bytes(),
            &self.id.to_be_bytes(),
            &number.to_be_bytes(),
            &schema::version().to_be_bytes(),
            env!("CARGO_PKG_VERSION").as_bytes(),
        ]
        .concat()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SentCommand<'a> {
    request_id: RequestId,
    method: Cow<'a, str>,
    principal: Cow<'a, str>,
    hashes: Cow<'a, [(u16, [u8; 8])]>,
    action: Cow<'a, Action>,
    /// How long somebody waits for it, in milliseconds. Clocks differ between servers.
    waits_ms: Option<u64>,
    is_bulk: bool,
}

#[derive(Serialize, Deserialize)]
enum SentOutcome<'a> {
    Done {
        change: i64,
        recorded_at: OffsetDateTime,
        entries: Vec<SentEntry<'a>>,
        snapshots: Cow<'a, [Snapshot]>,
        /// How far each run among the snapshots is worked, which is no part of its history.
        worked: Vec<(i64, i64)>,
    },
    Refused(Cow<'a, Refusal>),
    Replayed(i64),
    RecordedBefore {
        change: i64,
        same_as: i64,
    },
    CampaignNotFound,
    Overloaded,
    DeadlineExceeded,
    ShuttingDown,
    Unavailable,
    Fault(Uuid),
}

/// An entry that its server has committed.
#[derive(Serialize, Deserialize)]
struct SentEntry<'a> {
    number: i64,
    recorded_at: OffsetDateTime,
    digest: Digest,
    event: Event,
    occurred_at: OffsetDateTime,
    value_date: Date,
    reverses: Option<i64>,
    lines: Cow<'a, [PostedLine]>,
}

pub(super) fn seal_commands(
    secrets: &Secrets,
    stream: Stream,
    number: u64,
    commands: &[Handed],
) -> Result<Vec<u8>, WireError> {
    let now = Instant::now();
    let commands: Vec<_> = commands
        .iter()
        .map(|handed| SentCommand {
            request_id: handed.command.request_id,
            method: Cow::Borrowed(&handed.command.method),
            principal: Cow::Borrowed(&handed.command.principal),
            hashes: Cow::Borrowed(&handed.command.fingerprint.hashes),
            action: Cow::Borrowed(&handed.command.action),
            waits_ms: handed.deadline.map(|deadline| {
                let left = deadline.saturating_duration_since(now).as_millis();
                u64::try_from(left).unwrap_or(u64::MAX)
            }),
            is_bulk: handed.is_bulk,
        })
        .collect();
    let about = stream.about(Content::Commands, number);
    Ok(secrets.seal_for_peers(&about, serde_json::to_vec(&commands)?)?)
}

pub(super) fn open_commands(
    secrets: &Secrets,
    stream: Stream,
    number: u64,
    sealed: Vec<u8>,
) -> Result<Vec<Handed>, WireError> {
    let text = secrets.open_from_peer(&stream.about(Content::Commands, number), sealed)?;
    let commands: Vec<SentCommand<'_>> = serde_json::from_slice(&text)?;
    let now = Instant::now();
    let commands = commands.into_iter().map(|sent| Handed {
        command: Command {
            request_id: sent.request_id,
            fingerprint: Fingerprint {
                hashes: sent.hashes.into_owned(),
                names: fingerprint::names(&sent.method),
            },
            method: Cow::Owned(sent.method.into_owned()),
            principal: sent.principal.into_owned(),
            action: sent.action.into_owned(),
        },
        deadline: sent
            .waits_ms
            .and_then(|left| now.checked_add(Duration::from_millis(left))),
        is_bulk: sent.is_bulk,
    });
    Ok(commands.collect())
}

pub(super) fn seal_outcomes(
    secrets: &Secrets,
    stream: Stream,
    number: u64,
    outcomes: &[Result<Outcome, BookError>],
) -> Result<Vec<u8>, WireError> {
    let outcomes: Vec<_> = outcomes.iter().map(SentOutcome::of).collect();
    let about = stream.about(Content::Outcomes, number);
    Ok(secrets.seal_for_peers(&about, serde_json::to_vec(&outcomes)?)?)
}

pub(super) fn open_outcomes(
    secrets: &Secrets,
    stream: Stream,
    number: u64,
    sealed: Vec<u8>,
) -> Result<Vec<Result<Outcome, BookError>>, WireError> {
    let text = secrets.open_from_peer(&stream.about(Content::Outcomes, number), sealed)?;
    let outcomes: Vec<SentOutcome<'_>> = serde_json::from_slice(&text)?;
    Ok(outcomes.into_iter().map(SentOutcome::outcome).collect())
}

fn runs(snapshots: &[Snapshot]) -> impl Iterator<Item = &Run> {
    snapshots.iter().filter_map(|snapshot| match snapshot {
        Snapshot::Run(run) => Some(&**run),
        Snapshot::Campaign(_)
        | Snapshot::Member(_)
        | Snapshot::Signature(_)
        | Snapshot::Pledge(_)
        | Snapshot::Payment(_)
        | Snapshot::MoneyAccount(_)
        | Snapshot::Payout(_)
        | Snapshot::Refund(_)
        | Snapshot::Lot(_) => None,
    })
}

impl<'a> SentOutcome<'a> {
    fn of(outcome: &'a Result<Outcome, BookError>) -> Self {
        match outcome {
            Ok(Outcome::Done(answer)) => Self::Done {
                change: answer.change,
                recorded_at: answer.recorded_at,
                entries: answer.entries.iter().map(SentEntry::of).collect(),
                worked: runs(&answer.snapshots)
                    .map(|run| (run.done, run.exceptions))
                    .collect(),
                snapshots: Cow::Borrowed(&answer.snapshots),
            },
            Ok(Outcome::Refused(refusal)) => Self::Refused(Cow::Borrowed(refusal)),
            Ok(Outcome::Replayed(change)) => Self::Replayed(*change),
            Ok(Outcome::RecordedBefore { change, same_as }) => Self::RecordedBefore {
                change: *change,
                same_as: *same_as,
            },
            Err(BookError::CampaignNotFound) => Self::CampaignNotFound,
            Err(BookError::Overloaded) => Self::Overloaded,
            Err(BookError::DeadlineExceeded) => Self::DeadlineExceeded,
            Err(BookError::ShuttingDown) => Self::ShuttingDown,
            Err(BookError::Unavailable) => Self::Unavailable,
            Err(BookError::Fault { incident }) => Self::Fault(*incident),
        }
    }

    fn outcome(self) -> Result<Outcome, BookError> {
        match self {
            Self::Done {
                change,
                recorded_at,
                entries,
                snapshots,
                worked,
            } => {
                let mut snapshots = snapshots.into_owned();
                let mut worked = worked.into_iter();
                for snapshot in &mut snapshots {
                    if let Snapshot::Run(run) = snapshot
                        && let Some(counts) = worked.next()
                    {
                        (run.done, run.exceptions) = counts;
                    }
                }
                let entries = entries.into_iter().map(|entry| entry.posted(change));
                Ok(Outcome::Done(Answer {
                    change,
                    recorded_at,
                    entries: entries.collect(),
                    snapshots,
                }))
            }
            Self::Refused(refusal) => Ok(Outcome::Refused(refusal.into_owned())),
            Self::Replayed(change) => Ok(Outcome::Replayed(change)),
            Self::RecordedBefore { change, same_as } => {
                Ok(Outcome::RecordedBefore { change, same_as })
            }
            Self::CampaignNotFound => Err(BookError::CampaignNotFound),
            Self::Overloaded => Err(BookError::Overloaded),
            Self::DeadlineExceeded => Err(BookError::DeadlineExceeded),
            Self::ShuttingDown => Err(BookError::ShuttingDown),
            Self::Unavailable => Err(BookError::Unavailable),
            Self::Fault(incident) => Err(BookError::Fault { incident }),
        }
    }
}

impl<'a> SentEntry<'a> {
    fn of(posted: &'a PostedEntry) -> Self {
        Self {
            number: posted.number,
            recorded_at: posted.recorded_at,
            digest: posted.digest,
            event: posted.entry.event(),
            occurred_at: posted.entry.occurred_at(),
            value_date: posted.entry.value_date(),
            reverses: posted.entry.reverses(),
            lines: Cow::Borrowed(&posted.lines),
        }
    }

    fn posted(self, change: i64) -> PostedEntry {
        let lines = self.lines.into_owned();
        PostedEntry {
            number: self.number,
            change,
            recorded_at: self.recorded_at,
            digest: self.digest,
            entry: JournalEntry::stored(
                self.event,
                self.occurred_at,
                self.value_date,
                self.reverses,
                lines.iter().map(|posted| posted.line).collect(),
            ),
            lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;
    use crate::{
        domain::run::{RunKind, RunState},
        id::{MemberId, RunId},
        ledger::{AccountKey, Balance, Code, Draft, Owner},
        money::{Amount, Commodity},
    };

    const STREAM: Stream = Stream {
        campaign: CampaignId(Uuid::from_u128(1)),
        process: 2,
        id: 3,
    };

    fn posted() -> PostedEntry {
        let account = |code, owner| AccountKey {
            code,
            commodity: Commodity::Currency("EUR".parse().unwrap()),
            owner,
        };
        let member = Owner::Member(MemberId::mint());
        let amount = Amount::of_units(i64::MAX / 1_000_000);
        let at = datetime!(2016-12-14 12:00:00.123456 +1);
        let entry = Draft::new(Event::FeeCharged, at, date!(2016 - 12 - 14))
            .debit(account(Code::RefundsPayable, member), amount)
            .credit(account(Code::DeferredIssueCosts, Owner::Nobody), amount)
            .finish()
            .unwrap();
        let lines = entry.lines().iter().map(|line| PostedLine {
            line: *line,
            account_no: 7,
            balance: Balance::default().after(line.amount).unwrap(),
        });
        PostedEntry {
            number: 9,
            change: 8,
            recorded_at: at,
            digest: [250; 32],
            lines: lines.collect(),
            entry,
        }
    }

    fn run() -> Run {
        Run {
            id: RunId::mint(),
            kind: RunKind::Refund,
            method: None,
            state: RunState::Paused,
            items: 5,
            units: 0,
            amount: Amount::of_units(500),
            released: Amount::ZERO,
            hash: [1; 32],
            as_of_change: 3,
            approved_by: vec!["key:1".to_owned()],
            starts: 1,
            planned_at: datetime!(2016-12-14 12:00 UTC),
            done: 3,
            exceptions: 1,
        }
    }

    #[test]
    fn an_answer_is_the_same_on_the_other_side() {
        let secrets = Secrets::derive(&[7; 32]).unwrap();
        let outcomes = vec![
            Ok(Outcome::Done(Answer {
                change: 8,
                recorded_at: datetime!(2016-12-14 12:00:00.123456 UTC),
                entries: vec![posted()],
                snapshots: vec![Snapshot::Run(Box::new(run()))],
            })),
            Ok(Outcome::Refused(Refusal::NothingToRun)),
            Ok(Outcome::Replayed(4)),
            Ok(Outcome::RecordedBefore {
                change: 6,
                same_as: 5,
            }),
            Err(BookError::DeadlineExceeded),
            Err(BookError::Fault {
                incident: Uuid::from_u128(9),
            }),
        ];
        let sealed = seal_outcomes(&secrets, STREAM, 0, &outcomes).unwrap();
        let opened = open_outcomes(&secrets, STREAM, 0, sealed).unwrap();
        assert_eq!(opened, outcomes);
    }

    #[test]
    fn a_message_opens_in_its_own_place_only() {
        let secrets = Secrets::derive(&[7; 32]).unwrap();
        let sealed = || seal_outcomes(&secrets, STREAM, 1, &[]).unwrap();
        assert!(open_outcomes(&secrets, STREAM, 1, sealed()).is_ok());
        assert!(open_outcomes(&secrets, STREAM, 0, sealed()).is_err());
        assert!(open_commands(&secrets, STREAM, 1, sealed()).is_err());
        let campaign = CampaignId(Uuid::from_u128(2));
        for elsewhere in [
            Stream { campaign, ..STREAM },
            Stream {
                process: 3,
                ..STREAM
            },
            Stream { id: 4, ..STREAM },
        ] {
            assert!(open_outcomes(&secrets, elsewhere, 1, sealed()).is_err());
        }
    }
}
