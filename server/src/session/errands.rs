//! What the owner asks of her server itself, and what consists of several commands.

use std::sync::Arc;

use protocol::response::{Answer, Fault};
use protocol::verb::{Batch, NotifyAll, Stats, response_json};
use protocol::{Command, ErrorCode, Verb};

use super::owner::Owner;
use crate::limits::BATCH_ANSWER_BYTES_MAX;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::share::Standing;
use crate::verb::stats::{self, Gauges};
use crate::verb::{MaySee, notify_all, sees_everything};

pub(super) async fn stats(server: &Arc<Server>, command: &Stats) -> Result<Answer, Refusal> {
    let gauges = Gauges {
        inbound: server.roster().len(),
        outbound: server.pool().len(),
        access: server.access().summary(),
        now: server.now(),
    };
    let may_see: MaySee<'_> = &sees_everything;
    server.survey(Standing::Owner, |view| stats::run(view, command, &gauges, may_see)).await
}

/// Sends one notification to several, signed.
pub(super) async fn notify_all(
    server: &Arc<Server>,
    command: NotifyAll,
) -> Result<Answer, Refusal> {
    command.notify.check_sender(server.identity())?;
    let pair = server.signing_pair().await?;
    let signature = pair
        .sign(&command.signed_text(server.identity()))
        .map_err(|error| Refusal::new(ErrorCode::InternalException, error.to_string()))?;
    let limits = &server.world().limits;
    let sent = server.write(|draft| notify_all::run(draft, limits, command, signature)).await?;
    if let Some(at) = sent.arrived {
        server.announce(at);
    }
    server.deliver();
    Ok(sent.answer)
}

/// Does one command after the other, each with the rights of the connection. One that fails stops
/// none of the others; all are answered.
pub(super) async fn batch(
    owner: &Owner,
    server: &Arc<Server>,
    batch: Batch,
) -> Result<Answer, Refusal> {
    let mut json = String::from("[");
    for one in batch.commands {
        let outcome = if json.len() > BATCH_ANSWER_BYTES_MAX {
            Err(Refusal::new(ErrorCode::BufferLimit, "the answer is too long"))
        } else if server.tasks().is_draining() {
            Err(Refusal::new(ErrorCode::Paused, "the server is ending"))
        } else {
            run_one(owner, server, &one.command).await
        };
        let outcome = outcome.as_ref().map_err(|refusal| refusal.fault.code);
        json.push_str(if json.len() > 1 { "," } else { "" });
        json.push_str(&response_json(one.id, outcome));
    }
    json.push(']');
    Ok(Answer::Data(json))
}

/// What changes the connection itself, waits, or is a batch again has no place in a batch.
async fn run_one(owner: &Owner, server: &Arc<Server>, line: &str) -> Result<Answer, Refusal> {
    let verb = Verb::select(line).ok_or_else(Fault::invalid_command)?;
    match Command::parse(verb, line)? {
        Command::Noop { millis: 1.. } | Command::Pol => Err(Fault::invalid_command().into()),
        command => owner.run(server, command).await,
    }
}
