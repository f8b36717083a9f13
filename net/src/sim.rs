//! A network inside the process: connections are pipes, so that a test can pause time. Everything
//! above the socket is the real thing, TLS included.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::Address;
use tokio::io::duplex;
use tokio::sync::mpsc;

use crate::socket::Socket;

/// Bytes under way in one direction of a connection.
const PIPE_BYTES: usize = 256 * 1024;

/// Connections that wait to be accepted.
const BACKLOG_MAX: usize = 128;

/// Who listens where. Clones are the same network.
#[derive(Debug, Clone, Default)]
pub struct SimNet(Arc<Mutex<HashMap<Address, mpsc::Sender<Socket>>>>);

/// Takes the connections to one address, until it is dropped.
#[derive(Debug)]
pub struct SimListener(mpsc::Receiver<Socket>);

impl SimNet {
    /// Listens at this address, instead of whoever did before.
    #[must_use]
    pub fn listen(&self, address: Address) -> SimListener {
        let (sender, receiver) = mpsc::channel(BACKLOG_MAX);
        self.listeners().insert(address, sender);
        SimListener(receiver)
    }

    /// Connects to whoever listens there.
    ///
    /// # Errors
    /// `ConnectionRefused` where nobody does, or too many wait.
    pub fn connect(&self, address: &Address) -> io::Result<Socket> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let (near, far) = duplex(PIPE_BYTES);
        let listeners = self.listeners();
        let listener = listeners.get(address).ok_or_else(refused)?;
        listener.try_send(far.into()).map_err(|_| refused())?;
        Ok(near.into())
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<Address, mpsc::Sender<Socket>>> {
        // Each change is one call on one map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimListener {
    /// The next connection; waits for it.
    pub async fn accept(&mut self) -> Option<Socket> {
        self.0.recv().await
    }
}
