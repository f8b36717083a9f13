//! `endpoints.json`: how the other commands find a running `warren up`.

use std::path::PathBuf;

use feed::FeedKey;
use protocol::Address;
use serde::{Deserialize, Serialize};

use crate::data_dir::{DataDir, write_atomically};
use crate::failure::{Exit, Failure};

/// Most bytes that are read of such a file.
const BYTES_MAX: u64 = 64 * 1024;

/// What runs where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// The directory's TLS line protocol.
    pub directory: Address,
    /// `https://host:port` of its HTTPS front, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory_https: Option<String>,
    /// `https://host:port` of the registrar.
    pub registrar: String,
    /// The authorities that clients must trust.
    pub ca_file: PathBuf,
    /// Where the admin token stands.
    pub admin_token_file: PathBuf,
    /// With which the registrar signs what directories believe.
    pub feed_key: FeedKey,
    /// Prometheus metrics.
    pub metrics: String,
}

impl Endpoints {
    /// Writes the file atomically.
    pub fn write(&self, dir: &DataDir) -> Result<(), Failure> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::from_error(Exit::Failed, &error))?;
        text.push(b'\n');
        write_atomically(&dir.endpoints(), 0o644, &text)
            .map_err(|error| Failure::from_error(Exit::Failed, &error))
    }

    /// Reads the file of a running warren.
    pub fn read(dir: &DataDir) -> Result<Self, Failure> {
        let path = dir.endpoints();
        let not_running = || {
            let what = format!("no warren runs on {}", dir.path().display());
            let fix = format!(
                "start one with: warren up --data-dir {}  (or pass --data-dir of one that runs)",
                dir.path().display()
            );
            Failure::new(Exit::Unavailable, what).fix(fix)
        };
        let text = crate::files::read_bounded(&path, BYTES_MAX).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                not_running()
            } else {
                Failure::new(Exit::Failed, format!("cannot read {}: {error}", path.display()))
            }
        })?;
        serde_json::from_str(&text).map_err(|error| {
            let what = format!("{} is damaged: {error}", path.display());
            Failure::new(Exit::Failed, what).fix("restart warren up: it writes the file anew")
        })
    }
}
