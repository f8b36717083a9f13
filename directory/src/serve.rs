//! The TLS line server: waits and writes, while [`session`](crate::session) decides.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use net::accept::serve_tls;
use net::drain::Drain;
use net::handshake::ServerStream;
use net::line_conn::{LineConn, ReadEnd};
use net::socket::bound_buffers;
use net::tls::ServerTls;
use protocol::directory::{DirectoryRequest, NOT_FOUND, PROMPT, put_found};
use protocol::limits::DIRECTORY_LINE_BYTES_MAX;
use protocol::{AtSign, Host};
use tokio::net::TcpListener;
use tokio::time::{Instant, Sleep, sleep};

use crate::directory::Directory;
use crate::horizon::Horizon;
use crate::limits::{
    ANSWERS_BYTES_MAX, BUFFER_BYTES, IDLE_CHECK, IDLE_MAX, IDLE_MAX_WHEN_FULL, LAST_QUESTION,
};
use crate::parent::Parent;
use crate::session::{Outcome, Reply, Session};

/// Why the directory ends a connection, as it stands in the metrics.
mod ended {
    pub(super) const CLIENT: &str = "client";
    pub(super) const TOO_LONG: &str = "line_too_long";
    pub(super) const SLOW: &str = "slow_line";
    pub(super) const IDLE: &str = "idle";
    pub(super) const BROKEN: &str = "broken";
    pub(super) const UNREAD: &str = "answer_not_read";
    pub(super) const MISSES: &str = "too_many_misses";
    pub(super) const NOT_READY: &str = "not_ready";
    pub(super) const DRAIN: &str = "drain";
    pub(super) const PARENT: &str = "parent_unanswered";
}

impl Directory {
    /// Answers on this listener until the drain begins. Idle connections are closed then; a request
    /// that is being answered is answered, and who has just come may ask once.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tls: ServerTls, drain: Drain) {
        self.serve_below(None, listener, tls, drain).await;
    }

    /// The same, with a parent to ask for names that are not here.
    pub async fn serve_below(
        self: Arc<Self>,
        parent: Option<Arc<Parent>>,
        listener: TcpListener,
        tls: ServerTls,
        drain: Drain,
    ) {
        if let Err(error) = bound_buffers(&listener, BUFFER_BYTES) {
            tracing::warn!(%error, "the system does not bound the buffers of connections");
        }
        let gate = self.gate.clone();
        let line = Arc::new(LineFront {
            horizon: Horizon { directory: self, parent },
            drain: drain.clone(),
        });
        let handler = move |stream, peer| Arc::clone(&line).converse(stream, peer);
        serve_tls(listener, tls, gate, drain, handler).await;
    }
}

/// What one listener answers from.
struct LineFront {
    horizon: Horizon,
    drain: Drain,
}

impl LineFront {
    async fn converse(self: Arc<Self>, stream: ServerStream, peer: SocketAddr) {
        let mut conn = LineConn::new(stream, DIRECTORY_LINE_BYTES_MAX);
        let reason = self.answer_all(&mut conn, peer).await;
        self.horizon.directory.counts.closed(reason);
        conn.close().await;
    }

