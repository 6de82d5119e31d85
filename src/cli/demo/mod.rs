//! `pledgebook demo`: two collective buyouts, from the first signature to their end, in seconds.
//!
//! | file | has |
//! |---|---|
//! | `draw` | what the seed decides, in integers |
//! | `offer`, `plan` | the two campaigns and their cast, as a list of acts by day |
//! | `run`, `cast` | ids by seed and run; the principals with their keys |
//! | `campaign`, `act` | a campaign's days; each act as a call |
//! | `provider`, `inbox` | the payment provider's side: signed events, posted over HTTP |
//! | `ending` | what the treasurer then does: the purchase, or everybody's money back |
//! | `report`, `outcome` | what a treasurer reads; who holds what, and what went back |
//! | `settled` | whether anybody is still owed anything |
//!
//! **Through the real doors only.** The service listens on a real port; everything
//! that happens is a gRPC call with a key, or a webhook. The one thing that a
//! caller could not do is to wait: the service's clock is set back to the first day
//! and moved on a day at a time, so that money becomes available and clears as it
//! would. On the last day it tells the time again. No other server may work on the database
//! meanwhile: its workers would take part at their own time. The figures that an ending needs,
//! such as what a provider is short of, are read from the service as well.
//!
//! **The same seed tells the same story**, to the cent. Ids derive from the seed and
//! the number of the run, so it can be told again on the same cluster; the number is
//! claimed by the id of the run's key, so that two runs at once are two runs.
//! Nothing is deleted afterwards: a ledger has no way to.

mod act;
mod campaign;
mod cast;
mod draw;
mod ending;
mod inbox;
mod offer;
mod outcome;
mod plan;
mod provider;
mod report;
mod run;
mod settled;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
};

use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

use self::{
    campaign::Playing,
    cast::Cast,
    ending::TODAY,
    plan::{Door, LAST_DAY, What},
    run::Run,
};
use super::{Failure, keys, open, print, tables};
use crate::{
    access::Role,
    app::App,
    config::{Profile, Settings},
    grpc::pb,
    money::Currency,
    server,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Keep serving after the reports, until SIGTERM or Ctrl-C.
    #[arg(long)]
    serve: bool,
    /// Another seed tells another story.
    #[arg(long, default_value_t = 2016)]
    seed: u64,
}

