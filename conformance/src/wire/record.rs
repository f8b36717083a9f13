//! TLS seen record by record: what arrives together is part of the protocol.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Type, version and length of a record.
const HEADER_BYTES: usize = 5;

/// What one look at the connection gives.
#[derive(Debug, PartialEq, Eq)]
pub enum Record {
    /// The data of one record.
    Data(Vec<u8>),
    /// The other side has closed.
    End,
}

/// A TLS connection that is fed one record at a time.
pub struct Wire {
    tcp: TcpStream,
    tls: ClientConnection,
    raw: Vec<u8>,
}

impl Wire {
    /// Connects and shakes hands; `host` is the name that the certificate must have.
    ///
    /// # Errors
    /// Where the network or TLS fails.
    pub async fn connect(host: &str, port: u16, config: Arc<ClientConfig>) -> io::Result<Self> {
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        tls.set_buffer_limit(None);
        let mut wire = Self { tcp, tls, raw: Vec::new() };
        wire.flush().await?;
        while wire.tls.is_handshaking() {
            if !wire.take_record().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(wire)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Where the network fails.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tls.writer().write_all(bytes)?;
        self.flush().await
    }

    /// The next record with data. May be abandoned at any time without losing any.
    ///
    /// # Errors
    /// Where the network or TLS fails; an end without TLS's farewell is [`Record::End`].
    pub async fn record(&mut self) -> io::Result<Record> {
        loop {
            let mut data = Vec::new();
            match self.tls.reader().read_to_end(&mut data) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(error),
                Ok(_) if data.is_empty() => return Ok(Record::End),
                Ok(_) => {}
            }
            if !data.is_empty() {
                return Ok(Record::Data(data));
            }
            match self.take_record().await {
                Ok(true) => {}
                Ok(false) => return Ok(Record::End),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(Record::End);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives TLS the next record of the network; false at the end.
    async fn take_record(&mut self) -> io::Result<bool> {
        let length = loop {
            if let Some(length) = self.record_length() {
                break length;
            }
            if self.tcp.read_buf(&mut self.raw).await? == 0 {
                return Ok(false);
            }
        };
        let mut record = self.raw.get(..length).unwrap_or_default();
        while !record.is_empty() {
            self.tls.read_tls(&mut record)?;
        }
        self.raw.drain(..length);
        let processed = self.tls.process_new_packets();
        self.flush().await?;
        processed.map_err(io::Error::other)?;
        Ok(true)
    }

    /// The length of the first record, once it has arrived whole.
    fn record_length(&self) -> Option<usize> {
        let header = self.raw.get(..HEADER_BYTES)?;
        let length = HEADER_BYTES + usize::from(u16::from_be_bytes([header[3], header[4]]));
        (self.raw.len() >= length).then_some(length)
    }

    async fn flush(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes)?;
        }
        self.tcp.write_all(&bytes).await
    }
}