    /// Answers until there is a reason to end.
    async fn answer_all(
        &self,
        conn: &mut LineConn<ServerStream>,
        peer: SocketAddr,
    ) -> &'static str {
        if conn.write_record(PROMPT).await.is_err() {
            return ended::UNREAD;
        }
        let mut now = Instant::now();
        let mut session = Session::new(self.horizon.directory.misses.accounts(peer.ip(), now), now);
        let (mut is_ready, mut out) = (false, Vec::new());
        let mut has_asked = false;
        // Made once: a timer and a place among those who wait for the end cost as much as a lookup.
        let mut ending = pin!(self.drain.draining_for(LAST_QUESTION));
        let mut check = pin!(sleep(IDLE_CHECK));
        loop {
            let mut line = match self.next_line(conn, ending.as_mut(), check.as_mut(), now).await {
                Ok(line) => line,
                Err(reason) => return reason,
            };
            if !std::mem::replace(&mut has_asked, true) {
                ending.set(self.drain.draining_for(Duration::ZERO));
            }
            is_ready = is_ready || self.horizon.directory.can_answer().await;
            if !is_ready {
                return ended::NOT_READY;
            }
            now = Instant::now();
            // Questions that came together are answered together.
            loop {
                if let Err(reason) = self.take(conn, &mut session, &line, &mut out, &mut now).await
                {
                    return reason;
                }
                if out.len() >= ANSWERS_BYTES_MAX || !conn.ready_line(&mut line) {
                    break;
                }
            }
            // A connection that waits holds no buffers.
            drop(line);
            if flush(conn, &mut out).await.is_err() {
                return ended::UNREAD;
            }
        }
    }

    /// Appends the answer to one line. One that takes long goes out behind those before it.
    async fn take(
        &self,
        conn: &mut LineConn<ServerStream>,
        session: &mut Session,
        line: &[u8],
        out: &mut Vec<u8>,
        now: &mut Instant,
    ) -> Result<(), &'static str> {
        let request = DirectoryRequest::parse(line);
        let is_found = match &request {
            DirectoryRequest::Lookup(name) => self.find(conn, name, out).await?,
            _ => false,
        };
        let (delay, outcome) = match session.judge(&request, is_found, *now) {
            Reply::Answer { delay, outcome } => (delay, outcome),
            reply @ (Reply::Exit | Reply::TooManyMisses) => {
                flush(conn, out).await.map_err(|_| ended::UNREAD)?;
                return Err(if reply == Reply::Exit { ended::CLIENT } else { ended::MISSES });
            }
        };
        if !delay.is_zero() {
            self.horizon.directory.counts.delayed();
            flush(conn, out).await.map_err(|_| ended::UNREAD)?;
            tokio::select! {
                () = sleep(delay) => {}
                () = self.drain.draining() => {}
            }
            *now = Instant::now();
        }
        if outcome != Outcome::Found {
            out.extend_from_slice(NOT_FOUND);
        }
        self.horizon.directory.counts.lookup(outcome);
        Ok(())
    }

    /// Appends the address if anybody knows it. Names that are here are answered here and told to
    /// nobody; only what is not goes on to the parent.
    async fn find(
        &self,
        conn: &mut LineConn<ServerStream>,
        name: &AtSign,
        out: &mut Vec<u8>,
    ) -> Result<bool, &'static str> {
        if self.horizon.directory.answer(name, out) {
            return Ok(true);
        }
        if self.horizon.parent.is_none() {
            return Ok(false);
        }
        flush(conn, out).await.map_err(|_| ended::UNREAD)?;
        let said = self.horizon.beyond(name).await;
        // It may have come here meanwhile.
        if self.horizon.directory.answer(name, out) {
            return Ok(true);
        }
        let found = said.map_err(|_| ended::PARENT)?;
        if let Some(address) = &found {
            put_found(out, Host::from(&address.host), address.port);
        }
        Ok(found.is_some())
    }

    /// The next line; how long it may take depends on how full the door is meanwhile.
    async fn next_line(
        &self,
        conn: &mut LineConn<ServerStream>,
        mut ending: Pin<&mut impl Future<Output = ()>>,
        mut check: Pin<&mut Sleep>,
        began: Instant,
    ) -> Result<Vec<u8>, &'static str> {
        loop {
            tokio::select! {
                biased;
                line = conn.read_line(None) => return line.map_err(|end| reason_of(&end)),
                () = &mut ending => return Err(ended::DRAIN),
                () = &mut check => {
                    let now = Instant::now();
                    if now.duration_since(began) >= self.idle_max() {
                        return Err(ended::IDLE);
                    }
                    // It may have been set before the last question came.
                    let first = began + IDLE_CHECK;
                    check.as_mut().reset(if first > now { first } else { now + IDLE_CHECK });
                }
            }
        }
    }

    fn idle_max(&self) -> Duration {
        let gate = &self.horizon.directory.gate;
        idle_max(gate.connections(), gate.limits().connections_max)
    }
}

/// Sends what there is in one write.
async fn flush(conn: &mut LineConn<ServerStream>, out: &mut Vec<u8>) -> std::io::Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    let written = conn.write_record(out).await;
    // A connection that waits holds no buffer.
    *out = Vec::new();
    written
}

/// Falls in a straight line from half full to full.
fn idle_max(connections: usize, connections_max: usize) -> Duration {
    let half = connections_max / 2;
    let over = u32::try_from(connections.saturating_sub(half)).unwrap_or(u32::MAX);
    let room = u32::try_from(connections_max - half).unwrap_or(u32::MAX).max(1);
    let squeeze = (IDLE_MAX - IDLE_MAX_WHEN_FULL) / room;
    IDLE_MAX.saturating_sub(squeeze.saturating_mul(over)).max(IDLE_MAX_WHEN_FULL)
}

fn reason_of(end: &ReadEnd) -> &'static str {
    match end {
        ReadEnd::Closed | ReadEnd::Exit => ended::CLIENT,
        ReadEnd::TooLong => ended::TOO_LONG,
        ReadEnd::Slow => ended::SLOW,
        ReadEnd::Idle => ended::IDLE,
        ReadEnd::Io(_) => ended::BROKEN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_shrinks_only_when_the_door_fills() {
        assert_eq!(idle_max(0, 100), IDLE_MAX);
        assert_eq!(idle_max(50, 100), IDLE_MAX);
        assert!(idle_max(75, 100) < IDLE_MAX / 2 + Duration::from_secs(60));
        assert!(idle_max(100, 100) < IDLE_MAX_WHEN_FULL + Duration::from_secs(1));
        assert_eq!(idle_max(1, 0), IDLE_MAX_WHEN_FULL);
    }
}
