//! New certificates while the program runs: no connection ends for one.
//!
//! The files that were named are looked at now and then, and at SIGHUP; new contents are served from
//! the next handshake on. Contents that are no good are reported, and the old ones go on.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use net::tls::{ClientTls, ServerTls, TlsMaterial};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::chain;

/// Between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Who shows the certificate.
pub struct Shown {
    /// To those who call us.
    pub server: ServerTls,
    /// To those whom we call.
    pub client: Option<ClientTls>,
}

/// When each file was changed.
type Stamps = [Option<SystemTime>; 2];

/// Watches a chain and its key, until it is dropped.
pub async fn watch(cert: PathBuf, key: PathBuf, shown: Shown) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => {
            tracing::error!(%error, "cannot listen for SIGHUP; certificates are not renewed");
            return;
        }
    };
    let mut known = stamps(&cert, &key);
    loop {
        let is_asked = tokio::select! {
            asked = hangup.recv() => asked.is_some(),
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        let now = stamps(&cert, &key);
        if now == known && !is_asked {
            continue;
        }
        match tokio::task::block_in_place(|| TlsMaterial::load(&cert, &key)) {
            Ok(material) => {
                known = now;
                shown.server.reload(&material);
                if let Some(client) = &shown.client {
                    client.reload(&material);
                }
                tracing::info!(file = %cert.display(), "a new certificate is shown from now on");
            }
            // Perhaps only one of the two files is new yet: the next look tells.
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(error, "the new certificate is not good; the old one is shown");
            }
        }
    }
}

fn stamps(cert: &Path, key: &Path) -> Stamps {
    [cert, key].map(|file| file.metadata().and_then(|metadata| metadata.modified()).ok())
}
