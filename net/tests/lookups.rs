//! The directory's client against directories that answer, stumble and lie.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{LIMITS, SOON, World, at, listener};
use net::accept::serve_tls;
use net::dial::{DialPolicy, Dialer};
use net::drain::Drain;
use net::line_conn::{LineConn, ReadEnd};
use net::lookup::{DirectoryClient, LookupError};
use net::tls::{ClientTls, TrustRoots};
use protocol::{Address, AtSign};

struct Pretended {
    world: World,
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

/// A directory that gives its n-th connection the n-th answer, and the last one to all after it.
/// An empty answer is a close.
async fn pretend(answers: &'static [&'static [u8]]) -> Pretended {
    let (world, (listener, address)) = (World::new(), listener().await);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let handler = move |stream, _| {
        let turn = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        async move {
            let mut conn = LineConn::new(stream, 255);
            conn.write_record(b"@").await.unwrap();
            let line = conn.read_line(Some(SOON)).await.unwrap();
            assert_eq!(line, b"alice", "without the @ and in lower case");
            if answers[turn].is_empty() {
                return conn.close().await;
            }
            if conn.write_record(answers[turn]).await.is_ok() {
                let end = conn.read_line(Some(SOON)).await;
                assert!(matches!(end, Ok(_) | Err(ReadEnd::Closed | ReadEnd::Io(_))), "{end:?}");
            }
        }
    };
    tokio::spawn(serve_tls(listener, world.server_tls(), LIMITS, Drain::new(), handler));
    Pretended { world, address, asked }
}

impl Pretended {
    fn client(&self) -> DirectoryClient {
        DirectoryClient::new(at("localhost", self.address), self.world.dialer())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn alice() -> AtSign {
    AtSign::parse("@Alice").unwrap()
}

fn home() -> Option<Address> {
    Some(Address::parse("home.example:25000").unwrap())
}

#[tokio::test]
async fn an_address_is_found_and_remembered_until_it_is_called_wrong() {
    let directory = pretend(&[b"home.example:25000\r\n@", b"new.example:1\r\n@"]).await;
    let client = directory.client();
    assert_eq!(client.resolve(&alice()).await.unwrap(), home());
    assert_eq!(client.resolve(&alice()).await.unwrap(), home());
    assert_eq!(directory.asked(), 1);
    client.invalidate(&alice());
    let moved = client.resolve(&alice()).await.unwrap();
    assert_eq!(moved, Some(Address::parse("new.example:1").unwrap()));
    assert_eq!(directory.asked(), 2);
}

#[tokio::test]
async fn an_unknown_name_is_asked_for_again_each_time() {
    let directory = pretend(&[b"null\r\n@", b"null\n@", b"home.example:25000\n@"]).await;
    let client = directory.client();
    assert_eq!(client.resolve(&alice()).await.unwrap(), None);
    assert_eq!(client.resolve(&alice()).await.unwrap(), None);
    assert_eq!(client.resolve(&alice()).await.unwrap(), home());
}

#[tokio::test]
async fn a_directory_that_closes_is_asked_again_and_never_taken_for_a_no() {
    let directory = pretend(&[b"", b"", b"home.example:25000\r\n@"]).await;
    assert_eq!(directory.client().resolve(&alice()).await.unwrap(), home());
    let silent = pretend(&[b""]).await;
    let refused = silent.client().resolve(&alice()).await;
    assert!(matches!(refused, Err(LookupError::Closed)), "{refused:?}");
    assert_eq!(silent.asked(), 5, "once, and after each of four pauses");
}

#[tokio::test]
async fn answers_that_are_none_are_refused() {
    let endless = &[b'x'; 4096];
    for lie in [&b"hello\r\n@"[..], b"host:0\r\n@", b"a:b:c\r\n@", b"\xff\r\n@", endless] {
        let directory = pretend(Box::leak(Box::new([lie]))).await;
        let refused = directory.client().resolve(&alice()).await;
        assert!(matches!(refused, Err(LookupError::Malformed)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_unreachable() {
    let world = World::new();
    let (gone, address) = listener().await;
    drop(gone);
    let client = DirectoryClient::new(at("localhost", address), world.dialer());
    let refused = client.resolve(&alice()).await;
    assert!(matches!(refused, Err(LookupError::Unreachable(_))), "{refused:?}");
}

#[tokio::test]
async fn a_name_that_the_directory_does_not_know_is_asked_of_the_others_in_their_order() {
    let own = pretend(&[b"null\r\n@", b"own.example:1\r\n@"]).await;
    let further = [pretend(&[b"null\r\n@"]).await, pretend(&[b"b.example:2\r\n@"]).await];
    let peers = further.iter().map(|peer| at("localhost", peer.address)).collect();
    let roots =
        [&own, &further[0], &further[1]].map(|one| one.world.authority.pem_file().to_owned());
    let client =
        DirectoryClient::new(at("localhost", own.address), dialer(&roots)).with_peers(peers);
    let there = Address::parse("b.example:2").unwrap();
    assert_eq!(client.resolve(&alice()).await.unwrap(), Some(there));
    assert_eq!((own.asked(), further[0].asked(), further[1].asked()), (1, 1, 1));
    client.invalidate(&alice());
    let here = Address::parse("own.example:1").unwrap();
    assert_eq!(client.resolve(&alice()).await.unwrap(), Some(here), "its own comes first");
    assert_eq!(further[0].asked(), 1);
}

#[tokio::test]
async fn without_an_answer_from_one_of_them_a_name_is_not_unknown() {
    let own = pretend(&[b"null\r\n@"]).await;
    let further = [pretend(&[b"nonsense\r\n@"]).await, pretend(&[b"null\r\n@"]).await];
    let peers = further.iter().map(|peer| at("localhost", peer.address)).collect();
    let roots =
        [&own, &further[0], &further[1]].map(|one| one.world.authority.pem_file().to_owned());
    let client =
        DirectoryClient::new(at("localhost", own.address), dialer(&roots)).with_peers(peers);
    let refused = client.resolve(&alice()).await;
    assert!(matches!(refused, Err(LookupError::Malformed)), "{refused:?}");
    assert_eq!(further[1].asked(), 1, "nobody is left out");
}

/// A dialer that trusts all of these.
fn dialer(roots: &[PathBuf]) -> Dialer {
    let roots = TrustRoots::from_pem_files(roots.iter().map(PathBuf::as_path)).unwrap();
    Dialer::new(ClientTls::new(&roots, None).unwrap(), DialPolicy::Any, SOON)
}
