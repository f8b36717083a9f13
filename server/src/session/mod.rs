//! The states of a connection, a type for each:
//!
//! ```text
//!             from            cram, pkam
//!  Greeted ─────────▶ Challenged ─────────▶ Owner     (may ask again: from, then cram or pkam)
//!     ▲                  │    │ pol
//!     └──────────────────┘    └───────────▶ Peer      (from: back to Challenged)
//!        proof fails
//! ```
//!
//! A command consumes the state and gives back the next. What each state can do is what its type
//! can: only an [`Owner`] has a way to the store's keys that writes, only it and a [`Peer`] one to
//! notifications, and neither can be made without the proof that [`crate::auth`] alone gives out.
//! What an owner's connection may do beyond that are its [`Rights`](crate::rights::Rights).

mod caller;
mod challenged;
mod enrolment;
mod errands;
mod from;
mod greeted;
mod open;
mod owner;
mod peer;
mod remote;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use caller::Caller;
use challenged::Challenged;
use greeted::Greeted;
use owner::Owner;
use peer::Peer;
use protocol::response::{Answer, ErrorShape, Fault, Prompt};
use protocol::verb::Enroll;
use protocol::{AtSign, Command, EnrollmentId, Timestamp, Verb};

use crate::notify::monitor::{Backlog, Subscription};
use crate::refusal::Refusal;
use crate::server::Server;

/// A connection's state.
pub(crate) enum Session {
    Greeted(Greeted),
    Challenged(Challenged),
    Owner(Owner),
    Peer(Peer),
}

/// What a command came to.
pub(crate) enum Reply {
    Answer(Answer),
    /// The connection is a monitor from now on; first it is told of the backlog.
    Monitor {
        subscription: Subscription,
        backlog: Vec<Backlog>,
    },
    /// An enrolment is revoked: the other connections that stand on it end at once, and this one a
    /// little later if it does so as well.
    Revoked {
        answer: Answer,
        id: EnrollmentId,
        linger: Option<Duration>,
    },
}

/// The next state, and what the command came to.
pub(crate) type Step = (Session, Result<Reply, Refusal>);

impl Session {
    /// A connection begins.
    pub(crate) fn new(caller: Caller) -> Self {
        Self::Greeted(Greeted { caller })
    }

    /// Does one command. The checks are in the order of the protocol's section 2.7.
    pub(crate) async fn handle(self, server: &Arc<Server>, line: &[u8]) -> Step {
        if let Self::Owner(owner) = &self
            && let Err(refusal) = owner.check(server).await
        {
            return (self, Err(refusal));
        }
        let command = match self.parse(line) {
            Ok(command) => command,
            Err(refusal) => return (self, Err(refusal)),
        };
        match self {
            Self::Greeted(session) => session.handle(server, command).await,
            Self::Challenged(session) => session.handle(server, command).await,
            Self::Owner(session) => session.handle(server, command).await,
            Self::Peer(session) => session.handle(server, command).await,
        }
    }

    fn parse(&self, line: &[u8]) -> Result<Command, Refusal> {
        let line = std::str::from_utf8(line).map_err(|_| Fault::invalid_command())?;
        let verb = Verb::select(line).ok_or_else(Fault::invalid_command)?;
        if verb.needs_owner() && !self.is_owner() {
            return Err(Fault::needs_owner().into());
        }
        if verb == Verb::Enroll && !self.is_owner() {
            Enroll::check_open(line)?;
        }
        Ok(Command::parse(verb, line)?)
    }

    /// Whether the owner has proved herself.
    pub(crate) fn is_owner(&self) -> bool {
        matches!(self, Self::Owner(_))
    }

    /// The enrolment on which the connection stands.
    pub(crate) fn enrolment(&self) -> Option<&EnrollmentId> {
        match self {
            Self::Owner(session) => session.rights().enrolment(),
            Self::Greeted(_) | Self::Challenged(_) | Self::Peer(_) => None,
        }
    }

    /// Whether the time of that enrolment is over: then it is told nothing any more.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        match self {
            Self::Owner(session) => session.rights().is_over(now),
            Self::Greeted(_) | Self::Challenged(_) | Self::Peer(_) => false,
        }
    }

    /// What such a connection is told before it ends.
    pub(crate) fn over(&self) -> Refusal {
        let id = self.enrolment().map(EnrollmentId::as_str).unwrap_or_default();
        Refusal { closes: true, ..Fault::no_enrollment(id).into() }
    }

    /// Whether anybody has proved who they are.
    pub(crate) fn is_trusted(&self) -> bool {
        matches!(self, Self::Owner(_) | Self::Peer(_))
    }

    /// The other identity that has proved to be calling, if one has.
    pub(crate) fn peer(&self) -> Option<&AtSign> {
        match self {
            Self::Peer(session) => Some(session.name()),
            _ => None,
        }
    }

    /// How this client wants its errors.
    pub(crate) fn error_shape(&self) -> ErrorShape {
        match self {
            Self::Greeted(session) => session.caller.error_shape,
            Self::Challenged(session) => session.caller.error_shape,
            Self::Owner(session) => session.caller.error_shape,
            Self::Peer(session) => session.caller.error_shape,
        }
    }

    /// What stands behind an answer, or behind an error (the protocol's section 2.3).
    pub(crate) fn prompt<'a>(&'a self, identity: &'a AtSign, is_error: bool) -> Prompt<'a> {
        match self {
            Self::Greeted(_) | Self::Challenged(_) => Prompt::Open,
            Self::Owner(_) => Prompt::Identity(identity),
            Self::Peer(_) if is_error => Prompt::Open,
            Self::Peer(session) => Prompt::Identity(session.name()),
        }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

#[cfg(test)]
mod tests {
    use net::drain::Drain;
    use net::handshake::ServerStream;

    use super::*;

    #[test]
    fn a_connection_and_a_command_on_its_way_take_little_memory() {
        fn of<'a, F>(_: impl FnOnce(Session, &'a Arc<Server>, &'a [u8]) -> F) -> usize {
            size_of::<F>()
        }
        fn serving<F>(_: impl FnOnce(Arc<Server>, ServerStream, Drain) -> F) -> usize {
            size_of::<F>()
        }
        let waiting = serving(Server::serve) - size_of::<ServerStream>();
        assert!(waiting <= 4 * 1024, "{waiting}");
        assert!(of(Session::handle) <= 6 * 1024, "{}", of(Session::handle));
        assert!(size_of::<Session>() <= 256, "{}", size_of::<Session>());
        assert!(size_of::<Server>() <= 1024, "{}", size_of::<Server>());
    }
}
