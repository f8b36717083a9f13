//! Who is there: challenges, and what proves that they were met.

mod challenge;
mod cram;
mod pkam;
mod rsa_proof;
mod spki;

pub(crate) use challenge::{OwnChallenge, PeerChallenge, SessionId};
pub(crate) use cram::verify_cram;
pub(crate) use pkam::{PkamError, verify_pkam};
pub(crate) use rsa_proof::verify_peer;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use protocol::AtSign;

/// The owner has proved herself. Only the checks of this module make one.
#[derive(Debug)]
pub(crate) struct OwnerProven(Means);

/// With what the owner has proved herself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    Secret,
    Key,
}

impl OwnerProven {
    /// Whether it was with the activation secret.
    pub(crate) fn by_secret(&self) -> bool {
        self.0 == Means::Secret
    }
}

/// Another identity's server has proved itself. Only the checks of this module make one.
#[derive(Debug)]
pub(crate) struct PeerProven(AtSign);

impl PeerProven {
    /// Who it is.
    pub(crate) fn name(&self) -> &AtSign {
        &self.0
    }

    /// Who it is.
    pub(crate) fn into_name(self) -> AtSign {
        self.0
    }
}

/// Some clients leave the padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads base64 as clients write it.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text.trim()).ok()
}

/// Writes base64 as clients read it.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    LENIENT.encode(bytes)
}
