//! The loop of one connection: a line in, an answer out, strictly one at a time and in order.
//!
//! Who asks for more than a fair part finds that the next line is read later ([`crate::rate`],
//! [`crate::share`]); what would take memory that there is not is refused ([`crate::memory`]).

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use net::CertificateDer;
use net::clock::thread_cpu;
use net::drain::Drain;
use net::handshake::{ServerStream, peer_certificates};
use net::line_conn::{LineConn, ReadEnd};
use protocol::ErrorCode;
use protocol::limits::COMMAND_BYTES_MAX;
use protocol::response::{ErrorShape, INBOUND_LIMIT, Prompt, encode_answer, encode_fault};
use tokio::time::Instant;
use tracing::Instrument;

use crate::inlet::{Dropped, Inlet, dropped};
use crate::limits::{
    BACKLOG_ENTRY_BYTES, BYTE_OVERHEAD, CERTIFICATES_BYTES_MAX, COMMAND_OVERHEAD,
    OPEN_COMMAND_BYTES_MAX, THROTTLE_MAX, UNCOUNTED_BYTES_MAX,
};
use crate::memory::Reserved;
use crate::notify::kept;
use crate::notify::monitor::{Backlog, Event, Subscription, stats};
use crate::refusal::Refusal;
use crate::roster::Ticket;
use crate::server::Server;
use crate::session::{Caller, Reply, Session};
use crate::share::Standing;
use crate::vitals;

/// The first that a server says, and all that it says before the client speaks.
const GREETING: &[u8] = b"@";

/// Closes the connection in any state, without an answer.
const EXIT: &[u8] = b"@exit";

/// The connection ends.
struct Ended;

struct Connection {
    conn: LineConn<Inlet<ServerStream>>,
    monitor: Option<Subscription>,
    address: Option<IpAddr>,
    /// It ends then, whatever comes.
    ends: Option<Instant>,
    is_writing: bool,
    /// Bytes that are not in the tally yet.
    written: usize,
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
        let address =
            stream.get_ref().0.tcp().and_then(|tcp| tcp.peer_addr().ok()).map(|at| at.ip());
        self.serve_from(stream, address, drain)
    }

    /// The same for a client who is not at the other end of the socket, but behind a router there.
    pub fn serve_from(
        self: Arc<Self>,
        stream: ServerStream,
        address: Option<IpAddr>,
        drain: Drain,
    ) -> impl Future<Output = ()> + Send + 'static {
        let span = tracing::debug_span!("connection", identity = %self.identity());
        let ticket = self.roster().enter(&self.world().limits);
        let certificates = kept_certificates(peer_certificates(&stream));
        let session = Session::new(Caller::new(certificates, address));
        let conn = LineConn::new(Inlet::new(stream, Arc::clone(self.memory())), COMMAND_BYTES_MAX);
        let mut connection =
            Connection { conn, monitor: None, address, ends: None, is_writing: false, written: 0 };
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
            server.tally().wrote(std::mem::take(&mut self.written));
            match self.wait(server, ticket, drain).await {
                Wake::Line(Ok(line)) if line.trim_ascii().eq_ignore_ascii_case(EXIT) => {
                    return Err(Ended);
                }
                Wake::Line(Ok(line)) => {
                    let standing = standing(&session);
                    let bytes = u32::try_from(line.len()).unwrap_or(u32::MAX);
                    server.tally().command(line.len() + 1);
                    // Before the wait, so that those who wait come one after another and not all at
                    // once.
                    server.charge(standing, COMMAND_OVERHEAD + BYTE_OVERHEAD * bytes);
                    self.await_turn(server, &session, ticket, drain).await?;
                    // On the heap, so that a connection that waits does not pay for what the
                    // largest command needs.
                    let (is_owner, shape) = (session.is_owner(), session.error_shape());
                    let command = Box::pin(self.command(server, ticket, drain, session, line));
                    let done = tokio::select! {
                        biased;
                        () = server.doom().set() => None,
                        done = metered(command) => Some(done),
                    };
                    let Some((done, spent)) = done else {
                        return self.bid_farewell(is_owner, shape).await;
                    };
                    server.charge(standing, spent);
                    session = done?;
                }
                Wake::Line(Err(end)) => {
                    let refusal = overflow(&end, session.is_trusted()).ok_or(Ended)?;
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
                Wake::End if server.is_given_up() => {
                    return self.bid_farewell(session.is_owner(), session.error_shape()).await;
                }
                Wake::End => return Err(Ended),
            }
        }
    }

    /// Tells a client whose server was given up, unless an answer is half written.
    async fn bid_farewell(&mut self, is_owner: bool, shape: ErrorShape) -> Result<(), Ended> {
        if !self.is_writing {
            self.write(&vitals::farewell(is_owner, shape)).await?;
        }
        Err(Ended)
    }

    /// Does a command and writes its answer.
    async fn command(
        &mut self,
        server: &Arc<Server>,
        ticket: &Ticket,
        drain: &Drain,
        session: Session,
        line: Vec<u8>,
    ) -> Result<Session, Ended> {
        let (session, outcome) = ticket.working(session.handle(server, &line)).await;
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
        if !server.holds().await {
            return Err(Ended);
        }
        tokio::select! {
            biased;
            () = ticket.revoked() => return Err(Ended),
            answered = self.answer(server, &session, outcome) => answered?,
        }
        Ok(session)
    }

    /// Waits until it is this caller's turn again.
    async fn await_turn(
        &self,
        server: &Server,
        session: &Session,
        ticket: &Ticket,
        drain: &Drain,
    ) -> Result<(), Ended> {
        let (world, now) = (server.world(), Instant::now());
        let of_caller = match (session.peer(), self.address) {
            (Some(peer), _) => world.rates.of_peer(&world.limits, peer, now),
            (None, Some(address)) if !session.is_owner() => {
                world.rates.of_address(&world.limits, address, now)
            }
            _ => Duration::ZERO,
        };
        let delay = of_caller.max(server.busy_delay(standing(session))).min(THROTTLE_MAX);
        self.pause(server, ticket, drain, delay).await
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
            biased;
            () = drain.draining() => Err(Ended),
            () = server.ending() => Err(Ended),
            () = ticket.revoked() => Err(Ended),
            () = ticket.dismissed() => Err(Ended),
            () = tokio::time::sleep(delay) => Ok(()),
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
                // Its reader may take long.
                match room(server, bytes.len()) {
                    Ok(_reserved) => self.write(&bytes).await,
                    Err(refusal) => {
                        drop(bytes);
                        self.refuse(server, session, refusal).await
                    }
                }
            }
            Ok(Reply::Monitor { subscription, backlog }) => {
                match room(server, backlog.len() * BACKLOG_ENTRY_BYTES) {
                    Ok(_reserved) => {
                        self.monitor = Some(subscription);
                        self.replay(server, &backlog).await
                    }
                    Err(refusal) => self.refuse(server, session, refusal).await,
                }
            }
            Err(refusal) => self.refuse(server, session, refusal).await,
        }
    }

    async fn refuse(
        &mut self,
        server: &Arc<Server>,
        session: &Session,
        refusal: Refusal,
    ) -> Result<(), Ended> {
        let Refusal { fault, closes, .. } = refusal;
        let prompt = self.prompt(server, session, true);
        let shape = session.error_shape();
        self.write(&encode_fault(&fault, session.is_owner(), shape, prompt)).await?;
        if closes { Err(Ended) } else { Ok(()) }
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
        if !Box::pin(server.holds()).await {
            return Err(Ended);
        }
        match event {
            Event::Notification(told) => self.write(&told.notification.monitor_line()).await,
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
        self.is_writing = true;
        self.written += bytes.len();
        self.conn.write_record(bytes).await.map_err(|_| Ended)?;
        self.is_writing = false;
        Ok(())
    }
}

