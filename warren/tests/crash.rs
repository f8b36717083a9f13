//! kill -9 of the whole process at random moments under write load: what was acknowledged is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use testkit::{LineClient, Ports, Random, Warren};

const ROUNDS: u64 = 200;
const WRITERS: u64 = 4;
const KEYS_A_WRITER: u64 = 12;

/// What a key may hold after a crash: what was acknowledged last, or what was on its way.
#[derive(Debug, Clone, Default)]
struct Expected {
    acknowledged: Option<String>,
    in_flight: Option<Option<String>>,
}

type Oracle = HashMap<String, Expected>;

struct Account {
    name: &'static str,
    address: String,
    secret: String,
}

#[test]
fn every_acknowledged_write_survives_200_kills_of_the_process() {
    let seed =
        std::env::var("WARREN_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_120);
    println!("seed {seed}");
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("data");
    std::fs::create_dir(&dir).unwrap();
    let ports = Ports::reserve(20);
    let mut random = Random::new(seed);
    let mut warren = Warren::start(env!("CARGO_BIN_EXE_warren"), &dir, &ports, &[]);
    let accounts = ["@alice", "@bob"].map(|name| {
        let (address, secret) = warren.register(name);
        Account { name, address, secret }
    });
    let mut oracles = [Oracle::new(), Oracle::new()];
    let mut writes = 0;
    for round in 0..ROUNDS {
        let load = Duration::from_millis(5 + random.below(180));
        let round_seed = random.number();
        writes += load_and_kill(warren, &accounts, &mut oracles, load, round_seed);
        warren = Warren::start(env!("CARGO_BIN_EXE_warren"), &dir, &ports, &[]);
        for (account, oracle) in accounts.iter().zip(&mut oracles) {
            verify(&warren, account, oracle, round);
        }
    }
    println!("{ROUNDS} kills, {writes} acknowledged writes, all there");
    assert!(writes > ROUNDS * 10, "the load was too small to prove anything: {writes} writes");
}

/// Writes from several connections until the process is killed; returns the acknowledged writes.
fn load_and_kill(
    warren: Warren,
    accounts: &[Account; 2],
    oracles: &mut [Oracle; 2],
    load: Duration,
    seed: u64,
) -> u64 {
    let killed = AtomicBool::new(false);
    let connected = Barrier::new(accounts.len() * WRITERS as usize + 1);
    let config = testkit::client_config(&warren.endpoints.ca_file);
    std::thread::scope(|scope| {
        let mut writers = Vec::new();
        for (index, (account, oracle)) in accounts.iter().zip(oracles.iter()).enumerate() {
            for writer in 0..WRITERS {
                let mine = own_keys(oracle, writer);
                let (config, killed, connected) = (Arc::clone(&config), &killed, &connected);
                let mut random = Random::new(seed ^ ((index as u64) << 32 | writer << 8 | 1));
                let task = move || {
                    let client = connect_as_owner(account, config);
                    connected.wait();
                    write_until_killed(client, account.name, writer, mine, killed, &mut random)
                };
                writers.push((index, scope.spawn(task)));
            }
        }
        connected.wait();
        std::thread::sleep(load);
        killed.store(true, Ordering::SeqCst);
        warren.kill();
        let mut writes = 0;
        for (index, writer) in writers {
            let (oracle, written) = writer.join().unwrap();
            oracles[index].extend(oracle);
            writes += written;
        }
        writes
    })
}

fn key(writer: u64, number: u64) -> String {
    format!("k{writer}x{number}.crash")
}

fn own_keys(oracle: &Oracle, writer: u64) -> Oracle {
    (0..KEYS_A_WRITER)
        .map(|number| key(writer, number))
        .map(|key| (key.clone(), oracle.get(&key).cloned().unwrap_or_default()))
        .collect()
}

fn write_until_killed(
    mut client: LineClient,
    name: &str,
    writer: u64,
    mut oracle: Oracle,
    killed: &AtomicBool,
    random: &mut Random,
) -> (Oracle, u64) {
    let mut written = 0;
    while !killed.load(Ordering::SeqCst) {
        let key = key(writer, random.below(KEYS_A_WRITER));
        let length = usize::try_from(1 + random.below(600)).unwrap();
        let value = (random.below(6) > 0)
            .then(|| format!("{:016x}", random.number()).repeat(length / 16 + 1));
        let command = match &value {
            Some(value) => format!("update:{key}{name} {value}"),
            None => format!("delete:{key}{name}"),
        };
        let expected = oracle.get_mut(&key).unwrap();
        expected.in_flight = Some(value.clone());
        match client.try_ask(&command) {
            Ok(answer) if answer.starts_with("data:") => {
                *expected = Expected { acknowledged: value, in_flight: None };
                written += 1;
            }
            Ok(answer) => panic!("{command:.40}: {answer}"),
            Err(_) => break,
        }
    }
    (oracle, written)
}

fn connect_as_owner(account: &Account, config: Arc<ClientConfig>) -> LineClient {
    let mut client = LineClient::connect_with(&account.address, config).unwrap();
    client.cram(account.name, &account.secret);
    client
}

/// Every key holds what the oracle says; what was in flight is settled from now on.
fn verify(warren: &Warren, account: &Account, oracle: &mut Oracle, round: u64) {
    let start = Instant::now();
    let mut client = warren.owner(account.name, &account.address, &account.secret);
    for (key, expected) in oracle.iter_mut() {
        let answer = client.ask(&format!("llookup:{key}{}", account.name));
        let found = match answer.strip_prefix("data:") {
            Some(value) => Some(value.to_owned()),
            None if answer.starts_with("error:AT0015") => None,
            None => panic!("round {round}: {key} of {} answers {answer:.80}", account.name),
        };
        let in_flight = expected.in_flight.take();
        let right = found == expected.acknowledged || in_flight.as_ref() == Some(&found);
        assert!(
            right,
            "round {round}: {key} of {} holds {found:.40?}, acknowledged {:.40?}, in flight {in_flight:.40?}",
            account.name, expected.acknowledged
        );
        expected.acknowledged = found;
    }
    assert!(start.elapsed() < testkit::PATIENCE);
}