pub(super) async fn run(settings: &Settings, arguments: &Arguments) -> Result<ExitCode, Failure> {
    if settings.profile == Profile::Production {
        return Err("the demonstration makes campaigns up: not in the production profile".into());
    }
    let told = open::until_told()?;
    // Before the database is started: a port that is taken should not cost a wait.
    let listener = listen(settings, arguments.serve).await?;
    let address = reachable(listener.local_addr()?);
    let database = open::Database::open(settings).await?;
    let service = open::service(settings, &database, None).await?;
    let app = service.app.clone();
    let stop = CancellationToken::new();
    let mut serving = tokio::spawn(service.serve(listener, stop.clone()));

    let cast = Cast::claim(&app, arguments.seed).await?;
    let shown = tokio::select! {
        shown = show(&app, address, &cast) => shown,
        () = told.cancelled() => Err("stopped before the end of the story".into()),
    };
    // Whatever came of it.
    cast.dismiss(&app).await?;
    if let (true, Ok(shown)) = (arguments.serve, &shown) {
        invite(&app, address, cast.run, shown).await?;
        tokio::select! {
            () = told.cancelled() => {}
            ended = &mut serving => ended??,
        }
    }
    stop.cancel();
    if !serving.is_finished() {
        (&mut serving).await??;
    }
    // Waits for connections on their way back, which a stopping database would cut.
    app.store.close().await;
    database.close().await?;
    Ok(if shown?.clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn listen(settings: &Settings, serve: bool) -> Result<TcpListener, Failure> {
    if !serve {
        return Ok(server::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?);
    }
    let address = settings.listen;
    server::listen(address).await.map_err(|error| {
        let reason =
            std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
        format!(
            "cannot listen on {address}: {reason}. Stop what listens there, or set \
             PLEDGEBOOK_LISTEN to another address"
        )
        .into()
    })
}

/// Where to call an address that stands for all of the machine's.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// What was shown.
struct Shown {
    /// Whether every check was clean, and nobody is owed anything.
    clean: bool,
    /// A campaign to try calls on.
    campaign: String,
}

/// Plays the story and prints the reports.
async fn show(app: &App, address: SocketAddr, cast: &Cast) -> Result<Shown, Failure> {
    let Run { seed, number } = cast.run;
    let players = cast.connect(address).await?;
    let [usd, gbp] = ["USD", "GBP"].map(str::parse::<Currency>);
    let plans = [
        offer::we_are_twitter(seed, usd?),
        offer::harbour_club(seed, gbp?),
    ];
    print(format_args!(
        "Two collective buyouts, {TODAY} days in seconds. Seed {seed}, run {number}.\n",
    ));

    let started = Instant::now();
    app.clock.shift(time::Duration::days(1 - TODAY));
    let http = format!("http://{address}");
    let mut campaigns = Vec::new();
    for plan in plans {
        let (players, clock) = (players.clone(), app.clock.clone());
        let playing = Playing::begin(plan, cast.run, players, clock, &http).await?;
        let offer = &playing.plan.offer;
        tell(1, offer.title, "gathers signatures: support without money.");
        campaigns.push(playing);
    }
    for day in 1..=TODAY {
        let played = campaigns.iter_mut().map(|playing| playing.play(day));
        let stories = futures::future::try_join_all(played).await?;
        for (playing, story) in campaigns.iter().zip(stories) {
            for line in story {
                tell(day, playing.plan.offer.title, &line);
            }
        }
        if day == LAST_DAY {
            say_what_was_collected(&campaigns).await?;
        }
        if day < TODAY {
            app.clock.shift(time::Duration::days(1));
        }
    }
    let took = started.elapsed().as_millis();
    print(format_args!(
        "\nPlayed in {}.{} s.\n",
        took / 1_000,
        took % 1_000 / 100
    ));

    let mut clean = true;
    for playing in &campaigns {
        clean &= report::at_the_end(playing).await?;
    }
    let campaign = campaigns.first().map(|playing| playing.name.clone());
    Ok(Shown {
        clean,
        campaign: campaign.unwrap_or_default(),
    })
}

/// Where the campaigns stand on the last day of their offers.
async fn say_what_was_collected(campaigns: &[Playing]) -> Result<(), Failure> {
    for playing in campaigns {
        playing.inbox_worked().await?;
        tell(LAST_DAY, playing.plan.offer.title, &summary(playing).await?);
    }
    print("");
    for playing in campaigns {
        report::in_the_middle(playing).await?;
    }
    Ok(())
}

fn tell(day: i64, who: &str, what: &str) {
    let text = format!("{who}: {what}");
    print(tables::paragraph(&format!("day {day:>2}  "), &text));
}

/// What has happened, in a sentence or two.
async fn summary(playing: &Playing) -> Result<String, Failure> {
    let plan = &playing.plan;
    let acts = |is: fn(&What) -> bool| plan.acts.iter().filter(|act| is(&act.what)).count();
    let taken = |doors: &[Door]| {
        let through = plan.acts.iter().filter(|act| match act.what {
            What::Take(charge) | What::Notify(charge, _) => {
                let door = plan.charges.get(charge).map(|charge| charge.door);
                door.is_some_and(|door| doors.contains(&door))
            }
            _ => false,
        });
        through.count()
    };
    let notified = taken(&[Door::Webhook]);
    let applied = playing.events(pb::WebhookEventState::Applied).await?;
    let known = playing.events(pb::WebhookEventState::Duplicate).await?;
    Ok(format!(
        "{} pledges were made, {} cancelled, {} amended. {} payments by card or direct debit and \
         {} bank transfers were recorded, {} cards declined. {notified} more payments were told by \
         webhook, in {} deliveries: {applied} events were posted, {known} said what was known.",
        acts(|what| matches!(what, What::Pledge(_))),
        acts(|what| matches!(what, What::Cancel(_))),
        acts(|what| matches!(what, What::Amend(..))),
        taken(&[Door::Card, Door::Debit]),
        taken(&[Door::Bank, Door::Unnamed]),
        acts(|what| matches!(what, What::Decline(_))),
        4 * notified,
    ))
}

/// Prints how to go on from here.
async fn invite(app: &App, address: SocketAddr, run: Run, shown: &Shown) -> Result<(), Failure> {
    let name = "printed by the demonstration";
    let key = keys::create(&app.store, &app.clock, Role::Treasurer, name, None).await?;
    let (key, campaign, request) = (key.reveal(), &shown.campaign, run.id("a call to try"));
    let buf = "buf curl --protocol grpc --http2-prior-knowledge";
    let service = format!("http://{address}/pledgebook.v1.");
    print(format_args!(
        r#"Serving gRPC, gRPC-Web and webhooks on http://{address} until Ctrl-C.
A development key, a treasurer's: {key}

Three calls to try. buf reads the API by reflection; it is at https://buf.build, and `npx
@bufbuild/buf` is the same program.

# What everybody may see, without a key.
{buf} \
  -d '{{"name":"{campaign}"}}' \
  {service}CampaignService/GetPublicProgress

# A signature. Sent again, it answers "replayed": the request id makes it the same call.
{buf} -H 'authorization: Bearer {key}' \
  -d '{{"requestId":"{request}","campaign":"{campaign}","displayName":"You","email":"you@example.org"}}' \
  {service}MemberService/SignCampaign

# gRPC-Web, which needs nothing but curl: a healthy service answers grpc-status:0.
printf '\0\0\0\0\0' | curl -s -H 'content-type: application/grpc-web+proto' --data-binary @- \
  http://{address}/grpc.health.v1.Health/Check | tr -cd '[:print:]'
"#
    ));
    Ok(())
}
