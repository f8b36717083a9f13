//! Connections to a server that is moved to another cell.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{
    Cell, LOOPBACK, PATIENCE, World, free_port, part, place, route, until, volume, whole,
};

async fn connect(port: u16) -> TcpStream {
    let mut client = TcpStream::connect((LOOPBACK, port)).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    client
}

/// The old cell stands still: it takes connections and does nothing with them.
#[tokio::test]
async fn connections_to_the_old_cell_are_cut_and_the_next_ones_reach_the_new_one() {
    let (world, port, other) = (World::start(), free_port(), free_port());
    let (old, new) = (Cell::open(), Cell::open());
    let places = vec![place(1, 1, Some(old.address())), place(2, 1, Some(new.address()))];
    let routes = vec![route(port, Some((7, 1))), route(other, Some((8, 1)))];
    world.tell(whole(1, 1, routes, places.clone())).await;
    let (mut hers, mut another) = (connect(port).await, connect(other).await);
    let (_first, _second) = (old.next().await, old.next().await);
    let moved = vec![route(port, Some((7, 2)))];
    world.tell(part(1, 2, moved, places.clone())).await;
    let cut = timeout(PATIENCE, hers.read(&mut [0; 1])).await.expect("it is cut");
    assert!(!matches!(cut, Ok(1..)));
    assert_eq!(world.forwarder.counters().cut, 1, "and nobody else's");

    let mut again = connect(port).await;
    let (mut stream, preface) = timeout(PATIENCE, new.next()).await.expect("it is called");
    assert_eq!(preface.volume, volume(7));
    stream.write_all(b"again").await.unwrap();
    let mut bytes = [0; 5];
    again.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"again");
    let still = timeout(std::time::Duration::from_millis(50), another.read(&mut [0; 1])).await;
    assert!(still.is_err(), "she who stays has her connection");
}

#[tokio::test]
async fn a_client_who_is_held_goes_where_she_was_moved() {
    let (world, port, new) = (World::start(), free_port(), Cell::open());
    let nowhere = vec![place(1, 1, None), place(2, 1, Some(new.address()))];
    world.tell(whole(1, 1, vec![route(port, Some((7, 1)))], nowhere.clone())).await;
    let _client = connect(port).await;
    until(|| world.forwarder.counters().held == 1).await;
    world.tell(part(1, 2, vec![route(port, Some((7, 2)))], nowhere)).await;
    let (mut stream, _) = timeout(PATIENCE, new.next()).await.expect("it is called");
    stream.read_exact(&mut [0; 5]).await.unwrap();
}
