//! What an identity's owner proves herself with. Never printed, so it has no `Debug`.

use std::path::Path;

use ring::digest::{SHA512, digest};

use super::at_keys::AtKeys;
use super::{RsaKeys, SetupError};
use crate::check::Check;

/// An owner's way in.
pub enum Credential {
    /// The activation secret.
    Secret(String),
    /// Key pair, and the enrolment it belongs to, if any.
    Keys(Box<RsaKeys>, Option<String>),
}

impl Credential {
    /// From an `.atKeys` file, or a file with nothing but the activation secret.
    ///
    /// # Errors
    /// Where the file is neither.
    pub fn from_file(file: &Path) -> Result<Self, SetupError> {
        let what = || format!("reading {}", file.display());
        let text = std::fs::read_to_string(file).map_err(|e| SetupError::new(what(), e))?;
        if !text.trim_start().starts_with('{') {
            return Ok(Self::Secret(text.trim().to_owned()));
        }
        let keys = AtKeys::parse(&text).map_err(|reason| SetupError::new(what(), reason))?;
        let pair = keys.pkam().map_err(|reason| SetupError::new(what(), reason))?;
        Ok(Self::Keys(Box::new(pair), keys.enrollment_id))
    }

    /// The command that answers a challenge of `from`.
    ///
    /// # Errors
    /// Where no signature can be made.
    pub fn proof(&self, challenge: &str) -> Check<String> {
        Ok(match self {
            Self::Secret(secret) => format!("cram:{}", cram_digest(secret, challenge)),
            Self::Keys(keys, None) => format!("pkam:{}", keys.sign(challenge)?),
            Self::Keys(keys, Some(id)) => {
                format!("pkam:enrollmentId:{id}:{}", keys.sign(challenge)?)
            }
        })
    }
}

/// What `cram:` proves the knowledge of the secret with.
pub fn cram_digest(secret: &str, challenge: &str) -> String {
    hex::encode(digest(&SHA512, [secret, challenge].concat().as_bytes()))
}
