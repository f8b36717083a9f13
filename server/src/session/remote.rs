//! The owner's questions to other identities' servers.

use std::sync::Arc;

use protocol::AtSign;
use protocol::response::Answer;
use protocol::verb::{Lookup, Operation, Plookup, Scan};

use crate::limits::PEER_SHORT_DEADLINE;
use crate::outbound::Access;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::verb::lookup::{self, Cached};
use crate::verb::{plookup, scan};

/// What another shares with the owner: a fresh copy, or what its server says now.
pub(super) async fn lookup(server: &Arc<Server>, command: &Lookup) -> Result<Answer, Refusal> {
    let (identity, now) = (server.identity(), server.now());
    let cached =
        server.ledger().read(|view| lookup::from_cache(view, identity, command, now)).await?;
    if let Cached::Answer(answer) = cached {
        return Ok(answer);
    }
    let question = lookup::question(&command.entity, &command.owner);
    let fetched = server.fetch(&command.owner, Access::Pol, &question).await?;
    let answer = server.write(|draft| lookup::fetched(draft, command, fetched)).await?;
    server.committed(Operation::Update);
    answer.ok_or_else(|| lookup::missing(identity, command))
}

/// What another publishes.
pub(super) async fn plookup(server: &Arc<Server>, command: &Plookup) -> Result<Answer, Refusal> {
    let now = server.now();
    let key = format!("{}{}", command.entity, command.owner);
    server.access().looked_up(Some(&command.owner), &key, now);
    let cached = server.ledger().read(|view| plookup::from_cache(view, command, now)).await?;
    if let Cached::Answer(answer) = cached {
        return Ok(answer);
    }
    let question = lookup::question(&command.entity, &command.owner);
    let fetched = server.fetch(&command.owner, Access::Open, &question).await?;
    let answer = server.write(|draft| plookup::fetched(draft, command, fetched)).await?;
    server.committed(Operation::Update);
    answer.ok_or_else(|| plookup::missing(command))
}

/// The keys that another shares with the owner, as its server lists them.
pub(super) async fn scan(
    server: &Arc<Server>,
    peer: &AtSign,
    command: &Scan,
) -> Result<Answer, Refusal> {
    let question = scan::question(command);
    let keys = server.ask(peer, Access::Pol, question.as_bytes(), PEER_SHORT_DEADLINE).await?;
    Ok(Answer::Data(keys))
}
