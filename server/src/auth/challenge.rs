//! The texts that a client must sign, or have its server sign. They live in the session alone, are
//! good once, and for a minute.

use protocol::{AtSign, Timestamp};
use uuid::Uuid;

use crate::limits::CHALLENGE_MILLIS_MAX;

/// The name of one connection: `_` and a random UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionId(Box<str>);

/// What the owner's client must sign: `_session@owner:uuid`.
#[derive(Debug)]
pub(crate) struct OwnChallenge {
    text: String,
    ends: Timestamp,
}

/// What another identity's server must sign: the UUID alone.
#[derive(Debug)]
pub(crate) struct PeerChallenge {
    peer: AtSign,
    secret: String,
    ends: Timestamp,
}

impl SessionId {
    pub(crate) fn random() -> Self {
        Self(format!("_{}", Uuid::new_v4()).into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl OwnChallenge {
    pub(crate) fn new(session: &SessionId, owner: &AtSign, now: Timestamp) -> Self {
        let text = format!("{}{owner}:{}", session.as_str(), Uuid::new_v4());
        Self { text, ends: now.plus_millis(CHALLENGE_MILLIS_MAX) }
    }

    /// What the answer to `from` shows.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text, if it is not too late. The challenge is used up either way.
    pub(crate) fn spend(self, now: Timestamp) -> Option<String> {
        (now <= self.ends).then_some(self.text)
    }
}

impl PeerChallenge {
    pub(crate) fn new(peer: AtSign, now: Timestamp) -> Self {
        let secret = Uuid::new_v4().to_string();
        Self { peer, secret, ends: now.plus_millis(CHALLENGE_MILLIS_MAX) }
    }

    /// What the answer to `from` shows.
    pub(crate) fn text(&self, session: &SessionId) -> String {
        format!("proof:{}{}:{}", session.as_str(), self.peer, self.secret)
    }

    /// Who must sign what, if it is not too late. The challenge is used up either way.
    pub(crate) fn spend(self, now: Timestamp) -> Option<(AtSign, String)> {
        (now <= self.ends).then_some((self.peer, self.secret))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn s070_a_challenge_older_than_a_minute_is_worth_nothing() {
        let owner = AtSign::parse("@alice").unwrap();
        let session = SessionId::random();
        let fresh = OwnChallenge::new(&session, &owner, Timestamp(0));
        let text = fresh.text().to_owned();
        assert_eq!(fresh.spend(Timestamp(60_000)), Some(text));
        let late = OwnChallenge::new(&session, &owner, Timestamp(0));
        assert_eq!(late.spend(Timestamp(60_001)), None);
        let peer = PeerChallenge::new(owner.clone(), Timestamp(0));
        assert_eq!(peer.spend(Timestamp(60_001)), None);
    }

    #[test]
    fn s055_a_challenge_names_session_owner_and_a_second_uuid() {
        let owner = AtSign::parse("@alice").unwrap();
        let session = SessionId::random();
        let text = OwnChallenge::new(&session, &owner, Timestamp(0)).text().to_owned();
        let (before, uuid) = text.split_once(':').unwrap();
        assert_eq!(before, format!("{}@alice", session.as_str()));
        assert_eq!(uuid.len(), 36);
        assert!(!session.as_str().contains(uuid));
    }
}
