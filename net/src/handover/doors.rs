//! The new process: every listening socket that it wants is taken over where there is one, and
//! bound where there is none.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::kind::{is_datagram_at, is_listener_at, is_offer};
use super::link::{Link, LinkError};
use super::offer::{HANDOVER, Offers};
use super::place::Place;
use super::wire::{NoWord, Role, Word};
use crate::limits::{
    HANDOVER_ASK_AGAIN, HANDOVER_ASK_PAUSE, HANDOVER_OFFER_DEADLINE, HANDOVER_READY_DEADLINE,
    HANDOVER_SOCKETS_MAX, HANDOVER_WORD_DEADLINE,
};
use crate::socket::listen;
use crate::udp::UdpDoor;

/// Why there is no hand-over.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The folder is not this user's alone.
    #[error("the folder of the hand-over must belong to this user, and nobody else may enter it")]
    Folder,
    /// There is something else.
    #[error("there is a file that is no socket")]
    NoSocket,
    /// Somebody else came to listen there at the same time.
    #[error("another process begins to listen there at this moment")]
    Occupied,
    /// A process of another user listens there.
    #[error("the process that listens there belongs to somebody else")]
    Stranger,
    /// Who listens there does not give sockets away.
    #[error("the process that listens there does not hand its sockets over")]
    NotGiven,
    /// It took too long, and the one that runs stays.
    #[error("the running process goes on: it was not told in time that this one is ready")]
    TooLate,
    /// The system.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Where a process gets its listening sockets.
#[derive(Debug, Default)]
pub struct Doors {
    place: Option<Place>,
    predecessor: Option<Predecessor>,
    given: Vec<(Role, OwnedFd)>,
    open: Vec<(Role, OwnedFd)>,
}

/// The process that is to be replaced.
#[derive(Debug)]
pub struct Predecessor {
    link: Link,
    until: Instant,
}

impl Doors {
    /// All sockets are new, and are given to nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the process that listens at this path, if there is one, for its sockets; later it can
    /// be asked for its own.
    ///
    /// # Errors
    /// [`HandoverError`] if the path is not fit for it, or who listens there gives nothing.
    pub async fn from(path: &Path) -> Result<Self, HandoverError> {
        let place = Place::new(path)?;
        let mut doors = Self { place: Some(place.clone()), ..Self::default() };
        if let Some((link, given)) = ask(&place).await? {
            let until = Instant::now() + HANDOVER_READY_DEADLINE;
            doors.predecessor = Some(Predecessor { link, until });
            doors.given = given;
        }
        Ok(doors)
    }

    /// Listens here for this purpose; port 0 is any free one, or that of the predecessor.
    ///
    /// # Errors
    /// Those of the system: most often the port is taken.
    pub fn listen(&mut self, role: &Role, address: SocketAddr) -> io::Result<TcpListener> {
        let is_wanted =
            |(known, socket): &(Role, OwnedFd)| known == role && is_listener_at(socket, address);
        let place = self.given.iter().position(is_wanted);
        let listener = match place {
            Some(place) => {
                let listener = StdListener::from(self.given.swap_remove(place).1);
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)?
            }
            None => listen(address)?,
        };
        self.remember(role, &listener)?;
        Ok(listener)
    }

    /// Takes datagrams here for this purpose, on as many sockets as the predecessor had; the same
    /// holds for port 0.
    ///
    /// # Errors
    /// Those of the system.
    pub fn udp(&mut self, role: &Role, address: SocketAddr) -> io::Result<UdpDoor> {
        let is_wanted = |(known, socket): &mut (Role, OwnedFd)| {
            known == role && is_datagram_at(socket, address)
        };
        let taken: Vec<_> =
            self.given.extract_if(.., is_wanted).map(|(_, socket)| socket).collect();
        let door = match taken.is_empty() {
            true => UdpDoor::bind(address)?,
            false => UdpDoor::of(taken)?,
        };
        for socket in door.sockets() {
            self.remember(role, socket)?;
        }
        Ok(door)
    }

    /// Whether the predecessor gave a listener for this purpose that listens here.
    #[must_use]
    pub fn gives(&self, role: &Role, address: SocketAddr) -> bool {
        let is_it =
            |(known, socket): &(Role, OwnedFd)| known == role && is_listener_at(socket, address);
        self.given.iter().any(is_it)
    }

    /// Takes what the predecessor gave for this purpose, where it is no listener; what it is has to
    /// be asked of the system.
    pub fn given(&mut self, role: &Role) -> Option<OwnedFd> {
        let place = self.given.iter().position(|(known, _)| known == role)?;
        Some(self.given.swap_remove(place).1)
    }

    /// Will hand this on too.
    ///
    /// # Errors
    /// Where the system gives no copy.
    pub fn remember(&mut self, role: &Role, socket: &impl AsFd) -> io::Result<()> {
        if self.place.is_some() {
            self.open.push((role.clone(), socket.as_fd().try_clone_to_owned()?));
        }
        Ok(())
    }

    /// Everything is bound: what was given and is not wanted is left to its owner. What there is
    /// can be handed on, if it was asked for; and there may be somebody to replace.
    ///
    /// # Errors
    /// [`HandoverError`] if nobody can ask here.
    pub fn complete(self) -> Result<(Option<Predecessor>, Option<Offers>), HandoverError> {
        let Some(place) = self.place else { return Ok((None, None)) };
        let listener = self.given.into_iter().find(|(role, _)| *role == HANDOVER);
        let listener = match (&self.predecessor, listener) {
            (Some(_), Some((_, listener))) if is_offer(&listener) => listener,
            (Some(_), _) => return Err(HandoverError::NotGiven),
            (None, _) => place.listen()?,
        };
        Ok((self.predecessor, Some(Offers::new(listener, self.open)?)))
    }
}

