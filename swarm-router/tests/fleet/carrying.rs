//! Connections whose cells are there.

use std::sync::Arc;
use std::time::Duration;

use net::preface::Preface;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::world::{
    Cell, LOOPBACK, PATIENCE, World, free_port, place, route, until, volume, whole,
};

/// One cell, and one server in it.
async fn one() -> (World, Cell, u16) {
    let (world, cell, port) = (World::start(), Cell::open().await, free_port());
    let places = vec![place(1, 1, Some(cell.address()))];
    world.tell(whole(1, 1, vec![route(port, Some((7, 1)))], places)).await;
    (world, cell, port)
}

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect((LOOPBACK, port)).await.unwrap()
}

/// Bytes in which every place can be told from its neighbours.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test]
async fn a_cell_hears_who_it_is_and_then_her_own_bytes() {
    let (world, cell, port) = one().await;
    let mut client = connect(port).await;
    client.write_all(b"from her").await.unwrap();
    let (mut stream, preface) = cell.next().await;
    let expected = Preface { client: client.local_addr().unwrap(), volume: volume(7) };
    assert_eq!(preface, expected);
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"from her");
    stream.write_all(b"to her").await.unwrap();
    drop(stream);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"to her");
    drop(client);
    until(|| world.forwarder.counters().connections == 0).await;
    assert_eq!(world.router.counters().connections, 0, "her permit is given back");
}

#[tokio::test]
async fn a_client_who_says_nothing_is_carried_and_may_be_spoken_to() {
    let (_world, cell, port) = one().await;
    let mut client = connect(port).await;
    let (mut stream, _) = cell.next().await;
    stream.write_all(b"speak").await.unwrap();
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"speak");
}

#[tokio::test]
async fn who_has_said_her_last_still_hears_the_answer() {
    let (_world, cell, port) = one().await;
    let mut client = connect(port).await;
    client.write_all(b"a question").await.unwrap();
    client.shutdown().await.unwrap();
    let (mut stream, _) = cell.next().await;
    let mut question = Vec::new();
    stream.read_to_end(&mut question).await.unwrap();
    assert_eq!(question, b"a question");
    let answer = noise(1 << 20, 1);
    stream.write_all(&answer).await.unwrap();
    drop(stream);
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    assert!(heard == answer);
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_server_has_ended_does_not_keep_her_place() {
    let (world, cell, port) = one().await;
    let mut client = connect(port).await;
    let (stream, _) = cell.next().await;
    drop(stream);
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0, "she is told");
    let began = Instant::now();
    // She stays all the same.
    until(|| world.forwarder.counters().connections == 0).await;
    assert!(began.elapsed() >= Duration::from_secs(25), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_who_takes_nothing_is_given_up() {
    let (world, cell, port) = one().await;
    let client = connect(port).await;
    let (mut stream, _) = cell.next().await;
    let began = Instant::now();
    let bytes = vec![0; 1 << 20];
    let broken = async { while stream.write_all(&bytes).await.is_ok() {} };
    broken.await;
    assert!(began.elapsed() >= Duration::from_secs(60), "{:?}", began.elapsed());
    until(|| world.forwarder.counters().connections == 0).await;
    drop(client);
}

#[tokio::test]
async fn a_client_who_breaks_off_is_broken_off_at_the_cell() {
    let (world, cell, port) = one().await;
    let client = connect(port).await;
    let (mut stream, _) = cell.next().await;
    client.set_zero_linger().unwrap();
    drop(client);
    assert!(matches!(timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap(), Ok(0) | Err(_)));
    until(|| world.forwarder.counters().connections == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_in_both_directions_at_once_arrives_as_it_was_sent() {
    const BYTES: usize = 48 << 20;
    let (_world, cell, port) = one().await;
    let mut client = connect(port).await;
    let (mut stream, _) = cell.next().await;
    let exchange = |seed: u64, other: u64, stream: TcpStream| async move {
        let (mut reader, mut writer) = split(stream);
        let writing = tokio::spawn(async move {
            writer.write_all(&noise(BYTES, seed)).await.unwrap();
            writer.shutdown().await.unwrap();
            writer
        });
        let mut heard = Vec::with_capacity(BYTES);
        reader.read_to_end(&mut heard).await.unwrap();
        assert!(heard == noise(BYTES, other), "{} bytes, and not those", heard.len());
        drop(writing.await.unwrap());
    };
    // One byte at first, so that what follows is not aligned with anything.
    client.write_all(b"x").await.unwrap();
    stream.read_exact(&mut [0; 1]).await.unwrap();
    let (one, other) = (tokio::spawn(exchange(1, 2, client)), tokio::spawn(exchange(2, 1, stream)));
    one.await.unwrap();
    other.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_are_carried_at_once() {
    const CLIENTS: usize = 1_000;
    let (world, cell, port) = one().await;
    let echo = tokio::spawn(async move {
        for _ in 0..CLIENTS {
            let (stream, _) = cell.next().await;
            tokio::spawn(async move {
                let (mut reader, mut writer) = split(stream);
                copy(&mut reader, &mut writer).await.unwrap();
            });
        }
    });
    let everybody_is_here = Arc::new(tokio::sync::Barrier::new(CLIENTS));
    let clients = (0..CLIENTS).map(|number| {
        let everybody_is_here = Arc::clone(&everybody_is_here);
        tokio::spawn(async move {
            let (mut client, said) = (connect(port).await, noise(3_000, number as u64));
            everybody_is_here.wait().await;
            client.write_all(&said).await.unwrap();
            let mut heard = vec![0; said.len()];
            client.read_exact(&mut heard).await.unwrap();
            assert!(heard == said);
            everybody_is_here.wait().await;
        })
    });
    for client in clients.collect::<Vec<_>>() {
        timeout(PATIENCE, client).await.expect("all are served").unwrap();
    }
    echo.await.unwrap();
    until(|| world.forwarder.counters().connections == 0).await;
    assert_eq!(world.forwarder.counters().given_up, 0);
}

#[tokio::test]
async fn at_the_end_who_is_carried_may_finish() {
    let (world, cell, port) = one().await;
    let mut client = connect(port).await;
    let (mut stream, _) = cell.next().await;
    world.drain.start();
    stream.write_all(b"the last").await.unwrap();
    drop(stream);
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"the last");
    drop(client);
    assert!(world.drain.finished(PATIENCE).await);
}
