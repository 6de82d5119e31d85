//! `pledgebook keys`.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::{Failure, open, print};
use crate::{
    access::{ApiKey, KeySecret, Role},
    clock::Clock,
    config::Settings,
    id::{ApiKeyId, CampaignId},
    store::Store,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key and print its secret, once.
    Create {
        /// What it may do.
        #[arg(long)]
        role: Role,
        /// What it is for.
        #[arg(long, default_value = "made on the command line")]
        name: String,
        /// The one campaign it may see; all when left out.
        #[arg(long)]
        campaign: Option<CampaignId>,
    },
    /// List all keys, without secrets.
    List,
    /// Revoke a key; it stops working within seconds on every server.
    Revoke {
        /// The key's id.
        id: ApiKeyId,
    },
}

impl ValueEnum for Role {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(self.word().into())
    }
}

pub(super) async fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let database = open::Database::open(settings).await?;
    let store = open::store(settings, &database).await?;
    let clock = Clock::default();
    match &arguments.command {
        Command::Create {
            role,
            name,
            campaign,
        } => print(
            create(&store, &clock, *role, name, *campaign)
                .await?
                .reveal(),
        ),
        Command::List => {
            for key in store.api_keys().await? {
                let campaign = key
                    .campaign
                    .map_or("all campaigns".to_owned(), |c| c.to_string());
                let state = if key.revoked_at.is_some() {
                    "revoked"
                } else {
                    "active"
                };
                let role = key.role.word();
                print(format_args!(
                    "{} {role} {state} {campaign} {}",
                    key.id, key.display_name
                ));
            }
        }
        Command::Revoke { id } => {
            let revoked = store.api_key_revoke(*id, "cli", clock.now()).await?;
            revoked.ok_or_else(|| format!("there is no key {id}"))?;
            print(format_args!("{id} is revoked"));
        }
    }
    store.close().await;
    database.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a key.
pub(super) async fn create(
    store: &Store,
    clock: &Clock,
    role: Role,
    name: &str,
    campaign: Option<CampaignId>,
) -> Result<KeySecret, Failure> {
    let made = create_as(ApiKeyId::mint(), store, clock, role, name, campaign).await?;
    made.ok_or_else(|| "a new id is taken".into())
}

/// Makes a key of this id; nothing when there is one already.
pub(super) async fn create_as(
    id: ApiKeyId,
    store: &Store,
    clock: &Clock,
    role: Role,
    name: &str,
    campaign: Option<CampaignId>,
) -> Result<Option<KeySecret>, Failure> {
    let secret = KeySecret::mint();
    let key = ApiKey {
        id,
        display_name: name.to_owned(),
        role,
        campaign,
        created_at: clock.now(),
        revoked_at: None,
    };
    let made = store
        .api_key_create(&key, KeySecret::hash(secret.reveal()), "cli")
        .await?;
    Ok(made.then_some(secret))
}
