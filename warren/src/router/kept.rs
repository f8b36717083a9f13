//! The file with the last routes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use net::clock::{Clock, SystemClock};
use swarm_router::limits::LAST_ROUTES_BYTES_MAX;
use swarm_router::{Follower, LastRoutes};

use crate::data_dir::write_atomically;
use crate::failure::chain;

/// Between two writes, so that many changes are one.
const PAUSE: Duration = Duration::from_secs(1);

/// Begins with what the file has, if it is to be believed. Without it the router waits for the
/// registrar, as at its first start.
pub fn restore(path: &Path, follower: &Follower) {
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return ignored(path, &error),
    };
    let last = match LastRoutes::decode(&bytes) {
        Ok(last) => last,
        Err(error) => return ignored(path, &error),
    };
    match follower.restore(&last) {
        Ok(()) => {
            let (run, number) = (last.routes.upto.run, last.routes.upto.number);
            let (routes, saved) = (last.routes.routes.len(), last.saved_at.to_string());
            tracing::info!(run, number, routes, saved, "serving from the last routes");
        }
        Err(error) => ignored(path, &error),
    }
}

fn ignored(path: &Path, error: &dyn std::error::Error) {
    let path = path.display().to_string();
    tracing::warn!(path, error = chain(error), "the last routes are not believed");
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LAST_ROUTES_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes the file whenever something has changed. It never ends.
pub async fn keep(path: Option<&Path>, follower: &Follower) {
    let Some(path) = path else { return std::future::pending().await };
    loop {
        let changed = follower.changes();
        save(path, follower).await;
        changed.await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Writes the file.
pub async fn save(path: &Path, follower: &Follower) {
    let (owned, follower) = (path.to_owned(), follower.clone());
    let written = tokio::task::spawn_blocking(move || {
        let Some(last) = follower.last_routes(SystemClock.now()) else { return Ok(()) };
        write_atomically(&owned, 0o600, &last.encode()?)
    });
    if let Ok(Err(error)) = written.await {
        let path = path.display().to_string();
        tracing::warn!(path, %error, "the last routes are not written");
    }
}
