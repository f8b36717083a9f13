//! One personal server after the other under load: requests, notifications, idle connections.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use testkit::{Ports, Warren, resident_bytes};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::Setting;
use crate::client::Client;
use crate::peers::redis::Redis;
use crate::process::processor_time;
use crate::report::{Rounds, goal, table};
use crate::scale;

const CLIENTS: usize = 50;
const VALUE_BYTES: usize = 200;

/// Idle connections that one identity holds: half of what its server takes.
const IDLE_PER_IDENTITY: usize = 100;
/// Idle connections from one address of this machine: fewer than a cell takes.
const IDLE_PER_ADDRESS: usize = 1_500;
/// Connections that are being made at the same time.
const CONNECTING: usize = 32;

#[derive(clap::Args)]
pub struct Options {
    /// Rounds of all measurements of speed
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each of them
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Notifications whose way to the monitor is timed
    #[arg(long, default_value_t = 1_000)]
    notifications: usize,
    /// Idle connections
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Identities for the memory of one awake and one asleep
    #[arg(long, default_value_t = 10_000)]
    identities: u16,
}

struct Account {
    name: String,
    address: String,
    secret: String,
}

/// Who is measured.
#[derive(Clone, Copy)]
struct Side<'a> {
    pid: u32,
    redis: Option<&'a Redis>,
}

/// Answers a second, and the server's processor time for each in microseconds.
#[derive(Default)]
struct Speed {
    rates: Vec<f64>,
    costs: Vec<f64>,
}

/// A command for the client and the round, and how many lines its answer has.
type Request = (Arc<dyn Fn(usize, u32) -> String + Send + Sync>, usize);

pub fn run(setting: &Setting, options: &Options) {
    let scratch = tempfile::tempdir_in(&setting.dir).expect("a scratch folder");
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let ports = Ports::reserve(300);
    let warren = Warren::start(&setting.warren, &data, &ports, &[]);
    let redis = Redis::start(scratch.path(), options.idle + 500);
    if redis.is_none() {
        eprintln!("redis-server or openssl is not installed: there is no peer in this run");
    }
    let bench = Bench {
        accounts: accounts(&warren, CLIENTS.max(options.idle.div_ceil(IDLE_PER_IDENTITY))),
        config: testkit::client_config(&warren.endpoints.ca_file),
        runtime: tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime"),
        time: Duration::from_secs(options.seconds),
        warren: &warren,
        redis: redis.as_ref(),
    };
    let mut speeds: [[Speed; 2]; 2] = Default::default();
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        bench.speeds(&mut speeds);
    }
    eprintln!("notifications");
    let notified = bench.notifications(options.notifications);
    let published = bench.redis.map(|redis| bench.published(redis, options.notifications));
    eprintln!("idle connections");
    let idle = bench.idle(options.idle);
    let idle_peer = bench.redis.map(|redis| bench.idle_peer(redis, options.idle));
    print_speeds(&speeds, options);
    print_notifications(&notified, published.as_ref());
    drop(redis);
    assert_eq!(warren.terminate().code(), Some(0));
    let memory = scale::measure(setting, options.identities);
    print_memory(options, &idle, idle_peer.as_ref(), &memory);
}

struct Bench<'a> {
    accounts: Vec<Account>,
    config: Arc<ClientConfig>,
    runtime: Runtime,
    time: Duration,
    warren: &'a Warren,
    redis: Option<&'a Redis>,
}

fn accounts(warren: &Warren, count: usize) -> Vec<Account> {
    let account = |number| {
        let name = format!("@bench{number}");
        let (address, secret) = warren.register(&name);
        Account { name, address, secret }
    };
    (0..count).map(account).collect()
}

