//! The door for routers: each connection begins with a preface that says who calls and whom.

use std::net::SocketAddr;
use std::sync::Arc;

use net::accept::{Gate, serve_plain};
use net::clock::Clock;
use net::drain::Drain;
use net::preface::{self, LinkKey, PrefaceError};
use net::telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tracing::debug;

use crate::cell::Cell;
use crate::limits;

/// Where routers deliver connections. Until its preface is read, a connection counts here; then it is
/// a client's, and counts with the cell's.
#[derive(Clone)]
pub struct Door {
    cell: Cell,
    key: Arc<LinkKey>,
    clock: Arc<dyn Clock>,
    is_ready: watch::Receiver<bool>,
    gate: Gate,
    refused: Counter,
}

impl Door {
    /// A door to a cell, for routers that have this key. Who comes before it is ready, that is before
    /// it knows who lives in it, waits for that a while.
    #[must_use]
    pub fn new(
        cell: Cell,
        is_ready: watch::Receiver<bool>,
        key: LinkKey,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (gate, refused) = (Gate::new(limits::DOOR), Counter::default());
        Self { cell, key: Arc::new(key), clock, is_ready, gate, refused }
    }

    /// Adds its figures to the metrics, in a registry that carries its prefix.
    pub fn register(&self, metrics: &mut Metrics) {
        self.gate.register(metrics);
        metrics.register(
            "prefaces_refused",
            "Connections without a good preface",
            self.refused.clone(),
        );
    }

    /// Serves until the drain begins.
    pub async fn serve(self, listener: TcpListener, drain: Drain) {
        let gate = self.gate.clone();
        let ending = drain.clone();
        serve_plain(listener, gate, drain, move |stream, router| {
            let (door, ending) = (self.clone(), ending.clone());
            async move {
                tokio::select! {
                    () = door.take(stream, router) => {}
                    () = ending.draining() => {}
                }
            }
        })
        .await;
    }

    /// A stranger who knows no key, or a router whose key or clock is wrong, hears nothing.
    async fn take(&self, stream: TcpStream, router: SocketAddr) {
        if let Err(error) = self.hand_over(stream).await {
            self.refused.inc();
            debug!(%router, %error, "a connection was not taken");
        }
    }

    async fn hand_over(&self, mut stream: TcpStream) -> Result<(), PrefaceError> {
        let preface = preface::read(&mut stream, &self.key, self.clock.now()).await?;
        let mut is_ready = self.is_ready.clone();
        let known = is_ready.wait_for(|is_ready| *is_ready);
        let _ = tokio::time::timeout(limits::READY_PATIENCE, known).await;
        // Whoever does not live here has no handshake: her router learns of it at once.
        if self.cell.has(preface.volume)
            && let Ok(stream) = stream.into_std()
        {
            self.cell.deliver(preface.volume, stream, preface.client, ());
        }
        Ok(())
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}
