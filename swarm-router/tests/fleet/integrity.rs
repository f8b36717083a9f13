//! What comes out is what went in, at the right place, whatever happens meanwhile.
//!
//! Every stream carries marks: its bytes are a sequence that only this stream has, so a byte of
//! another's, one too few or one too many shows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use net::clock::{Clock, SystemClock};
use net::preface;
use protocol::control::routes::{CellPlace, Route};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::marks::{Heard, Marks, Question};
use crate::world::{LOOPBACK, PATIENCE, World, free_port, key, part, place, route, until, whole};

/// Connections at the same time.
const AT_ONCE: usize = 64;
const SERVERS: u8 = 12;
/// Of them, those that are moved, or whose ports are closed for a while.
const RESTLESS: u8 = 8;
const CELLS: u16 = 3;

/// What both ends of all conversations know.
#[derive(Default)]
struct Ledger {
    /// Connections on which something of another was.
    crossed: AtomicU64,
    /// Which cell serves a conversation: whether it is killed by now.
    serving: Mutex<HashMap<u64, Arc<AtomicBool>>>,
    /// How often each server's route was changed.
    changed: [AtomicU64; RESTLESS as usize],
}

impl Ledger {
    fn changes(&self, server: u8) -> u64 {
        self.changed.get(usize::from(server)).map_or(0, |changed| changed.load(Ordering::SeqCst))
    }
}

/// A cell that answers as its questions want it, and can be killed.
struct Answering {
    address: SocketAddr,
    is_killed: Arc<AtomicBool>,
    tasks: JoinHandle<()>,
}

impl Answering {
    fn start(ledger: &Arc<Ledger>) -> Self {
        let listener = net::socket::listen((LOOPBACK, 0).into()).unwrap();
        let (address, is_killed) = (listener.local_addr().unwrap(), Arc::default());
        let tasks = tokio::spawn(serve(listener, Arc::clone(ledger), Arc::clone(&is_killed)));
        Self { address, is_killed, tasks }
    }

    /// Its connections are broken off, and nobody listens there any more.
    fn kill(self) {
        self.is_killed.store(true, Ordering::SeqCst);
        self.tasks.abort();
    }
}

/// All that it does ends with it.
async fn serve(listener: TcpListener, ledger: Arc<Ledger>, is_killed: Arc<AtomicBool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (ledger, is_killed) = (Arc::clone(&ledger), Arc::clone(&is_killed));
                connections.spawn(async move { answer(accepted.unwrap().0, &ledger, is_killed).await });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Hears out whom the preface names, and answers with her marks.
async fn answer(mut stream: TcpStream, ledger: &Ledger, is_killed: Arc<AtomicBool>) -> Option<()> {
    let preface = preface::read(&mut stream, &key(), SystemClock.now()).await.ok()?;
    let question = Question::read(&mut stream).await?;
    ledger.serving.lock().unwrap().insert(question.number, is_killed);
    let (mut reader, mut writer) = stream.split();
    let heard = Marks::new(question.of_client()).read(&mut reader, question.up);
    let said = async {
        Marks::new(question.of_server()).write(&mut writer, question.down).await.ok()?;
        if question.half_closes { writer.shutdown().await.ok() } else { Some(()) }
    };
    let (heard, said) = tokio::join!(heard, said);
    if heard == Heard::Others || [question.server; 16] != *preface.volume.as_bytes() {
        ledger.crossed.fetch_add(1, Ordering::Relaxed);
    }
    // What she said last is heard, and that it was the last.
    let is_heard = heard == Heard::All && reader.read(&mut [0; 1]).await.ok()? == 0;
    said.filter(|()| is_heard && !question.half_closes)?;
    stream.write_all(b".").await.ok()
}

/// Talks over a new connection; true if all was said and heard. Whoever is broken off whose cell lives
/// and whose route has stayed has met a fault.
async fn talk(port: u16, question: Question, ledger: &Ledger) -> bool {
    let before = ledger.changes(question.server);
    let heard = converse(port, &question).await;
    if heard == Heard::Others {
        ledger.crossed.fetch_add(1, Ordering::Relaxed);
    }
    let served = ledger.serving.lock().unwrap().remove(&question.number);
    let is_killed = served.is_none_or(|is_killed| is_killed.load(Ordering::SeqCst));
    let is_excused = is_killed || ledger.changes(question.server) != before;
    assert!(heard == Heard::All || is_excused, "{heard:?} of {question:?}, whose cell lives");
    heard == Heard::All
}

async fn converse(port: u16, question: &Question) -> Heard {
    let Ok(mut stream) = connect(port).await else { return Heard::Part };
    if question.write(&mut stream).await.is_err() {
        return Heard::Part;
    }
    let (mut reader, mut writer) = stream.split();
    let said = async {
        Marks::new(question.of_client()).write(&mut writer, question.up).await?;
        writer.shutdown().await
    };
    let heard = Marks::new(question.of_server()).read(&mut reader, question.down);
    let (said, heard) = tokio::join!(said, heard);
    if said.is_err() || heard != Heard::All {
        return if heard == Heard::Others { heard } else { Heard::Part };
    }
    let (mut end, wanted) = (Vec::new(), if question.half_closes { "" } else { "." });
    match stream.read_to_end(&mut end).await {
        Ok(_) if end == wanted.as_bytes() => Heard::All,
        _ if wanted.as_bytes().starts_with(&end) => Heard::Part,
        _ => Heard::Others,
    }
}

/// From many addresses, so that none has too many connections.
async fn connect(port: u16) -> std::io::Result<TcpStream> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 1, (number % 200) as u8 + 1], 0)))?;
    socket.connect((LOOPBACK, port).into()).await
}

