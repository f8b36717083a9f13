//! The loop of one connection: a line in, an answer out, strictly one at a time and in order.

use std::sync::Arc;
use std::time::Duration;

use net::CertificateDer;
use net::drain::Drain;
use net::handshake::{ServerStream, peer_certificates};
use net::line_conn::{LineConn, ReadEnd};
use protocol::limits::COMMAND_BYTES_MAX;
use protocol::response::{Fault, INBOUND_LIMIT, Prompt, encode_answer, encode_fault};
use tokio::time::Instant;
use tracing::Instrument;

use crate::inlet::{Inlet, is_too_long};
use crate::limits::CERTIFICATES_BYTES_MAX;
use crate::notify::kept;
use crate::notify::monitor::{Backlog, Event, Subscription, stats};
use crate::refusal::Refusal;
use crate::roster::Ticket;
use crate::server::Server;
use crate::session::{Caller, Reply, Session};

/// The first that a server says, and all that it says before the client speaks.
const GREETING: &[u8] = b"@";

/// Closes the connection in any state, without an answer.
const EXIT: &[u8] = b"@exit";

/// The connection ends.
struct Ended;

struct Connection {
    conn: LineConn<Inlet<ServerStream>>,
    monitor: Option<Subscription>,
    /// It ends then, whatever comes.
    ends: Option<Instant>,
}

/// Why a connection that waits goes on.
enum Wake {
    Line(Result<Vec<u8>, ReadEnd>),
    Event(Event),
    End,
}

impl Server {
    /// Serves one connection until it ends, or the server or the drain does.
    pub fn serve(
        self: Arc<Self>,
        stream: ServerStream,
        drain: Drain,
    ) -> impl Future<Output = ()> + Send + 'static {
        let span = tracing::debug_span!("connection", identity = %self.identity());
        let ticket = self.roster().enter(&self.world().limits);
        let address = stream.get_ref().0.peer_addr().ok().map(|address| address.ip());
        let certificates = kept_certificates(peer_certificates(&stream));
        let session = Session::new(Caller::new(certificates, address));
        let conn = LineConn::new(Inlet::new(stream), COMMAND_BYTES_MAX);
        let mut connection = Connection { conn, monitor: None, ends: None };
        // All that is large is made before the task begins, so that the task holds it once.
        let serving = async move {
            // Whichever way it ends, there is nobody left to tell.
            drop(match ticket {
                Some(ticket) => connection.run(&self, &ticket, session, &drain).await,
                None => connection.conn.write_record(INBOUND_LIMIT).await.map_err(|_| Ended),
            });
            connection.conn.close().await;
        };
        serving.instrument(span)
    }
}

