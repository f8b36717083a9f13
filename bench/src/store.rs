//! Acknowledged updates a second through real TLS connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use testkit::{Ports, Warren};

use crate::Setting;
use crate::client::Client;
use crate::peers::{bare_log, sqlite};
use crate::report::{Rounds, goal, table};

const CLIENTS: usize = 50;
const VALUE_BYTES: usize = 200;

#[derive(clap::Args)]
pub struct Options {
    /// Rounds of all measurements
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3)]
    seconds: u64,
}

struct Account {
    name: String,
    address: String,
    secret: String,
}

pub fn run(setting: &Setting, options: &Options) {
    let scratch = tempfile::tempdir_in(&setting.dir).expect("a scratch folder");
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let ports = Ports::reserve(100);
    let warren = Warren::start(&setting.warren, &data, &ports, &[]);
    let accounts: Vec<Account> = (0..CLIENTS)
        .map(|number| {
            let name = format!("@bench{number}");
            let (address, secret) = warren.register(&name);
            Account { name, address, secret }
        })
        .collect();
    let config = testkit::client_config(&warren.endpoints.ca_file);
    let time = Duration::from_secs(options.seconds);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");

    let mut figures: [Vec<f64>; 6] = Default::default();
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        let one = &accounts[..1];
        let same: Vec<&Account> = std::iter::repeat_n(&accounts[0], CLIENTS).collect();
        let each: Vec<&Account> = accounts.iter().collect();
        figures[0].push(bare_log::commits_a_second(scratch.path(), VALUE_BYTES, time));
        figures[1].push(sqlite::commits_a_second(scratch.path(), VALUE_BYTES, time));
        let one: Vec<&Account> = one.iter().collect();
        figures[2].push(runtime.block_on(updates_a_second(&one, &config, time)));
        figures[3].push(runtime.block_on(updates_a_second(&same, &config, time)));
        figures[4].push(runtime.block_on(updates_a_second(&each, &config, time)));
        figures[5].push(runtime.block_on(round_trips_a_second(&accounts[0], &config, time)));
    }
    print(&figures, options);
    assert_eq!(warren.terminate().code(), Some(0));
}

/// A client for each account, all writing until the time is over.
async fn updates_a_second(
    accounts: &[&Account],
    config: &Arc<ClientConfig>,
    time: Duration,
) -> f64 {
    let mut clients = Vec::new();
    for account in accounts {
        let client = Client::owner(&account.address, config, &account.name, &account.secret).await;
        clients.push((client, account.name.clone()));
    }
    let start = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for (number, (mut client, name)) in clients.into_iter().enumerate() {
        let padding = "v".repeat(VALUE_BYTES - 8);
        running.spawn(async move {
            let mut updates = 0_u32;
            while start.elapsed() < time {
                let key = updates % 100;
                let command =
                    format!("update:key{key}x{number}.bench{name} {updates:08}{padding}\n");
                let answer = client.ask(&command).await;
                assert!(answer.starts_with("data:"), "{answer}");
                updates += 1;
            }
            updates
        });
    }
    let updates: u32 = running.join_all().await.into_iter().sum();
    f64::from(updates) / start.elapsed().as_secs_f64()
}

/// What one client reaches with a command that writes nothing: all but the log.
async fn round_trips_a_second(
    account: &Account,
    config: &Arc<ClientConfig>,
    time: Duration,
) -> f64 {
    let mut client = Client::connect(&account.address, config).await;
    let start = Instant::now();
    let mut trips = 0_u32;
    while start.elapsed() < time {
        assert_eq!(client.ask("noop:0\n").await, "data:ok");
        trips += 1;
    }
    f64::from(trips) / start.elapsed().as_secs_f64()
}

/// One row: the figure, and the median of its ratios to both peers in the same round.
struct Row<'a> {
    who: &'a str,
    figure: &'a [f64],
    bare: Rounds,
    sqlite: Rounds,
}

impl<'a> Row<'a> {
    fn new(who: &'a str, figures: &'a [Vec<f64>; 6], which: usize) -> Self {
        let ratios = |peer: &[f64]| {
            Rounds::new(figures[which].iter().zip(peer).map(|(ours, peer)| ours / peer).collect())
        };
        let (bare, sqlite) = (ratios(&figures[0]), ratios(&figures[1]));
        Self { who, figure: &figures[which], bare, sqlite }
    }

    fn cells(&self, wanted: &str, met: Option<bool>) -> Vec<String> {
        vec![
            self.who.to_owned(),
            Rounds::new(self.figure.to_vec()).to_string(),
            format!("{:.2}", self.bare.median()),
            format!("{:.2}", self.sqlite.median()),
            wanted.to_owned(),
            met.map(goal).unwrap_or_default(),
        ]
    }
}

fn print(figures: &[Vec<f64>; 6], options: &Options) {
    println!(
        "\nAcknowledged updates a second, {VALUE_BYTES}-byte values, median [least..most] of {} rounds of {} s.\n\
         The peers run in this process without network or encryption; ours over TLS, sealed.\n\
         A ratio is the median of the ratios of each round.\n",
        options.rounds, options.seconds
    );
    println!(
        "One client without writing, for comparison: {} round trips a second (noop).\n",
        Rounds::new(figures[5].clone())
    );
    let row = |who, which| Row::new(who, figures, which);
    let (one, same) = (row("warren, 1 client", 2), row("warren, 50 clients, 1 identity", 3));
    let each = row("warren, 50 identities, a client each", 4);
    let (one_bare, one_sqlite) = (one.bare.median() >= 0.7, one.sqlite.median() >= 1.3);
    let rows = [
        row("bare append + fdatasync, 1 writer", 0).cells("", None),
        row("SQLite, WAL, synchronous=FULL, 1 writer", 1).cells("", None),
        one.cells(">= 0.7 bare", Some(one_bare)),
        one.cells(">= 1.3 SQLite", Some(one_sqlite)),
        same.cells(">= 5 SQLite", Some(same.sqlite.median() >= 5.0)),
        each.cells(">= 5 SQLite", Some(each.sqlite.median() >= 5.0)),
    ];
    println!("{}", table(&["who", "updates/s", "of bare", "of SQLite", "goal", ""], &rows));
}
