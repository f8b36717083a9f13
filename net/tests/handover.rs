//! Listening sockets from one process to the next: here both ends are in one process, which the
//! system does not tell from two.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{DirBuilder, Permissions, set_permissions};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use net::handover::{Doors, HandoverError, Offers, Role};
use net::udp::Sender;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);
const LINE: Role = Role::known("line");
const HTTPS: Role = Role::known("https");
const DNS: Role = Role::known("dns-udp");

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

struct Place(TempDir);

impl Place {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        DirBuilder::new().mode(0o700).create(folder.path().join("private")).unwrap();
        Self(folder)
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("private")
    }

    fn path(&self) -> PathBuf {
        self.folder().join("handover")
    }
}

/// A running process with a listener for lines.
async fn running(path: &Path) -> (TcpListener, Offers) {
    let mut doors = Doors::from(path).await.unwrap();
    let listener = doors.listen(&LINE, anywhere()).unwrap();
    let (predecessor, offers) = doors.complete().unwrap();
    assert!(predecessor.is_none());
    (listener, offers.unwrap())
}

/// Hands everything over to the first who is ready for it.
fn hand_over(mut offers: Offers) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let asker = offers.asked().await;
            let Some(successor) = asker.hand_over(&offers).await else { continue };
            if successor.confirm().await {
                return;
            }
        }
    })
}

/// A raw connection, as anybody could make it who may enter the folder.
fn raw(path: &Path) -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    connect(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    socket
}

