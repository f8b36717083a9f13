//! Questions to other identities' servers (the protocol's section 4.5).
//!
//! One connection for each peer and kind of access is kept for the next question, and one question
//! at a time is on it. It has no task of its own: it lies in a table until it is used again, or has
//! been idle too long.

mod error;
mod link;
mod pool;
mod proofs;

pub(crate) use error::PeerError;
pub(crate) use pool::{Access, Pool};
pub(crate) use proofs::Proofs;

use std::sync::Arc;
use std::time::Duration;

use protocol::{AtSign, Timestamp, record};
use tokio::time::timeout;

use crate::auth::{PeerProven, SessionId, verify_peer};
use crate::keys;
use crate::limits::{
    PEER_LOOKUP_DEADLINE, PEER_SHORT_DEADLINE, POL_CALLBACK_DEADLINE, QUESTION_DEADLINE,
};
use crate::server::Server;
use crate::verb::plookup;
use link::Link;

impl Server {
    /// Asks a peer's server one line and gives back the data of its answer.
    ///
    /// # Errors
    /// [`PeerError`] says how far it came.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        peer: &AtSign,
        access: Access,
        line: &[u8],
        deadline: Duration,
    ) -> Result<String, PeerError> {
        // On the heap, so that commands that ask nobody do not pay for it.
        let question = Box::pin(self.ask_in_turn(peer, access, line, deadline));
        timeout(QUESTION_DEADLINE, question).await.unwrap_or(Err(PeerError::Timeout))
    }

    async fn ask_in_turn(
        self: &Arc<Self>,
        peer: &AtSign,
        access: Access,
        line: &[u8],
        deadline: Duration,
    ) -> Result<String, PeerError> {
        let slot = self.pool().slot(peer, access, self.world().limits.links_max);
        let mut slot = slot.lock().await;
        // While it is in use the link is not in the table: if this question is given up half-way,
        // nobody gets its answer.
        if let Some(mut kept) = slot.take() {
            match kept.ask(line, deadline).await {
                Err(PeerError::Closed) => {}
                outcome => return keep_if_sound(&mut slot, kept, outcome),
            }
        }
        let mut link = self.connect(peer, access).await?;
        let outcome = link.ask(line, deadline).await;
        keep_if_sound(&mut slot, link, outcome)
    }

    async fn connect(self: &Arc<Self>, peer: &AtSign, access: Access) -> Result<Link, PeerError> {
        match access {
            Access::Open => self.dial(peer).await,
            Access::Pol => {
                // It may have to be made first, which takes longer than a peer waits.
                self.signing_pair().await.map_err(|_| PeerError::Unable)?;
                let mut link = self.dial(peer).await?;
                self.refresh_public_key(&mut link, peer).await?;
                self.prove(&mut link).await?;
                Ok(link)
            }
        }
    }

    /// Resolves, dials and reads the first prompt.
    async fn dial(&self, peer: &AtSign) -> Result<Link, PeerError> {
        let world = self.world();
        let address = world.directory.resolve(peer).await.map_err(PeerError::directory)?;
        let address = address.ok_or_else(|| PeerError::Unknown(peer.clone()))?;
        let stream = world.dialer.dial(&address).await.map_err(|error| {
            // It may have moved since we learnt where it is.
            world.directory.invalidate(peer);
            tracing::debug!(%error, %peer, "a peer's server cannot be reached");
            PeerError::Connect(peer.clone())
        })?;
        Link::greeted(stream, PEER_SHORT_DEADLINE).await
    }

    /// Step 2: the peer's public key may have changed since we last heard of it.
    async fn refresh_public_key(&self, link: &mut Link, peer: &AtSign) -> Result<(), PeerError> {
        let line = format!("lookup:all:{}{peer}\n", keys::PUBLIC_KEY);
        let json = match link.ask(line.as_bytes(), PEER_LOOKUP_DEADLINE).await {
            Ok(json) => json,
            Err(PeerError::Refused { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Ok(record) = record::Record::parse(&json, peer, self.now()) else { return Ok(()) };
        let is_known = self.ledger().read(|view| plookup::is_known(view, peer, &record)).await;
        if !is_known.map_err(|_| PeerError::Unable)? {
            let kept = self.write(|draft| plookup::keep_public_key(draft, peer, record)).await;
            kept.map_err(|_| PeerError::Unable)?;
        }
        Ok(())
    }

    /// Steps 3 to 9: shows the peer's server that we speak for our owner.
    async fn prove(self: &Arc<Self>, link: &mut Link) -> Result<(), PeerError> {
        let identity = self.identity();
        let challenge = link.challenge(identity, PEER_SHORT_DEADLINE).await?;
        let pair = self.signing_pair().await.map_err(|_| PeerError::Unable)?;
        let signature = pair.sign(&challenge.challenge).map_err(|_| PeerError::Unable)?;
        self.proofs().put(&challenge.session, signature, self.now());
        let outcome = link.pol(identity, PEER_SHORT_DEADLINE).await;
        self.proofs().remove(&challenge.session);
        outcome
    }

    /// Step 7 and 8 of the other side: asks the server that is at the claimed identity's address
    /// whether it is the one that is calling.
    pub(crate) async fn call_back(
        self: &Arc<Self>,
        peer: AtSign,
        session: &SessionId,
        secret: &str,
    ) -> Option<PeerProven> {
        let proof = Box::pin(self.fetch_proof(&peer, session));
        let proof = timeout(POL_CALLBACK_DEADLINE, proof).await;
        match proof {
            Ok(Ok((link, signature, key))) => {
                let proven = verify_peer(peer, &key, secret, &signature)?;
                self.refresh_in_background(link, proven.name().clone());
                Some(proven)
            }
            Ok(Err(error)) => {
                let why = error.label();
                tracing::debug!(why, %peer, "a caller's proof cannot be fetched");
                None
            }
            Err(_) => None,
        }
    }

    async fn fetch_proof(
        &self,
        peer: &AtSign,
        session: &SessionId,
    ) -> Result<(Link, String, String), PeerError> {
        let mut link = self.dial(peer).await?;
        let line = format!("lookup:{}{peer}\n", session.as_str());
        let signature = link.ask(line.as_bytes(), PEER_LOOKUP_DEADLINE).await?;
        let line = format!("lookup:{}{peer}\n", keys::SIGNING_PUBLIC);
        let key = link.ask(line.as_bytes(), PEER_LOOKUP_DEADLINE).await?;
        Ok((link, signature, key))
    }

    /// The caller waits for our answer and has little patience, so its public key is asked for
    /// afterwards.
    fn refresh_in_background(self: &Arc<Self>, mut link: Link, peer: AtSign) {
        let server = Arc::clone(self);
        self.tasks().spawn(async move {
            tokio::select! {
                outcome = server.refresh_public_key(&mut link, &peer) => {
                    if let Err(error) = outcome {
                        let why = error.label();
                        tracing::debug!(why, %peer, "a caller's public key is not refreshed");
                    }
                }
                () = server.ending() => {}
            }
        });
    }

    /// What a peer's server has under a name.
    ///
    /// # Errors
    /// [`PeerError`]; that there is no such key is none.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        peer: &AtSign,
        access: Access,
        line: &str,
    ) -> Result<Option<record::Record>, PeerError> {
        let json = match self.ask(peer, access, line.as_bytes(), PEER_LOOKUP_DEADLINE).await {
            Ok(json) if json == "null" => return Ok(None),
            Ok(json) => json,
            Err(error) if error.is_missing_key() => return Ok(None),
            Err(error) => return Err(error),
        };
        let now: Timestamp = self.now();
        record::Record::parse(&json, peer, now).map(Some).map_err(|_| PeerError::Broken)
    }
}

/// A link on which an answer is missing or wrong is not used again.
fn keep_if_sound(
    slot: &mut Option<Link>,
    link: Link,
    outcome: Result<String, PeerError>,
) -> Result<String, PeerError> {
    if matches!(outcome, Ok(_) | Err(PeerError::Refused { .. })) {
        *slot = Some(link);
    }
    outcome
}
