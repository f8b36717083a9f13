//! The limit on open files: each route is a listening socket.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What everything beside listeners needs: connections, volumes being open, the rest.
const BESIDE_LISTENERS: u64 = 20_480;

/// With fewer left for connections than this, a full range of ports is trouble.
const CONNECTIONS_AT_LEAST: u64 = 4_096;

/// Raises the limit as far as this user may, and warns where that may not be enough.
pub fn raise_limit(ports: usize) {
    let wanted = ports as u64 + BESIDE_LISTENERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    // Raising the maximum as well is for root alone; without that, the maximum is the most.
    let higher = Rlimit { current: Some(wanted), maximum: maximum.map(|max| max.max(wanted)) };
    if setrlimit(Resource::Nofile, higher).is_ok() {
        return;
    }
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = maximum.unwrap_or(u64::MAX);
    if limit >= ports as u64 + CONNECTIONS_AT_LEAST {
        return;
    }
    tracing::warn!(
        limit,
        wanted,
        "few open files are allowed; raise the limit (ulimit -n, LimitNOFILE) to use all ports"
    );
}