impl Predecessor {
    /// How long it will wait yet.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Says that this process serves: the other one stops to accept, and ends. One that has died
    /// meanwhile is replaced as well.
    ///
    /// # Errors
    /// [`HandoverError::TooLate`] if it stays: then this process has to end.
    pub async fn replace(self) -> Result<(), HandoverError> {
        if let Err(error) = self.link.say(&Word::Ready, None, HANDOVER_WORD_DEADLINE).await {
            return if is_gone(&error) { Ok(()) } else { Err(HandoverError::TooLate) };
        }
        match self.link.hear(HANDOVER_OFFER_DEADLINE).await {
            Ok((Word::Yours, None)) => Ok(()),
            Err(error) if is_gone(&error) => Ok(()),
            _ => Err(HandoverError::TooLate),
        }
    }
}

/// Asks until there is an answer: who closes the connection may have too many just now, or be about
/// to end.
async fn ask(place: &Place) -> Result<Option<(Link, Vec<(Role, OwnedFd)>)>, HandoverError> {
    let until = Instant::now() + HANDOVER_ASK_AGAIN;
    while Instant::now() < until {
        match Link::connect(place.path()) {
            Ok(link) => match take(&link).await {
                Ok(given) => return Ok(Some((link, given))),
                Err(error) if is_gone(&error) => {}
                Err(_) => return Err(HandoverError::NotGiven),
            },
            Err(LinkError::Io(error)) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => return Ok(None),
                // It has more who wait than it can see to.
                io::ErrorKind::WouldBlock => {}
                _ => return Err(error.into()),
            },
            Err(_) => return Err(HandoverError::Stranger),
        }
        sleep(HANDOVER_ASK_PAUSE).await;
    }
    Err(HandoverError::NotGiven)
}

async fn take(link: &Link) -> Result<Vec<(Role, OwnedFd)>, LinkError> {
    link.say(&Word::Take, None, HANDOVER_WORD_DEADLINE).await?;
    let (mut given, mut patience) = (Vec::new(), HANDOVER_OFFER_DEADLINE);
    while given.len() <= HANDOVER_SOCKETS_MAX {
        match link.hear(patience).await? {
            (Word::Socket(role), Some(socket)) => given.push((role, socket)),
            (Word::Complete, None) => return Ok(given),
            _ => break,
        }
        patience = HANDOVER_WORD_DEADLINE;
    }
    Err(NoWord.into())
}

fn is_gone(error: &LinkError) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
    match error {
        LinkError::Gone => true,
        LinkError::Io(error) => [BrokenPipe, ConnectionReset, NotConnected].contains(&error.kind()),
        _ => false,
    }
}
