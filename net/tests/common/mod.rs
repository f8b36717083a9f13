//! A private CA in a temporary folder, and both ends of loopback connections.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use net::dial::{DialPolicy, Dialer};
use net::gate::AcceptLimits;
use net::tls::{CertificateAuthority, ClientTls, ServerTls, SubjectName, TlsMaterial, TrustRoots};
use protocol::{Address, HostName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

pub const SOON: Duration = Duration::from_secs(5);

pub const LIMITS: AcceptLimits = AcceptLimits {
    connections_max: 100,
    handshakes_max: 10,
    per_address_max: 100,
    handshake_deadline: SOON,
};

pub struct World {
    pub folder: tempfile::TempDir,
    pub authority: CertificateAuthority,
    pub roots: TrustRoots,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::load_or_create(folder.path()).unwrap();
        let roots = TrustRoots::from_pem_file(authority.pem_file()).unwrap();
        Self { folder, authority, roots }
    }

    pub fn material(&self, hosts: &[&str]) -> TlsMaterial {
        let subject = |h: &&str| SubjectName::from(HostName::parse(h).unwrap());
        self.authority.issue(&hosts.iter().map(subject).collect::<Vec<_>>()).unwrap()
    }

    pub fn server_tls(&self) -> ServerTls {
        ServerTls::new(&self.material(&["localhost", "127.0.0.1"])).unwrap()
    }

    pub fn client_tls(&self) -> ClientTls {
        ClientTls::new(&self.roots, None).unwrap()
    }

    pub fn dialer(&self) -> Dialer {
        Dialer::new(self.client_tls(), DialPolicy::Any, SOON)
    }

    /// A client of the TLS library's own, without anything of ours.
    pub fn plain_client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.root_store())
            .with_no_client_auth()
    }

    pub fn root_store(&self) -> RootCertStore {
        use rustls_pki_types::pem::PemObject;
        let mut store = RootCertStore::empty();
        let ca = rustls_pki_types::CertificateDer::from_pem_file(self.authority.pem_file());
        store.add(ca.unwrap()).unwrap();
        store
    }
}

pub async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Both ends of a fresh TCP connection.
pub async fn tcp_pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listener().await;
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

pub fn at(host: &str, address: SocketAddr) -> Address {
    Address::parse(&format!("{host}:{}", address.port())).unwrap()
}

pub async fn connect_with(
    config: ClientConfig,
    stream: TcpStream,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
