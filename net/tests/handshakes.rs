//! Handshakes on real sockets: who gets in, what it proves, and what takes too long.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{SOON, World, connect_with, tcp_pair};
use net::handshake::{self, HandshakeError};
use net::tls::{ClientTls, ServerTls};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

#[tokio::test]
async fn s054_clients_of_tls_1_2_only_and_of_1_3_only_are_served() {
    let world = World::new();
    let tls = world.server_tls();
    for (version, expected) in
        [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        let (client, server) = tcp_pair().await;
        let config = world.plain_client(&[version]);
        let (client, server) =
            tokio::join!(connect_with(config, client), handshake::accept(server, &tls, SOON));
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        assert_eq!(server.get_ref().1.protocol_version(), Some(expected));
        assert!(handshake::peer_certificates(&server).is_empty());
        server.write_all(b"@").await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'@');
        assert_eq!(client.get_ref().1.tls13_tickets_received(), 0);
        assert!(server.get_ref().0.tcp().unwrap().nodelay().unwrap());
    }
}

#[tokio::test]
async fn a_client_certificate_of_our_ca_is_proof_of_its_host() {
    let world = World::new();
    for version in [&TLS12, &TLS13] {
        let peer = present(&world, &world, "peer.example", version).await.unwrap();
        let verified = world.roots.verify_client(&peer).unwrap();
        assert!(verified.is_host(&protocol::HostName::parse("peer.example").unwrap()));
    }
}

#[tokio::test]
async fn a_client_certificate_of_a_foreign_ca_gets_in_and_proves_nothing() {
    let (world, foreign) = (World::new(), World::new());
    for version in [&TLS12, &TLS13] {
        let peer = present(&world, &foreign, "peer.example", version).await.unwrap();
        assert_eq!(peer.len(), 2, "it was shown");
        assert!(world.roots.verify_client(&peer).is_none());
    }
}

#[tokio::test]
async fn a_client_that_shows_a_certificate_without_holding_its_key_is_not_let_in() {
    let world = World::new();
    for version in [&TLS12, &TLS13] {
        let shown = world.material(&["peer.example"]).chain().to_vec();
        let key = PrivateKeyDer::Pkcs8(rcgen::KeyPair::generate().unwrap().serialize_der().into());
        let outcome = present_pair(&world, shown, key, version).await;
        assert!(matches!(outcome, Err(HandshakeError::Tls(_))), "{outcome:?}");
    }
}

/// What the server sees of a client that shows a certificate of `issuer`.
async fn present(
    world: &World,
    issuer: &World,
    host: &str,
    version: &'static rustls::SupportedProtocolVersion,
) -> Result<Vec<CertificateDer<'static>>, HandshakeError> {
    let key = rcgen::KeyPair::generate().unwrap();
    let ca_key = std::fs::read(issuer.folder.path().join("ca.key")).unwrap();
    let ca_key = PrivateKeyDer::from_pem_slice(&ca_key).unwrap();
    let ca_key = rcgen::KeyPair::try_from(&ca_key).unwrap();
    let chain = issuer.material(&[host]).chain().to_vec();
    let issuer_name = {
        use x509_parser::prelude::*;
        let (_, ca) = X509Certificate::from_der(&chain[1]).unwrap();
        ca.subject().iter_common_name().next().unwrap().as_str().unwrap().to_owned()
    };
    let mut ca = rcgen::CertificateParams::default();
    ca.distinguished_name = rcgen::DistinguishedName::new();
    ca.distinguished_name.push(rcgen::DnType::CommonName, issuer_name);
    let leaf = rcgen::CertificateParams::new([host.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &rcgen::Issuer::new(ca, ca_key)).unwrap();
    let shown = vec![leaf.der().clone(), chain[1].clone()];
    present_pair(world, shown, PrivateKeyDer::Pkcs8(key.serialize_der().into()), version).await
}

async fn present_pair(
    world: &World,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    version: &'static rustls::SupportedProtocolVersion,
) -> Result<Vec<CertificateDer<'static>>, HandshakeError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = provider.key_provider.load_private_key(key).unwrap();
    let pair = rustls::sign::CertifiedKey::new(chain, key);
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(world.root_store())
        .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair)));
    let tls = world.server_tls();
    let (client, server) = tcp_pair().await;
    let (_client, server) =
        tokio::join!(connect_with(config, client), handshake::accept(server, &tls, SOON));
    server.map(|stream| handshake::peer_certificates(&stream).to_vec())
}

