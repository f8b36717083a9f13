//! One directory of up to a hundred million identities, changed by its feed while it is asked.

mod asking;
mod population;
mod publisher;
mod script;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use atlas::Atlas;
use testkit::{LineClient, RedisServer};

use super::process::Process;
use super::{Answerer, load};
use crate::report::{goal, table};
use crate::{Setting, certificate};
use publisher::{Latest, Publisher};
use script::{PACE, Script};

/// Bytes an identity, everything counted, that a replica of ten million may have.
const BYTES_MAX: f64 = 18.0;
/// Names that are asked for, and changed names that are looked at in the end.
const ASKED: usize = 20_000;
/// How long the replica is asked while nothing changes.
const QUIET: Duration = Duration::from_secs(10);
/// For the last change to be there.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The log line of a renewal.
const RENEWED: &str = "took over the registrar's checkpoint";

#[derive(clap::Args)]
pub struct Options {
    /// How many identities, about
    #[arg(long, default_value_t = 10_000_000)]
    identities: u32,
    /// Changes a second that the feed brings
    #[arg(long, default_value_t = 10_000)]
    changes_per_second: usize,
    /// For how many seconds
    #[arg(long, default_value_t = 60)]
    seconds: usize,
    /// Lookups a second on fifty connections together
    #[arg(long, default_value_t = 10_000)]
    lookups_per_second: u32,
    /// Start Redis with the same names from its file as well
    #[arg(long)]
    beside_redis: bool,
}

/// What was seen of the replica from outside in one part of the run.
struct Seen {
    times: Vec<u32>,
    resident_max: u64,
    processors: f64,
}

struct Replica {
    process: Process,
    address: String,
    log: PathBuf,
    started_in: Duration,
}

pub fn run(setting: &Setting, options: &Options) {
    let scratch = tempfile::tempdir_in(&setting.dir).expect("a scratch folder");
    let folder = scratch.path();
    certificate::make(folder).expect("openssl is installed");
    let certificate = folder.join("chain.pem");
    let (script, asked, identities) = prepare(folder, options);

    let redis = RedisServer::start(folder, &["--save", ""]);
    let url = redis.url();
    let mut publisher = Publisher::connect(url.trim_start_matches("redis://"));
    publisher.begin(&script);
    let replica = start(setting, folder, &url, &script);
    let before = replica.process.resident();

    let asked = Arc::new(asked);
    let ask = |is_over: &Arc<AtomicBool>| {
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        let (names, is_over) = (Arc::clone(&asked), Arc::clone(is_over));
        let rate = options.lookups_per_second;
        runtime.block_on(asking::steadily(&replica.address, &certificate, names, rate, is_over))
    };
    println!("asking while nothing changes");
    let quiet = watched(&replica, &ask, || sleep(QUIET));
    println!("asking while {} names change each second", options.changes_per_second);
    let latest = Latest::default();
    let (mut late, mut caught_up, mut lags) = (0.0, Duration::ZERO, Vec::new());
    let changing = watched(&replica, &ask, || {
        let is_over = AtomicBool::new(false);
        scope(|scope| {
            let (address, entries) = (&replica.address, &script.entries);
            let probe = || asking::lags(address, &certificate, entries, &latest, &is_over);
            let probe = scope.spawn(probe);
            late = publisher.run(entries, &latest);
            let last = entries.last().expect("there are some");
            caught_up = asking::wait_for(address, &certificate, last, PATIENCE);
            is_over.store(true, Ordering::Relaxed);
            lags = probe.join().expect("no panic");
        });
    });
    let looked_at = verify(&replica, &certificate, &script);
    let renewals = renewals(&replica.log);
    let end = replica.process.resident();
    let per = |bytes: u64| format!("{:.2}", bytes as f64 / f64::from(identities));
    let peak = quiet.resident_max.max(changing.resident_max);
    let most = peak as f64 / f64::from(identities);
    let quantile = |q: f64| lags[((lags.len() - 1) as f64 * q) as usize];
    let rows = [
        ("identities", identities.to_string()),
        ("start to first answer, ms", format!("{:.0}", replica.started_in.as_secs_f64() * 1e3)),
        ("resident bytes an identity, before", per(before)),
        (
            "the same, at the peak",
            format!("{} (goal {BYTES_MAX}: {})", per(peak), goal(most <= BYTES_MAX)),
        ),
        ("the same, in the end", per(end)),
        ("lookups while quiet, us p50 p99 p99.9", percentiles(&quiet.times)),
        ("lookups under changes, us p50 p99 p99.9", percentiles(&changing.times)),
        ("lookups in all", (quiet.times.len() + changing.times.len()).to_string()),
        ("processors while quiet", format!("{:.2}", quiet.processors)),
        ("processors under changes", format!("{:.2}", changing.processors)),
        ("changes", script.entries.last().map_or(0, |entry| entry.last).to_string()),
        ("publisher late, s at most", format!("{late:.2}")),
        (
            "lag of a change, s p50 p99 max",
            format!("{:.3} {:.3} {:.3}", quantile(0.5), quantile(0.99), quantile(1.0)),
        ),
        ("last change there after, s", format!("{:.3}", caught_up.as_secs_f64())),
        ("changed names that answer their newest address", looked_at.to_string()),
        (
            "checkpoints published, renewals done",
            format!("{}, {}", script.checkpoints, renewals.len()),
        ),
        ("renewals took, s", seconds(&renewals)),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]).collect();
    println!("\n{}", table(&["what", "figure"], &rows));
}

