//! `from`, which every state may ask (the protocol's sections 3.2 and 4.1).

use std::sync::Arc;

use protocol::AtSign;
use protocol::response::Answer;
use protocol::verb::From;

use super::Caller;
use crate::auth::{OwnChallenge, PeerChallenge};
use crate::outbound::PeerError;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::verb::{config, from};

/// What a caller must prove.
pub(super) enum Challenge {
    Own(OwnChallenge),
    Peer(PeerChallenge),
}

/// Makes a challenge for whom the caller claims to be. Another identity's server must show the
/// certificate of that identity's host; the owner's clients show none.
pub(super) async fn challenge(
    server: &Arc<Server>,
    caller: &mut Caller,
    from: From,
) -> Result<(Challenge, Answer), Refusal> {
    caller.error_shape = from.error_shape;
    let now = server.now();
    if from.name == *server.identity() {
        let challenge = OwnChallenge::new(&caller.session, server.identity(), now);
        let answer = Answer::from(challenge.text());
        return Ok((Challenge::Own(challenge), answer));
    }
    check_welcome(server, &from.name).await?;
    check_certificate(server, caller, &from.name).await?;
    server.access().came(&from.name, now);
    let challenge = PeerChallenge::new(from.name, now);
    let answer = Answer::Data(challenge.text(&caller.session));
    Ok((Challenge::Peer(challenge), answer))
}

async fn check_welcome(server: &Server, peer: &AtSign) -> Result<(), Refusal> {
    let identity = server.identity();
    let is_blocked = server.ledger().read(|view| config::is_blocked(view, identity, peer)).await?;
    if is_blocked { Err(from::blocked()) } else { Ok(()) }
}

async fn check_certificate(server: &Server, caller: &Caller, peer: &AtSign) -> Result<(), Refusal> {
    let world = server.world();
    // A caller without a good certificate does not make us ask the directory.
    let verified = world.roots.verify_client(&caller.certificates);
    let verified = verified.ok_or_else(from::bad_certificate)?;
    let address = Box::pin(world.directory.resolve(peer));
    let address = address.await.map_err(PeerError::directory)?;
    let address = address.ok_or_else(|| PeerError::Unknown(peer.clone()))?;
    if verified.is_host(&address.host) { Ok(()) } else { Err(from::bad_certificate()) }
}