async fn greets(listener: &TcpListener) {
    let (mut stream, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    stream.write_all(b"hello").await.unwrap();
}

async fn is_greeted(mut client: TcpStream) {
    let mut text = String::new();
    timeout(SOON, client.read_to_string(&mut text)).await.unwrap().unwrap();
    assert_eq!(text, "hello");
}

#[tokio::test]
async fn who_waits_in_front_of_a_socket_is_served_by_the_successor() {
    let place = Place::make();
    let mut doors = Doors::from(&place.path()).await.unwrap();
    let listener = doors.listen(&LINE, anywhere()).unwrap();
    let unwanted = doors.listen(&HTTPS, anywhere()).unwrap().local_addr().unwrap();
    let udp = doors.udp(&DNS, anywhere()).unwrap();
    let (address, asked_at) = (listener.local_addr().unwrap(), udp.local_addr().unwrap());
    let handing = hand_over(doors.complete().unwrap().1.unwrap());

    let waiting = TcpStream::connect(address).await.unwrap();
    let asking = UdpSocket::bind(anywhere()).await.unwrap();
    asking.send_to(b"question", asked_at).await.unwrap();

    let mut doors = Doors::from(&place.path()).await.unwrap();
    let taken = doors.listen(&LINE, address).unwrap();
    let taken_udp = doors.udp(&DNS, asked_at).unwrap();
    let (predecessor, offers) = doors.complete().unwrap();
    predecessor.unwrap().replace().await.unwrap();
    timeout(SOON, handing).await.unwrap().unwrap();
    drop((listener, udp));

    greets(&taken).await;
    is_greeted(waiting).await;
    let drain = net::drain::Drain::new();
    let echo = |question: &[u8], _: &Sender, answer: &mut Vec<u8>| {
        answer.clear();
        answer.extend_from_slice(question);
        true
    };
    drain.spawn(taken_udp.serve(512, drain.clone(), echo, |_| {}));
    let mut answer = [0; 16];
    let length = timeout(SOON, asking.recv(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer[..length], b"question");
    assert!(TcpStream::connect(unwanted).await.is_err(), "nobody wanted it, so it is closed");

    // And the next one comes to the same place.
    let handing = hand_over(offers.unwrap());
    let mut doors = Doors::from(&place.path()).await.unwrap();
    let third = doors.listen(&LINE, anywhere()).unwrap();
    assert_eq!(third.local_addr().unwrap(), address, "any port means that of the predecessor");
    doors.complete().unwrap().0.unwrap().replace().await.unwrap();
    timeout(SOON, handing).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_successor_that_goes_away_changes_nothing() {
    let place = Place::make();
    let (listener, offers) = running(&place.path()).await;
    let address = listener.local_addr().unwrap();
    let handing = hand_over(offers);
    for _ in 0..3 {
        let mut doors = Doors::from(&place.path()).await.unwrap();
        let taken = doors.listen(&LINE, address).unwrap();
        drop((taken, doors.complete().unwrap()));
        let client = TcpStream::connect(address).await.unwrap();
        greets(&listener).await;
        is_greeted(client).await;
        assert!(!handing.is_finished());
    }
}

#[tokio::test]
async fn a_predecessor_that_dies_meanwhile_is_replaced_all_the_same() {
    let place = Place::make();
    let (listener, offers) = running(&place.path()).await;
    let address = listener.local_addr().unwrap();
    let handing = hand_over(offers);
    let mut doors = Doors::from(&place.path()).await.unwrap();
    let taken = doors.listen(&LINE, address).unwrap();
    let (predecessor, _offers) = doors.complete().unwrap();
    handing.abort();
    drop(listener);
    assert!(handing.await.unwrap_err().is_cancelled());
    let client = TcpStream::connect(address).await.unwrap();
    predecessor.unwrap().replace().await.unwrap();
    greets(&taken).await;
    is_greeted(client).await;
}

#[tokio::test]
async fn garbage_and_a_crowd_that_says_nothing_keep_nobody_from_it() {
    let place = Place::make();
    let path = place.path();
    let (_listener, offers) = running(&path).await;
    let handing = hand_over(offers);
    let mut crowd = Vec::new();
    for number in 0..1_000 {
        let path = path.clone();
        // Where too many wait already, the system holds them up.
        let socket = tokio::task::spawn_blocking(move || raw(&path)).await.unwrap();
        let garbage: &[&[u8]] = &[b"", b"ready", b"socket line", &[0xff; 4_096]];
        if let Some(garbage) = garbage.get(number % 8) {
            // It may be closed already.
            let _ = send(&socket, garbage, SendFlags::NOSIGNAL);
        }
        crowd.push(socket);
    }
    let doors = timeout(SOON, Doors::from(&path)).await.unwrap().unwrap();
    doors.complete().unwrap().0.unwrap().replace().await.unwrap();
    timeout(SOON, handing).await.unwrap().unwrap();
    drop(crowd);
}

#[tokio::test]
async fn a_socket_that_nobody_listens_at_any_more_is_replaced() {
    let place = Place::make();
    drop(running(&place.path()).await);
    assert!(place.path().exists());
    let (_listener, offers) = running(&place.path()).await;
    let mode = std::fs::metadata(place.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(offers);
}

#[tokio::test]
async fn two_that_start_at_once_do_not_push_one_another_out() {
    let place = Place::make();
    let (first, second) = (Doors::from(&place.path()).await, Doors::from(&place.path()).await);
    let (_, _offers) = first.unwrap().complete().unwrap();
    let refused = second.unwrap().complete();
    assert!(matches!(refused, Err(HandoverError::Occupied)), "{refused:?}");
}

#[tokio::test]
async fn a_place_that_is_not_this_users_alone_is_refused() {
    let place = Place::make();
    set_permissions(place.folder(), Permissions::from_mode(0o750)).unwrap();
    let refused = Doors::from(&place.path()).await;
    assert!(matches!(refused, Err(HandoverError::Folder)), "{refused:?}");
    let missing = Doors::from(&place.folder().join("missing/handover")).await;
    assert!(matches!(missing, Err(HandoverError::Io(_))), "{missing:?}");
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let place = Place::make();
    std::fs::write(place.path(), "mine").unwrap();
    let refused = Doors::from(&place.path()).await.unwrap().complete();
    assert!(matches!(refused, Err(HandoverError::NoSocket)), "{refused:?}");
    assert_eq!(std::fs::read_to_string(place.path()).unwrap(), "mine");
}

#[tokio::test]
async fn who_listens_there_and_hands_nothing_over_is_an_error_in_time() {
    let place = Place::make();
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(place.path()).unwrap()).unwrap();
    rustix::net::listen(&socket, 8).unwrap();
    let asked = tokio::spawn({
        let path = place.path();
        async move { Doors::from(&path).await }
    });
    let listener = std::os::unix::net::UnixListener::from(socket);
    let listener = tokio::net::UnixListener::from_std(listener).unwrap();
    let (stream, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    send(&stream, b"what do you want?", SendFlags::NOSIGNAL).unwrap();
    let refused = timeout(SOON, asked).await.unwrap().unwrap();
    assert!(matches!(refused, Err(HandoverError::NotGiven)), "{refused:?}");
}
