//! What a router knew last, as bytes that outlive it.
//!
//! One line says what it is and has the SHA-256 of what follows, which is JSON. Whoever may write the
//! file may send connections anywhere, as whoever has the router's machine may; what is spoilt by
//! accident is not believed.

use protocol::Timestamp;
use protocol::control::routes::Routes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits::LAST_ROUTES_BYTES_MAX;

const MAGIC: &[u8] = b"warren last routes 1 ";
const DIGEST_BYTES: usize = 32;

/// All routes, and when they were written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRoutes {
    /// When.
    pub saved_at: Timestamp,
    /// Everything; they are whole.
    pub routes: Routes,
}

/// Why bytes are no last routes.
#[derive(Debug, thiserror::Error)]
pub enum LastRoutesError {
    /// Longer than all ports need.
    #[error("the file is too long")]
    TooLong,
    /// Something else.
    #[error("the file has no last routes of a version that is known")]
    NoRoutes,
    /// Not what was written.
    #[error("the file was changed or is cut off")]
    Spoilt,
    /// It was written so.
    #[error("the file's routes make no sense")]
    Content(#[source] serde_json::Error),
    /// Only changes.
    #[error("the file does not have all routes")]
    NotWhole,
}

impl LastRoutes {
    /// As a file has it.
    ///
    /// # Errors
    /// Where it cannot be put into words.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let body = serde_json::to_vec(self)?;
        let mut bytes = MAGIC.to_vec();
        for byte in Sha256::digest(&body) {
            bytes.extend(format!("{byte:02x}").bytes());
        }
        bytes.push(b'\n');
        bytes.extend(body);
        Ok(bytes)
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`LastRoutesError`] for anything but what was written.
    pub fn decode(bytes: &[u8]) -> Result<Self, LastRoutesError> {
        if u64::try_from(bytes.len()).is_ok_and(|length| length > LAST_ROUTES_BYTES_MAX) {
            return Err(LastRoutesError::TooLong);
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(LastRoutesError::NoRoutes)?;
        let (digest, rest) =
            rest.split_at_checked(2 * DIGEST_BYTES).ok_or(LastRoutesError::Spoilt)?;
        let body = rest.strip_prefix(b"\n").ok_or(LastRoutesError::Spoilt)?;
        let actual: String =
            Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        if actual.as_bytes() != digest {
            return Err(LastRoutesError::Spoilt);
        }
        let last: Self = serde_json::from_slice(body).map_err(LastRoutesError::Content)?;
        if last.routes.is_whole { Ok(last) } else { Err(LastRoutesError::NotWhole) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroU16;

    use protocol::control::names::CellId;
    use protocol::control::roster::Position;
    use protocol::control::routes::{Route, Target};
    use protocol::{AtSign, HostLabel, VolumeId};

    use super::*;

    fn all_ports() -> LastRoutes {
        let target = Target { volume: VolumeId::from_bytes([7; 16]), cell: CellId::FIRST };
        let route = |port| {
            let identity = AtSign::parse(&format!("@person{port}")).unwrap();
            let (label, port) = (Some(HostLabel::of(&identity)), NonZeroU16::new(port));
            Route { label, port, to: Some(target) }
        };
        let routes = Routes {
            upto: Position { run: 3, number: 4 },
            is_whole: true,
            routes: (1..=u16::MAX).map(route).collect(),
            cells: Vec::new(),
        };
        LastRoutes { saved_at: Timestamp(5), routes }
    }

    #[test]
    fn what_was_written_is_read_and_every_port_fits() {
        let last = all_ports();
        let bytes = last.encode().unwrap();
        assert!(u64::try_from(bytes.len()).unwrap() < LAST_ROUTES_BYTES_MAX / 2);
        assert_eq!(LastRoutes::decode(&bytes).unwrap(), last);
    }

    #[test]
    fn what_is_cut_off_or_changed_anywhere_is_not_believed() {
        let mut last = all_ports();
        last.routes.routes.truncate(3);
        let bytes = last.encode().unwrap();
        for place in 0..bytes.len() {
            assert!(LastRoutes::decode(&bytes[..place]).is_err(), "cut at {place}");
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(LastRoutes::decode(&changed).is_err(), "changed at {place}");
        }
        last.routes.is_whole = false;
        let error = LastRoutes::decode(&last.encode().unwrap()).unwrap_err();
        assert!(matches!(error, LastRoutesError::NotWhole));
    }
}
