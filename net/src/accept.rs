//! The accept loop of a TLS server.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::drain::Drain;
pub use crate::gate::{AcceptLimits, BlockLimits, Gate, Permit, Refusal};
use crate::handshake::{ServerStream, prepare};
use crate::limits::{ACCEPT_ERROR_PAUSE, HANDSHAKE_TURN, LAST_ACCEPT_PAUSE, LAST_ACCEPTS};
use crate::tls::ServerTls;

/// Serves until the drain begins; connections that live on then belong to the drain. Each gets its
/// permit before anything else is done for it, then its handshake, then the handler, in a task of
/// its own. What is refused is closed and counted. Who had connected before the drain began is still
/// served, for nobody can know any more that she should have gone elsewhere.
pub async fn serve_tls<H, F>(
    listener: TcpListener,
    tls: ServerTls,
    gate: impl Into<Gate>,
    drain: Drain,
    handler: H,
) where
    H: Fn(ServerStream, SocketAddr) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let gate = gate.into();
    let handler = Arc::new(handler);
    while let Some((stream, peer, permit)) = next(&listener, &gate, &drain).await {
        let (tls, gate, ending) = (tls.clone(), gate.clone(), drain.clone());
        let handler = Arc::clone(&handler);
        drain.spawn(async move {
            let _permit: Permit = permit;
            let stream = tokio::select! {
                stream = gate.handshake(stream, &tls) => stream,
                () = ending.draining_for(HANDSHAKE_TURN) => return,
            };
            if let Ok(stream) = stream {
                handler(stream, peer).await;
            }
        });
    }
}

/// The same without TLS.
pub async fn serve_plain<H, F>(
    listener: TcpListener,
    gate: impl Into<Gate>,
    drain: Drain,
    handler: H,
) where
    H: Fn(TcpStream, SocketAddr) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let gate = gate.into();
    while let Some((stream, peer, permit)) = next(&listener, &gate, &drain).await {
        if prepare(&stream).is_err() {
            gate.count(Refusal::Socket);
            continue;
        }
        let served = handler(stream, peer);
        drain.spawn(async move {
            let _permit = permit;
            served.await;
        });
    }
}
type Client = (TcpStream, SocketAddr, Permit);

/// The next socket that has its permit; once the drain has begun, the next one who had connected
/// before; none once there are no more.
pub(crate) async fn next(listener: &TcpListener, gate: &Gate, drain: &Drain) -> Option<Client> {
    tokio::select! {
        biased;
        () = drain.draining() => last(listener, gate, drain).await,
        client = admitted(listener, gate) => Some(client),
    }
}

/// Nobody has to be taken whom a successor can see to.
async fn last(listener: &TcpListener, gate: &Gate, drain: &Drain) -> Option<Client> {
    if drain.is_succeeded() {
        return None;
    }
    tokio::select! {
        biased;
        () = drain.draining_for(LAST_ACCEPTS) => None,
        client = timeout(LAST_ACCEPT_PAUSE, admitted(listener, gate)) => client.ok(),
    }
}

async fn admitted(listener: &TcpListener, gate: &Gate) -> Client {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Ok(permit) = gate.admit(peer.ip()) {
                    return (stream, peer, permit);
                }
            }
            Err(e) => {
                gate.count(Refusal::Accept);
                // The peer's own doing needs no pause; a lack of handles or memory does.
                if e.kind() != io::ErrorKind::ConnectionAborted {
                    tokio::time::sleep(ACCEPT_ERROR_PAUSE).await;
                }
            }
        }
    }
}