/// A router before cells that come and go, and servers that are moved between them.
struct Churn {
    world: World,
    ledger: Arc<Ledger>,
    ports: Vec<u16>,
    cells: Vec<Answering>,
    terms: Vec<u32>,
    /// Of the last news.
    number: u64,
    turns: u64,
}

impl Churn {
    async fn start() -> Self {
        let (world, ledger) = (World::start(), Arc::default());
        let cells: Vec<_> = (0..CELLS).map(|_| Answering::start(&ledger)).collect();
        let ports: Vec<_> = (0..SERVERS).map(|_| free_port()).collect();
        let mut churn =
            Self { world, ledger, ports, cells, terms: vec![1; CELLS.into()], number: 1, turns: 0 };
        let routes = (0..SERVERS).map(|server| churn.route(server, 0)).collect();
        churn.world.tell(whole(1, 1, routes, churn.places(None))).await;
        churn.number += 1;
        churn
    }

    fn route(&self, server: u8, turn: u64) -> Route {
        let cell = (u64::from(server) + turn) % u64::from(CELLS) + 1;
        route(self.ports[usize::from(server)], Some((server, cell as u16)))
    }

    /// Where all cells are, but for the one that is nowhere.
    fn places(&self, nowhere: Option<usize>) -> Vec<CellPlace> {
        let place = |(index, cell): (usize, &Answering)| {
            let address = (nowhere != Some(index)).then_some(cell.address);
            place(index as u16 + 1, self.terms[index], address)
        };
        self.cells.iter().enumerate().map(place).collect()
    }

    /// One of the things that happen: somebody is moved, a port is closed and opened, a cell dies
    /// and is started elsewhere.
    async fn turn(&mut self) {
        self.turns += 1;
        let cell = (self.turns / 4 % u64::from(CELLS)) as usize;
        match self.turns % 4 {
            0 => self.restart(cell).await,
            kind => self.lead_elsewhere((self.turns % u64::from(RESTLESS)) as u8, kind == 1).await,
        }
    }

    async fn lead_elsewhere(&mut self, server: u8, is_closed_before: bool) {
        self.ledger.changed[usize::from(server)].fetch_add(1, Ordering::SeqCst);
        if is_closed_before {
            let port = self.ports[usize::from(server)];
            self.tell(vec![route(port, None)], None).await;
        }
        self.tell(vec![self.route(server, self.turns)], None).await;
    }

    async fn restart(&mut self, cell: usize) {
        std::mem::replace(&mut self.cells[cell], Answering::start(&self.ledger)).kill();
        self.tell(Vec::new(), Some(cell)).await;
        self.terms[cell] += 1;
        self.tell(Vec::new(), None).await;
    }

    async fn tell(&mut self, routes: Vec<Route>, nowhere: Option<usize>) {
        self.world.tell(part(1, self.number, routes, self.places(nowhere))).await;
        self.number += 1;
    }
}

/// Has so many conversations, some at a time; how many came to their end.
async fn talk_all(count: u64, ports: Vec<u16>, ledger: Arc<Ledger>) -> u64 {
    let (room, mut talks, mut whole) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new(), 0);
    for number in 0..count {
        let place = Arc::clone(&room).acquire_owned().await.unwrap();
        let (question, ledger) = (Question::number(number, SERVERS), Arc::clone(&ledger));
        let port = ports[usize::from(question.server)];
        talks.spawn(async move {
            let is_whole = timeout(PATIENCE * 3, talk(port, question, &ledger)).await;
            drop(place);
            u64::from(is_whole.expect("it ends"))
        });
        while let Some(ended) = talks.try_join_next() {
            whole += ended.expect("no crossing and no false end");
        }
    }
    while let Some(ended) = talks.join_next().await {
        whole += ended.expect("no crossing and no false end");
    }
    whole
}

/// So many conversations while much changes. None may hear another's bytes, and none may be broken off
/// whose cell lives and whose route stays.
async fn conversations(count: u64) {
    let mut churn = Churn::start().await;
    let ledger = Arc::clone(&churn.ledger);
    let talking = tokio::spawn(talk_all(count, churn.ports.clone(), Arc::clone(&ledger)));
    while !talking.is_finished() {
        churn.turn().await;
        sleep(Duration::from_millis(50)).await;
    }
    let whole = talking.await.unwrap();
    println!(
        "{whole} of {count} whole, the others cut with their cells or routes; {} changes",
        churn.turns
    );
    assert_eq!(ledger.crossed.load(Ordering::Relaxed), 0);
    assert!(whole > count / 2, "{whole} of {count}");
    assert!(churn.turns > 8, "nothing has happened meanwhile");
    until(|| churn.world.forwarder.counters().connections == 0).await;
    assert_eq!(churn.world.forwarder.counters().pipes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marked_streams_neither_cross_nor_lose_their_ends_while_cells_and_routes_change() {
    conversations(4_000).await;
}

/// The same, for as long as it takes: `WARREN_CONVERSATIONS` says how many, a million otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_marked_streams_neither_cross_nor_lose_their_ends() {
    let wanted = std::env::var("WARREN_CONVERSATIONS").ok();
    conversations(wanted.map_or(1_000_000, |count| count.parse().unwrap())).await;
}
