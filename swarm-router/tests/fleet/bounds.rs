//! What a connection may cost, whatever its two ends do.

use std::time::Duration;

use ring::digest::{Context, SHA256};
use swarm_router::limits::{COPY_BYTES, PIPES_MAX};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::world::{
    Cell, LOOPBACK, World, free_port, place, resident_bytes, route, until, volume, whole,
};

/// More than there are pipes for, so that some are carried in the other way.
const STALLED: usize = PIPES_MAX + 64;

/// One cell, and one server in it.
async fn one() -> (World, Cell, u16) {
    let (world, cell, port) = (World::start(), Cell::open(), free_port());
    let places = vec![place(1, 1, Some(cell.address()))];
    world.tell(whole(1, 1, vec![route(port, Some((7, 1)))], places)).await;
    (world, cell, port)
}

/// Both ends of a connection.
async fn connect(cell: &Cell, port: u16) -> (TcpStream, TcpStream) {
    let mut client = TcpStream::connect((LOOPBACK, port)).await.unwrap();
    client.write_all(b"x").await.unwrap();
    let (mut stream, preface) = cell.next().await;
    assert_eq!(preface.volume, volume(7));
    stream.read_exact(&mut [0; 1]).await.unwrap();
    (client, stream)
}

/// Writes to all of them until none takes anything more.
async fn write_until_nobody_takes(writers: &[TcpStream]) -> usize {
    let (bytes, mut total, mut quiet) = (vec![7; 256 * 1024], 0, 0);
    while quiet < 10 {
        let taken = |writer: &TcpStream| writer.try_write(&bytes).unwrap_or(0);
        let now: usize = writers.iter().map(taken).sum();
        (total, quiet) = (total + now, if now == 0 { quiet + 1 } else { 0 });
        sleep(Duration::from_millis(10)).await;
    }
    total
}

async fn echoes(cell: &Cell, port: u16) {
    let (mut client, mut stream) = connect(cell, port).await;
    let bytes = vec![9; 1 << 20];
    let (said, heard) = tokio::join!(client.write_all(&bytes), async {
        let mut heard = vec![0; 1 << 20];
        stream.read_exact(&mut heard).await.unwrap();
        stream.write_all(b"!").await.unwrap();
        heard
    });
    said.unwrap();
    assert!(heard == bytes);
    client.read_exact(&mut [0; 1]).await.unwrap();
}

/// Those who are stalled take what a connection may, and nobody else notices.
async fn stalled(pick: fn((TcpStream, TcpStream)) -> (TcpStream, TcpStream)) {
    let (world, cell, port) = one().await;
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for _ in 0..STALLED {
        let (writer, reader) = pick(connect(&cell, port).await);
        writers.push(writer);
        readers.push(reader);
    }
    let before = resident_bytes();
    assert!(write_until_nobody_takes(&writers).await > STALLED * COPY_BYTES);
    let grown = resident_bytes().saturating_sub(before);
    // Whatever does not fit into the system's sockets: one buffer each, and what finding it takes.
    assert!(grown < STALLED * (COPY_BYTES + 4_096) + (4 << 20), "{grown} bytes more");
    assert!(world.forwarder.counters().pipes <= PIPES_MAX);
    echoes(&cell, port).await;
    write_until_nobody_takes(&writers).await;
    let later = resident_bytes().saturating_sub(before);
    assert!(later < grown + (4 << 20), "{later} bytes after {grown}");
    drop((writers, readers));
    until(|| world.forwarder.counters().connections == 0).await;
    assert_eq!(world.forwarder.counters().pipes, 0, "all are given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_never_read_cost_a_buffer_each_and_nobody_else_anything() {
    stalled(|(client, stream)| (client, stream)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_read_cost_a_buffer_each_and_nobody_else_anything() {
    stalled(|(client, stream)| (stream, client)).await;
}

/// Pieces of all lengths, each unlike the others.
fn piece(bytes: &mut [u8], number: u64) -> &[u8] {
    let stamp = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    for (at, mark) in stamp.iter().enumerate() {
        bytes[at * 4_001 % bytes.len()] ^= *mark;
    }
    let length = bytes.len() - (number % 977) as usize * 31;
    &bytes[..length]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_arrives_as_it_was_sent() {
    const BYTES: usize = 1 << 30;
    let (_world, cell, port) = one().await;
    let (mut client, mut stream) = connect(&cell, port).await;
    let writing = tokio::spawn(async move {
        let (mut hash, mut bytes, mut sent) = (Context::new(&SHA256), vec![0; 128 * 1024], 0);
        for number in 0.. {
            let piece = piece(&mut bytes, number);
            let piece = &piece[..piece.len().min(BYTES - sent)];
            hash.update(piece);
            stream.write_all(piece).await.unwrap();
            sent += piece.len();
            if sent == BYTES {
                break;
            }
        }
        stream.shutdown().await.unwrap();
        hash.finish()
    });
    let (mut hash, mut bytes, mut heard) = (Context::new(&SHA256), vec![0; 256 * 1024], 0);
    loop {
        let read = client.read(&mut bytes).await.unwrap();
        if read == 0 {
            break;
        }
        hash.update(&bytes[..read]);
        heard += read;
    }
    assert_eq!(heard, BYTES);
    assert_eq!(hash.finish().as_ref(), writing.await.unwrap().as_ref());
}

/// The task and what belongs to two sockets, in our own memory. What the system keeps comes on top.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_rests_costs_little() {
    const RESTING: usize = 1_500;
    let (world, cell, port) = one().await;
    let mut ends = Vec::with_capacity(RESTING * 2);
    let mut connect_some = async |count: usize| {
        for _ in 0..count {
            // The ends are not tokio's, whose share of memory is not the router's.
            let (client, stream) = connect(&cell, port).await;
            ends.push((client.into_std().unwrap(), stream.into_std().unwrap()));
        }
    };
    // What is made once is there already.
    connect_some(100).await;
    let before = resident_bytes();
    connect_some(RESTING).await;
    let each = (resident_bytes() - before) / RESTING;
    println!("{each} bytes each");
    assert!(each < 4_096, "{each} bytes each");
    assert_eq!(world.forwarder.counters().connections, RESTING + 100);
}
