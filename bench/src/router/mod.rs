//! Our router beside nginx and HAProxy, with the same servers behind and the same load before them.
//!
//! Servers, load and router share the machine's processors. So rates say as much about the load as
//! about the router, above all on two cores: the line `direct` says what the load itself can do, and
//! processor time is what a router costs wherever it runs. Memory is the processes' own; what the
//! kernel holds for a socket is alike for all.

mod back;
mod change;
mod front;
mod load;
mod machine;
mod ours;
mod peers;
mod registrar;

use std::time::Duration;

use crate::Setting;
use crate::report::{Rounds, goal, table};
use back::Back;
use front::{Front, How, Target};

/// Routes that are there while connections are measured.
const ROUTES_BUSY: u16 = 64;
const GIB: f64 = 1_073_741_824.0;

#[derive(clap::Args)]
pub struct Options {
    /// Rounds of each measurement, one after the other in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Streams that flow at once
    #[arg(long, default_value_t = 4)]
    streams: usize,
    /// Clients that open connections, one after the other each
    #[arg(long, default_value_t = 32)]
    at_once: usize,
    /// Connections that are held
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Routes, one of which is changed
    #[arg(long, default_values_t = [10_000, 60_000], value_delimiter = ',')]
    routes: Vec<u16>,
    /// Only the measurement of this name: throughput, latency, connections, idle, routes
    #[arg(long)]
    only: Option<String>,
    /// More options for our router
    #[arg(long, allow_hyphen_values = true)]
    router_option: Vec<String>,
    /// Has our router look at names too, if it has the option --names
    #[arg(long)]
    by_name: bool,
}

impl Options {
    fn wants(&self, what: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == what)
    }

    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

pub fn run(setting: &Setting, options: &Options) {
    if machine::is_elsewhere() {
        return;
    }
    let descriptors = machine::raise_limit();
    for missing in peers::missing() {
        println!("{missing}");
    }
    let back = Back::start();
    let scratch = tempfile::tempdir_in(&setting.dir).expect("a scratch folder");
    if ["throughput", "latency", "connections", "idle"].into_iter().any(|what| options.wants(what))
    {
        let mut all = all(setting, scratch.path(), &back, ROUTES_BUSY, options);
        all.push(direct(&back));
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        println!("\n{processors} processors for router, servers and load together");
        if options.wants("throughput") {
            throughput(&all, options);
        }
        for how in [How::Port, How::Name] {
            if options.wants("latency") {
                latency(&all, how, options);
            }
            if options.wants("connections") {
                connections(&all, &back, how, options);
            }
        }
        if options.wants("idle") {
            idle(&all, options.idle.min(machine::pairs(descriptors, ROUTES_BUSY)));
        }
    }
    if options.wants("routes") {
        change::run(setting, scratch.path(), &back, options);
    }
}

/// Ours first.
fn all(
    setting: &Setting,
    folder: &std::path::Path,
    back: &Back,
    routes: u16,
    options: &Options,
) -> Vec<Front> {
    let ours = ours::start(setting, folder, back, routes, options);
    let peers = [peers::nginx(folder, back, routes), peers::haproxy(folder, back, routes)];
    std::iter::once(ours).chain(peers.into_iter().flatten()).collect()
}

/// Nobody between the clients and the first server.
fn direct(back: &Back) -> Front {
    Front {
        who: "direct",
        process: None,
        ip: std::net::Ipv4Addr::LOCALHOST,
        all: Some(back.addresses[0]),
        names: None,
        routes: 1,
        lead: Box::new(|_, _| {}),
        started_in: Duration::ZERO,
    }
}

/// Runs every front's measurement in turn, round after round; those who cannot are left out.
fn in_turn<T>(
    all: &[Front],
    how: How,
    rounds: usize,
    mut measure: impl FnMut(&Front) -> T,
) -> Vec<(&Front, Vec<T>)> {
    let able = all.iter().filter(|front| front.knows(how) || front.process.is_none());
    let mut figures: Vec<_> = able.map(|front| (front, Vec::new())).collect();
    for _ in 0..rounds {
        for (front, figures) in &mut figures {
            figures.push(measure(front));
        }
    }
    figures
}

/// The median of one figure of one front.
fn median<T>(figures: &[(&Front, Vec<T>)], who: &str, of: impl Fn(&T) -> f64) -> Option<f64> {
    let (_, figures) = figures.iter().find(|(front, _)| front.who == who)?;
    Some(Rounds::new(figures.iter().map(of).collect()).median())
}

fn targets(front: &Front, how: How) -> Vec<Target> {
    (0..ROUTES_BUSY).map(|route| front.target(how, route)).collect()
}

/// Ours over a peer's.
fn ratio<T>(figures: &[(&Front, Vec<T>)], peer: &str, of: impl Fn(&T) -> f64) -> Option<f64> {
    Some(median(figures, "warren router", &of)? / median(figures, peer, &of)?)
}

