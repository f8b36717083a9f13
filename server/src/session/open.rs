//! What anybody may do.

use std::sync::Arc;
use std::time::Duration;

use protocol::response::{Answer, Fault};
use protocol::verb::{Enroll, Lookup};
use protocol::{Command, ErrorCode};

use super::{Caller, enrolment};
use crate::keys;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::share::Standing;
use crate::verb::{info, lookup, scan};
use crate::view::View;

/// Does a command for somebody who has proved nothing. There is no way from here to a write, but
/// that an app may ask to be enrolled if the owner gave it a passcode.
pub(super) async fn handle(
    server: &Arc<Server>,
    caller: &mut Caller,
    command: Command,
) -> Result<Answer, Refusal> {
    match command {
        Command::Lookup(command) => look_up(server, &command).await,
        Command::Scan(command) if command.of.is_some() => {
            let text = "Scan to another atSign cannot be performed without auth";
            Err(Refusal::new(ErrorCode::Unauthenticated, text))
        }
        Command::Scan(command) => {
            let now = server.now();
            let scan = move |view: &mut View<'_>| scan::as_anybody(view, &command, now);
            server.survey(Standing::Other, scan).await
        }
        Command::Notify(_) => {
            let text = "Notify command cannot be executed without authentication";
            Err(Refusal::new(ErrorCode::Unauthenticated, text))
        }
        Command::NotifyList(_) => Ok(Answer::Null),
        Command::Enroll(Enroll::Request(request)) => {
            enrolment::requested(server, caller, *request).await
        }
        Command::Cram { .. } | Command::Pkam(_) => Err(Refusal::no_challenge()),
        Command::Pol => Err(Refusal::closing(
            ErrorCode::InternalException,
            "pol needs the challenge of a from for another atSign",
        )),
        Command::Info { .. } | Command::Noop { .. } => at_leisure(server, command).await,
        _ => Err(Fault::needs_owner().into()),
    }
}

/// `info` and `noop`, which are the same for everybody.
pub(super) async fn at_leisure(server: &Server, command: Command) -> Result<Answer, Refusal> {
    match command {
        Command::Info { brief } => {
            Ok(info::run(crate::world::PROTOCOL_VERSION, server.uptime(), brief))
        }
        Command::Noop { millis } => {
            // A timer rounds up to its next tick, and a heartbeat asks for no wait at all.
            if millis > 0 {
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
            Ok(Answer::from("ok"))
        }
        _ => Err(Fault::invalid_command().into()),
    }
}

async fn look_up(server: &Arc<Server>, command: &Lookup) -> Result<Answer, Refusal> {
    let (entity, now) = (command.entity.as_str(), server.now());
    if command.owner == *server.identity() && entity == keys::SIGNING_PUBLIC {
        server.ensure_signing().await?;
    }
    // While we authenticate to a peer, its server comes for this; the name is the peer's session.
    if let Some(proof) = server.proofs().get(entity, now) {
        return Ok(Answer::Data(proof));
    }
    let answer = server.ledger().read(|view| lookup::as_anybody(view, command, now)).await?;
    server.access().looked_up(None, &format!("{entity}{}", command.owner), now);
    Ok(answer)
}
