//! A client of the line protocol that knows nothing but the protocol.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sha2::{Digest, Sha512};

use crate::PATIENCE;

/// TLS that trusts one PEM file.
pub fn client_config(ca_file: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// A blocking client of the line protocol.
pub struct LineClient {
    stream: StreamOwned<ClientConnection, TcpStream>,
    buffer: Vec<u8>,
}

impl LineClient {
    /// Connects, trusting one authority, and reads the prompt.
    pub fn connect(address: &str, ca_file: &Path) -> std::io::Result<Self> {
        Self::connect_with(address, client_config(ca_file))
    }

    /// Connects and reads the prompt.
    pub fn connect_with(address: &str, config: Arc<ClientConfig>) -> std::io::Result<Self> {
        Self::connect_within(address, config, PATIENCE)
    }

    /// The same, which gives up after so long for the connection, and for each answer.
    pub fn connect_within(
        address: &str,
        config: Arc<ClientConfig>,
        patience: Duration,
    ) -> std::io::Result<Self> {
        let (host, port) = address.split_once(':').unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        // This machine, though not every resolver knows.
        let called = if host.ends_with(".localhost") { "localhost" } else { host };
        let target = format!("{called}:{port}").to_socket_addrs()?.next();
        let target = target.ok_or(std::io::ErrorKind::AddrNotAvailable)?;
        let tcp = TcpStream::connect_timeout(&target, patience)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(patience))?;
        let connection = ClientConnection::new(config, name).map_err(std::io::Error::other)?;
        let mut client = Self { stream: StreamOwned::new(connection, tcp), buffer: Vec::new() };
        let mut prompt = [0; 1];
        client.stream.read_exact(&mut prompt)?;
        match &prompt {
            b"@" => Ok(client),
            _ => Err(std::io::Error::other("the server refuses the connection")),
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, line: &str) -> std::io::Result<()> {
        self.stream.write_all(line.as_bytes())?;
        self.stream.flush()
    }

    /// Sends one command and returns its answer without line end and prompt.
    pub fn try_ask(&mut self, command: &str) -> std::io::Result<String> {
        self.send(&format!("{command}\n"))?;
        self.read_line()
    }

    /// As [`try_ask`](Self::try_ask); a broken connection fails the test.
    pub fn ask(&mut self, command: &str) -> String {
        self.try_ask(command).unwrap()
    }

    /// Reads to the next line end. The prompt of the answer before stands in front, and is cut.
    ///
    /// # Errors
    /// Where the connection breaks.
    pub fn read_line(&mut self) -> std::io::Result<String> {
        let mut seen = 0;
        loop {
            let end = self.buffer[seen..].iter().position(|byte| *byte == b'\n');
            if let Some(end) = end.map(|end| seen + end) {
                let rest = self.buffer.split_off(end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                let line = String::from_utf8_lossy(&line[..end]).into_owned();
                return Ok(without_prompt(&line).to_owned());
            }
            seen = self.buffer.len();
            let mut chunk = [0; 16 * 1024];
            let read = self.stream.read(&mut chunk)?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer.extend_from_slice(&chunk[..read]);
        }
    }

    /// Authenticates as the owner with her activation secret.
    pub fn cram(&mut self, name: &str, secret: &str) {
        self.try_cram(name, secret).unwrap();
    }

    /// Fails where the connection does; a refusal is a failure of the test.
    pub fn try_cram(&mut self, name: &str, secret: &str) -> std::io::Result<()> {
        let challenge = self.try_ask(&format!("from:{name}"))?;
        let challenge = challenge.strip_prefix("data:").unwrap();
        let digest = cram_digest(secret, challenge);
        assert_eq!(self.try_ask(&format!("cram:{digest}"))?, "data:success");
        Ok(())
    }
}

/// What `cram:` proves the knowledge of the secret with.
pub fn cram_digest(secret: &str, challenge: &str) -> String {
    let digest = Sha512::digest(format!("{secret}{challenge}").as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn without_prompt(line: &str) -> &str {
    let starts = ["data:", "error:", "notification:"].map(|word| line.find(word));
    match starts.into_iter().flatten().min() {
        Some(start) if line.starts_with('@') => &line[start..],
        _ => line,
    }
}
