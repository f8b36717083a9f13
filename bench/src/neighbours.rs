//! What a hostile tenant does to the answers of her neighbours in the same cell.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::{LineClient, Ports, Tenant, Warren};
use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

use crate::Setting;
use crate::report::{Rounds, goal, table};

#[derive(clap::Args)]
pub struct Options {
    /// Keys in the hostile tenant's store
    #[arg(long, default_value_t = 20_000)]
    keys: usize,
    /// Her connections
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Rounds of each attack, each beside a round without
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only the attacks that have this in their name
    #[arg(long, default_value = "")]
    only: String,
    /// Length of a round
    #[arg(long, default_value_t = 2)]
    seconds: u64,
}

/// The goal of the issue that this answers.
const RATIO_MAX: f64 = 1.5;

/// Between two commands of a neighbour.
const PACE: Duration = Duration::from_millis(4);

/// The attacks, and what each sends.
const ATTACKS: [&str; 6] = [
    "a flood of small commands",
    "scans of everything",
    "scans with costly expressions",
    "notifications to nobody",
    "writes of 100 KB",
    "all of these",
];

pub fn run(setting: &Setting, options: &Options) {
    let scratch = tempfile::tempdir_in(&setting.dir).expect("a scratch folder");
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let ports = Ports::reserve(100);
    let warren = Warren::start(&setting.warren, &data, &ports, &["--sleep-after", "600"]);
    let (mallory, alice) =
        (Tenant::register(&warren, "@mallory"), Tenant::register(&warren, "@alice"));
    fill(&mallory, options.keys);
    let before = warren.resident_bytes();
    let mut most = before;
    let rows: Vec<_> = ATTACKS
        .iter()
        .enumerate()
        .filter(|(_, name)| name.contains(&options.only))
        .map(|(kind, name)| {
            let (mut quiet, mut attacked, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..options.rounds {
                let alone = measure(&alice, options.seconds);
                let beside =
                    under_attack(&mallory, kind, options, || measure(&alice, options.seconds));
                most = most.max(warren.resident_bytes());
                ratios.push(beside.quantile(0.99) / alone.quantile(0.99));
                quiet.push(alone.quantile(0.99));
                attacked.push(beside.quantile(0.99));
            }
            let ratio = Rounds::new(ratios);
            let met = goal(ratio.median() <= RATIO_MAX);
            let (quiet, attacked) = (Rounds::new(quiet), Rounds::new(attacked));
            vec![
                (*name).to_owned(),
                quiet.to_string(),
                attacked.to_string(),
                format!("{:.2} (goal {RATIO_MAX}): {met}", ratio.median()),
            ]
        })
        .collect();
    println!(
        "\nA neighbour's lookup and update, p99 of each round in microseconds: median of {} rounds \
         [range].\n\nThe hostile tenant has {} keys and {} connections.\n",
        options.rounds, options.keys, options.connections
    );
    println!("{}", table(&["beside", "quiet", "attacked", "ratio"], &rows));
    let mib = |bytes: u64| bytes / (1024 * 1024);
    println!("\nResident: {} MiB before the attacks, {} MiB at most.", mib(before), mib(most));
    assert_eq!(warren.terminate().code(), Some(0));
}

/// Puts so many keys into a store, a hundred commands in a write.
fn fill(tenant: &Tenant, keys: usize) {
    let mut client = tenant.connect().expect("it is there");
    for chunk in 0..keys / 100 {
        let key =
            |n: usize| format!("update:{}k{}{} v\n", "a".repeat(60), chunk * 100 + n, tenant.name);
        client.send(&(0..100).map(key).collect::<String>()).expect("it reads");
        for _ in 0..100 {
            assert!(client.read_line().expect("it answers").starts_with("data:"));
        }
    }
}

/// The times of a neighbour's commands, at her own pace.
fn measure(tenant: &Tenant, seconds: u64) -> Rounds {
    let mut client = tenant.connect().expect("it is there");
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < Duration::from_secs(seconds) {
        let start = Instant::now();
        let answer = client.ask(&format!("update:diary{} {}", tenant.name, times.len()));
        assert!(answer.starts_with("data:"), "{answer}");
        let answer = client.ask(&format!("llookup:diary{}", tenant.name));
        assert_eq!(answer, format!("data:{}", times.len()));
        times.push(start.elapsed().as_secs_f64() * 1e6);
        std::thread::sleep(PACE);
    }
    Rounds::new(times)
}

fn under_attack<T>(
    tenant: &Tenant,
    kind: usize,
    options: &Options,
    measure: impl FnOnce() -> T,
) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..options.connections {
            let all = ATTACKS.len() - 1;
            let kind = if kind == all { number % all } else { kind };
            let stop = &stop;
            scope.spawn(move || {
                stand_aside();
                while !stop.load(Ordering::Relaxed) {
                    // That the server ends a connection is part of the game.
                    drop(
                        tenant.connect().map(|mut client| strike(tenant, &mut client, stop, kind)),
                    );
                }
            });
        }
        // It has begun in earnest once the first bursts are over.
        std::thread::sleep(Duration::from_secs(1));
        let measured = measure();
        stop.store(true, Ordering::Relaxed);
        measured
    })
}

/// In earnest her programs run on machines of her own: here they only get what nobody else wants.
fn stand_aside() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle)
        .expect("anybody may give way");
}

fn strike(
    tenant: &Tenant,
    client: &mut LineClient,
    stop: &AtomicBool,
    kind: usize,
) -> std::io::Result<()> {
    let name = tenant.name;
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        match kind {
            0 => {
                client.send(&"noop:0\n".repeat(50))?;
                for _ in 0..50 {
                    client.read_line()?;
                    if stop.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                }
            }
            1 => drop(client.try_ask("scan")?),
            2 => drop(client.try_ask("scan ((a*)*(b|c)*)*(k[0-9]+|.*x.*y.*z)+$")?),
            3 => drop(client.try_ask(&format!("notify:@nobody{}:k{name}:v", number % 50))?),
            _ => drop(client.try_ask(&format!("update:k{name} {}", "v".repeat(100_000)))?),
        }
    }
    Ok(())
}