/// The replica's file, what will be said to it, names to ask for, and how many there are.
fn prepare(folder: &Path, options: &Options) -> (Script, Vec<String>, u32) {
    let batches = (options.seconds * 1_000) / PACE.as_millis() as usize;
    let each = (options.changes_per_second * PACE.as_millis() as usize) / 1_000;
    let began = Instant::now();
    let changing = (batches * each).min(options.identities as usize / 4);
    let population = population::make(options.identities, ASKED, changing);
    let count = u32::try_from(population.atlas.len()).expect("as many as wanted");
    println!("packed {count} names in {:.1} s", began.elapsed().as_secs_f64());
    if options.beside_redis {
        println!("Redis, from its file, ms: {:.0}", beside(folder, &population.atlas));
    }
    let began = Instant::now();
    let data = folder.join("data");
    std::fs::create_dir(&data).expect("a folder");
    let checkpoint_every = 65_536.max(count as usize / 128) / 2;
    let file = data.join("directory.snapshot");
    let names = &population.changing;
    let script = script::write(&file, population.atlas, names, batches, each, checkpoint_every);
    println!("signed {} batches in {:.1} s", script.entries.len(), began.elapsed().as_secs_f64());
    (script, population.asked, count)
}

/// Milliseconds that Redis takes from its start to its first answer.
fn beside(folder: &Path, atlas: &Atlas) -> f64 {
    let folder = folder.join("redis");
    std::fs::create_dir(&folder).expect("a folder");
    certificate::make(&folder).expect("openssl is installed");
    let list = folder.join("names.tsv");
    let mut out = BufWriter::new(File::create(&list).expect("a file"));
    let mut rows = atlas.cursor();
    while let Some(row) = rows.next() {
        let row = row.expect("a sound name");
        let name = String::from_utf8_lossy(row.name);
        writeln!(out, "{name}\t{}", row.place.address()).expect("a line");
    }
    out.flush().expect("the rest");
    let one = super::redis::start(&folder, &list).expect("redis-server is installed");
    let started_in = one.started_in.as_secs_f64() * 1e3;
    drop(one);
    std::fs::remove_dir_all(folder).expect("it is ours");
    started_in
}

