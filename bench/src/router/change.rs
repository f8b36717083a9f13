//! Many routes: what each costs, and how soon one of them leads elsewhere.

use std::path::Path;
use std::time::{Duration, Instant};

use super::back::Back;
use super::front::{Front, How};
use super::machine::{descriptors, pairs};
use super::{Options, load, ours, peers};
use crate::Setting;
use crate::report::{goal, table};

/// Answers of the new server in a row, after which no old one comes.
const IN_A_ROW: usize = 50;
/// Changes of one front's route, there and back.
const CHANGES: usize = 4;

struct Figures {
    who: &'static str,
    started_in: Duration,
    /// Of one route, beyond a front with one.
    bytes: f64,
    /// Until the new server answers, in milliseconds; the median.
    change: f64,
    /// Connections that nobody answered meanwhile.
    dropped: usize,
}

pub fn run(setting: &Setting, folder: &Path, back: &Back, options: &Options) {
    for routes in &options.routes {
        let starts: [&dyn Fn(u16) -> Option<Front>; 3] = [
            &|routes| {
                // With one socket for all it needs no descriptors for them.
                let can = pairs(descriptors(), routes) > 0 || !options.router_option.is_empty();
                can.then(|| ours::start(setting, folder, back, routes, options))
            },
            &|routes| peers::nginx(folder, back, routes),
            &|routes| peers::haproxy(folder, back, routes),
        ];
        let figures: Vec<_> =
            starts.into_iter().filter_map(|start| measure(start, *routes)).collect();
        if pairs(descriptors(), *routes) == 0 {
            println!("\n{routes} listening sockets are more than a process may have here");
        }
        if !figures.is_empty() {
            print(*routes, &figures);
        }
    }
}

fn measure(start: &dyn Fn(u16) -> Option<Front>, routes: u16) -> Option<Figures> {
    let alone = start(1)?.memory();
    let mut front = start(routes)?;
    let bytes = (front.memory() as f64 - alone as f64) / f64::from(routes);
    let mut dropped = 0;
    let mut changes: Vec<_> = (0..CHANGES)
        .map(|turn| {
            let (took, lost) = change(&mut front, routes / 2, (turn + 1) % 2);
            dropped += lost;
            took.as_secs_f64() * 1e3
        })
        .collect();
    changes.sort_by(f64::total_cmp);
    Some(Figures {
        who: front.who,
        started_in: front.started_in,
        bytes,
        change: changes[CHANGES / 2],
        dropped,
    })
}

/// From the word that a route leads elsewhere to the first answer from there after which none comes
/// from where it led; and how many had no answer.
fn change(front: &mut Front, route: u16, server: usize) -> (Duration, usize) {
    let target = front.target(How::Port, route);
    let (began, mut dropped) = (Instant::now(), 0);
    (front.lead)(route, server);
    let (mut since, mut in_a_row) = (Duration::ZERO, 0);
    while in_a_row < IN_A_ROW {
        assert!(began.elapsed() < Duration::from_secs(120), "{} does not change", front.who);
        // No more of them than one identity may have in a second.
        std::thread::sleep(Duration::from_millis(1));
        match load::who(&target) {
            Some(answers) if answers == server => {
                if in_a_row == 0 {
                    since = began.elapsed();
                }
                in_a_row += 1;
            }
            other => {
                dropped += usize::from(other.is_none());
                in_a_row = 0;
            }
        }
    }
    (since, dropped)
}

fn print(routes: u16, figures: &[Figures]) {
    let row = |f: &Figures| {
        vec![
            f.who.to_owned(),
            format!("{:.0}", f.started_in.as_secs_f64() * 1e3),
            format!("{:.0}", f.bytes),
            format!("{:.1}", f.change),
            f.dropped.to_string(),
        ]
    };
    let rows: Vec<_> = figures.iter().map(row).collect();
    let header = ["who", "start, ms", "bytes a route", "one change, ms", "unanswered"];
    println!("\n{routes} routes\n\n{}", table(&header, &rows));
    let find = |who| figures.iter().find(|f| f.who == who);
    for peer in ["nginx", "HAProxy"] {
        if let (Some(ours), Some(peer)) = (find("warren router"), find(peer)) {
            let (bytes, change) = (ours.bytes / peer.bytes, ours.change / peer.change);
            println!(
                "ours/{}: bytes a route x{bytes:.3} (goal 0.1: {}), one change x{change:.4} \
                 (goal 0.02: {})",
                peer.who,
                goal(bytes <= 0.1),
                goal(change <= 0.02)
            );
        }
    }
}
