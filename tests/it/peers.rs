//! Servers that hand commands over to the one that has the campaign's turn.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pledgebook::{
    access::Role,
    book::{Books, Settings},
    domain::{Action, Command, Fingerprint, Outcome},
    grpc::{PeerServers, pb},
    id::{CampaignId, RequestId},
    secret::Secrets,
    store::Store,
};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::harness::{Campaign, Database, Server, Tester};

fn campaign_id(name: &str) -> CampaignId {
    name.strip_prefix("campaigns/").unwrap().parse().unwrap()
}

/// What the lock of a campaign's turn is called.
fn turn_of(campaign: CampaignId) -> i64 {
    !campaign.0.as_u64_pair().1.cast_signed()
}

/// Something that changes a campaign and no number of a report.
fn touch() -> Command {
    Command {
        request_id: RequestId::mint(),
        method: "UpdateCampaign".into(),
        principal: "test".to_owned(),
        fingerprint: Fingerprint::default(),
        action: Action::UpdateCampaign {
            display_name: None,
            description: Some("Touched".to_owned()),
            expected_change: None,
        },
    }
}

async fn touched(books: &Books, campaign: CampaignId) {
    let outcome = books.submit(campaign, touch(), None).await;
    assert!(matches!(outcome, Ok(Outcome::Done(_))), "{outcome:?}");
}

/// A campaign's turn that another server has for as long as this is kept; the test holds it in
/// that one's name. The tester's server knows that it is not alone.
pub struct Turn {
    there: Server,
    holder: PgConnection,
    awaited: Arc<AtomicBool>,
    watching: JoinHandle<()>,
}

impl Turn {
    /// Another server has it, where the tester's server can hand over.
    pub async fn of_another(tester: &Tester, campaign: &str) -> Self {
        let there = tester.another_server().await;
        let name = there.peer_name.clone();
        Self::held(tester, campaign, there, &name).await
    }

    async fn held(tester: &Tester, campaign: &str, there: Server, name: &str) -> Self {
        let campaign = campaign_id(campaign);
        touched(&there.app.books, campaign).await;
        touched(&tester.server.app.books, campaign).await;
        let url = tester.database.url("pledgebook_app");
        let mut holder = PgConnection::connect(&url).await.unwrap();
        sqlx::query("SELECT pg_advisory_lock($1), set_config('application_name', $2, false)")
            .bind(turn_of(campaign))
            .bind(name)
            .execute(&mut holder)
            .await
            .unwrap();
        let awaited = Arc::new(AtomicBool::new(false));
        let pool = tester.database.pool("postgres").await;
        let watching = tokio::spawn(watch(pool, turn_of(campaign), Arc::clone(&awaited)));
        Self {
            there,
            holder,
            awaited,
            watching,
        }
    }

    /// Whoever waits for a turn is seen to: many times before it gives up.
    pub async fn must_not_have_been_awaited(self) {
        self.watching.abort();
        assert!(!self.awaited.load(Ordering::Acquire), "somebody has waited");
        self.holder.close().await.unwrap();
    }

    async fn until_awaited(&self) {
        let awaited = async {
            while !self.awaited.load(Ordering::Acquire) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let awaited = timeout(Duration::from_secs(30), awaited).await;
        awaited.expect("nobody waits for the turn");
    }
}

/// Notes when somebody waits for an advisory lock of this number.
async fn watch(pool: PgPool, lock: i64, awaited: Arc<AtomicBool>) {
    let waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory'
        AND classid = (($1 >> 32) & 4294967295)::oid AND objid = ($1 & 4294967295)::oid)";
    loop {
        let waits = sqlx::query_scalar::<_, bool>(waiting).bind(lock);
        if waits.fetch_one(&pool).await.unwrap() {
            awaited.store(true, Ordering::Release);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The control of the tests that hand a whole campaign over.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_awaited_where_its_server_cannot_be_reached() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let there = tester.another_server().await;
    let turn = Turn::held(&tester, &campaign.name, there, "pledgebook").await;
    let id = campaign_id(&campaign.name);
    let books = tester.server.app.books.clone();
    let asked = tokio::spawn(async move { touched(&books, id).await });
    turn.until_awaited().await;
    assert!(!asked.is_finished());
    turn.holder.close().await.unwrap();
    asked.await.unwrap();
}

/// A stranger has called its connection as a server of the installation is called, or an
/// installation with another secret has.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_there_is_carried_out_here() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let turn = Turn::of_another(&tester, &campaign.name).await;
    let id = campaign_id(&campaign.name);
    let url = tester.database.url("pledgebook_app");
    let store = Store::connect(&url, 4).await.unwrap();
    let stranger = Secrets::derive(&[8; 32]).unwrap();
    let peers = PeerServers::new("127.0.0.1:9".parse().unwrap(), stranger);
    let peers = Some(Arc::new(peers) as _);
    let books = Books::among(store, tester.clock.clone(), Settings::default(), peers);
    touched(&books, id).await;
    touched(&turn.there.app.books, id).await;
    let asked = tokio::spawn(async move {
        // The first one finds the other's; the second would hand over.
        touched(&books, id).await;
        touched(&books, id).await;
        books
    });
    // It was not carried out there, and waits for the turn like anybody.
    turn.until_awaited().await;
    turn.holder.close().await.unwrap();
    let books = asked.await.unwrap();
    timeout(Duration::from_secs(10), books.drain())
        .await
        .unwrap();
    tester.must_be_clean(&campaign.name).await;
}

/// The other server takes what it is handed and cannot carry it out: it is well, and its way
/// to the database is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_get_on_is_given_up() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let turn = Turn::of_another(&tester, &campaign.name).await;
    let head = tester.database.hold(&campaign.name).await;
    let id = campaign_id(&campaign.name);
    let books = tester.server.app.books.clone();
    let asked = tokio::spawn(async move { books.submit(id, signature(1), None).await });
    turn.until_awaited().await;
    turn.holder.close().await.unwrap();
    head.rollback().await.unwrap();
    let outcome = asked.await.unwrap();
    let known = matches!(outcome, Ok(Outcome::Done(_) | Outcome::Replayed(_)));
    assert!(known, "{outcome:?}");
    // Here or there, and on both sides only once.
    turn.there.app.books.drain().await;
    let signed = count(&tester.database, "SELECT count(*) FROM signature").await;
    assert_eq!(signed, 1);
    tester.must_be_clean(&campaign.name).await;
}