fn throughput(all: &[Front], options: &Options) {
    let figures = in_turn(all, How::Port, options.rounds, |front| {
        let cpu = front.cpu();
        let (bytes, took) =
            load::flow(&front.target(How::Port, 0), options.streams, options.duration());
        let gib = bytes as f64 / GIB;
        (gib / took.as_secs_f64(), (front.cpu() - cpu).as_secs_f64() / gib)
    });
    let rows: Vec<_> = figures
        .iter()
        .map(|(front, _)| {
            let rate = median(&figures, front.who, |f| f.0).unwrap_or(f64::NAN);
            let cpu = median(&figures, front.who, |f| f.1).unwrap_or(f64::NAN);
            vec![front.who.to_owned(), format!("{rate:.2}"), format!("{cpu:.3}")]
        })
        .collect();
    let header = ["who", "GiB/s", "its cpu, s a GiB"];
    println!("\n{} streams that flow\n\n{}", options.streams, table(&header, &rows));
    for peer in ["nginx", "HAProxy"] {
        if let (Some(rate), Some(cpu)) =
            (ratio(&figures, peer, |f| f.0), ratio(&figures, peer, |f| f.1))
        {
            let verdict = goal(rate >= 1.0);
            println!("ours/{peer}: rate x{rate:.2} (goal 1.0: {verdict}), cpu x{cpu:.2}");
        }
    }
}

fn latency(all: &[Front], how: How, options: &Options) {
    let figures = in_turn(all, how, options.rounds, |front| {
        let times = Rounds::new(load::pings(&front.target(how, 7), options.duration()));
        (times.median(), times.quantile(0.99))
    });
    let direct = |of: fn(&(f64, f64)) -> f64| median(&figures, "direct", of).unwrap_or(f64::NAN);
    let (direct_p50, direct_p99) = (direct(|f| f.0), direct(|f| f.1));
    let added = |who: &str| median(&figures, who, |f| f.0).map(|p50| p50 - direct_p50);
    let rows: Vec<_> = figures
        .iter()
        .map(|(front, _)| {
            let p50 = median(&figures, front.who, |f| f.0).unwrap_or(f64::NAN);
            let p99 = median(&figures, front.who, |f| f.1).unwrap_or(f64::NAN);
            let micros = |value: f64| format!("{value:.1}");
            let (p50_added, p99_added) = (micros(p50 - direct_p50), micros(p99 - direct_p99));
            vec![front.who.to_owned(), micros(p50), micros(p99), p50_added, p99_added]
        })
        .collect();
    let header = ["who", "p50, us", "p99, us", "added p50", "added p99"];
    println!("\nquestions of 64 bytes, {}\n\n{}", how.label(), table(&header, &rows));
    if let (Some(ours), Some(nginx)) = (added("warren router"), added("nginx")) {
        let ratio = ours / nginx;
        println!("ours/nginx: added p50 x{ratio:.2} (goal 1.0: {})", goal(ratio <= 1.0));
    }
}

fn connections(all: &[Front], back: &Back, how: How, options: &Options) {
    let figures = in_turn(all, how, options.rounds, |front| {
        let cpu = front.cpu();
        let targets = targets(front, how);
        let openings = load::openings(&back.runtime, &targets, options.at_once, options.duration());
        assert!(openings.failed * 1_000 <= openings.opened, "{} refuses", front.who);
        let cpu = (front.cpu() - cpu).as_secs_f64() * 1e6 / openings.opened as f64;
        (openings.opened as f64 / openings.took.as_secs_f64(), cpu, openings.failed as f64)
    });
    let rows: Vec<_> = figures
        .iter()
        .map(|(front, _)| {
            let of = |of: fn(&(f64, f64, f64)) -> f64| median(&figures, front.who, of);
            let figure = |value: Option<f64>| format!("{:.0}", value.unwrap_or(f64::NAN));
            let (rate, cpu, failed) = (figure(of(|f| f.0)), figure(of(|f| f.1)), of(|f| f.2));
            vec![front.who.to_owned(), rate, cpu, figure(failed)]
        })
        .collect();
    let header = ["who", "opened/s", "its cpu, us each", "failed"];
    let at_once = options.at_once;
    println!("\nnew connections, {}, {at_once} at once\n\n{}", how.label(), table(&header, &rows));
    for peer in ["nginx", "HAProxy"] {
        if let (Some(rate), Some(cpu)) =
            (ratio(&figures, peer, |f| f.0), ratio(&figures, peer, |f| f.1))
        {
            println!(
                "ours/{peer}: rate x{rate:.2} (goal 1.0: {}), cpu x{cpu:.2}",
                goal(rate >= 1.0)
            );
        }
    }
}

fn idle(all: &[Front], connections: usize) {
    let count = connections as f64;
    let rows: Vec<_> = all
        .iter()
        .filter(|front| front.process.is_some())
        .map(|front| {
            let memory = front.memory();
            let mut held = load::hold(&targets(front, How::Port), connections);
            std::thread::sleep(Duration::from_millis(300));
            let each = (front.memory() as f64 - memory as f64) / count;
            assert!(load::are_carried(&mut held), "{} has lost some", front.who);
            vec![front.who.to_owned(), format!("{each:.0}")]
        })
        .collect();
    let header = ["who", "its bytes each"];
    println!("\n{connections} connections that rest\n\n{}", table(&header, &rows));
}
