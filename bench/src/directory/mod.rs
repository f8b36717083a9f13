//! Lookups in a directory of many identities, beside Redis with the same names, key and load.

mod load;
pub mod names;
pub mod process;
mod redis;
pub mod replica;
pub mod scale;

use std::time::Duration;

use crate::Setting;
use crate::certificate;
use crate::report::{Rounds, goal, table};
use load::{Figures, Load};
use process::Process;

/// Connections that stay.
const CONNECTIONS: usize = 50;
/// Connections at a time where each lookup has one of its own, as SDKs do it.
const NEW_CONNECTIONS: usize = 20;

#[derive(clap::Args)]
pub struct Options {
    /// How many identities
    #[arg(long, default_value_t = 1_000_000)]
    identities: u32,
    /// Rounds of each measurement, ours and the peer's in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Only these kinds of load
    #[arg(long, value_enum, default_values_t = [Kind::Single, Kind::Pipelined, Kind::Fresh])]
    loads: Vec<Kind>,
}

/// How clients ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// On connections that stay, one question at a time
    Single,
    /// On connections that stay, 16 questions at a time
    Pipelined,
    /// With a new connection for each lookup
    Fresh,
}

impl Kind {
    /// What it is called, its load, and the goals: processor time and rate, of Redis'.
    fn plan(self) -> (&'static str, Load, (f64, f64)) {
        match self {
            Self::Single => {
                ("50 connections, one question at a time", Load::kept(CONNECTIONS, 1), (0.9, 1.15))
            }
            Self::Pipelined => {
                ("50 connections, 16 questions at a time", Load::kept(CONNECTIONS, 16), (0.6, 1.8))
            }
            Self::Fresh => {
                ("a new connection for each lookup", Load::fresh(NEW_CONNECTIONS), (0.55, 1.7))
            }
        }
    }
}

/// Somebody who answers lookups.
struct Answerer {
    who: &'static str,
    process: Process,
    address: String,
    /// From starting the process to its first answer.
    started_in: Duration,
    /// Bytes of memory with all identities loaded, none asked for yet.
    resident: u64,
    question: fn(&str) -> Vec<u8>,
    /// Line ends of one answer.
    lines: usize,
    /// Whether it speaks first.
    greets: bool,
}

pub fn run(setting: &Setting, options: &Options) {
    let scratch = tempfile::tempdir_in(&setting.dir).expect("a scratch folder");
    let folder = scratch.path();
    certificate::make(folder).expect("openssl is installed");
    println!("making {} names", options.identities);
    let list = names::write(folder, options.identities);
    let ours = replica::start(setting, folder, &list);
    let mut all = vec![ours];
    match redis::start(folder, &list) {
        Some(redis) => all.push(redis),
        None => println!("redis-server is not installed (apt-get install redis-server): no peer."),
    }
    println!("\n{}", sizes(&all, options.identities));
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let asked = names::sample(&list, 20_000);
    let duration = Duration::from_secs(options.seconds);
    for (what, load, goals) in options.loads.iter().map(|kind| kind.plan()) {
        let mut figures: Vec<Vec<Figures>> = all.iter().map(|_| Vec::new()).collect();
        for _ in 0..options.rounds {
            for (one, figures) in all.iter().zip(&mut figures) {
                let tls = load::client_tls(&folder.join("chain.pem"));
                figures.push(runtime.block_on(load.run(one, &asked, tls, duration)));
            }
        }
        println!("\n{what}\n\n{}", comparison(&all, &figures, goals));
    }
}

fn sizes(all: &[Answerer], identities: u32) -> String {
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            let each = one.resident as f64 / f64::from(identities);
            let other =
                |f: fn(&Answerer) -> f64| all.get(1).map_or(f64::NAN, |peer| f(one) / f(peer));
            vec![
                one.who.to_owned(),
                format!("{:.1}", one.resident as f64 / 1_048_576.0),
                format!("{each:.1}"),
                format!("{:.3}", other(|one| one.resident as f64)),
                format!("{:.0}", one.started_in.as_secs_f64() * 1e3),
                format!("{:.3}", other(|one| one.started_in.as_secs_f64())),
            ]
        })
        .collect();
    let header = [
        "who",
        "resident MiB",
        "bytes an identity",
        "of Redis'",
        "start to answer, ms",
        "of Redis'",
    ];
    table(&header, &rows).to_string()
}

fn comparison(all: &[Answerer], figures: &[Vec<Figures>], goals: (f64, f64)) -> String {
    let rounds = |which: usize, of: fn(&Figures) -> f64| {
        Rounds::new(figures[which].iter().map(of).collect())
    };
    let mut rows = Vec::new();
    for (at, one) in all.iter().enumerate() {
        let ratio = |of: fn(&Figures) -> f64| match all.len() {
            1 => f64::NAN,
            _ => rounds(at, of).median() / rounds(1, of).median(),
        };
        let (cpu, rate) = (ratio(|f| f.cpu_micros), ratio(|f| f.rate));
        let verdict = match at {
            0 if all.len() > 1 => format!(
                "cpu x{cpu:.2} (goal {}): {}, rate x{rate:.2} (goal {}): {}",
                goals.0,
                goal(cpu <= goals.0),
                goals.1,
                goal(rate >= goals.1)
            ),
            _ => String::new(),
        };
        rows.push(vec![
            one.who.to_owned(),
            rounds(at, |f| f.rate).to_string(),
            format!("{:.2}", rounds(at, |f| f.cpu_micros).median()),
            format!("{:.0}", rounds(at, |f| f.p50_micros).median()),
            format!("{:.0}", rounds(at, |f| f.p99_micros).median()),
            format!("{:.0}", rounds(at, |f| f.p999_micros).median()),
            verdict,
        ]);
    }
    let header =
        ["who", "lookups/s", "its cpu, us a lookup", "p50 us", "p99 us", "p99.9 us", "ours"];
    table(&header, &rows).to_string()
}