#[tokio::test]
async fn s053_certificates_are_replaced_while_connections_live() {
    let world = World::new();
    let tls = world.server_tls();
    let (client, server) = tcp_pair().await;
    let config = world.plain_client(&[&TLS13]);
    let (client, server) =
        tokio::join!(connect_with(config, client), handshake::accept(server, &tls, SOON));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    let old = client.get_ref().1.peer_certificates().unwrap()[0].clone();

    let new = world.material(&["localhost", "new.example"]);
    tls.clone().reload(&new);
    server.write_all(b"still here").await.unwrap();
    server.flush().await.unwrap();
    let mut text = [0; 10];
    client.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"still here");

    let (second, server) = tcp_pair().await;
    let config = world.plain_client(&[&TLS13]);
    let (second, _server) =
        tokio::join!(connect_with(config, second), handshake::accept(server, &tls, SOON));
    let shown = second.unwrap().get_ref().1.peer_certificates().unwrap()[0].clone();
    assert_eq!(shown, new.chain()[0]);
    assert_ne!(shown, old);
}

#[tokio::test]
async fn a_replaced_client_certificate_is_shown_from_the_next_call_on() {
    let world = World::new();
    let server_tls = world.server_tls();
    let client_tls = ClientTls::new(&world.roots, Some(&world.material(&["old.example"]))).unwrap();
    let new = world.material(&["new.example"]);
    client_tls.reload(&new);
    let (listener, address) = common::listener().await;
    let dialer = net::dial::Dialer::new(client_tls, net::dial::DialPolicy::Any, SOON);
    let target = common::at("localhost", address);
    let (client, server) = tokio::join!(dialer.dial(&target), async {
        handshake::accept(listener.accept().await.unwrap().0, &server_tls, SOON).await.unwrap()
    });
    client.unwrap();
    assert_eq!(handshake::peer_certificates(&server)[0], new.chain()[0]);
}

#[tokio::test]
async fn garbage_instead_of_tls_is_refused_at_once() {
    let world = World::new();
    let tls = world.server_tls();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"from:@alice\n", &[0xff; 600], &[0x16, 3, 1]] {
        let (mut client, server) = tcp_pair().await;
        client.write_all(garbage).await.unwrap();
        client.shutdown().await.unwrap();
        let outcome = handshake::accept(server, &tls, SOON).await;
        let expected = garbage.len() > 3;
        assert!(
            matches!(&outcome, Err(HandshakeError::Tls(_)) if expected)
                || matches!(&outcome, Err(HandshakeError::Closed) if !expected),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_is_dropped_at_the_deadline() {
    let world = World::new();
    let tls = world.server_tls();
    let (mut client, server) = tcp_pair().await;
    let outcome = handshake::accept(server, &tls, Duration::from_millis(100)).await;
    assert!(matches!(outcome, Err(HandshakeError::Deadline)));
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0, "the socket is closed");
}

#[tokio::test]
async fn a_handshake_that_stops_half_way_is_dropped_at_the_deadline() {
    let world = World::new();
    let tls = world.server_tls();
    let (mut client, server) = tcp_pair().await;
    let mut hello = Vec::new();
    let name = ServerName::try_from("localhost").unwrap();
    let config = Arc::new(world.plain_client(&[&TLS13]));
    let mut connection = rustls::ClientConnection::new(config, name).unwrap();
    connection.write_tls(&mut hello).unwrap();
    client.write_all(&hello).await.unwrap();
    let outcome = handshake::accept(server, &tls, Duration::from_millis(200)).await;
    assert!(matches!(outcome, Err(HandshakeError::Deadline)), "{outcome:?}");
}

#[tokio::test]
async fn a_client_that_distrusts_us_counts_as_a_tls_failure() {
    let (world, other) = (World::new(), World::new());
    let tls = world.server_tls();
    let (client, server) = tcp_pair().await;
    let connector = TlsConnector::from(Arc::new(other.plain_client(&[&TLS13])));
    let name = ServerName::try_from("localhost").unwrap();
    let (client, server) =
        tokio::join!(connector.connect(name, client), handshake::accept(server, &tls, SOON));
    assert!(client.is_err());
    assert!(matches!(server, Err(HandshakeError::Tls(_))), "{server:?}");
}

#[test]
fn server_settings_do_not_print_their_keys() {
    let world = World::new();
    let material = world.material(&["localhost"]);
    let tls = ServerTls::new(&material).unwrap();
    assert_eq!(format!("{tls:?} {material:?}"), "ServerTls TlsMaterial(2 certificates)");
}
