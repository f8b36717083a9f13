//! The store in PostgreSQL: a real server, which is killed, cut off and lied about.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use net::postgres::PostgresError;
use net::tls::{ClientTls, TrustRoots};
use protocol::RegistrationId;
use registrar::{
    LedgerError, PostgresTarget, RegisterError, Registrar, State, Store, StoreFault, StoreOpenError,
};
use testkit::{Certificate, PostgresServer};

use crate::relay::{Cut, Relay};
use crate::world::{World, changes, id, name, snapshot, state};
use crate::{crash, deletion, feed, fleet, moving, registration};

const PATIENCE: Duration = Duration::from_secs(60);

/// Who register at the same time.
const CLIENTS: u8 = 8;

fn open(url: &str) -> Result<Store, StoreOpenError> {
    Store::postgres(PostgresTarget { place: url.parse().unwrap(), tls: None })
}

/// Registers until it is done, as a client does who asks again with the same id.
async fn insist(registrar: &Arc<Registrar>, who: &str, id: RegistrationId) -> u16 {
    let start = Instant::now();
    loop {
        match registrar.register(name(who), id).await {
            Ok(registered) => return registered.address.port.get(),
            Err(RegisterError::Ledger(LedgerError::OutOfReach)) => {}
            Err(error) => panic!("{who}: {error}"),
        }
        assert!(start.elapsed() < PATIENCE, "{who} cannot be registered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn what_holds_for_the_embedded_store_holds_in_postgresql() {
    let server = PostgresServer::start();
    let all = [
        registration::ON_EACH_STORE,
        deletion::ON_EACH_STORE,
        feed::ON_EACH_STORE,
        crash::ON_EACH_STORE,
        fleet::ON_EACH_STORE,
        moving::ON_EACH_STORE,
    ];
    for (name, body) in all.into_iter().flatten() {
        println!("{name}");
        body(&|| World::in_database(&server.database()));
    }
}

#[test]
fn what_was_acknowledged_outlives_a_server_that_is_killed_again_and_again() {
    let mut server = PostgresServer::start();
    let world = World { ports: "20000-29999", ..World::in_database(&server.database()) };
    let acknowledged = registered_while(&world, |progress| {
        for pause in [300, 50, 900, 10, 500, 200] {
            progress.wait_for_more(usize::from(CLIENTS));
            std::thread::sleep(Duration::from_millis(pause));
            server.restart(&[]);
        }
        progress.wait_for_more(usize::from(CLIENTS));
    });
    server.restart(&[]);
    check_kept(&world, &acknowledged);
}

/// The names that were registered, each with its port, while something was done to the store.
pub fn registered_while(world: &World, disturb: impl FnOnce(&Progress)) -> Vec<(String, u16)> {
    let is_over = AtomicBool::new(false);
    let progress = Progress::default();
    let acknowledged = std::thread::scope(|scope| {
        let registering = scope.spawn(|| world.run(register_until(world, &is_over, &progress)));
        let ending = Ending(&is_over);
        disturb(&progress);
        drop(ending);
        registering.join().unwrap()
    });
    println!("{} registrations", acknowledged.len());
    acknowledged
}

/// Whoever registers ends with it, also where the disturbance fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// How many were registered so far.
#[derive(Default, Clone)]
pub struct Progress(Arc<AtomicUsize>);

impl Progress {
    /// Returns once so many more were: whatever is disturbed, there was something to disturb.
    pub fn wait_for_more(&self, count: usize) {
        let (start, wanted) = (Instant::now(), self.0.load(Ordering::Relaxed) + count);
        while self.0.load(Ordering::Relaxed) < wanted {
            assert!(start.elapsed() < PATIENCE, "hardly anything is registered");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

async fn register_until(
    world: &World,
    is_over: &AtomicBool,
    progress: &Progress,
) -> Vec<(String, u16)> {
    let registrar = world.open();
    let mut clients = tokio::task::JoinSet::new();
    let (sender, is_told) = tokio::sync::watch::channel(false);
    for client in 0..CLIENTS {
        let (registrar, is_told) = (registrar.clone(), is_told.clone());
        let progress = progress.clone();
        clients.spawn(async move {
            let mut done = Vec::new();
            while !*is_told.borrow() {
                let who = format!("@c{client}n{}", done.len());
                let port = insist(&registrar, &who, id(client)).await;
                done.push((who, port));
                progress.0.fetch_add(1, Ordering::Relaxed);
                // However fast the machine is, there are names and ports for all.
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
            done
        });
    }
    while !is_over.load(Ordering::Acquire) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sender.send_replace(true);
    let done = clients.join_all().await.concat();
    assert!(registrar.is_sound());
    done
}

/// Every acknowledged name is there with its port, none twice, and no number of a change is missing.
pub fn check_kept(world: &World, acknowledged: &[(String, u16)]) {
    world.run(async {
        let registrar = world.open();
        registrar.resume().await;
        let kept: BTreeMap<_, _> = snapshot(&registrar)
            .await
            .entries
            .into_iter()
            .map(|entry| (entry.identity.to_string(), entry.address.port.get()))
            .collect();
        for (who, port) in acknowledged {
            assert_eq!(kept.get(who), Some(port), "{who}");
        }
        let ports: BTreeSet<_> = kept.values().collect();
        assert_eq!(ports.len(), kept.len(), "a port was given twice");
        let changes = changes(&registrar).await;
        assert_eq!(changes.len(), kept.len(), "a name was published twice");
        assert!((1..).zip(&changes).all(|(number, change)| change.number == number));
        assert_eq!(world.swarm.host().servers.len(), kept.len());
    });
}

#[test]
fn a_connection_that_breaks_in_a_commit_leaves_each_write_done_once() {
    let server = PostgresServer::start();
    let database = server.database();
    let relay = Relay::to(server.port());
    let url = server.url_through(relay.port(), database.rsplit_once('/').unwrap().1);
    let world = World::in_database(&url);
    world.run(async {
        let registrar = world.open();
        let mut number = 0;
        for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
            // A registration has six writes; each is the one whose commit is not heard of.
            for skipped in 0..6 {
                relay.cut(cut, skipped);
                number += 1;
                let who = format!("@n{number}");
                insist(&registrar, &who, id(1)).await;
                assert!(relay.has_cut(), "{cut:?} after {skipped}");
                assert_eq!(state(&registrar, &who).await, Some(State::Published));
                assert_eq!(changes(&registrar).await.len(), number);
            }
        }
        assert!(registrar.is_sound());
    });
    let written = server.ask(&relay_database(&database), "SELECT written FROM warren_registrar");
    // One more for the feed's beginning.
    assert_eq!(written, (12 * 6 + 1).to_string(), "a write was done twice, or not at all");
}

fn relay_database(url: &str) -> String {
    url.rsplit_once('/').unwrap().1.to_owned()
}

#[test]
fn a_registrar_that_comes_back_after_another_took_over_writes_nothing_more() {
    let server = PostgresServer::start();
    let url = server.database();
    let relay = Relay::to(server.port());
    let old = World::in_database(&server.url_through(relay.port(), &relay_database(&url)));
    let new = World { swarm: old.swarm.clone(), ..World::in_database(&url) };
    old.run(async {
        let first = old.open();
        insist(&first, "@alice", id(1)).await;
        relay.close();
        let cut_off = first.register(name("@bob"), id(2)).await;
        assert!(
            matches!(cut_off, Err(RegisterError::Ledger(LedgerError::OutOfReach))),
            "{cut_off:?}"
        );
        assert!(first.is_sound() && !first.is_in_reach());

        let second = new.open();
        insist(&second, "@bob", id(3)).await;
        relay.open();
        let fault = tokio::time::timeout(PATIENCE, first.stopped()).await.unwrap();
        assert_eq!(fault, StoreFault::Fenced { own: 1, found: 2 });
        assert!(!first.is_sound());
        let refused = first.register(name("@carol"), id(4)).await;
        assert!(
            matches!(refused, Err(RegisterError::Ledger(LedgerError::Stopped(_)))),
            "{refused:?}"
        );
        assert_eq!(changes(&second).await.len(), 2);
        assert_eq!(state(&second, "@carol").await, None);
        insist(&second, "@carol", id(5)).await;
    });
}

#[test]
fn a_second_registrar_is_refused_while_the_first_is_at_work() {
    let server = PostgresServer::start();
    let url = server.database();
    let world = World::in_database(&url);
    world.run(async {
        let registrar = world.open();
        assert!(matches!(open(&url).map(drop), Err(StoreOpenError::Held)));
        insist(&registrar, "@alice", id(1)).await;
    });
}

#[test]
fn a_server_that_would_lose_what_it_acknowledges_is_refused() {
    let mut server = PostgresServer::start();
    let url = server.database();
    let refused = |setting, found: &str| match open(&url).map(drop) {
        Err(StoreOpenError::Fault(fault)) => {
            assert_eq!(fault, StoreFault::NotDurable { setting, found: found.to_owned() });
        }
        other => panic!("{other:?}"),
    };
    for value in ["off", "local", "remote_write"] {
        server.ask("postgres", &format!("ALTER ROLE warren SET synchronous_commit = {value}"));
        refused("synchronous_commit", value);
    }
    server.ask("postgres", "ALTER ROLE warren RESET synchronous_commit");
    server.restart(&["fsync=off"]);
    refused("fsync", "off");
    server.restart(&[]);
    drop(open(&url).unwrap());
    let wrong = url.replace("not-a-secret", "wrong");
    assert!(matches!(open(&wrong).map(drop), Err(StoreOpenError::Postgres(PostgresError::Login))));
}

#[test]
fn over_tls_the_certificate_is_checked_and_without_one_nothing_is_said() {
    let mut server = PostgresServer::start();
    let url = server.database().replace("127.0.0.1", "localhost") + "?sslmode=require";
    let opened = |tls: Option<&ClientTls>| {
        Store::postgres(PostgresTarget { place: url.parse().unwrap(), tls: tls.cloned() })
    };
    let trusting =
        |file: &Path| ClientTls::new(&TrustRoots::from_pem_file(file).unwrap(), None).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let stranger = trusting(&Certificate::make(scratch.path()).chain);
    let refusal = |tls| match opened(tls).map(drop) {
        Err(StoreOpenError::Postgres(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refusal(Some(&stranger)), PostgresError::NoTls));
    let friend = trusting(&server.use_tls().chain);
    assert!(matches!(refusal(None), PostgresError::NoAuthorities));
    assert!(matches!(refusal(Some(&stranger)), PostgresError::Tls(_)));
    let _store = opened(Some(&friend)).unwrap();
    let sessions = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                    WHERE application_name = 'warren registrar'";
    assert_eq!(server.ask("postgres", sessions), "t");
}

#[test]
fn a_database_that_went_back_stops_the_registrar() {
    let server = PostgresServer::start();
    let url = server.database();
    let world = World::in_database(&url);
    world.run(async {
        let registrar = world.open();
        insist(&registrar, "@alice", id(1)).await;
        server.ask(&relay_database(&url), "UPDATE warren_registrar SET written = written - 1");
        let outcome = registrar.register(name("@bob"), id(2)).await;
        assert!(
            matches!(outcome, Err(RegisterError::Ledger(LedgerError::Stopped(_)))),
            "{outcome:?}"
        );
        let fault = registrar.stopped().await;
        assert_eq!(fault, StoreFault::WentBack { acknowledged: 7, found: Some(6) });
    });
    server.ask(&relay_database(&url), "UPDATE warren_registrar SET version = 2");
    let newer = open(&url).map(drop);
    assert!(
        matches!(newer, Err(StoreOpenError::Fault(StoreFault::Version { found: 2, .. }))),
        "{newer:?}"
    );
}