impl Bench<'_> {
    /// One round: lookups and updates, ours and the peer's in turn.
    fn speeds(&self, speeds: &mut [[Speed; 2]; 2]) {
        let ours = Side { pid: self.warren.pid(), redis: None };
        let peer = self.redis.map(|redis| Side { pid: redis.pid(), redis: Some(redis) });
        for (number, side) in [Some(ours), peer].into_iter().enumerate() {
            let Some(side) = side else { continue };
            self.runtime.block_on(self.write_once(side));
            for (speed, is_writing) in speeds.iter_mut().zip([false, true]) {
                let measured = self.runtime.block_on(self.speed(side, is_writing));
                speed[number].rates.push(measured.0);
                speed[number].costs.push(measured.1);
            }
        }
    }

    /// What is looked up has to be there.
    async fn write_once(&self, side: Side<'_>) {
        let mut running = self.clients(side, true).await;
        let (command, lines) = self.request(side, true);
        for (number, client) in running.iter_mut().enumerate() {
            client.ask_lines(&command(number, 0), lines).await;
        }
    }

    async fn clients(&self, side: Side<'_>, are_owners: bool) -> Vec<Client> {
        let mut clients = Vec::with_capacity(CLIENTS);
        for Account { name, address, secret } in &self.accounts[..CLIENTS] {
            clients.push(match side.redis {
                Some(redis) => redis.connect().await,
                None if are_owners => Client::owner(address, &self.config, name, secret).await,
                None => Client::connect(address, &self.config).await,
            });
        }
        clients
    }

    fn request(&self, side: Side<'_>, is_writing: bool) -> Request {
        let padding = "v".repeat(VALUE_BYTES - 8);
        let names: Vec<String> = self.accounts.iter().map(|account| account.name.clone()).collect();
        match (side.redis.is_some(), is_writing) {
            (false, false) => {
                (Arc::new(move |client, _| format!("lookup:key.bench{}\n", names[client])), 1)
            }
            (false, true) => (
                Arc::new(move |client, round| {
                    format!("update:public:key.bench{} {round:08}{padding}\n", names[client])
                }),
                1,
            ),
            (true, false) => (Arc::new(|client, _| format!("GET key{client}\r\n")), 2),
            (true, true) => (
                Arc::new(move |client, round| format!("SET key{client} {round:08}{padding}\r\n")),
                1,
            ),
        }
    }

    /// Answers a second on all connections, each with one question under way.
    async fn speed(&self, side: Side<'_>, is_writing: bool) -> (f64, f64) {
        let clients = self.clients(side, is_writing).await;
        let (command, lines) = self.request(side, is_writing);
        let (start, before, time) = (Instant::now(), processor_time(side.pid), self.time);
        let mut running = JoinSet::new();
        for (number, mut client) in clients.into_iter().enumerate() {
            let command = Arc::clone(&command);
            running.spawn(async move {
                let mut rounds = 0_u32;
                while start.elapsed() < time {
                    let answer = client.ask_lines(&command(number, rounds), lines).await;
                    assert!(!answer.starts_with("error:") && !answer.starts_with('-'), "{answer}");
                    rounds += 1;
                }
                rounds
            });
        }
        let answers = f64::from(running.join_all().await.into_iter().sum::<u32>());
        let used = processor_time(side.pid).saturating_sub(before);
        (answers / start.elapsed().as_secs_f64(), used.as_secs_f64() * 1e6 / answers)
    }

    /// From the owner's `notify` to the line on the receiver's monitor, over both their servers.
    fn notifications(&self, count: usize) -> Rounds {
        self.runtime.block_on(async {
            let [from, to] = [&self.accounts[0], &self.accounts[1]];
            let mut sender =
                Client::owner(&from.address, &self.config, &from.name, &from.secret).await;
            let mut monitor = Client::owner(&to.address, &self.config, &to.name, &to.secret).await;
            for (client, account) in [(&mut sender, from), (&mut monitor, to)] {
                activate(client, account).await;
            }
            monitor.send("monitor:strict timed\n").await;
            let mut times = Vec::with_capacity(count);
            // The first one makes the servers' connection to each other.
            for number in 0..=count {
                let start = Instant::now();
                let command = format!("notify:{}:timed.bench{}:{number}\n", to.name, from.name);
                sender.send(&command).await;
                let told = monitor.lines(1).await;
                let took = start.elapsed().as_secs_f64() * 1e6;
                assert!(told.starts_with("notification: "), "{told}");
                assert!(sender.lines(1).await.starts_with("data:"));
                if number > 0 {
                    times.push(took);
                }
            }
            Rounds::new(times)
        })
    }

    /// The peer's nearest: nothing is stored, and one process does both.
    fn published(&self, redis: &Redis, count: usize) -> Rounds {
        self.runtime.block_on(async {
            let (mut sender, mut monitor) = (redis.connect().await, redis.connect().await);
            monitor.ask_lines("SUBSCRIBE timed\r\n", 6).await;
            let mut times = Vec::with_capacity(count);
            for number in 0..count {
                let start = Instant::now();
                sender.send(&format!("PUBLISH timed {number}\r\n")).await;
                monitor.lines(7).await;
                times.push(start.elapsed().as_secs_f64() * 1e6);
                sender.lines(1).await;
            }
            Rounds::new(times)
        })
    }

    /// Opens connections until there are enough or no more are taken.
    fn idle(&self, count: usize) -> Idle {
        self.runtime.block_on(async {
            // Every server is awake before anything is counted.
            for account in &self.accounts {
                drop(Client::connect(&account.address, &self.config).await);
            }
            let before = resident_bytes(self.warren.pid());
            let mut clients = Vec::with_capacity(count);
            for first in (0..count).step_by(CONNECTING) {
                let mut connecting = JoinSet::new();
                for number in first..count.min(first + CONNECTING) {
                    let address = self.accounts[number % self.accounts.len()].address.clone();
                    let config = Arc::clone(&self.config);
                    let source = source(number);
                    connecting.spawn(async move {
                        Client::connect_from(source, &address, &config).await
                    });
                }
                clients.extend(connecting.join_all().await.into_iter().flatten());
            }
            let bytes = resident_bytes(self.warren.pid()).saturating_sub(before);
            for client in clients.iter_mut().step_by(97) {
                assert_eq!(client.ask("noop:0\n").await, "data:ok", "an idle connection lives");
            }
            Idle { held: clients.len(), bytes }
        })
    }

    fn idle_peer(&self, redis: &Redis, count: usize) -> Idle {
        self.runtime.block_on(async {
            let before = resident_bytes(redis.pid());
            let mut clients = Vec::with_capacity(count);
            for number in 0..count {
                match redis.connect_from(source(number)).await {
                    Ok(client) => clients.push(client),
                    Err(error) => {
                        eprintln!("Redis takes no more: {error}");
                        break;
                    }
                }
            }
            let bytes = resident_bytes(redis.pid()).saturating_sub(before);
            Idle { held: clients.len(), bytes }
        })
    }
}

