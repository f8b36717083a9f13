//! What is done to every front alike.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

use super::back::{ECHO, FLOW, WHO};
use super::front::Target;

const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of one question whose time is taken.
const PING_BYTES: usize = 64;

/// Another network of the machine's own for each connection: nobody is to be slowed for coming too
/// often from one.
fn source() -> SocketAddr {
    static NUMBER: AtomicU8 = AtomicU8::new(0);
    ([127, 1, NUMBER.fetch_add(1, Ordering::Relaxed), 1], 0).into()
}

/// Connects and says what is said first.
pub fn connect(target: &Target, wanted: u8) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&source().into())?;
    socket.connect(&target.address.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[target.hello.as_slice(), &[wanted]].concat())?;
    Ok(stream)
}

/// Which server answers; none where nobody does.
pub fn who(target: &Target) -> Option<usize> {
    let mut answer = [0];
    connect(target, WHO).ok()?.read_exact(&mut answer).ok()?;
    Some(answer[0].into())
}

/// Streams that are read as fast as they come; how many bytes that were, and in what time.
pub fn flow(target: &Target, streams: usize, duration: Duration) -> (u64, Duration) {
    let began = Instant::now();
    let readers: Vec<_> = (0..streams)
        .map(|_| {
            let mut stream = connect(target, FLOW).expect("it takes connections");
            std::thread::spawn(move || {
                let (mut bytes, mut total) = (vec![0; 256 * 1024], 0);
                while began.elapsed() < duration {
                    total += stream.read(&mut bytes).expect("it flows") as u64;
                }
                total
            })
        })
        .collect();
    let total = readers.into_iter().map(|reader| reader.join().expect("no panic")).sum();
    (total, began.elapsed())
}

/// The times of questions that are asked one after the other on one connection, in microseconds.
pub fn pings(target: &Target, duration: Duration) -> Vec<f64> {
    let mut stream = connect(target, ECHO).expect("it takes connections");
    let (mut bytes, mut times) = ([7; PING_BYTES], Vec::new());
    let began = Instant::now();
    while began.elapsed() < duration {
        let asked = Instant::now();
        stream.write_all(&bytes).expect("it carries");
        stream.read_exact(&mut bytes).expect("it carries back");
        times.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    times
}

/// Connections that are opened, heard once and closed, so many at a time.
pub struct Openings {
    pub opened: u64,
    pub failed: u64,
    pub took: Duration,
}

pub fn openings(
    runtime: &Runtime,
    targets: &[Target],
    at_once: usize,
    duration: Duration,
) -> Openings {
    let (opened, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let began = Instant::now();
    let tasks: Vec<_> = (0..at_once)
        .map(|index| {
            let target = targets[index % targets.len()].clone();
            let counts = (Arc::clone(&opened), Arc::clone(&failed));
            runtime.spawn(async move {
                let first = [target.hello.as_slice(), &[ECHO, b'x']].concat();
                while began.elapsed() < duration {
                    let is_opened = open(target.address, &first).await.is_ok();
                    let count = if is_opened { &counts.0 } else { &counts.1 };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).expect("no panic");
    }
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    Openings { opened: read(&opened), failed: read(&failed), took: began.elapsed() }
}

async fn open(address: SocketAddr, first: &[u8]) -> std::io::Result<()> {
    let opened = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(source())?;
        let mut stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(first).await?;
        stream.read_u8().await
    };
    tokio::time::timeout(PATIENCE, opened).await??;
    Ok(())
}

/// Connections that were heard once and then rest.
pub fn hold(targets: &[Target], count: usize) -> Vec<TcpStream> {
    let open = |index: usize| {
        let mut stream = connect(&targets[index % targets.len()], ECHO).expect("it is taken");
        stream.write_all(b"x").expect("it is carried");
        stream.read_exact(&mut [0]).expect("it is answered");
        stream
    };
    (0..count).map(open).collect()
}

/// Whether all of them are still carried.
pub fn are_carried(held: &mut [TcpStream]) -> bool {
    held.iter_mut()
        .all(|stream| stream.write_all(b"y").is_ok() && stream.read_exact(&mut [0]).is_ok())
}