/// More than are carried out before the test sees the first of them.
const SIGNERS: i32 = 4_000;

fn signature(n: i32) -> Command {
    let mut email_hash = [0; 32];
    email_hash[..4].copy_from_slice(&n.to_be_bytes());
    Command {
        action: Action::Sign {
            signature: pledgebook::id::SignatureId::mint(),
            display_name: format!("Signer {n}"),
            email: format!("{n}@example.org"),
            email_hash,
        },
        method: "Sign".into(),
        ..touch()
    }
}

async fn count(database: &Database, sql: &str) -> i64 {
    let pool = database.pool("postgres").await;
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap()
}

/// A wire to an address, which can be cut.
async fn wire_to(address: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    let wire = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut from, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut to = TcpStream::connect(address).await.unwrap();
                tokio::io::copy_bidirectional(&mut from, &mut to).await
            });
        }
    });
    (here, wire)
}

/// The server that has the turn ends while much is handed over to it: in order, so that all it
/// took is answered, or at once, so that nobody knows. Whoever asked hears nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_server_with_the_turn_ends() {
    for in_order in [true, false] {
        // Many small messages, so that it ends between two of them.
        let small = Settings {
            batch_cap: 20,
            ..Settings::default()
        };
        let tester = Tester::start_with(small).await;
        let campaign = Campaign::open(&tester, "EUR").await;
        let id = campaign_id(&campaign.name);
        let there = tester.another_server().await;
        let parts: Vec<&str> = there.peer_name.split(' ').collect();
        let (wire, cut) = wire_to(parts[1].parse().unwrap()).await;
        let name = format!("peer {wire} {}", parts[2]);
        let turn = Turn::held(&tester, &campaign.name, there, &name).await;
        let books = tester.server.app.books.clone();
        let asked: Vec<_> = (0..SIGNERS)
            .map(|n| {
                let books = books.clone();
                tokio::spawn(async move { books.submit(id, signature(n), None).await })
            })
            .collect();
        // It waits for the turn that the test holds in its name, and has it then.
        turn.until_awaited().await;
        let Turn {
            mut there, holder, ..
        } = turn;
        holder.close().await.unwrap();
        let signed = "SELECT count(*) FROM signature";
        while count(&tester.database, signed).await == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if in_order {
            there.stop().await;
        } else {
            cut.abort();
        }
        for outcome in futures::future::join_all(asked).await {
            let outcome = outcome.unwrap();
            // What was carried out there and not answered is found by its request id.
            let known = matches!(outcome, Ok(Outcome::Done(_) | Outcome::Replayed(_)));
            assert!(known, "{outcome:?}");
        }
        assert_eq!(count(&tester.database, signed).await, i64::from(SIGNERS));
        tester.must_be_clean(&campaign.name).await;
    }
}

/// Two servers under load, with half of the movements told to both.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_to_both_servers_is_done_once() {
    let tester = Tester::start().await;
    let campaign = Campaign::open(&tester, "EUR").await;
    let other = tester.another_server().await;
    let member = campaign.member(&tester, "ada@example.org").await;
    let pledge = campaign.pledge(&tester, &member, "100000").await;
    let pay = async |server: &Server, from: usize| {
        let clients = tester.as_role_on(server, Role::Treasurer);
        let calls = (from..from + 400).map(async |n| {
            let request = campaign.payment(&format!("ch_{n}"), &pledge, "1");
            clients.payments().record_payment(request).await
        });
        futures::future::join_all(calls).await
    };
    for round in 0..3 {
        let (here, there) = tokio::join!(
            pay(&tester.server, round * 600),
            pay(&other, round * 600 + 200)
        );
        let paid: Vec<pb::RecordPaymentResponse> = here
            .into_iter()
            .chain(there)
            .map(|paid| paid.unwrap().into_inner())
            .collect();
        let first = paid.iter().filter(|paid| {
            let outcome = paid.outcome.as_ref().unwrap();
            !outcome.already_recorded && !outcome.replayed
        });
        assert_eq!(first.count(), 600);
    }
    let payments = count(&tester.database, "SELECT count(*) FROM payment").await;
    assert_eq!(payments, 1_800);
    tester.must_be_clean(&campaign.name).await;
}