/// Idle connections, and the memory that the server took for them.
struct Idle {
    held: usize,
    bytes: u64,
}

impl Idle {
    fn each(&self) -> u64 {
        self.bytes / (self.held.max(1) as u64)
    }
}

/// With a key to prove herself, an identity is active, and its server makes what it signs with.
async fn activate(client: &mut Client, account: &Account) {
    client.ask("update:privatekey:at_pkam_publickey bench\n").await;
    let answer = client.ask(&format!("plookup:signing_publickey{}\n", account.name)).await;
    assert!(answer.starts_with("data:"), "{answer}");
}

fn source(number: usize) -> Ipv4Addr {
    let last = u8::try_from(number / IDLE_PER_ADDRESS + 1).expect("few addresses are enough");
    Ipv4Addr::new(127, 0, 0, last)
}

fn print_speeds(speeds: &[[Speed; 2]; 2], options: &Options) {
    println!(
        "\n{CLIENTS} TLS connections to as many identities, {VALUE_BYTES}-byte values, one question\n\
         under way on each; median [least..most] of {} rounds of {} s. Both sync every update\n\
         before they answer it. Processor time is the server's own and the kernel's for it.\n",
        options.rounds, options.seconds
    );
    let mut rows = Vec::new();
    for (what, [ours, peer]) in ["lookups", "updates"].into_iter().zip(speeds) {
        for (unit, ours, peer) in [
            ("a second", &ours.rates, &peer.rates),
            ("processor us each", &ours.costs, &peer.costs),
        ] {
            let ratios: Vec<f64> = ours.iter().zip(peer).map(|(ours, peer)| ours / peer).collect();
            rows.push(vec![
                format!("{what}, {unit}"),
                Rounds::new(ours.clone()).to_string(),
                said(peer, |peer| Rounds::new(peer.to_vec()).to_string()),
                said(&ratios, |ratios| format!("{:.2}", Rounds::new(ratios.to_vec()).median())),
            ]);
        }
    }
    println!("{}", table(&["what", "warren", "Redis, TLS", "ratio"], &rows));
}

/// Nothing is said of a peer that is not there.
fn said(figures: &[f64], say: impl Fn(&[f64]) -> String) -> String {
    if figures.is_empty() { String::new() } else { say(figures) }
}

fn print_notifications(ours: &Rounds, peer: Option<&Rounds>) {
    println!(
        "\nFrom sending to the line on the monitor, microseconds. Ours is stored and synced by two\n\
         servers on its way; what Redis publishes is stored nowhere.\n"
    );
    let row = |who: &str, times: &Rounds| {
        let at = |q: f64| format!("{:.0}", times.quantile(q));
        vec![who.to_owned(), at(0.5), at(0.99), at(1.0)]
    };
    let mut rows = vec![row("notify to monitor", ours)];
    rows.extend(peer.map(|peer| row("Redis, PUBLISH to SUBSCRIBE", peer)));
    println!("{}", table(&["what", "p50", "p99", "worst"], &rows));
}

fn print_memory(options: &Options, idle: &Idle, peer: Option<&Idle>, memory: &scale::Memory) {
    let held = |idle: &Idle| format!("{} of {}", idle.held, options.idle);
    let each = |idle: &Idle| format!("{} B", idle.each());
    let row = |what: &str, ours: String, peer: Option<String>, met: Option<(&str, bool)>| {
        let (wanted, met) = met
            .map_or((String::new(), String::new()), |(wanted, met)| (wanted.to_owned(), goal(met)));
        vec![what.to_owned(), ours, peer.unwrap_or_default(), wanted, met]
    };
    let rows = [
        row(
            "idle TLS connections held",
            held(idle),
            peer.map(held),
            Some(("all", idle.held == options.idle)),
        ),
        row("resident memory of one", each(idle), peer.map(each), None),
        row(
            "an identity awake",
            format!("{} B", memory.awake),
            None,
            Some(("<= 16 KiB", memory.awake <= scale::AWAKE_MAX)),
        ),
        row(
            "an identity asleep",
            format!("{} B", memory.asleep),
            None,
            Some(("<= 1 KiB", memory.asleep <= scale::ASLEEP_MAX)),
        ),
    ];
    println!("\n{}", table(&["what", "warren", "Redis, TLS", "goal", ""], &rows));
}
