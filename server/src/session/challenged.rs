//! A connection that has been asked to prove whose it is.

use std::sync::Arc;

use protocol::response::Answer;
use protocol::verb::Pkam;
use protocol::{Command, ErrorCode};

use super::from::{self, Challenge};
use super::greeted::Greeted;
use super::owner::Owner;
use super::peer::Peer;
use super::{Caller, Session, Step, open};
use crate::access_log::Login;
use crate::auth::{OwnChallenge, OwnerProven, PeerChallenge};
use crate::refusal::Refusal;
use crate::rights::Rights;
use crate::server::Server;
use crate::verb::{cram, pkam};

pub(crate) struct Challenged {
    pub(super) caller: Caller,
    pub(super) challenge: Challenge,
}

/// What a client answers a challenge with.
pub(super) enum Proof {
    Cram(String),
    Pkam(Pkam),
}

impl Challenged {
    pub(super) async fn handle(mut self, server: &Arc<Server>, command: Command) -> Step {
        let answer = match (command, self.challenge) {
            (Command::Cram { digest }, challenge) => {
                return answered(server, self.caller, Some(challenge), Proof::Cram(digest)).await;
            }
            (Command::Pkam(pkam), challenge) => {
                return answered(server, self.caller, Some(challenge), Proof::Pkam(pkam)).await;
            }
            (Command::Pol, Challenge::Peer(challenge)) => {
                return called(server, self.caller, challenge).await;
            }
            (Command::From(command), challenge) => {
                self.challenge = challenge;
                match from::challenge(server, &mut self.caller, command).await {
                    Ok((challenge, answer)) => {
                        self.challenge = challenge;
                        Ok(answer)
                    }
                    Err(refusal) => Err(refusal),
                }
            }
            (command, challenge) => {
                self.challenge = challenge;
                open::handle(server, &mut self.caller, command).await
            }
        };
        (Session::Challenged(self), answer.map(Into::into))
    }
}

/// Checks a client's proof. The challenge is spent, and whatever the connection was before: it is
/// the owner's now, or nobody's.
pub(super) async fn answered(
    server: &Arc<Server>,
    caller: Caller,
    challenge: Option<Challenge>,
    proof: Proof,
) -> Step {
    let challenge = match challenge {
        Some(Challenge::Own(challenge)) => Some(challenge),
        Some(Challenge::Peer(_)) | None => None,
    };
    match check(server, challenge, proof).await {
        Ok((proven, rights)) => {
            server.prepare_signing();
            let owner = Owner::new(caller, proven, rights);
            (Session::Owner(owner), Ok(Answer::from("success").into()))
        }
        Err(refusal) => (Session::Greeted(Greeted { caller }), Err(refusal)),
    }
}

async fn check(
    server: &Server,
    challenge: Option<OwnChallenge>,
    proof: Proof,
) -> Result<(OwnerProven, Rights), Refusal> {
    let (owner, now) = (server.identity(), server.now());
    let text = challenge.and_then(|challenge| challenge.spend(now));
    let login = match proof {
        Proof::Cram(_) => Login::Cram,
        Proof::Pkam(_) => Login::Pkam,
    };
    let proven = server
        .ledger()
        .read(|view| match proof {
            Proof::Cram(digest) => {
                let proven = cram::run(view, text.as_deref(), &digest, now)?;
                Ok((proven, Rights::Everything))
            }
            Proof::Pkam(pkam) => pkam::run(view, owner, text.as_deref(), &pkam, now),
        })
        .await?;
    server.access().logged_in(server.identity(), login, now);
    Ok(proven)
}

/// Asks the server at the claimed identity's address whether it is calling.
async fn called(server: &Arc<Server>, caller: Caller, challenge: PeerChallenge) -> Step {
    let proven = match challenge.spend(server.now()) {
        Some((peer, secret)) => server.call_back(peer, &caller.session, &secret).await,
        None => None,
    };
    match proven {
        Some(proven) => {
            server.access().came(proven.name(), server.now());
            (Session::Peer(Peer::new(caller, proven)), Ok(Answer::PolSuccess.into()))
        }
        None => {
            let failed = Refusal::new(ErrorCode::Unauthenticated, "Pol Authentication Failed");
            (Session::Greeted(Greeted { caller }), Err(failed))
        }
    }
}
