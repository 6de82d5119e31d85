//! Every setting, read once. Nothing else looks at the environment, except the
//! embedded cluster for the machine it finds itself on.
//!
//! | variable | default | is |
//! |---|---|---|
//! | `PLEDGEBOOK_LISTEN` | `127.0.0.1:7433` | address and port for gRPC, gRPC-Web and webhooks; with port 0 any free one, which the log names |
//! | `PLEDGEBOOK_METRICS` | | address and port for metrics alone, at `/metrics`; not for the public |
//! | `PLEDGEBOOK_PEER` | | address and port at which the installation's other servers reach this one; not for the public |
//! | `DATABASE_URL` | the embedded cluster | PostgreSQL 15 or newer, as the application's role |
//! | `DATABASE_REPORT_URL` | `DATABASE_URL` | the same database, as a role that only reads |
//! | `DATABASE_MIGRATE_URL` | | the same database, as its owner; for `migrate` alone |
//! | `PLEDGEBOOK_SECRET_FILE` | made beside the embedded cluster | at least 32 bytes, the same for all servers |
//! | `PLEDGEBOOK_PROFILE` | `development` | `production` refuses to start on anything unsafe |
//! | `PLEDGEBOOK_DATA` | see `postgres` | the embedded cluster's folder |
//! | `PLEDGEBOOK_REFLECTION` | on in development | whether gRPC reflection answers |
//! | `PLEDGEBOOK_ORIGINS` | | web origins whose pages may call by gRPC-Web, separated by commas |
//! | `PLEDGEBOOK_CONNECTIONS` | 16 | database connections for calls, and as many again for books |
//! | `PLEDGEBOOK_AHEAD` | 24 | commands that have to wait for a campaign's next batch to begin while one is written |
//! | `PLEDGEBOOK_LOG` | `info,sqlx=warn` | what is logged, as `tracing` filters it |

use std::{
    net::{AddrParseError, SocketAddr},
    path::PathBuf,
};

use http::HeaderValue;
use secrecy::SecretString;

/// How much is taken on trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// A newcomer's machine: makes what is missing, warns of what is unsafe.
    Development,
    /// Real money: refuses to start on anything unsafe.
    Production,
}

/// The settings. Secrets do not print.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where Prometheus finds the metrics; nowhere when nothing is given.
    pub metrics: Option<SocketAddr>,
    /// Where the installation's other servers reach this one; nowhere when nothing is given.
    pub peer: Option<SocketAddr>,
    /// The database as the application; the embedded cluster when nothing is given.
    pub database: Option<SecretString>,
    /// The database as a role that only reads.
    pub report: Option<SecretString>,
    /// The database as its owner.
    pub migrate: Option<SecretString>,
    /// The file with the installation's secret.
    pub secret_file: Option<PathBuf>,
    /// How much is taken on trust.
    pub profile: Profile,
    /// The embedded cluster's folder.
    pub data: Option<PathBuf>,
    /// Whether reflection answers.
    pub reflection: bool,
    /// Web origins whose pages may call by gRPC-Web.
    pub origins: Vec<HeaderValue>,
    /// Database connections for calls, and as many again for books.
    pub connections: u32,
    /// Commands that have to wait for a batch to begin while one is written.
    pub ahead: usize,
    /// What is logged.
    pub log: String,
}

