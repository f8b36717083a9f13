//! Asks the directory where an identity's server is.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::directory::{DirectoryAnswer, DirectoryRequest, parse_directory_answer};
use protocol::{Address, AtSign};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::dial::{ClientStream, DialError, Dialer};
use crate::limits::{
    CLOSE_DEADLINE, LOOKUP_CACHE_AGE_MAX, LOOKUP_CACHE_MAX, LOOKUP_DEADLINE, LOOKUP_RETRY_PAUSES,
    LOOKUPS_IN_FLIGHT_MAX,
};

/// A client of one directory, wherever its replicas are, and of others for the names that it does not know. It remembers where
/// identities are for an hour, never that one is unknown.
#[derive(Debug)]
pub struct DirectoryClient {
    directory: Vec<Address>,
    /// Which of them answered last.
    last: AtomicUsize,
    peers: Vec<Address>,
    dialer: Dialer,
    turns: Semaphore,
    known: Mutex<Known>,
}

/// Why the directory did not tell. It never means that the name is unknown.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// It cannot be reached.
    #[error("the directory cannot be reached")]
    Unreachable(#[source] DialError),
    /// The connection broke.
    #[error("the connection to the directory broke")]
    Broken(#[source] io::Error),
    /// It closed without an answer: it is not ready, or sheds load.
    #[error("the directory closed without an answer")]
    Closed,
    /// It said something that is no answer.
    #[error("the directory's answer is neither an address nor null")]
    Malformed,
    /// It all took too long.
    #[error("the directory did not answer in time")]
    Deadline,
}

impl DirectoryClient {
    /// Asks the directory at this address.
    #[must_use]
    pub fn new(directory: Address, dialer: Dialer) -> Self {
        let turns = Semaphore::new(LOOKUPS_IN_FLIGHT_MAX);
        let (directory, last) = (vec![directory], AtomicUsize::new(0));
        Self { directory, last, peers: Vec::new(), dialer, turns, known: Mutex::default() }
    }

    /// Asks these, which say the same, where the directory does not answer.
    #[must_use]
    pub fn with_replicas(mut self, replicas: Vec<Address>) -> Self {
        self.directory.extend(replicas);
        self
    }

    /// Asks these, in this order, for names that the directory does not know.
    #[must_use]
    pub fn with_peers(self, peers: Vec<Address>) -> Self {
        Self { peers, ..self }
    }

    /// Where this identity's server is; none if there is no such identity.
    ///
    /// # Errors
    /// [`LookupError`] if the directory could not tell, after the tries that the protocol's section
    /// 1.5 prescribes.
    pub async fn resolve(&self, name: &AtSign) -> Result<Option<Address>, LookupError> {
        if let Some(address) = self.known().get(name) {
            return Ok(Some(address));
        }
        let found = self.ask_anew(name, LOOKUP_DEADLINE).await?;
        if let Some(address) = &found {
            self.known().insert(name.clone(), address.clone());
        }
        Ok(found)
    }

    /// The same, whatever is remembered and with nothing remembered of it.
    ///
    /// # Errors
    /// [`LookupError`], after this deadline at the latest.
    pub async fn ask_anew(
        &self,
        name: &AtSign,
        deadline: Duration,
    ) -> Result<Option<Address>, LookupError> {
        let found = timeout(deadline, self.ask_all(name)).await;
        found.unwrap_or(Err(LookupError::Deadline))
    }

    /// Forgets where this identity was: its server was not there.
    pub fn invalidate(&self, name: &AtSign) {
        self.known().forget(name);
    }

    /// One that does not answer holds up those after it, and the name may be there: so nobody but a
    /// finder ends the round early, and without one it is unknown only if all say so.
    async fn ask_all(&self, name: &AtSign) -> Result<Option<Address>, LookupError> {
        // The semaphore is never closed; if it were, the limit would be all that is lost.
        let _turn = self.turns.acquire().await.ok();
        if let Some(address) = self.ask_own(name).await? {
            return Ok(Some(address));
        }
        let mut unanswered = None;
        for peer in &self.peers {
            match self.ask(peer, name).await {
                Ok(Some(address)) => return Ok(Some(address)),
                Ok(None) => {}
                Err(error) => unanswered = Some(error),
            }
        }
        unanswered.map_or(Ok(None), Err)
    }

    /// Whichever replica answered last, or those after it.
    async fn ask_own(&self, name: &AtSign) -> Result<Option<Address>, LookupError> {
        let (count, first) = (self.directory.len(), self.last.load(Ordering::Relaxed));
        let mut silence = LookupError::Deadline;
        for index in (0..count).map(|offset| (first + offset) % count.max(1)) {
            let Some(replica) = self.directory.get(index) else { continue };
            match self.ask(replica, name).await {
                Ok(answer) => {
                    self.last.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => silence = error,
            }
        }
        Err(silence)
    }

    async fn ask(
        &self,
        directory: &Address,
        name: &AtSign,
    ) -> Result<Option<Address>, LookupError> {
        let mut pauses = LOOKUP_RETRY_PAUSES.into_iter();
        loop {
            match self.ask_once(directory, name).await {
                Err(e) if e.may_pass() => sleep(pauses.next().ok_or(e)?).await,
                outcome => return outcome,
            }
        }
    }

    async fn ask_once(
        &self,
        directory: &Address,
        name: &AtSign,
    ) -> Result<Option<Address>, LookupError> {
        let mut stream = self.dialer.dial(directory).await.map_err(LookupError::Unreachable)?;
        let question = DirectoryRequest::lookup_line(name);
        stream.write_all(&question).await.map_err(LookupError::Broken)?;
        stream.flush().await.map_err(LookupError::Broken)?;
        let answer = read_answer(&mut stream).await?;
        // It has answered; how the farewell fares does not matter.
        drop(timeout(CLOSE_DEADLINE, farewell(stream)).await);
        Ok(answer)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A cache that a panic left half changed is at worst a lookup more.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LookupError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(e) => e.may_pass(),
            Self::Broken(_) | Self::Closed => true,
            Self::Malformed | Self::Deadline => false,
        }
    }
}

async fn farewell(mut stream: ClientStream) -> io::Result<()> {
    stream.write_all(b"@exit\n").await?;
    stream.shutdown().await
}

/// The parser tells an endless answer from an unfinished one, so this ends.
async fn read_answer(stream: &mut ClientStream) -> Result<Option<Address>, LookupError> {
    let mut bytes = Vec::new();
    loop {
        let mut space = [0; 256];
        let count = stream.read(&mut space).await.map_err(LookupError::Broken)?;
        bytes.extend_from_slice(space.get(..count).unwrap_or_default());
        match parse_directory_answer(&bytes) {
            DirectoryAnswer::Found(address) => return Ok(Some(address)),
            DirectoryAnswer::NotFound => return Ok(None),
            DirectoryAnswer::Malformed => return Err(LookupError::Malformed),
            DirectoryAnswer::Incomplete if count == 0 => return Err(LookupError::Closed),
            DirectoryAnswer::Incomplete => {}
        }
    }
}

/// Addresses with the time they were learnt; the oldest leave first.
#[derive(Debug, Default)]
struct Known {
    addresses: HashMap<AtSign, (Address, Instant)>,
    learnt: VecDeque<(AtSign, Instant)>,
}

impl Known {
    fn get(&self, name: &AtSign) -> Option<Address> {
        let (address, since) = self.addresses.get(name)?;
        (since.elapsed() < LOOKUP_CACHE_AGE_MAX).then(|| address.clone())
    }

    fn insert(&mut self, name: AtSign, address: Address) {
        let now = Instant::now();
        self.learnt.push_back((name.clone(), now));
        self.addresses.insert(name, (address, now));
        while self.learnt.len() > LOOKUP_CACHE_MAX {
            let Some((oldest, since)) = self.learnt.pop_front() else { break };
            // Learnt again since, it stays for its newer turn.
            if self.addresses.get(&oldest).is_some_and(|(_, newest)| *newest == since) {
                self.addresses.remove(&oldest);
            }
        }
    }

    fn forget(&mut self, name: &AtSign) {
        self.addresses.remove(name);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use tokio::time::advance;

    fn name(number: usize) -> AtSign {
        AtSign::parse(&format!("name{number}")).unwrap()
    }

    fn address() -> Address {
        Address::parse("localhost:1").unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_remembered_for_an_hour_and_not_longer() {
        let mut known = Known::default();
        known.insert(name(1), address());
        advance(LOOKUP_CACHE_AGE_MAX - Duration::from_secs(1)).await;
        assert_eq!(known.get(&name(1)), Some(address()));
        advance(Duration::from_secs(1)).await;
        assert_eq!(known.get(&name(1)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_are_remembered_the_newest() {
        let mut known = Known::default();
        for number in 0..=LOOKUP_CACHE_MAX {
            advance(Duration::from_millis(1)).await;
            known.insert(name(number), address());
            known.insert(name(0), address());
        }
        assert!(known.addresses.len() <= LOOKUP_CACHE_MAX);
        assert!(known.learnt.len() <= LOOKUP_CACHE_MAX);
        assert_eq!(known.get(&name(0)), Some(address()), "learnt again all the time");
        assert_eq!(known.get(&name(1)), None);
        known.forget(&name(0));
        assert_eq!(known.get(&name(0)), None);
    }
}
