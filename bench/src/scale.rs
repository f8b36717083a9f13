//! Ten thousand identities in one process.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{Ports, Warren};

use crate::Setting;
use crate::report::{goal, table};

#[derive(clap::Args)]
pub struct Options {
    /// How many identities
    #[arg(long, default_value_t = 10_000)]
    identities: u16,
}

/// The goals of the issue that this answers.
const REGISTERING_MAX: Duration = Duration::from_secs(300);
const RESIDENT_MAX: u64 = 64 * 1024 * 1024;
const RESTART_MAX: Duration = Duration::from_secs(1);
pub const ASLEEP_MAX: u64 = 1024;
pub const AWAKE_MAX: u64 = 16 * 1024;

/// How many servers are woken to see what one costs.
const AWAKE: usize = 1_000;

/// How much a number of identities needs.
pub struct Memory {
    registering: Duration,
    restart: Duration,
    empty: u64,
    registered: u64,
    all_asleep: u64,
    /// Bytes that one identity takes while it sleeps.
    pub asleep: u64,
    /// Bytes that one takes more once it is awake, without connections.
    pub awake: u64,
}

pub fn run(setting: &Setting, options: &Options) {
    let count = u64::from(options.identities);
    let memory = measure(setting, options.identities);
    println!("\n{count} identities in one process, each with its own keys and log.\n");
    let Memory { registering, restart, all_asleep, asleep, awake, .. } = memory;
    let rows = [
        row(
            "registering them (--from)",
            seconds(registering),
            "< 300 s",
            registering < REGISTERING_MAX,
        ),
        row("resident after registering", mib(memory.registered), "", true),
        row("restart to ready", seconds(restart), "< 1 s", restart < RESTART_MAX),
        row("resident, all asleep but one", mib(all_asleep), "< 64 MiB", all_asleep < RESIDENT_MAX),
        row("an identity asleep", format!("{asleep} B"), "<= 1 KiB", asleep <= ASLEEP_MAX),
        row(
            "an identity awake, without connections",
            format!("{awake} B"),
            "<= 16 KiB",
            awake <= AWAKE_MAX,
        ),
    ];
    println!("{}", table(&["what", "measured", "goal", ""], &rows));
    println!(
        "\nResident memory is the process's own; a listening socket costs the kernel some more.\n\
         A process without identities: {}.",
        mib(memory.empty)
    );
}

/// Registers so many, starts anew, and wakes some of them.
pub fn measure(setting: &Setting, identities: u16) -> Memory {
    let scratch = tempfile::tempdir_in(&setting.dir).expect("a scratch folder");
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let ports = Ports::reserve(identities + 100);

    let warren = Warren::start(&setting.warren, &data, &ports, &["--sleep-after", "2"]);
    let empty = warren.resident_bytes();
    let start = Instant::now();
    let addresses = register(setting, &warren, identities);
    let registering = start.elapsed();
    let registered = warren.resident_bytes();
    assert_eq!(warren.terminate().code(), Some(0));

    let warren = Warren::start(&setting.warren, &data, &ports, &["--sleep-after", "600"]);
    let restart = warren.started_in;
    let _one_awake = warren.connect(&addresses[0]);
    let all_asleep = warren.resident_bytes();
    let woken: Vec<&String> = addresses.iter().skip(1).take(AWAKE).collect();
    for address in &woken {
        drop(warren.connect(address));
    }
    let some_awake = warren.resident_bytes();
    assert_eq!(warren.terminate().code(), Some(0));
    let asleep = all_asleep.saturating_sub(empty) / u64::from(identities);
    let awake = some_awake.saturating_sub(all_asleep) / (woken.len().max(1) as u64);
    Memory { registering, restart, empty, registered, all_asleep, asleep, awake }
}

fn row(what: &str, measured: String, wanted: &str, met: bool) -> Vec<String> {
    let met = if wanted.is_empty() { String::new() } else { goal(met) };
    vec![what.to_owned(), measured, wanted.to_owned(), met]
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn mib(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)]
    let mib = bytes as f64 / (1024.0 * 1024.0);
    format!("{mib:.1} MiB")
}

/// Registers through the command line, as an operator would; returns the addresses.
pub fn register(setting: &Setting, warren: &Warren, count: u16) -> Vec<String> {
    let mut child = Command::new(&setting.warren)
        .args(["identity", "register", "--from", "-", "--json", "--data-dir"])
        .arg(&warren.dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut names = child.stdin.take().expect("it is piped");
    let feeding = std::thread::spawn(move || {
        (0..count).for_each(|number| {
            writeln!(names, "@person{number}").expect("it reads its names");
        });
    });
    let output = child.wait_with_output().expect("it ends");
    feeding.join().expect("all names were written");
    assert!(output.status.success(), "not all were registered");
    let lines = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let address = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).expect("one object a line");
        row["address"].as_str().expect("an address").to_owned()
    };
    lines.lines().map(address).collect()
}
