//! Owners who write one number after the other, come back when they are cut, and remember what was
//! acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use testkit::LineClient;

use crate::machine::Owner;

/// Between two writes of one owner: ten owners are a load, and not the end of a small machine.
const PAUSE: Duration = Duration::from_millis(5);

struct Shared {
    acknowledged: AtomicU64,
    /// Milliseconds of the longest time without an acknowledgement, since it was asked for last.
    longest: AtomicU64,
    is_over: AtomicBool,
}

pub struct Writer {
    pub owner: Owner,
    shared: Arc<Shared>,
    thread: JoinHandle<u64>,
}

impl Writer {
    pub fn start(owner: Owner) -> Self {
        let (acknowledged, longest) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Shared { acknowledged, longest, is_over: AtomicBool::new(false) };
        let shared = Arc::new(shared);
        let (theirs, ours) = (Arc::clone(&shared), owner.clone());
        let thread = std::thread::spawn(move || write(&ours, &theirs));
        let writer = Self { owner, shared, thread };
        writer.goes_on();
        writer
    }

    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until more is acknowledged than now; for how long it had to.
    pub fn goes_on(&self) -> Duration {
        let (start, before) = (Instant::now(), self.acknowledged());
        while self.acknowledged() == before {
            assert!(start.elapsed() < Duration::from_secs(60), "{} waits", self.owner.name);
            std::thread::sleep(Duration::from_millis(2));
        }
        start.elapsed()
    }

    /// The longest time without an acknowledgement since this was asked last.
    pub fn longest_pause(&self) -> Duration {
        Duration::from_millis(self.shared.longest.swap(0, Ordering::SeqCst))
    }

    /// Ends, and looks whether what is there is what was acknowledged, or the one write after it.
    pub fn end(self) {
        let Self { owner, shared, thread } = self;
        shared.is_over.store(true, Ordering::SeqCst);
        let sent = thread.join().unwrap();
        let start = Instant::now();
        let found = loop {
            match owner.connect().and_then(|mut client| value(&mut client, &owner)) {
                Ok(found) => break found,
                Err(error) => assert!(start.elapsed() < testkit::PATIENCE, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let acknowledged = shared.acknowledged.load(Ordering::SeqCst);
        let name = &owner.name;
        assert!((acknowledged..=sent).contains(&found), "{name}: {acknowledged} {found} {sent}");
    }
}

/// What is there; whoever reads less than what was acknowledged has lost something.
fn value(client: &mut LineClient, owner: &Owner) -> std::io::Result<u64> {
    let answer = client.try_ask(&format!("llookup:n{}", owner.name))?;
    let number = answer.strip_prefix("data:").and_then(|text| text.parse().ok());
    number.ok_or_else(|| std::io::Error::other(answer))
}

/// Returns the last number that was sent.
fn write(owner: &Owner, shared: &Shared) -> u64 {
    let (mut sent, mut last) = (0, Instant::now());
    while !shared.is_over.load(Ordering::SeqCst) {
        let Ok(mut client) = owner.connect() else {
            std::thread::sleep(PAUSE);
            continue;
        };
        let acknowledged = shared.acknowledged.load(Ordering::SeqCst);
        if acknowledged > 0 {
            let Ok(found) = value(&mut client, owner) else { continue };
            assert!((acknowledged..=sent).contains(&found), "{}: {found}", owner.name);
        }
        while !shared.is_over.load(Ordering::SeqCst) {
            sent += 1;
            match client.try_ask(&format!("update:n{} {sent}", owner.name)) {
                Ok(answer) if answer.starts_with("data:") => {}
                _ => break,
            }
            shared.acknowledged.store(sent, Ordering::SeqCst);
            let pause = u64::try_from(last.elapsed().as_millis()).unwrap();
            shared.longest.fetch_max(pause, Ordering::SeqCst);
            last = Instant::now();
            std::thread::sleep(PAUSE);
        }
    }
    sent
}
