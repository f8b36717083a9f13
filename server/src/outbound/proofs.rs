//! The signatures that peers' servers come to fetch while we authenticate to them. They are never
//! in the store, and gone after a minute at the latest.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::Timestamp;

use crate::limits::{CHALLENGE_MILLIS_MAX, PROOFS_MAX};

#[derive(Default)]
pub(crate) struct Proofs {
    by_session: Mutex<HashMap<Box<str>, (String, Timestamp)>>,
}

impl Proofs {
    /// Lays out a signature under the peer's session, `_` in front.
    pub(crate) fn put(&self, session: &str, signature: String, now: Timestamp) {
        let mut proofs = self.proofs();
        proofs.retain(|_, (_, ends)| *ends >= now);
        if proofs.len() < PROOFS_MAX {
            let ends = now.plus_millis(CHALLENGE_MILLIS_MAX);
            proofs.insert(session.to_lowercase().into(), (signature, ends));
        }
    }

    /// The signature under this session.
    pub(crate) fn get(&self, session: &str, now: Timestamp) -> Option<String> {
        let proofs = self.proofs();
        proofs.get(session).filter(|(_, ends)| *ends >= now).map(|(text, _)| text.clone())
    }

    pub(crate) fn remove(&self, session: &str) {
        let mut proofs = self.proofs();
        proofs.remove(&*session.to_lowercase());
        if proofs.is_empty() {
            proofs.shrink_to_fit();
        }
    }

    fn proofs(&self) -> MutexGuard<'_, HashMap<Box<str>, (String, Timestamp)>> {
        self.by_session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s079_a_signature_is_there_for_a_minute_and_not_longer() {
        let proofs = Proofs::default();
        proofs.put("_Session", "signature".to_owned(), Timestamp(0));
        let at = |millis| proofs.get("_session", Timestamp(millis));
        assert_eq!(at(60_000).as_deref(), Some("signature"));
        assert_eq!(at(60_001), None);
        proofs.remove("_Session");
        assert_eq!(at(0), None);
    }

    #[test]
    fn there_are_never_more_than_allowed() {
        let proofs = Proofs::default();
        for n in 0..=PROOFS_MAX {
            proofs.put(&format!("_{n}"), "s".to_owned(), Timestamp(0));
        }
        assert_eq!(proofs.get(&format!("_{PROOFS_MAX}"), Timestamp(0)), None);
        proofs.put("_later", "s".to_owned(), Timestamp(60_001));
        assert!(proofs.get("_later", Timestamp(60_001)).is_some());
    }
}