/// A chain that is longer than any that proves something counts as none.
fn kept_certificates(shown: &[CertificateDer<'static>]) -> Vec<CertificateDer<'static>> {
    let bytes: usize = shown.iter().map(|certificate| certificate.len()).sum();
    if bytes <= CERTIFICATES_BYTES_MAX { shown.to_vec() } else { Vec::new() }
}

impl Connection {
    async fn run(
        &mut self,
        server: &Arc<Server>,
        ticket: &Ticket,
        mut session: Session,
        drain: &Drain,
    ) -> Result<(), Ended> {
        server.keep();
        self.write(GREETING).await?;
        loop {
            ticket.wrote();
            match self.wait(server, ticket, drain).await {
                Wake::Line(Ok(line)) if line.trim_ascii().eq_ignore_ascii_case(EXIT) => {
                    return Err(Ended);
                }
                Wake::Line(Ok(line)) => {
                    // On the heap, so that a connection that waits does not pay for what the
                    // largest command needs.
                    let (next, outcome) = Box::pin(session.handle(server, &line)).await;
                    session = next;
                    drop(line);
                    ticket.set_trusted(session.is_trusted());
                    ticket.set_enrolment(session.enrolment());
                    if let Ok(Reply::Revoked { id, linger, .. }) = &outcome {
                        ticket.revoke_others(id);
                        self.ends = linger.map(|linger| Instant::now() + linger);
                    }
                    if let Err(Refusal { delay, .. }) = &outcome {
                        self.pause(server, ticket, drain, *delay).await?;
                    }
                    tokio::select! {
                        biased;
                        () = ticket.revoked() => return Err(Ended),
                        answered = self.answer(server, &session, outcome) => answered?,
                    }
                }
                Wake::Line(Err(end)) if is_overflow(&end) => {
                    let refusal = Refusal { closes: true, ..Fault::command_too_long().into() };
                    return self.answer(server, &session, Err(refusal)).await;
                }
                Wake::Event(_) if session.is_over(server.now()) => {
                    let over = session.over();
                    return self.answer(server, &session, Err(over)).await;
                }
                Wake::Event(event) => tokio::select! {
                    biased;
                    () = ticket.revoked() => return Err(Ended),
                    told = self.tell(server, event) => told?,
                },
                Wake::Line(Err(_)) | Wake::End => return Err(Ended),
            }
        }
    }

    /// Waits for the next thing to do.
    async fn wait(&mut self, server: &Server, ticket: &Ticket, drain: &Drain) -> Wake {
        let patience = ticket.patience(&server.world().limits);
        tokio::select! {
            biased;
            () = drain.draining() => Wake::End,
            () = server.ending() => Wake::End,
            () = ticket.revoked() => Wake::End,
            () = ticket.dismissed() => Wake::End,
            () = reached(self.ends) => Wake::End,
            line = self.conn.read_line(Some(patience)) => Wake::Line(line),
            event = next_event(self.monitor.as_mut()) => Wake::Event(event),
        }
    }

    /// Makes the client wait for its answer, unless the connection ends meanwhile.
    async fn pause(
        &self,
        server: &Server,
        ticket: &Ticket,
        drain: &Drain,
        delay: Duration,
    ) -> Result<(), Ended> {
        if delay.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(delay) => Ok(()),
            () = drain.draining() => Err(Ended),
            () = server.ending() => Err(Ended),
            () = ticket.dismissed() => Err(Ended),
        }
    }

    /// Writes what a command came to, with its prompt, in one record.
    async fn answer(
        &mut self,
        server: &Arc<Server>,
        session: &Session,
        outcome: Result<Reply, Refusal>,
    ) -> Result<(), Ended> {
        self.conn.get_ref().set_trusted(session.is_trusted());
        // Who has proved to be another has no monitor any more.
        let is_same =
            |monitor: &Subscription| session.is_owner() && monitor.is_of(session.enrolment());
        self.monitor = self.monitor.take().filter(is_same);
        match outcome {
            Ok(Reply::Answer(answer) | Reply::Revoked { answer, .. }) => {
                let prompt = self.prompt(server, session, false);
                let bytes = encode_answer(&answer, prompt);
                drop(answer);
                self.write(&bytes).await
            }
            Ok(Reply::Monitor { subscription, backlog }) => {
                self.monitor = Some(subscription);
                self.replay(server, &backlog).await
            }
            Err(Refusal { fault, closes, .. }) => {
                let prompt = self.prompt(server, session, true);
                let shape = session.error_shape();
                self.write(&encode_fault(&fault, session.is_owner(), shape, prompt)).await?;
                if closes { Err(Ended) } else { Ok(()) }
            }
        }
    }

    /// A prompt would stick to a monitor's next line.
    fn prompt<'a>(&self, server: &'a Server, session: &'a Session, is_error: bool) -> Prompt<'a> {
        match self.monitor {
            Some(_) => Prompt::Silent,
            None => session.prompt(server.identity(), is_error),
        }
    }

    /// Tells a new monitor what it asked for, one by one: all of it may be large.
    async fn replay(&mut self, server: &Server, backlog: &[Backlog]) -> Result<(), Ended> {
        for one in backlog {
            let stored = server.ledger().read(|view| kept::received_one(view, one)).await;
            match stored {
                Ok(Some(notification)) => self.write(&notification.replay_line()).await?,
                Ok(None) => {}
                Err(_) => return Err(Ended),
            }
        }
        Ok(())
    }

    async fn tell(&mut self, server: &Server, event: Event) -> Result<(), Ended> {
        match event {
            Event::Notification(notification) => self.write(&notification.monitor_line()).await,
            Event::Stats { commit, change } => {
                self.write(&stats(server.identity(), commit, change, server.now())).await
            }
            Event::Dropped => {
                tracing::debug!("a monitor reads too slowly");
                Err(Ended)
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.conn.write_record(bytes).await.map_err(|_| Ended)
    }
}

fn is_overflow(end: &ReadEnd) -> bool {
    match end {
        ReadEnd::TooLong => true,
        ReadEnd::Io(error) => is_too_long(error),
        ReadEnd::Closed | ReadEnd::Exit | ReadEnd::Idle | ReadEnd::Slow => false,
    }
}

async fn reached(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

async fn next_event(monitor: Option<&mut Subscription>) -> Event {
    match monitor {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}
