//! A hostile tenant beside honest ones in the same cell: floods, scans of a large store with costly
//! expressions, notification bombs, monitors and half lines. The neighbours' answers stay right and
//! come, and the memory stays within the budget. (How little their times change is measured by
//! `cargo xtask bench neighbours`.)
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use testkit::{LineClient, PATIENCE, Ports, Tenant, Warren};

const MIB: u64 = 1024 * 1024;

/// What callers can make all servers of a process hold (docs/limits.md), and some for connections,
/// stores and the program.
const BUDGET: u64 = (256 + 128) * MIB;

const KEYS: usize = 4_000;

/// One kind of attack, again and again until it is told to stop.
fn attack(tenant: &Tenant, stop: &AtomicBool, kind: usize) {
    while !stop.load(Ordering::Relaxed) {
        // A connection that the server ends is part of the game.
        if let Ok(mut client) = tenant.connect() {
            drop(strike(tenant, &mut client, stop, kind));
        }
    }
}

fn strike(
    tenant: &Tenant,
    client: &mut LineClient,
    stop: &AtomicBool,
    kind: usize,
) -> std::io::Result<()> {
    let name = tenant.name;
    match kind % 6 {
        0 => {
            client.send(&"noop:0\n".repeat(500))?;
            for _ in 0..500 {
                client.read_line()?;
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        1 => drop(client.try_ask("scan ((a*)*(b|c)*)*(k[0-9]+|.*x.*y.*z)+$")?),
        2 => drop(client.try_ask(&format!("scan {}", "(a|b|.{20}){40}".repeat(20)))?),
        3 => {
            for n in 0..50 {
                client.try_ask(&format!("notify:@nobody{n}:k{name}:{}", "v".repeat(2_000)))?;
            }
        }
        4 => {
            client.try_ask("noop:0")?;
            client.send(&format!("monitor:strict \\w+{}\n", "(x|y)?".repeat(100)))?;
            client.send(&format!("update:k{name} {}", "v".repeat(1_500_000)))?;
        }
        _ => drop(client.try_ask(&format!("update:k{name} {}", "v".repeat(900_000)))?),
    }
    Ok(())
}

/// Reads and writes of an honest tenant; how many were right.
fn live(tenant: &Tenant, stop: &AtomicBool, worst: &AtomicU64) -> u64 {
    let mut client = tenant.connect().unwrap();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let start = Instant::now();
        let written = client.ask(&format!("update:diary{} {round}", tenant.name));
        assert!(written.starts_with("data:"), "{written}");
        assert_eq!(client.ask(&format!("llookup:diary{}", tenant.name)), format!("data:{round}"));
        let took = u64::try_from(start.elapsed().as_millis()).unwrap();
        worst.fetch_max(took, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2));
    }
    round
}

#[test]
fn a_hostile_tenant_costs_its_neighbours_no_answer_and_the_process_no_memory_beyond_its_budget() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let ports = Ports::reserve(20);
    let warren = Warren::start(env!("CARGO_BIN_EXE_warren"), &data, &ports, &[]);
    let mallory = Tenant::register(&warren, "@mallory");
    let honest = ["@alice", "@bob"].map(|name| Tenant::register(&warren, name));
    let mut filling = mallory.connect().unwrap();
    for chunk in 0..KEYS / 100 {
        let lines: String = (0..100)
            .map(|n| format!("update:{}k{}@mallory v\n", "a".repeat(150), chunk * 100 + n))
            .collect();
        filling.send(&lines).unwrap();
        for _ in 0..100 {
            assert!(filling.read_line().unwrap().starts_with("data:"));
        }
    }
    let before = warren.resident_bytes();
    let (stop, worst) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut most = 0;
    let rounds: Vec<u64> = std::thread::scope(|scope| {
        for kind in 0..24 {
            let (mallory, stop) = (&mallory, &stop);
            scope.spawn(move || attack(mallory, stop, kind));
        }
        let living: Vec<_> =
            honest.iter().map(|tenant| scope.spawn(|| live(tenant, &stop, &worst))).collect();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            most = most.max(warren.resident_bytes());
            std::thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
        living.into_iter().map(|tenant| tenant.join().unwrap()).collect()
    });
    println!(
        "{rounds:?} rounds, the worst {} ms, {} MiB",
        worst.load(Ordering::Relaxed),
        most / MIB
    );
    assert!(rounds.iter().all(|rounds| *rounds > 5), "{rounds:?}");
    assert!(most < before + BUDGET, "{} MiB became {} MiB", before / MIB, most / MIB);
    assert!(Duration::from_millis(worst.load(Ordering::Relaxed)) < PATIENCE);
    let log = testkit::log_of(&warren.dir);
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(warren.terminate().code(), Some(0));
}