fn start(setting: &Setting, folder: &Path, redis: &str, script: &Script) -> Replica {
    let log = folder.join("replica.log");
    let began = Instant::now();
    let mut child = Command::new(&setting.warren)
        .args(["directory", "serve", "--port", "0", "--redis", redis])
        .args(["--feed-key", &script.key.to_string(), "--log-format", "json"])
        .arg("--data-dir")
        .arg(folder.join("data"))
        .arg("--tls-cert")
        .arg(folder.join("chain.pem"))
        .arg("--tls-key")
        .arg(folder.join("key.pem"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).expect("a file"))
        .spawn()
        .expect("warren runs");
    let mut line = String::new();
    let stdout = child.stdout.as_mut().expect("its output");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let port = line.split_whitespace().nth(1).and_then(|at| at.rsplit_once(':')).expect("a port").1;
    let one = Answerer {
        who: "warren directory",
        process: Process(child),
        address: format!("localhost:{port}"),
        started_in: Duration::ZERO,
        resident: 0,
        question: |name| format!("{name}\n").into_bytes(),
        lines: 1,
        greets: true,
    };
    load::first_answer(&one, &folder.join("chain.pem"));
    let started_in = began.elapsed();
    Replica { process: one.process, address: one.address, log, started_in }
}

/// Does this while the replica is asked and looked at.
fn watched(
    replica: &Replica,
    ask: &(impl Fn(&Arc<AtomicBool>) -> Vec<u32> + Sync),
    work: impl FnOnce(),
) -> Seen {
    let is_over = Arc::new(AtomicBool::new(false));
    let (began, cpu) = (Instant::now(), replica.process.cpu());
    scope(|scope| {
        let asking = scope.spawn(|| ask(&is_over));
        let looking = scope.spawn(|| {
            let mut most = 0;
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(replica.process.resident());
                sleep(LOOK_EVERY);
            }
            most
        });
        work();
        is_over.store(true, Ordering::Relaxed);
        let resident_max = looking.join().expect("no panic");
        let used = replica.process.cpu() - cpu;
        let processors = used.as_secs_f64() / began.elapsed().as_secs_f64();
        Seen { times: asking.join().expect("no panic"), resident_max, processors }
    })
}

/// Asks for some of all that changed; how many there were.
fn verify(replica: &Replica, certificate: &Path, script: &Script) -> usize {
    let mut client = LineClient::connect(&replica.address, certificate).expect("it listens");
    let step = (script.newest.len() / ASKED).max(1);
    let mut looked_at = 0;
    for (name, address) in script.newest.iter().step_by(step) {
        // Unknown names are answered ever more slowly; who is gone is asked for now and then.
        let Some(address) = address else { continue };
        assert_eq!(asking::place(&mut client, name), *address, "{name}");
        looked_at += 1;
    }
    let gone = script.newest.iter().find(|(_, address)| address.is_none());
    assert!(
        gone.is_none_or(|(name, _)| asking::place(&mut client, name) == "null"),
        "who is gone is still there"
    );
    looked_at
}

/// How long each renewal took, in seconds, as the log says.
fn renewals(log: &Path) -> Vec<f64> {
    let log = BufReader::new(File::open(log).expect("the log"));
    let lines = log.lines().map(|line| line.expect("a line"));
    let millis = |line: String| {
        let (_, rest) = line.split_once("\"millis\":").expect("its figure");
        let digits: String =
            rest.chars().filter(|c| *c != '"').take_while(char::is_ascii_digit).collect();
        digits.parse::<f64>().expect("a number") / 1e3
    };
    lines.filter(|line| line.contains(RENEWED)).map(millis).collect()
}

fn percentiles(times: &[u32]) -> String {
    let at = |q: f64| times[((times.len() - 1) as f64 * q) as usize];
    format!("{} {} {}", at(0.5), at(0.99), at(0.999))
}

fn seconds(all: &[f64]) -> String {
    all.iter().map(|one| format!("{one:.1}")).collect::<Vec<_>>().join(" ")
}
