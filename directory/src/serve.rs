//! The TLS line server: waits and writes, while [`session`](crate::session) decides.

use std::sync::Arc;
use std::time::Duration;

use net::accept::serve_tls;
use net::drain::Drain;
use net::handshake::ServerStream;
use net::line_conn::{LineConn, ReadEnd};
use net::tls::ServerTls;
use protocol::AtSign;
use protocol::directory::PROMPT;
use protocol::limits::DIRECTORY_LINE_BYTES_MAX;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::directory::Directory;
use crate::limits::{ANSWERS_BYTES_MAX, IDLE_CHECK, IDLE_MAX, IDLE_MAX_WHEN_FULL};
use crate::session::{Reply, Session};

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
}

impl Directory {
    /// Answers on this listener until the drain begins. Idle connections are closed then; a request
    /// that is being answered is answered.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tls: ServerTls, drain: Drain) {
        let gate = self.gate.clone();
        let ending = drain.clone();
        let handler = move |stream, _| Arc::clone(&self).converse(stream, ending.clone());
        serve_tls(listener, tls, gate, drain, handler).await;
    }

    async fn converse(self: Arc<Self>, stream: ServerStream, drain: Drain) {
        let mut conn = LineConn::new(stream, DIRECTORY_LINE_BYTES_MAX);
        let reason = tokio::select! {
            reason = self.answer_all(&mut conn) => reason,
            () = drain.draining() => ended::DRAIN,
        };
        self.counts.closed(reason);
        conn.close().await;
    }

    /// Answers until there is a reason to end.
    async fn answer_all(&self, conn: &mut LineConn<ServerStream>) -> &'static str {
        if conn.write_record(PROMPT).await.is_err() {
            return ended::UNREAD;
        }
        let mut session = Session::new(Instant::now());
        let mut is_ready = false;
        let mut out = Vec::new();
        loop {
            let first = match self.next_line(conn).await {
                Ok(line) => line,
                Err(end) => return reason_of(&end),
            };
            is_ready = is_ready || self.can_answer().await;
            if !is_ready {
                return ended::NOT_READY;
            }
            // Questions that came together are answered together.
            let mut next = Some(first);
            while let Some(line) = next {
                if let Err(reason) = self.take(conn, &mut session, &line, &mut out).await {
                    return reason;
                }
                next = if out.len() < ANSWERS_BYTES_MAX { conn.ready_line() } else { None };
            }
            if flush(conn, &mut out).await.is_err() {
                return ended::UNREAD;
            }
        }
    }

    /// Appends the answer to one line. A delayed one goes out behind those before it.
    async fn take(
        &self,
        conn: &mut LineConn<ServerStream>,
        session: &mut Session,
        line: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let before = out.len();
        let find = |name: &AtSign, out: &mut Vec<u8>| self.answer(name, out);
        let reply = session.take(line, Instant::now(), out, find);
        let (delay, outcome) = match reply {
            Reply::Answer { delay, outcome } => (delay, outcome),
            Reply::Exit | Reply::TooManyMisses => {
                flush(conn, out).await.map_err(|_| ended::UNREAD)?;
                return Err(if reply == Reply::Exit { ended::CLIENT } else { ended::MISSES });
            }
        };
        if !delay.is_zero() {
            let mut late = out.split_off(before);
            flush(conn, out).await.map_err(|_| ended::UNREAD)?;
            sleep(delay).await;
            out.append(&mut late);
        }
        self.counts.lookup(outcome);
        Ok(())
    }

    /// The next line; how long it may take depends on how full the door is meanwhile.
    async fn next_line(&self, conn: &mut LineConn<ServerStream>) -> Result<Vec<u8>, ReadEnd> {
        let began = Instant::now();
        loop {
            match conn.read_line(Some(IDLE_CHECK)).await {
                Err(ReadEnd::Idle) if began.elapsed() < self.idle_max() => {}
                outcome => return outcome,
            }
        }
    }

    fn idle_max(&self) -> Duration {
        idle_max(self.gate.connections(), self.gate.limits().connections_max)
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
