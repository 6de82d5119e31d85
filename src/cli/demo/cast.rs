//! Who plays: three principals with a key each, since no ledger lets one person do it all.

use std::net::SocketAddr;

use super::run::Run;
use crate::{
    access::{KeySecret, Role},
    app::App,
    cli::{Failure, client::Clients, keys},
    id::ApiKeyId,
};

/// Whose keys there are beside the first, which is an admin's.
const SECOND: (&str, Role) = ("second key", Role::Treasurer);
const BRIDGE: (&str, Role) = ("bridge's key", Role::Webhook);

/// The keys of a play.
pub(super) struct Cast {
    pub(super) run: Run,
    admin: KeySecret,
    second: KeySecret,
    bridge: KeySecret,
}

/// The players, connected.
#[derive(Clone)]
pub(super) struct Players {
    /// Enters everything that happens, plans runs, and approves them first.
    pub(super) admin: Clients,
    /// The second person, without whom no run starts.
    pub(super) second: Clients,
    /// The program that executes refunds at the provider and the bank.
    pub(super) bridge: Clients,
}

impl Cast {
    /// Claims the next run of a seed, by making its first key.
    pub(super) async fn claim(app: &App, seed: u64) -> Result<Self, Failure> {
        let mut number = 1;
        let (run, admin) = loop {
            let run = Run { seed, number };
            if let Some(secret) = make(app, run, ("key", Role::Admin)).await? {
                break (run, secret);
            }
            number += 1;
        };
        let taken = || format!("a key of run {run} was there before the run");
        Ok(Self {
            run,
            admin,
            second: make(app, run, SECOND).await?.ok_or_else(taken)?,
            bridge: make(app, run, BRIDGE).await?.ok_or_else(taken)?,
        })
    }

    pub(super) async fn connect(&self, address: SocketAddr) -> Result<Players, Failure> {
        let address = format!("http://{address}");
        Ok(Players {
            admin: Clients::connect(&address, self.admin.reveal()).await?,
            second: Clients::connect(&address, self.second.reveal()).await?,
            bridge: Clients::connect(&address, self.bridge.reveal()).await?,
        })
    }

    /// Revokes the keys: nobody needs them again, and an admin's opens every door.
    pub(super) async fn dismiss(&self, app: &App) -> Result<(), Failure> {
        for what in ["key", SECOND.0, BRIDGE.0] {
            let id = ApiKeyId(self.run.id(what));
            app.store.api_key_revoke(id, "cli", app.clock.now()).await?;
        }
        Ok(())
    }
}

async fn make(
    app: &App,
    run: Run,
    (what, role): (&str, Role),
) -> Result<Option<KeySecret>, Failure> {
    let (id, name) = (
        ApiKeyId(run.id(what)),
        format!("demonstration {run}, {what}"),
    );
    keys::create_as(id, &app.store, &app.clock, role, &name, None).await
}
