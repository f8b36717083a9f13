//! A client of the line protocol on tokio: fifty of them must cost less than what they measure.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// One connection; answers are small enough for one read.
pub struct Client {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects and reads the prompt.
    pub async fn connect(address: &str, config: &Arc<ClientConfig>) -> Self {
        let (host, _) = address.split_once(':').expect("host:port");
        let name = ServerName::try_from(host.to_owned()).expect("a host name");
        let tcp = TcpStream::connect(address).await.expect("the server listens");
        tcp.set_nodelay(true).expect("a TCP socket");
        let connector = TlsConnector::from(Arc::clone(config));
        let mut stream = connector.connect(name, tcp).await.expect("its certificate is good");
        let mut prompt = [0; 1];
        stream.read_exact(&mut prompt).await.expect("a prompt");
        assert_eq!(&prompt, b"@");
        Self { stream, buffer: vec![0; 16 * 1024] }
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
        self.stream.write_all(command.as_bytes()).await.expect("the connection holds");
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.expect("an answer");
            assert_ne!(read, 0, "the server closed the connection");
            filled += read;
            if let Some(end) = self.buffer[..filled].iter().position(|byte| *byte == b'\n') {
                return String::from_utf8_lossy(&self.buffer[..end]).into_owned();
            }
        }
    }
}
