//! Connections whose cells are not there, or no longer.

use std::time::Duration;

use swarm_router::limits::{HOLD_GATE, HOLD_MAX};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::world::{
    Cell, LOOPBACK, PATIENCE, World, free_port, part, place, route, until, volume, whole,
};

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect((LOOPBACK, port)).await.unwrap()
}

/// A server whose cell is at `address` in its first start.
async fn one(address: Option<std::net::SocketAddr>) -> (World, u16) {
    let (world, port) = (World::start(), free_port());
    world.tell(whole(1, 1, vec![route(port, Some((7, 1)))], vec![place(1, 1, address)])).await;
    (world, port)
}

/// Sends a line through whatever is there, and hears it at `cell`.
async fn is_heard_at(client: &mut TcpStream, cell: &Cell) {
    client.write_all(b"hello").await.unwrap();
    let (mut stream, preface) = timeout(PATIENCE, cell.next()).await.expect("it is called");
    assert_eq!((preface.client, preface.volume), (client.local_addr().unwrap(), volume(7)));
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
    stream.write_all(b"again").await.unwrap();
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"again");
}

#[tokio::test]
async fn clients_are_held_until_their_cell_is_somewhere() {
    let (world, port) = one(None).await;
    let mut clients = [connect(port).await, connect(port).await, connect(port).await];
    until(|| world.forwarder.counters().held == 3).await;
    let cell = Cell::open();
    world.tell(part(1, 2, Vec::new(), vec![place(1, 1, Some(cell.address()))])).await;
    for client in &mut clients {
        client.write_all(b"x").await.unwrap();
    }
    for _ in &clients {
        let (mut stream, preface) = timeout(PATIENCE, cell.next()).await.expect("it is called");
        assert_eq!(preface.volume, volume(7));
        stream.read_exact(&mut [0; 1]).await.unwrap();
    }
    until(|| world.forwarder.counters().held == 0).await;
}

#[tokio::test]
async fn clients_of_a_cell_that_died_are_held_until_it_is_elsewhere() {
    let died = Cell::open();
    let (world, port) = one(Some(died.address())).await;
    drop(died);
    let mut client = connect(port).await;
    until(|| world.forwarder.counters().unreached > 1).await;
    let cell = Cell::open();
    world.tell(part(1, 2, Vec::new(), vec![place(1, 2, Some(cell.address()))])).await;
    is_heard_at(&mut client, &cell).await;
}

#[tokio::test]
async fn what_a_held_client_has_said_already_is_heard_once() {
    let died = Cell::open();
    let (world, port) = one(Some(died.address())).await;
    drop(died);
    let mut client = connect(port).await;
    let said: Vec<u8> = (0..5_000_u32).map(|place| (place % 251) as u8).collect();
    client.write_all(&said).await.unwrap();
    client.shutdown().await.unwrap();
    until(|| world.forwarder.counters().unreached > 1).await;
    let cell = Cell::open();
    world.tell(part(1, 2, Vec::new(), vec![place(1, 2, Some(cell.address()))])).await;
    let (mut stream, _) = timeout(PATIENCE, cell.next()).await.expect("it is called");
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(heard == said);
}

#[tokio::test]
async fn a_cell_that_comes_back_where_it_was_is_found_without_news() {
    let died = Cell::open();
    let address = died.address();
    let (world, port) = one(Some(address)).await;
    drop(died);
    let mut client = connect(port).await;
    until(|| world.forwarder.counters().unreached > 1).await;
    let cell = Cell(TcpListener::bind(address).await.unwrap());
    is_heard_at(&mut client, &cell).await;
}

#[tokio::test]
async fn a_machine_that_swallows_everything_is_left_as_soon_as_the_cell_is_elsewhere() {
    // Nobody accepts, and there is no room to wait in.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((LOOPBACK, 0).into()).unwrap();
    let full = socket.listen(0).unwrap();
    let address = full.local_addr().unwrap();
    let mut fillers = Vec::new();
    while let Ok(Ok(one)) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        fillers.push(one);
    }
    let (world, port) = one(Some(address)).await;
    let mut client = connect(port).await;
    until(|| world.forwarder.counters().unreached == 1).await;
    let cell = Cell::open();
    let began = Instant::now();
    world.tell(part(1, 2, Vec::new(), vec![place(1, 2, Some(cell.address()))])).await;
    is_heard_at(&mut client, &cell).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_held_for_ever() {
    let (world, port) = one(None).await;
    let began = Instant::now();
    let mut client = connect(port).await;
    client.write_all(b"hello").await.unwrap();
    // Her words were never read, so the end may come as a reset.
    assert!(matches!(client.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    let waited = began.elapsed();
    assert!(waited >= HOLD_MAX && waited < HOLD_MAX + Duration::from_secs(1), "{waited:?}");
    assert_eq!(world.forwarder.counters().given_up, 1);
}

#[tokio::test]
async fn one_address_cannot_take_all_the_room_for_waiting() {
    let (world, port) = one(None).await;
    let mut clients = Vec::new();
    for _ in 0..HOLD_GATE.per_address_max + 8 {
        clients.push(connect(port).await);
    }
    until(|| world.forwarder.counters().given_up == 8).await;
    assert_eq!(world.forwarder.counters().held, HOLD_GATE.per_address_max);
}

#[tokio::test]
async fn connections_to_an_earlier_start_of_the_cell_are_cut() {
    let old = Cell::open();
    let (world, port) = one(Some(old.address())).await;
    let mut client = connect(port).await;
    is_heard_at(&mut client, &old).await;
    let new = Cell::open();
    world.tell(part(1, 2, Vec::new(), vec![place(1, 2, Some(new.address()))])).await;
    // The old one still runs, on a machine that nobody else reaches, and cannot say so.
    let end = timeout(PATIENCE, client.read(&mut [0; 1])).await.expect("she is told");
    assert!(matches!(end, Ok(0) | Err(_)));
    until(|| world.forwarder.counters().cut == 1).await;
    is_heard_at(&mut connect(port).await, &new).await;
}

#[tokio::test]
async fn connections_stay_when_a_cell_is_only_said_to_be_nowhere() {
    let cell = Cell::open();
    let (world, port) = one(Some(cell.address())).await;
    let mut client = connect(port).await;
    client.write_all(b"a").await.unwrap();
    let (mut stream, _) = cell.next().await;
    world.tell(part(1, 2, Vec::new(), vec![place(1, 1, None)])).await;
    world.tell(whole(2, 1, Vec::new(), Vec::new())).await;
    until(|| world.router.counters().routes == 0).await;
    stream.read_exact(&mut [0; 1]).await.unwrap();
    stream.write_all(b"b").await.unwrap();
    client.read_exact(&mut [0; 1]).await.unwrap();
    assert_eq!(world.forwarder.counters().cut, 0);
}

#[tokio::test]
async fn a_client_whose_server_is_removed_while_she_waits_is_not_kept() {
    let (world, port) = one(None).await;
    let mut client = connect(port).await;
    until(|| world.forwarder.counters().held == 1).await;
    world.tell(part(1, 2, vec![route(port, None)], vec![place(1, 1, None)])).await;
    let end = timeout(PATIENCE / 4, client.read(&mut [0; 1])).await.expect("she is told");
    assert!(matches!(end, Ok(0) | Err(_)));
}

#[tokio::test]
async fn at_the_end_nobody_is_held() {
    let (world, port) = one(None).await;
    let mut client = connect(port).await;
    until(|| world.forwarder.counters().held == 1).await;
    world.drain.start();
    assert!(matches!(client.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    assert!(world.drain.finished(PATIENCE).await);
}
