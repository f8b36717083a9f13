//! Lookups at a steady rate, and how long each took.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::LineClient;
use tokio::time::sleep_until;

use super::publisher::Latest;
use super::script::Entry;
use crate::directory::load::{Caller, client_tls, exchange};

/// Connections that ask.
const CONNECTIONS: u32 = 50;
/// Between two looks whether a change is there.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Between two changes that are looked for.
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// Asks over connections that stay, `rate` lookups a second on all of them, until `is_over`; how
/// long each took, in microseconds. One that could not begin in time counts from when it should
/// have.
pub async fn steadily(
    address: &str,
    certificate: &Path,
    names: Arc<Vec<String>>,
    rate: u32,
    is_over: Arc<AtomicBool>,
) -> Vec<u32> {
    let tls = client_tls(certificate);
    let began = tokio::time::Instant::now() + Duration::from_millis(500);
    let mut tasks = Vec::new();
    for at in 0..CONNECTIONS {
        let caller =
            Caller { address: address.to_owned(), tls: Arc::clone(&tls), lines: 1, greets: true };
        let (names, is_over) = (Arc::clone(&names), Arc::clone(&is_over));
        let first = began + Duration::from_secs(1) * at / rate;
        let every = Duration::from_secs(1) * CONNECTIONS / rate;
        tasks.push(tokio::spawn(async move {
            let mut stream = caller.connect().await;
            let (mut times, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
            let (mut next, mut name) = (first, at as usize * 397);
            while !is_over.load(Ordering::Relaxed) {
                let mut from = next;
                if tokio::time::Instant::now() < next {
                    sleep_until(next).await;
                    from = tokio::time::Instant::now();
                }
                let question = format!("{}\n", names[name % names.len()]);
                exchange(&mut stream, question.as_bytes(), 1, &mut buffer).await;
                times.push(u32::try_from(from.elapsed().as_micros()).unwrap_or(u32::MAX));
                (next, name) = (next + every, name + 1);
            }
            times
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("no panic"));
    }
    times.sort_unstable();
    times
}

/// How long changes take from Redis to an answer, in seconds, until `is_over`.
pub fn lags(
    address: &str,
    certificate: &Path,
    entries: &[Entry],
    latest: &Latest,
    is_over: &AtomicBool,
) -> Vec<f64> {
    let mut client = LineClient::connect(address, certificate).expect("it listens");
    let mut lags = Vec::new();
    let mut before = None;
    while !is_over.load(Ordering::Relaxed) {
        let newest = *latest.lock().expect("no panic");
        match newest {
            Some((at, published)) if before != Some(at) => {
                before = newest.map(|(at, _)| at);
                let (name, address) = &entries[at].moved;
                while &place(&mut client, name) != address && !is_over.load(Ordering::Relaxed) {
                    std::thread::sleep(LOOK_EVERY);
                }
                lags.push(published.elapsed().as_secs_f64());
            }
            _ => {}
        }
        std::thread::sleep(PROBE_EVERY);
    }
    lags.sort_unstable_by(f64::total_cmp);
    lags
}

/// What the directory says of a name, without the prompt that stands before it.
pub fn place(client: &mut LineClient, name: &str) -> String {
    client.ask(name).trim_end().trim_start_matches('@').to_owned()
}

/// Waits until the last change is there; how long that took.
pub fn wait_for(address: &str, certificate: &Path, entry: &Entry, patience: Duration) -> Duration {
    let began = Instant::now();
    let mut client = LineClient::connect(address, certificate).expect("it listens");
    let (name, address) = &entry.moved;
    while &place(&mut client, name) != address {
        assert!(began.elapsed() < patience, "the last change never came");
        std::thread::sleep(LOOK_EVERY);
    }
    began.elapsed()
}