/// A setting that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// Not an address.
    #[error("PLEDGEBOOK_LISTEN: write an address and a port, as in 127.0.0.1:7433")]
    Listen(#[source] AddrParseError),
    /// Not an address for the metrics.
    #[error("PLEDGEBOOK_METRICS: write an address and a port, as in 127.0.0.1:9433")]
    Metrics(#[source] AddrParseError),
    /// Not an address for other servers.
    #[error(
        "PLEDGEBOOK_PEER: write an address that other servers can reach and a port, as in 10.0.0.7:7434"
    )]
    Peer(#[source] Option<AddrParseError>),
    /// Neither of the two profiles.
    #[error("PLEDGEBOOK_PROFILE: {0:?} is neither development nor production")]
    Profile(String),
    /// Neither yes nor no.
    #[error("{0}: {1:?} is neither true nor false")]
    Switch(&'static str, String),
    /// Not a web origin.
    #[error(
        "PLEDGEBOOK_ORIGINS: {0:?} is no origin; write scheme and host, as in https://example.org"
    )]
    Origin(String),
    /// Not a number of connections.
    #[error("PLEDGEBOOK_CONNECTIONS: {0:?} is no number from 2 to 500")]
    Connections(String),
    /// Not a number of commands.
    #[error("PLEDGEBOOK_AHEAD: {0:?} is no number from 1 to 1000")]
    Ahead(String),
    /// A variable that is not ours and looks like a slip.
    #[error("{0} is no setting of this version")]
    Unknown(String),
}

/// Every variable that is read.
const VARIABLES: [&str; 14] = [
    "PLEDGEBOOK_LISTEN",
    "PLEDGEBOOK_METRICS",
    "PLEDGEBOOK_PEER",
    "DATABASE_URL",
    "DATABASE_REPORT_URL",
    "DATABASE_MIGRATE_URL",
    "PLEDGEBOOK_SECRET_FILE",
    "PLEDGEBOOK_PROFILE",
    "PLEDGEBOOK_DATA",
    "PLEDGEBOOK_REFLECTION",
    "PLEDGEBOOK_ORIGINS",
    "PLEDGEBOOK_CONNECTIONS",
    "PLEDGEBOOK_AHEAD",
    "PLEDGEBOOK_LOG",
];

impl Settings {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn from_environment() -> Result<Self, SettingError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads"
        )]
        let variables: Vec<(String, String)> = std::env::vars().collect();
        Self::from_variables(&variables)
    }

    /// Reads settings from names and values. Other programs' variables are not
    /// looked at; one that begins with `PLEDGEBOOK_` and is none of ours is a slip.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn from_variables(variables: &[(String, String)]) -> Result<Self, SettingError> {
        for (name, _) in variables {
            // The tests' own; see tests/it.
            let known = VARIABLES.contains(&name.as_str()) || name == "PLEDGEBOOK_VECTORS";
            if name.starts_with("PLEDGEBOOK_") && !known {
                return Err(SettingError::Unknown(name.clone()));
            }
        }
        let get = |name: &str| {
            let found = variables.iter().find(|(n, _)| n == name);
            found
                .map(|(_, value)| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let profile = match get("PLEDGEBOOK_PROFILE").as_deref() {
            None | Some("development") => Profile::Development,
            Some("production") => Profile::Production,
            Some(other) => return Err(SettingError::Profile(other.to_owned())),
        };
        let listen = get("PLEDGEBOOK_LISTEN").unwrap_or_else(|| "127.0.0.1:7433".to_owned());
        let metrics = get("PLEDGEBOOK_METRICS");
        let reflection = switch("PLEDGEBOOK_REFLECTION", get("PLEDGEBOOK_REFLECTION"))?;
        let connections = get("PLEDGEBOOK_CONNECTIONS").unwrap_or_else(|| "16".to_owned());
        let number: Option<u32> = connections.parse().ok().filter(|n| (2..=500).contains(n));
        let ahead = get("PLEDGEBOOK_AHEAD").unwrap_or_else(|| "24".to_owned());
        let waiting: Option<usize> = ahead.parse().ok().filter(|n| (1..=1_000).contains(n));
        Ok(Self {
            listen: listen.parse().map_err(SettingError::Listen)?,
            metrics: metrics
                .map(|address| address.parse())
                .transpose()
                .map_err(SettingError::Metrics)?,
            peer: get("PLEDGEBOOK_PEER").as_deref().map(peer).transpose()?,
            database: get("DATABASE_URL").map(Into::into),
            report: get("DATABASE_REPORT_URL").map(Into::into),
            migrate: get("DATABASE_MIGRATE_URL").map(Into::into),
            secret_file: get("PLEDGEBOOK_SECRET_FILE").map(Into::into),
            profile,
            data: get("PLEDGEBOOK_DATA").map(Into::into),
            reflection: reflection.unwrap_or(profile == Profile::Development),
            origins: origins(&get("PLEDGEBOOK_ORIGINS").unwrap_or_default())?,
            connections: number.ok_or(SettingError::Connections(connections))?,
            ahead: waiting.ok_or(SettingError::Ahead(ahead))?,
            log: get("PLEDGEBOOK_LOG").unwrap_or_else(|| "info,sqlx=warn".to_owned()),
        })
    }
}

