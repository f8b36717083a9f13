//! How long a sleeping server takes to its first answer over TLS.

use std::time::{Duration, Instant};

use testkit::{LineClient, Ports, Warren};

use crate::Setting;
use crate::engine;
use crate::report::{Rounds, goal, table};

#[derive(clap::Args)]
pub struct Options {
    /// How many sleeping servers are woken, each once
    #[arg(long, default_value_t = 500)]
    servers: u16,
    /// How often the container is started
    #[arg(long, default_value_t = 40)]
    containers: usize,
}

pub fn run(setting: &Setting, options: &Options) {
    let scratch = tempfile::tempdir_in(&setting.dir).expect("a scratch folder");
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let ports = Ports::reserve(options.servers + 100);
    let warren = Warren::start(&setting.warren, &data, &ports, &["--sleep-after", "600"]);
    let addresses = crate::scale::register(setting, &warren, options.servers);
    // A restart: everybody sleeps.
    assert_eq!(warren.terminate().code(), Some(0));
    let warren = Warren::start(&setting.warren, &data, &ports, &["--sleep-after", "600"]);
    let config = testkit::client_config(&warren.endpoints.ca_file);
    let first_answer = |address: &String| {
        let start = Instant::now();
        let mut client = LineClient::connect_with(address, config.clone()).expect("it wakes");
        assert!(client.ask("scan").starts_with("data:["));
        start.elapsed()
    };
    let asleep: Vec<Duration> = addresses.iter().map(first_answer).collect();
    let awake: Vec<Duration> = addresses.iter().map(first_answer).collect();
    assert_eq!(warren.terminate().code(), Some(0));
    let containers = engine::docker_start(setting, options.containers);

    let micros = |times: Vec<Duration>| {
        Rounds::new(times.into_iter().map(|time| time.as_secs_f64() * 1e6).collect())
    };
    let (asleep, awake) = (micros(asleep), micros(awake));
    println!("\nFrom connecting to the first answer, over a new TLS connection, microseconds.\n");
    let mut rows = vec![
        row("a sleeping server wakes", &asleep, String::new()),
        row("the same, awake", &awake, String::new()),
    ];
    if let Some(containers) = containers {
        let containers = micros(containers);
        let p50 = containers.quantile(0.5) / asleep.quantile(0.5);
        let p99 = containers.quantile(0.99) / asleep.quantile(0.99);
        let met = goal(p50 >= 40.0 && p99 >= 15.0);
        let ratio = format!("1/{p50:.0} at p50 (goal 1/40), 1/{p99:.0} at p99 (goal 1/15): {met}");
        rows.push(row("docker start of a container with a TLS server", &containers, ratio));
    } else {
        println!("No Docker engine answers here, so there is no peer in this run.\n");
    }
    println!("{}", table(&["what", "p50", "p99", "worst", "ours against it"], &rows));
}

fn row(what: &str, times: &Rounds, note: String) -> Vec<String> {
    let at = |q: f64| format!("{:.0}", times.quantile(q));
    vec![what.to_owned(), at(0.5), at(0.99), at(1.0), note]
}
