//! Parents of a directory, good and bad.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use directory::Parent;
use net::dial::{DialPolicy, Dialer};
use net::tls::{CertificateAuthority, ClientTls, ServerTls, SubjectName};
use protocol::HostName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::{Running, SOON, address};

/// The parent at this port, with a certificate of this one's authority.
pub fn parent_at(running: &Running, port: u16) -> Arc<Parent> {
    let tls = ClientTls::new(&running.roots(), None).unwrap();
    let dialer = Dialer::new(tls, DialPolicy::Any, SOON);
    Arc::new(Parent::new(address(&format!("localhost:{port}")), dialer))
}

/// One where nobody listens.
pub async fn nobody(running: &Running) -> Arc<Parent> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    parent_at(running, port)
}

/// A parent made of plain sockets: it counts who calls, and does with each what it is told.
pub struct Stub {
    pub port: u16,
    calls: Arc<AtomicUsize>,
    pub authority: Running,
}

impl Stub {
    /// Answers every question with these bytes; hangs where there are none.
    pub async fn answering(answer: &'static [u8]) -> Self {
        let authority = Running::start().await;
        let issuer = CertificateAuthority::load_or_create(authority.folder.path()).unwrap();
        let host = SubjectName::Dns(HostName::parse("localhost").unwrap());
        let tls = ServerTls::new(&issuer.issue(&[host]).unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer_one(stream, tls.clone(), answer));
            }
        });
        Self { port, calls, authority }
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn answer_one(stream: TcpStream, tls: ServerTls, answer: &'static [u8]) {
    let mut stream = net::handshake::accept(stream, &tls, SOON).await.unwrap();
    stream.write_all(b"@").await.unwrap();
    stream.read_exact(&mut [0; 1]).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    if answer.is_empty() {
        sleep(10 * SOON).await;
    }
    drop(stream.write_all(answer).await);
    drop(stream.flush().await);
    // What is left of the question has to be read, or the close takes the answer away.
    drop(stream.read_to_end(&mut Vec::new()).await);
}
