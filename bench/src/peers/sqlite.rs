//! SQLite as a careful application uses it: WAL, synchronous=FULL, a commit for each value.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

/// Commits a second of one value each, in this process and without any network.
pub fn commits_a_second(dir: &Path, value_bytes: usize, time: Duration) -> f64 {
    let path = dir.join("peer.sqlite");
    let database = Connection::open(&path).expect("a database");
    database
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
             CREATE TABLE keys (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;",
        )
        .expect("a table");
    let mut update = database
        .prepare("INSERT INTO keys VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2")
        .expect("a statement");
    let mut value = vec![b'v'; value_bytes];
    let start = Instant::now();
    let mut commits = 0_u32;
    while start.elapsed() < time {
        // SQLite leaves out a write that changes nothing: each value must be another one.
        value[..4].copy_from_slice(&commits.to_be_bytes());
        let name = format!("key{}.bench@alice", commits % 100);
        update.execute(params![name, value]).expect("a commit");
        commits += 1;
    }
    let rate = f64::from(commits) / start.elapsed().as_secs_f64();
    drop(update);
    drop(database);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(dir.join(format!("peer.sqlite{suffix}")));
    }
    rate
}
