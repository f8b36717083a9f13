//! A client of a line protocol on tokio: fifty of them must cost less than what they measure.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The longest answer.
const BUFFER_BYTES: usize = 16 * 1024;

/// One connection; answers are small enough for one read.
pub struct Client {
    stream: TlsStream<tokio::net::TcpStream>,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects and reads the prompt.
    pub async fn connect(address: &str, config: &Arc<ClientConfig>) -> Self {
        Self::connect_from(Ipv4Addr::LOCALHOST, address, config).await.expect("the server listens")
    }

    /// The same from an address of this machine: a server limits the connections of each.
    ///
    /// # Errors
    /// Where the server does not take the connection.
    pub async fn connect_from(
        source: Ipv4Addr,
        address: &str,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let mut client = Self::silent(source, address, config).await?;
        let mut prompt = [0; 1];
        client.stream.read_exact(&mut prompt).await?;
        assert_eq!(&prompt, b"@");
        // An idle connection shall cost this process little.
        client.buffer = Vec::new();
        Ok(client)
    }

    /// Connects to a server that does not greet.
    ///
    /// # Errors
    /// Where the server does not take the connection.
    pub async fn silent(
        source: Ipv4Addr,
        address: &str,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let (host, _) = address.split_once(':').expect("host:port");
        let name = ServerName::try_from(host.to_owned()).expect("a host name");
        let target = lookup_host(address).await?.find(std::net::SocketAddr::is_ipv4);
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        let tcp = socket.connect(target.ok_or(io::ErrorKind::AddrNotAvailable)?).await?;
        tcp.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::clone(config));
        Ok(Self { stream: connector.connect(name, tcp).await?, buffer: Vec::new() })
    }

    /// Connects and authenticates as the owner.
    pub async fn owner(
        address: &str,
        config: &Arc<ClientConfig>,
        name: &str,
        secret: &str,
    ) -> Self {
        let mut client = Self::connect(address, config).await;
        let challenge = client.ask(&format!("from:{name}\n")).await;
        let challenge = challenge.strip_prefix("data:").expect("a challenge").to_owned();
        let cram = format!("cram:{}\n", testkit::cram_digest(secret, &challenge));
        assert_eq!(client.ask(&cram).await, "data:success");
        client
    }

    /// Sends a command, its line end included, and returns the answer's first line.
    pub async fn ask(&mut self, command: &str) -> String {
        self.ask_lines(command, 1).await
    }

    /// Sends a command whose answer has so many lines, and returns the first.
    pub async fn ask_lines(&mut self, command: &str, lines: usize) -> String {
        self.send(command).await;
        self.lines(lines).await
    }

    /// Sends without waiting for anything.
    pub async fn send(&mut self, command: &str) {
        self.stream.write_all(command.as_bytes()).await.expect("the connection holds");
    }

    /// Reads until so many lines have come, and returns the first. What comes in the same read
    /// behind them is a prompt.
    pub async fn lines(&mut self, lines: usize) -> String {
        self.buffer.resize(BUFFER_BYTES, 0);
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.expect("an answer");
            assert_ne!(read, 0, "the server closed the connection");
            filled += read;
            let come = &self.buffer[..filled];
            if come.iter().filter(|byte| **byte == b'\n').count() >= lines {
                let end = come.iter().position(|byte| *byte == b'\n').expect("it was counted");
                return String::from_utf8_lossy(&come[..end]).trim_end().to_owned();
            }
        }
    }
}
