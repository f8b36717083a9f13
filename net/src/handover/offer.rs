//! The running process: it gives its sockets to who asks, and goes on unless that one is ready.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener as StdUnixListener;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::link::{Link, LinkError};
use super::wire::{Role, Word};
use crate::limits::{
    ACCEPT_ERROR_PAUSE, HANDOVER_ASKERS_MAX, HANDOVER_PATIENCE, HANDOVER_WORD_DEADLINE,
};

/// What the listener at the path is for.
pub(super) const HANDOVER: Role = Role::known("handover");

/// The sockets of a process, for the one that will replace it. Drop it where the end begins without
/// one: a socket of which a copy is left here is not closed.
#[derive(Debug)]
pub struct Offers {
    listener: UnixListener,
    sockets: Vec<(Role, OwnedFd)>,
    greeted: JoinSet<Option<Link>>,
}

/// A process that asks for the sockets.
#[derive(Debug)]
pub struct Asker(Link);

/// A process that has the sockets and serves.
#[derive(Debug)]
pub struct Successor(Link);

impl Offers {
    pub(super) fn new(listener: OwnedFd, sockets: Vec<(Role, OwnedFd)>) -> io::Result<Self> {
        let listener = UnixListener::from_std(StdUnixListener::from(listener))?;
        Ok(Self { listener, sockets, greeted: JoinSet::new() })
    }

    /// Waits until a process asks. Who comes and does not ask at once is sent away. Safe to drop
    /// and call again.
    pub async fn asked(&mut self) -> Asker {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((socket, _)) if self.greeted.len() < HANDOVER_ASKERS_MAX => {
                        self.greeted.spawn(greet(socket));
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(ACCEPT_ERROR_PAUSE).await,
                },
                Some(greeted) = self.greeted.join_next() => {
                    if let Ok(Some(link)) = greeted {
                        return Asker(link);
                    }
                }
            }
        }
    }

    async fn give(&self, link: &Link) -> Result<(), LinkError> {
        link.say(&Word::Socket(HANDOVER), Some(self.listener.as_fd()), HANDOVER_WORD_DEADLINE)
            .await?;
        for (role, socket) in &self.sockets {
            let word = Word::Socket(role.clone());
            link.say(&word, Some(socket.as_fd()), HANDOVER_WORD_DEADLINE).await?;
        }
        link.say(&Word::Complete, None, HANDOVER_WORD_DEADLINE).await
    }
}

impl Asker {
    /// The number of the process.
    #[must_use]
    pub fn process(&self) -> i32 {
        self.0.peer()
    }

    /// Gives it the sockets and waits, within bounds, until it serves; none if it does not.
    pub async fn hand_over(self, offers: &Offers) -> Option<Successor> {
        offers.give(&self.0).await.ok()?;
        match self.0.hear(HANDOVER_PATIENCE).await {
            Ok((Word::Ready, None)) => Some(Successor(self.0)),
            Ok(_) => None,
            Err(_) => {
                // It may be gone.
                drop(self.0.say(&Word::Stay, None, HANDOVER_WORD_DEADLINE).await);
                None
            }
        }
    }
}

impl Successor {
    /// Leaves everything to it; false if it has gone meanwhile.
    pub async fn confirm(self) -> bool {
        self.0.say(&Word::Yours, None, HANDOVER_WORD_DEADLINE).await.is_ok()
    }
}

/// The connection, if it is a process of ours that asks.
async fn greet(socket: UnixStream) -> Option<Link> {
    let link = Link::new(socket).ok()?;
    let asks = matches!(link.hear(HANDOVER_WORD_DEADLINE).await, Ok((Word::Take, None)));
    asks.then_some(link)
}
