//! The one port of all names: a thread that peeks at hellos and hands connections over.
//!
//! Nothing of a connection is read before it is known to whom it goes: its server gets every byte.
//! A half hello costs a socket and a few dozen bytes; the poller speaks of it only when more of it
//! has come, so it does not keep the thread busy.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener as StdListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

use crate::limits::{
    ACCEPTS_PER_TURN, HELLO_BYTES_MAX, NAMES_BACKLOG, OUT_OF_DESCRIPTORS_PAUSE, PEEK_DEADLINE,
    PEEK_WIND_DOWN, PEEKS_MAX, PEEKS_PER_ADDRESS_MAX, PEEKS_PER_NETWORK_MAX,
};
use crate::listen::{Arrival, Backend, Router};
use crate::peek_hello::{Hello, read_hello};
use crate::peeks::{Peek, PeekLimits, Peeks};

const LISTENER: Token = Token(usize::MAX);
const WAKE: Token = Token(usize::MAX - 1);

/// That nobody has this name (RFC 6066, section 3): a fatal alert, `unrecognized_name`.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// What was counted at the port of names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NamesCounters {
    /// Names that lead somewhere.
    pub names: usize,
    /// Connections that have not yet said whom they want.
    pub peeked: usize,
    /// Connections that asked for a name that nobody has, or for none.
    pub unknown: u64,
    /// Connections that began with something else than a ClientHello.
    pub malformed: u64,
    /// Connections that did not say in time whom they want.
    pub late: u64,
    /// Connections that had to make room for others of their block before that.
    pub displaced: u64,
}

#[derive(Debug, Default)]
struct Counts {
    peeked: AtomicUsize,
    unknown: AtomicU64,
    malformed: AtomicU64,
    late: AtomicU64,
    displaced: AtomicU64,
}

