//! DNS over UDP, beside Knot with the same records and load.

mod knot;
mod load;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use testkit::Ports;

use crate::directory::process::Process;
use crate::directory::{names, replica};
use crate::report::{Rounds, goal, table};
use crate::{Setting, certificate};
use load::{Load, Tally, question};

/// The zone of the names.
const ZONE: &str = "dir.example";
/// Sockets that ask.
const SOCKETS: usize = 8;

#[derive(clap::Args)]
pub struct Options {
    /// How many identities
    #[arg(long, default_value_t = 100_000)]
    identities: u32,
    /// Rounds of each measurement, ours and the peer's in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Questions under way at the same time
    #[arg(long, default_value_t = 200)]
    at_once: usize,
}

/// Somebody who answers questions.
struct Answerer {
    who: &'static str,
    process: Process,
    port: u16,
    started: Instant,
    /// From starting the process to its first answer.
    started_in: Duration,
    /// Bytes of memory once it has answered for a while.
    resident: u64,
}

/// What one round came to.
struct Figures {
    rate: f64,
    cpu_micros: f64,
    lost: f64,
}

pub fn run(setting: &Setting, options: &Options) {
    let scratch = tempfile::tempdir_in(&setting.dir).expect("a scratch folder");
    let folder = scratch.path();
    certificate::make(folder).expect("openssl is installed");
    std::fs::create_dir(folder.join("knot")).expect("a folder");
    let list = plain_names(folder, options.identities);
    let questions: Vec<_> =
        names::sample(&list, 20_000).iter().map(|name| question(name, ZONE)).collect();
    let ports = Ports::reserve(2);
    let mut all = vec![ours(setting, folder, &list, ports.first)];
    first_answer(&mut all[0], &questions[0]);
    match knot::start(folder, &list, ports.last) {
        Some(knot) => all.push(knot),
        None => println!("knotd is not installed (apt-get install knot): no peer."),
    }
    if let Some(knot) = all.get_mut(1) {
        first_answer(knot, &questions[0]);
    }
    let duration = Duration::from_secs(options.seconds);
    let fast = Load { sockets: SOCKETS, at_once: options.at_once.div_ceil(SOCKETS), rate: None };
    let figures = measure(&all, fast, &questions, duration, options.rounds);
    for one in &mut all {
        one.resident = one.process.resident();
    }
    println!("\n{} names, one SRV record asked for\n", lines(&list));
    println!("{}", sizes(&all, lines(&list)));
    println!("\n{} questions under way\n\n{}", options.at_once, comparison(&all, &figures));
    if let Some(knot) = figures.get(1) {
        let rate = Rounds::new(knot.iter().map(|f| f.rate).collect()).median();
        let paced = Load { rate: Some(rate), ..fast };
        let figures = measure(&all, paced, &questions, duration, options.rounds);
        println!("\nat Knot's rate, whatever comes back\n\n{}", comparison(&all, &figures));
    }
}

/// Names that labels hold as they are, so that a zone file can be written without our encoding.
fn plain_names(folder: &Path, count: u32) -> PathBuf {
    let list = names::write(folder, count);
    let file = folder.join("plain.tsv");
    let mut out = BufWriter::new(File::create(&file).expect("a file"));
    for line in BufReader::new(File::open(list).expect("the list")).lines() {
        let line = line.expect("a line");
        if line.is_ascii() {
            writeln!(out, "{line}").expect("a line");
        }
    }
    out.flush().expect("the rest");
    file
}

fn lines(list: &Path) -> usize {
    BufReader::new(File::open(list).expect("the list")).lines().count()
}

fn ours(setting: &Setting, folder: &Path, list: &Path, port: u16) -> Answerer {
    let snapshot = replica::build(setting, folder, list);
    let dns = format!("127.0.0.1:{port}");
    let started = Instant::now();
    // Knot has no limit either unless it is told to have one.
    let options = ["--dns", &dns, "--dns-zone", ZONE, "--dns-rate", "0"];
    let (child, _) = replica::serve(setting, folder, &snapshot, &options);
    let (who, process) = ("warren directory", Process(child));
    Answerer { who, process, port, started, started_in: Duration::ZERO, resident: 0 }
}

fn first_answer(one: &mut Answerer, question: &[u8]) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(("127.0.0.1", one.port)).expect("an address");
    socket.set_read_timeout(Some(Duration::from_millis(2))).expect("a time");
    let mut answer = [0; 2048];
    loop {
        assert!(one.started.elapsed() < testkit::PATIENCE, "{} does not answer", one.who);
        // It may refuse, or fail, while it is loading.
        drop(socket.send(question));
        if socket.recv(&mut answer).is_ok() && answer[3] & 0xf == 0 && answer[7] == 1 {
            one.started_in = one.started.elapsed();
            return;
        }
    }
}

fn measure(
    all: &[Answerer],
    load: Load,
    questions: &[Vec<u8>],
    duration: Duration,
    rounds: usize,
) -> Vec<Vec<Figures>> {
    let mut figures: Vec<Vec<Figures>> = all.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (one, figures) in all.iter().zip(&mut figures) {
            let (began, cpu) = (Instant::now(), one.process.cpu());
            let tally: Tally = load.run(one.port, questions, duration);
            let took = began.elapsed().min(duration);
            let cpu = one.process.cpu() - cpu;
            assert_eq!(tally.wrong, 0, "{} answers something else", one.who);
            figures.push(Figures {
                rate: tally.answered as f64 / took.as_secs_f64(),
                cpu_micros: cpu.as_secs_f64() * 1e6 / tally.answered as f64,
                lost: tally.lost() as f64 * 1e6 / tally.sent as f64,
            });
        }
    }
    figures
}

fn sizes(all: &[Answerer], identities: usize) -> String {
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            let ratio =
                all.get(1).map_or(f64::NAN, |knot| one.resident as f64 / knot.resident as f64);
            let verdict = if ratio < 1.0 { goal(ratio <= 0.1) } else { String::new() };
            vec![
                one.who.to_owned(),
                format!("{:.1}", one.resident as f64 / 1_048_576.0),
                format!("{:.1}", one.resident as f64 / identities as f64),
                format!("{ratio:.3}"),
                verdict,
                format!("{:.0}", one.started_in.as_secs_f64() * 1e3),
            ]
        })
        .collect();
    let header =
        ["who", "resident MiB", "bytes a name", "of Knot's", "goal 0.1", "start to answer, ms"];
    table(&header, &rows).to_string()
}

fn comparison(all: &[Answerer], figures: &[Vec<Figures>]) -> String {
    let median = |which: usize, of: fn(&Figures) -> f64| {
        Rounds::new(figures[which].iter().map(of).collect())
    };
    let mut rows = Vec::new();
    for (at, one) in all.iter().enumerate() {
        let ratio = |of: fn(&Figures) -> f64| median(at, of).median() / median(1, of).median();
        let verdict = match at {
            0 if all.len() > 1 => {
                let (cpu, rate) = (ratio(|f| f.cpu_micros), ratio(|f| f.rate));
                format!("cpu x{cpu:.2} (goal 1.1): {}, rate x{rate:.2}", goal(cpu <= 1.1))
            }
            _ => String::new(),
        };
        rows.push(vec![
            one.who.to_owned(),
            median(at, |f| f.rate).to_string(),
            format!("{:.2}", median(at, |f| f.cpu_micros).median()),
            median(at, |f| f.lost).to_string(),
            verdict,
        ]);
    }
    let header = ["who", "answers/s", "its cpu, us a question", "lost of a million", "ours"];
    table(&header, &rows).to_string()
}