fn switch(name: &'static str, value: Option<String>) -> Result<Option<bool>, SettingError> {
    match value.as_deref() {
        None => Ok(None),
        Some("true" | "on" | "1") => Ok(Some(true)),
        Some("false" | "off" | "0") => Ok(Some(false)),
        Some(other) => Err(SettingError::Switch(name, other.to_owned())),
    }
}

/// The address is told to others, who cannot reach "any address of this machine", nor one that
/// means something on its own link only.
fn peer(address: &str) -> Result<SocketAddr, SettingError> {
    let parsed: Result<SocketAddr, _> = address.parse();
    let parsed = parsed.map_err(|error| SettingError::Peer(Some(error)))?;
    let is_of_one_link = matches!(parsed, SocketAddr::V6(v6) if v6.scope_id() != 0);
    if parsed.ip().is_unspecified() || is_of_one_link {
        return Err(SettingError::Peer(None));
    }
    Ok(parsed)
}

fn origins(list: &str) -> Result<Vec<HeaderValue>, SettingError> {
    let origins = list
        .split(',')
        .map(str::trim)
        .filter(|origin| !origin.is_empty());
    origins
        .map(|origin| {
            let wrong = || SettingError::Origin(origin.to_owned());
            let host = origin
                .split_once("://")
                .map(|(_, host)| host)
                .ok_or_else(wrong)?;
            if host.is_empty() || host.contains('/') {
                return Err(wrong());
            }
            HeaderValue::from_str(origin).map_err(|_| wrong())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn nothing_is_needed() {
        let settings = Settings::from_variables(&[]).unwrap();
        assert_eq!(settings.listen.port(), 7433);
        assert_eq!(settings.profile, Profile::Development);
        assert!(settings.reflection);
    }

    #[test]
    fn the_example_holds_every_setting_and_parses() {
        let example = include_str!("../deploy/example.env");
        let lines = example
            .lines()
            .map(|line| line.trim_start_matches("# ").trim());
        let set: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once('='))
            .filter(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for name in VARIABLES {
            assert!(
                set.iter().any(|(n, _)| n == name),
                "{name} is not in the example"
            );
        }
        let settings = Settings::from_variables(&set).unwrap();
        assert_eq!(settings.profile, Profile::Production);
        assert!(!settings.reflection);
    }

    #[test]
    fn secrets_do_not_print_and_slips_are_named() {
        let set = variables(&[("DATABASE_URL", "postgres://app:hunter2@db/pledgebook")]);
        let settings = Settings::from_variables(&set).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
        for (name, value) in [
            ("PLEDGEBOOK_LISTNE", "127.0.0.1:1"),
            ("PLEDGEBOOK_LISTEN", "7433"),
            ("PLEDGEBOOK_PROFILE", "prod"),
            ("PLEDGEBOOK_REFLECTION", "maybe"),
            ("PLEDGEBOOK_CONNECTIONS", "1"),
            ("PLEDGEBOOK_AHEAD", "0"),
            ("PLEDGEBOOK_PEER", "db.internal"),
            ("PLEDGEBOOK_PEER", "0.0.0.0:7434"),
            ("PLEDGEBOOK_ORIGINS", "https://example.org/shop"),
            ("PLEDGEBOOK_ORIGINS", "*"),
        ] {
            let refused = Settings::from_variables(&variables(&[(name, value)])).unwrap_err();
            assert!(refused.to_string().contains(name), "{refused}");
        }
    }
}
