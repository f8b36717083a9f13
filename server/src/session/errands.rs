//! What the owner asks of her server itself, and what consists of several commands.

use std::sync::Arc;

use protocol::response::{Answer, Fault};
use protocol::verb::{Batch, Config, NotifyAll, Stats, response_json};
use protocol::{Command, ErrorCode, Verb};
use tokio::time::Instant;

use super::owner::Owner;
use crate::draft::Draft;
use crate::keys;
use crate::limits::{BATCH_ANSWER_BYTES_MAX, BATCH_TIME_MAX};
use crate::refusal::Refusal;
use crate::rights::{Deed, Rights};
use crate::server::Server;
use crate::share::Standing;
use crate::verb::stats::{self, Gauges};
use crate::verb::{config, notify_all};
use crate::view::View;

pub(super) async fn stats(
    server: &Arc<Server>,
    rights: &Rights,
    command: &Stats,
) -> Result<Answer, Refusal> {
    let gauges = Gauges {
        inbound: server.roster().len(),
        outbound: server.pool().len(),
        access: server.access().summary(),
        now: server.now(),
    };
    let (rights, command) = (rights.clone(), command.clone());
    let may_see = move |name: &str| rights.sees(name);
    let tell = move |view: &mut View<'_>| stats::run(view, &command, &gauges, &may_see);
    server.survey(Standing::Owner, tell).await
}

/// Shows or changes who may not connect. That concerns all of the owner's apps, so one that reaches
/// a few namespaces only looks.
pub(super) async fn config(
    owner: &Owner,
    server: &Arc<Server>,
    command: Config,
) -> Result<Answer, Refusal> {
    if matches!(command, Config::Block(_) | Config::Unblock(_)) && !owner.rights.may_manage() {
        owner.rights.check(Deed::Update, keys::block_list(server.identity())?.as_str())?;
    }
    owner.decide(server, |draft| config::run(draft, command)).await
}

/// Sends one notification to several, signed.
pub(super) async fn notify_all(
    owner: &Owner,
    server: &Arc<Server>,
    command: NotifyAll,
) -> Result<Answer, Refusal> {
    command.notify.check_sender(server.identity())?;
    let pair = server.signing_pair().await?;
    let signature = pair
        .sign(&command.signed_text(server.identity()))
        .map_err(|error| Refusal::new(ErrorCode::InternalException, error.to_string()))?;
    let (limits, rights) = (&server.world().limits, &owner.rights);
    let send = |draft: &mut Draft<'_>| notify_all::run(draft, limits, rights, command, signature);
    let sent = owner.decide(server, send).await?;
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
    let (mut json, began) = (String::from("["), Instant::now());
    for one in batch.commands {
        let outcome = if json.len() > BATCH_ANSWER_BYTES_MAX {
            Err(Refusal::new(ErrorCode::BufferLimit, "the answer is too long"))
        } else if began.elapsed() > BATCH_TIME_MAX {
            Err(Refusal::new(ErrorCode::Timeout, "the batch takes too long"))
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
