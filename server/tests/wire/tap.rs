//! A wire tap: passes a connection on and counts the TLS records of the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The type of a record that carries data.
const APPLICATION_DATA: u8 = 23;

/// Listens on a free port for one connection to `target`; gives back the port and the number of
/// records with data that the server has sent.
pub async fn tap(target: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let records = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&records);
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        // The tests' own wire: not a call on anybody's behalf.
        let server = tokio::net::TcpSocket::new_v4().unwrap();
        let server: TcpStream = server.connect(([127, 0, 0, 1], target).into()).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        tokio::spawn(async move {
            drop(tokio::io::copy(&mut from_client, &mut to_server).await);
        });
        let mut head = [0; 5];
        while from_server.read_exact(&mut head).await.is_ok() {
            let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
            from_server.read_exact(&mut body).await.unwrap();
            counter.fetch_add(usize::from(head[0] == APPLICATION_DATA), Ordering::SeqCst);
            to_client.write_all(&[&head[..], &body].concat()).await.unwrap();
        }
    });
    (port, records)
}

/// Listens on a free port for one connection to `target`, which comes there from `source`, another
/// address of this machine.
pub async fn relay(source: [u8; 4], target: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        let mut server = socket.connect(([127, 0, 0, 1], target).into()).await.unwrap();
        drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
    });
    port
}
