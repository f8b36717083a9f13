//! The floor: append a record, `fdatasync`, again.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Commits a second of `record_bytes` each.
pub fn commits_a_second(dir: &Path, record_bytes: usize, time: Duration) -> f64 {
    let path = dir.join("bare.log");
    let mut file = File::create(&path).expect("a file");
    let record = vec![0xA5; record_bytes];
    let start = Instant::now();
    let mut commits = 0_u32;
    while start.elapsed() < time {
        file.write_all(&record).expect("room on the disk");
        file.sync_data().expect("a disk that syncs");
        commits += 1;
    }
    let rate = f64::from(commits) / start.elapsed().as_secs_f64();
    std::fs::remove_file(path).expect("our own file");
    rate
}
