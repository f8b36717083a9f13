//! Somebody who writes all the time, whatever happens, and remembers what was acknowledged.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use testkit::{LineClient, cram_digest};

/// For a connection, and for each answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two writes, and before the next try.
const PAUSE: Duration = Duration::from_millis(50);

/// Who she is, and where.
pub struct Writer {
    pub name: String,
    secret: String,
    /// Every node's address with her port.
    doors: Vec<String>,
    config: Arc<ClientConfig>,
    /// The number of the last write that was acknowledged, and when since the beginning, in
    /// milliseconds.
    pub acknowledged: AtomicU64,
    pub at_millis: AtomicU64,
    begin: Instant,
}

impl Writer {
    pub fn new(
        name: &str,
        secret: &str,
        doors: Vec<String>,
        config: Arc<ClientConfig>,
        begin: Instant,
    ) -> Self {
        Self {
            name: name.to_owned(),
            secret: secret.to_owned(),
            doors,
            config,
            acknowledged: AtomicU64::new(0),
            at_millis: AtomicU64::new(0),
            begin,
        }
    }

    /// Writes 1, 2, 3, … until it is over. What she reads after each new connection must not be
    /// older than what was acknowledged.
    pub fn write_until(&self, is_over: &AtomicBool) {
        let mut door = 0;
        while !is_over.load(Ordering::Relaxed) {
            if let Err(error) = self.write_through(&self.doors[door], is_over) {
                assert!(error.kind() != io::ErrorKind::InvalidData, "{}: {error}", self.name);
                door = (door + 1) % self.doors.len();
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// What her server says, through whichever door opens.
    pub fn read(&self) -> io::Result<u64> {
        let mut last = io::Error::other("no door");
        for door in &self.doors {
            match self.connect(door).and_then(|mut client| self.look(&mut client)) {
                Ok(number) => return Ok(number),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn write_through(&self, door: &str, is_over: &AtomicBool) -> io::Result<()> {
        let mut client = self.connect(door)?;
        let mut number = self.look(&mut client)?;
        let acknowledged = self.acknowledged.load(Ordering::Relaxed);
        if number < acknowledged {
            let what = format!("{number} is read, {acknowledged} was acknowledged");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        while !is_over.load(Ordering::Relaxed) {
            number += 1;
            let answer = client.try_ask(&format!("update:public:count{} {number}", self.name))?;
            if !answer.starts_with("data:") {
                return Err(io::Error::other(answer));
            }
            self.acknowledged.store(number, Ordering::Relaxed);
            let now = u64::try_from(self.begin.elapsed().as_millis()).unwrap();
            self.at_millis.store(now, Ordering::Relaxed);
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn look(&self, client: &mut LineClient) -> io::Result<u64> {
        let answer = client.try_ask(&format!("llookup:public:count{}", self.name))?;
        match answer.strip_prefix("data:") {
            Some(number) => number.parse().map_err(io::Error::other),
            None if answer.contains("AT0015") => Ok(0),
            None => Err(io::Error::other(answer)),
        }
    }

    fn connect(&self, door: &str) -> io::Result<LineClient> {
        let config = Arc::clone(&self.config);
        let mut client = LineClient::connect_within(door, config, PATIENCE)?;
        let challenge = client.try_ask(&format!("from:{}", self.name))?;
        let Some(challenge) = challenge.strip_prefix("data:") else {
            return Err(io::Error::other(challenge));
        };
        let digest = cram_digest(&self.secret, challenge);
        match client.try_ask(&format!("cram:{digest}"))?.as_str() {
            "data:success" => Ok(client),
            refusal => Err(io::Error::other(refusal.to_owned())),
        }
    }
}
