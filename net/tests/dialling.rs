//! Outgoing connections: whose certificate is good for which name, and who may be called.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{LIMITS, SOON, World, at, listener};
use net::accept::serve_tls;
use net::dial::{DialError, DialPolicy, Dialer};
use net::drain::Drain;
use net::tls::ServerTls;
use protocol::Address;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

/// A server that says `@` and shows a certificate for these names.
async fn server(world: &World, names: &[&str]) -> SocketAddr {
    let (listener, address) = listener().await;
    let tls = ServerTls::new(&world.material(names)).unwrap();
    tokio::spawn(serve_tls(listener, tls, LIMITS, Drain::new(), |stream, _| async {
        let mut conn = net::line_conn::LineConn::new(stream, 10);
        if conn.write_record(b"@").await.is_ok() {
            drop(conn.read_line(Some(SOON)).await);
        }
    }));
    address
}

#[tokio::test]
async fn a_server_is_reached_by_its_name_and_by_its_address() {
    let world = World::new();
    let address = server(&world, &["localhost", "127.0.0.1"]).await;
    for host in ["localhost", "127.0.0.1"] {
        let mut stream = world.dialer().dial(&at(host, address)).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'@', "{host}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let world = World::new();
    for names in [&["other.example"][..], &["xlocalhost"], &["localhost.example"], &["127.0.0.2"]] {
        let address = server(&world, names).await;
        for host in ["localhost", "127.0.0.1"] {
            let refused = world.dialer().dial(&at(host, address)).await;
            assert!(matches!(refused, Err(DialError::Tls { .. })), "{host} {names:?}");
        }
    }
}

#[tokio::test]
async fn a_certificate_of_a_foreign_ca_is_refused() {
    let (world, foreign) = (World::new(), World::new());
    let address = server(&foreign, &["localhost"]).await;
    let refused = world.dialer().dial(&at("localhost", address)).await;
    assert!(matches!(refused, Err(DialError::Tls { .. })));
}

#[tokio::test]
async fn a_private_address_is_not_called_where_only_public_ones_may_be() {
    let world = World::new();
    let address = server(&world, &["localhost", "127.0.0.1"]).await;
    let dialer = Dialer::new(world.client_tls(), DialPolicy::PublicOnly, SOON);
    for host in ["localhost", "127.0.0.1"] {
        let refused = dialer.dial(&at(host, address)).await.unwrap_err();
        assert!(matches!(refused, DialError::Forbidden(_)), "{host}: {refused}");
        assert!(!refused.may_pass());
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_at_the_deadline() {
    let world = World::new();
    let (_silent, address) = listener().await;
    let deadline = Duration::from_millis(200);
    let dialer = Dialer::new(world.client_tls(), DialPolicy::Any, deadline);
    let began = Instant::now();
    let late = dialer.dial(&at("localhost", address)).await;
    assert!(matches!(late, Err(DialError::Deadline(_))), "{late:?}");
    assert!(began.elapsed() < SOON);
}

#[tokio::test]
async fn nobody_listening_and_nobody_there_are_told_apart() {
    let world = World::new();
    let (gone, address) = listener().await;
    drop(gone);
    let nobody = world.dialer().dial(&at("localhost", address)).await;
    assert!(matches!(nobody, Err(DialError::Connect { .. })), "{nobody:?}");
    let nowhere = Address::parse("no-such-host.invalid:1").unwrap();
    let unknown = world.dialer().dial(&nowhere).await;
    assert!(matches!(unknown, Err(DialError::Resolve { .. })), "{unknown:?}");
}
