//! A connection on which nothing has been said that counts.

use std::sync::Arc;

use protocol::Command;

use super::challenged::Challenged;
use super::{Caller, Session, Step, from, open};
use crate::server::Server;

pub(crate) struct Greeted {
    pub(super) caller: Caller,
}

impl Greeted {
    pub(super) async fn handle(mut self, server: &Arc<Server>, command: Command) -> Step {
        if let Command::From(command) = command {
            return match from::challenge(server, &mut self.caller, command).await {
                Ok((challenge, answer)) => {
                    let next = Challenged { caller: self.caller, challenge };
                    (Session::Challenged(next), Ok(answer.into()))
                }
                Err(refusal) => (Session::Greeted(self), Err(refusal)),
            };
        }
        let answer = open::handle(server, &mut self.caller, command).await;
        (Session::Greeted(self), answer.map(Into::into))
    }
}