fn standing(session: &Session) -> Standing {
    if session.is_owner() { Standing::Owner } else { Standing::Other }
}

/// What somebody does, with the processor time that it took.
async fn metered<T>(mut work: Pin<Box<impl Future<Output = T>>>) -> (T, Duration) {
    let mut spent = Duration::ZERO;
    let done = poll_fn(|cx| {
        let before = thread_cpu();
        let polled = work.as_mut().poll(cx);
        spent += thread_cpu().saturating_sub(before);
        polled
    })
    .await;
    (done, spent)
}

/// Memory for something large; what is small needs none.
fn room(server: &Server, bytes: usize) -> Result<Option<Reserved>, Refusal> {
    if bytes <= UNCOUNTED_BYTES_MAX {
        return Ok(None);
    }
    match server.memory().reserve(bytes) {
        Some(reserved) => Ok(Some(reserved)),
        None => {
            let text = format!("no memory for an answer of {bytes} bytes now, try again later");
            Err(Refusal::new(ErrorCode::BufferLimit, text))
        }
    }
}

/// What a caller is told whose line was thrown away; the connection ends with it.
fn overflow(end: &ReadEnd, is_trusted: bool) -> Option<Refusal> {
    let why = match end {
        ReadEnd::TooLong => Dropped::TooLong,
        ReadEnd::Io(error) => dropped(error)?,
        ReadEnd::Closed | ReadEnd::Exit | ReadEnd::Idle | ReadEnd::Slow => return None,
    };
    let limit = if is_trusted { COMMAND_BYTES_MAX } else { OPEN_COMMAND_BYTES_MAX };
    let text = match why {
        Dropped::TooLong => format!(
            "InboundBuffer overflow: server received request which exceeded the buffer size limit. \
             Terminating the connection. The limit is {limit} bytes"
        ),
        Dropped::NoRoom => "no memory for a command of this size now, try again later".to_owned(),
    };
    Some(Refusal::closing(ErrorCode::BufferLimit, text))
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
