//! A connection of another identity's server that has proved for whom it speaks.

use std::sync::Arc;

use protocol::response::Answer;
use protocol::verb::Notify;
use protocol::{AtSign, Command, ErrorCode};

use super::challenged::Challenged;
use super::{Caller, Session, Step, from, open};
use crate::auth::PeerProven;
use crate::notify::inbox;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::share::Standing;
use crate::verb::{lookup, notify_list, scan};
use crate::view::View;

pub(crate) struct Peer {
    pub(super) caller: Caller,
    name: AtSign,
}

impl Peer {
    pub(super) fn new(caller: Caller, proven: PeerProven) -> Self {
        Self { caller, name: proven.into_name() }
    }

    pub(super) fn name(&self) -> &AtSign {
        &self.name
    }

    pub(super) async fn handle(mut self, server: &Arc<Server>, command: Command) -> Step {
        if let Command::From(command) = command {
            return match from::challenge(server, &mut self.caller, command).await {
                Ok((challenge, answer)) => {
                    let next = Challenged { caller: self.caller, challenge };
                    (Session::Challenged(next), Ok(answer.into()))
                }
                Err(refusal) => (Session::Peer(self), Err(refusal)),
            };
        }
        let answer = self.run(server, command).await;
        (Session::Peer(self), answer.map(Into::into))
    }

    async fn run(&mut self, server: &Arc<Server>, command: Command) -> Result<Answer, Refusal> {
        let (peer, now, ledger) = (&self.name, server.now(), server.ledger());
        match command {
            Command::Lookup(command) => {
                let answer = ledger.read(|v| lookup::as_peer(v, peer, &command, now)).await?;
                let key = format!("{}{}", command.entity, command.owner);
                server.access().looked_up(Some(peer), &key, now);
                Ok(answer)
            }
            Command::Scan(command) if command.of.is_some() => {
                let text = "Scan to another atSign cannot be performed without auth";
                Err(Refusal::new(ErrorCode::Unauthenticated, text))
            }
            Command::Scan(command) => {
                let peer = peer.clone();
                let scan = move |view: &mut View<'_>| scan::as_peer(view, &peer, &command, now);
                server.survey(Standing::Other, scan).await
            }
            Command::Notify(command) => self.deliver(server, *command).await,
            Command::NotifyList(command) => {
                let peer = peer.clone();
                let list =
                    move |view: &mut View<'_>| notify_list::as_peer(view, &peer, &command, now);
                server.survey(Standing::Other, list).await
            }
            command => open::handle(server, &mut self.caller, command).await,
        }
    }

    /// Takes a notification; monitors are told before the sender's server is.
    async fn deliver(&self, server: &Arc<Server>, command: Notify) -> Result<Answer, Refusal> {
        let limits = &server.world().limits;
        let change = command.operation;
        let arrived =
            server.write(|draft| inbox::receive(draft, limits, &self.name, command)).await?;
        if let Some(at) = arrived {
            server.announce(at);
            server.committed(change);
        }
        Ok(Answer::from("success"))
    }
}