/// The port of names. Dropping it closes the listener and whoever has not said whom he wants.
pub struct NamesListener {
    address: SocketAddr,
    router: Arc<Router>,
    counts: Arc<Counts>,
    stopping: Arc<AtomicBool>,
    waker: Waker,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl NamesListener {
    /// Listens, and hands over to `backend` whoever asks for a name that `router` has.
    ///
    /// # Errors
    /// Where the system gives no listener, poller or thread.
    pub fn start(
        address: SocketAddr,
        router: Arc<Router>,
        backend: Arc<dyn Backend>,
    ) -> io::Result<Self> {
        Self::serve(listen(address)?, router, backend)
    }

    /// The same on a socket that listens already, such as a predecessor's.
    ///
    /// # Errors
    /// Where the system gives no poller or thread.
    pub fn serve(
        listener: StdListener,
        router: Arc<Router>,
        backend: Arc<dyn Backend>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        let address = listener.local_addr()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let (counts, stopping) = (Arc::<Counts>::default(), Arc::<AtomicBool>::default());
        let limits = PeekLimits {
            all: PEEKS_MAX,
            per_network: PEEKS_PER_NETWORK_MAX,
            per_address: PEEKS_PER_ADDRESS_MAX,
        };
        let door = Door {
            poll,
            listener,
            router: Arc::clone(&router),
            backend,
            peeks: Peeks::new(limits),
            hello: vec![0; HELLO_BYTES_MAX].into(),
            counts: Arc::clone(&counts),
        };
        let seen = Arc::clone(&stopping);
        let thread = std::thread::Builder::new()
            .name("names".into())
            .stack_size(256 * 1024)
            .spawn(move || door.run(&seen))?;
        router.names().serve();
        Ok(Self { address, router, counts, stopping, waker, thread: Mutex::new(Some(thread)) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> NamesCounters {
        let counts = &self.counts;
        NamesCounters {
            names: self.router.names().len(),
            peeked: counts.peeked.load(Ordering::Relaxed),
            unknown: counts.unknown.load(Ordering::Relaxed),
            malformed: counts.malformed.load(Ordering::Relaxed),
            late: counts.late.load(Ordering::Relaxed),
            displaced: counts.displaced.load(Ordering::Relaxed),
        }
    }

    /// Stops accepting; whoever is about to say whom she wants has a moment yet. Connections that were
    /// handed over live on.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let _ = self.waker.wake();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for NamesListener {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier run that linger in TIME_WAIT must not keep the port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(NAMES_BACKLOG)?;
    Ok(socket.into())
}

/// All that the thread has.
struct Door {
    poll: Poll,
    listener: TcpListener,
    router: Arc<Router>,
    backend: Arc<dyn Backend>,
    peeks: Peeks<Peek>,
    /// The hello that is being looked at.
    hello: Box<[u8]>,
    counts: Arc<Counts>,
}

impl Door {
    fn run(mut self, stopping: &AtomicBool) {
        let mut events = Events::with_capacity(1024);
        // mio reports arrivals once; what a turn leaves behind is remembered here.
        let mut has_more = false;
        while !stopping.load(Ordering::Acquire) {
            let patience = if has_more { Some(Duration::ZERO) } else { self.patience() };
            has_more |= self.turn(&mut events, patience);
            has_more = has_more && self.accept_turn();
            self.end_the_late();
        }
        let _ = self.poll.registry().deregister(&mut self.listener);
        let end = Instant::now() + PEEK_WIND_DOWN;
        while let Some(left) = end.checked_duration_since(Instant::now())
            && self.peeks.len() > 0
        {
            self.turn(&mut events, Some(left));
            self.end_the_late();
        }
    }

    /// Looks at those of whom more has come: whether somebody waits to be accepted.
    fn turn(&mut self, events: &mut Events, patience: Option<Duration>) -> bool {
        match self.poll.poll(events, patience) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                warn!(%error, "polling the port of names failed");
                std::thread::sleep(OUT_OF_DESCRIPTORS_PAUSE);
            }
            _ => {}
        }
        let mut has_more = false;
        for event in &*events {
            match event.token() {
                LISTENER => has_more = true,
                WAKE => {}
                Token(number) => {
                    let is_over = event.is_error() || event.is_read_closed();
                    self.look_again(number, is_over);
                }
            }
        }
        has_more
    }

    /// Until the one that came first is late.
    fn patience(&self) -> Option<Duration> {
        let first = self.peeks.get(self.peeks.first()?)?;
        // The poller may round down to milliseconds.
        let left = first.until.saturating_duration_since(Instant::now());
        Some(left + Duration::from_millis(1))
    }

    /// Whether more may be waiting.
    fn accept_turn(&mut self) -> bool {
        for _ in 0..ACCEPTS_PER_TURN {
            match self.listener.accept() {
                Ok((stream, client)) => self.admit(stream, client),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // The client was gone before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    warn!(%error, "accepting at the port of names failed; trying again shortly");
                    std::thread::sleep(OUT_OF_DESCRIPTORS_PAUSE);
                    return true;
                }
            }
        }
        true
    }

    /// Most hellos are there by now; the others are waited for.
    fn admit(&mut self, mut stream: mio::net::TcpStream, client: SocketAddr) {
        match look(&stream, &mut self.hello) {
            Ok(Hello::Incomplete) => {}
            Ok(hello) => return self.settle(hello, stream, client),
            Err(_) => return,
        }
        let token = Token(self.peeks.next_number());
        let registered = self.poll.registry().register(&mut stream, token, Interest::READABLE);
        if let Err(error) = registered {
            warn!(%error, "a connection to the port of names cannot be waited for");
            return;
        }
        let peek = Peek { stream, client, until: Instant::now() + PEEK_DEADLINE };
        if self.peeks.add(client.ip(), peek).is_some() {
            self.counts.displaced.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// More of a hello has come, or nothing will.
    fn look_again(&mut self, number: usize, is_over: bool) {
        let Some(peek) = self.peeks.get(number) else { return };
        let looked = look(&peek.stream, &mut self.hello);
        if matches!(looked, Ok(Hello::Incomplete)) && !is_over {
            return;
        }
        let Some(Peek { mut stream, client, .. }) = self.peeks.remove(number) else { return };
        if let Ok(hello) = looked
            && hello != Hello::Incomplete
            && self.poll.registry().deregister(&mut stream).is_ok()
        {
            self.settle(hello, stream, client);
        }
    }

    /// Hands a connection over, or says that nobody is there.
    fn settle(&mut self, hello: Hello, stream: mio::net::TcpStream, client: SocketAddr) {
        let stream = TcpStream::from(stream);
        let volume = match hello {
            Hello::Label(label) => self.router.names().get(label),
            Hello::Other => None,
            Hello::Malformed | Hello::Incomplete => {
                self.counts.malformed.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        let Some(volume) = volume else {
            self.counts.unknown.fetch_add(1, Ordering::Relaxed);
            return refuse(stream, &mut self.hello);
        };
        if let Some(permit) = self.router.admit(client.ip(), volume) {
            self.backend.deliver(volume, Arrival { stream, client, permit });
        }
    }

    fn end_the_late(&mut self) {
        let now = Instant::now();
        while let Some(number) = self.peeks.first()
            && self.peeks.get(number).is_some_and(|peek| peek.until <= now)
        {
            self.peeks.remove(number);
            self.counts.late.fetch_add(1, Ordering::Relaxed);
        }
        self.counts.peeked.store(self.peeks.len(), Ordering::Relaxed);
    }
}

/// What a connection says so far. The error is one that is over.
fn look(stream: &mio::net::TcpStream, hello: &mut [u8]) -> io::Result<Hello> {
    match stream.peek(hello) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok(read_hello(hello.get(..count).unwrap_or_default())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Hello::Incomplete),
        Err(error) => Err(error),
    }
}

/// Says that nobody has the name. What was peeked at is taken first: the system resets a connection
/// that is closed with something unread, and the word would be lost.
fn refuse(mut stream: TcpStream, hello: &mut [u8]) {
    let _ = stream.read(hello);
    let _ = stream.write(&UNRECOGNIZED_NAME);
    let _ = stream.shutdown(Shutdown::Write);
}
