//! Puts the script into Redis at the rate that is asked for, as a registrar does.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Instant;

use feed::CarrierKeys;

use super::script::{Entry, PACE, Script};

/// Entries that Redis keeps, as with a registrar.
const ENTRIES_KEPT: &str = "4096";

pub struct Publisher {
    redis: BufReader<TcpStream>,
    keys: CarrierKeys,
}

/// Which entry was published last, and when.
pub type Latest = Mutex<Option<(usize, Instant)>>;

impl Publisher {
    /// `address` is where Redis listens.
    pub fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("Redis listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { redis: BufReader::new(stream), keys: CarrierKeys::new(CarrierKeys::PREFIX) }
    }

    /// Says that nothing has happened yet.
    pub fn begin(&mut self, script: &Script) {
        let newest = self.keys.newest.clone();
        self.set(&newest, &script.silence);
        let checkpoint = self.keys.checkpoint.clone();
        self.set(&checkpoint, &script.beginning);
    }

    /// Publishes everything. The longest delay behind the plan is returned, in seconds.
    pub fn run(&mut self, entries: &[Entry], latest: &Latest) -> f64 {
        let began = Instant::now();
        let mut late_max = 0.0_f64;
        for (at, entry) in entries.iter().enumerate() {
            let planned = began + PACE * u32::try_from(at).expect("not so many");
            sleep(planned.saturating_duration_since(Instant::now()));
            late_max = late_max.max(planned.elapsed().as_secs_f64());
            self.publish(entry);
            *latest.lock().expect("no panic") = Some((at, Instant::now()));
        }
        late_max
    }

    /// In one go: whoever has read the batch finds the word that there is nothing after it.
    fn publish(&mut self, entry: &Entry) {
        let id = CarrierKeys::entry_id(entry.last);
        let keys = &self.keys;
        let add: [&[u8]; 8] = [
            b"XADD",
            keys.changes.as_bytes(),
            b"MAXLEN",
            b"~",
            ENTRIES_KEPT.as_bytes(),
            id.as_bytes(),
            CarrierKeys::FIELD.as_bytes(),
            &entry.batch,
        ];
        let mut questions = command(&add);
        questions.extend(command(&[b"SET", keys.newest.as_bytes(), &entry.word]));
        let mut count = 2;
        if let Some(checkpoint) = &entry.checkpoint {
            questions.extend(command(&[b"SET", keys.checkpoint.as_bytes(), checkpoint]));
            count += 1;
        }
        self.ask(&questions, count);
    }

    fn set(&mut self, key: &str, value: &[u8]) {
        self.ask(&command(&[b"SET", key.as_bytes(), value]), 1);
    }

    fn ask(&mut self, questions: &[u8], count: usize) {
        self.redis.get_mut().write_all(questions).expect("Redis reads");
        let mut line = String::new();
        for _ in 0..count {
            line.clear();
            self.redis.read_line(&mut line).expect("Redis answers");
            assert!(!line.starts_with('-'), "Redis refuses: {line}");
            if line.starts_with('$') {
                line.clear();
                self.redis.read_line(&mut line).expect("the rest");
            }
        }
    }
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut command = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        command.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        command.extend_from_slice(word);
        command.extend_from_slice(b"\r\n");
    }
    command
}
