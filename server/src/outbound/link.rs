//! One connection to a peer's server: a line out, an answer in.

use std::time::Duration;

use net::dial::ClientStream;
use protocol::AtSign;
use protocol::peer::{PeerDecoder, PeerLine, PolChallenge};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::PeerError;

/// How much one read takes at most.
const READ_BYTES: usize = 8 * 1024;

pub(crate) struct Link {
    stream: ClientStream,
    decoder: PeerDecoder,
}

impl Link {
    /// Waits for the first prompt.
    pub(crate) async fn greeted(
        stream: ClientStream,
        deadline: Duration,
    ) -> Result<Self, PeerError> {
        let mut link = Self { stream, decoder: PeerDecoder::default() };
        let prompt = async {
            while !link.decoder.is_prompted() {
                link.read_more().await?;
            }
            Ok(())
        };
        timeout(deadline, prompt).await.unwrap_or(Err(PeerError::Timeout))?;
        Ok(link)
    }

    /// Asks one line; gives back the data of the answer. [`PeerError::Closed`] only where the
    /// connection had ended before.
    pub(crate) async fn ask(
        &mut self,
        line: &[u8],
        deadline: Duration,
    ) -> Result<String, PeerError> {
        match self.exchange(line, deadline).await? {
            PeerLine::Data(data) => Ok(data),
            PeerLine::Error { code, text } => Err(PeerError::refused(code, &text)),
            PeerLine::Prompt(_) | PeerLine::Malformed => Err(PeerError::Broken),
        }
    }

    /// Says who we are; gives back what we must sign.
    pub(crate) async fn challenge(
        &mut self,
        identity: &AtSign,
        deadline: Duration,
    ) -> Result<PolChallenge, PeerError> {
        let line = format!("from:{identity}\n");
        match self.exchange(line.as_bytes(), deadline).await? {
            PeerLine::Data(data) => PolChallenge::parse(&data)
                .filter(|challenge| challenge.name == *identity)
                .ok_or(PeerError::Handshake),
            _ => Err(PeerError::Handshake),
        }
    }

    /// Asks to be believed.
    pub(crate) async fn pol(
        &mut self,
        identity: &AtSign,
        deadline: Duration,
    ) -> Result<(), PeerError> {
        let proven = async {
            self.write(b"pol\n").await?;
            while !self.decoder.is_prompted_as(identity) {
                self.read_more().await?;
                if self.decoder.next_line().is_some() {
                    return Err(PeerError::Handshake);
                }
            }
            // Its prompt has no line end, and is not to stand in front of the next answer.
            self.decoder = PeerDecoder::default();
            Ok(())
        };
        timeout(deadline, proven).await.unwrap_or(Err(PeerError::Timeout))
    }

    async fn exchange(&mut self, line: &[u8], deadline: Duration) -> Result<PeerLine, PeerError> {
        let answer = async {
            self.write(line).await?;
            let mut has_begun = false;
            loop {
                if let Some(line) = self.decoder.next_line() {
                    return Ok(line);
                }
                match self.read_more().await {
                    Err(PeerError::Closed) if has_begun => return Err(PeerError::Broken),
                    outcome => outcome?,
                }
                has_begun = true;
            }
        };
        timeout(deadline, answer).await.unwrap_or(Err(PeerError::Timeout))
    }

    async fn write(&mut self, line: &[u8]) -> Result<(), PeerError> {
        let written = async {
            self.stream.write_all(line).await?;
            self.stream.flush().await
        };
        written.await.map_err(|_| PeerError::Closed)
    }

    async fn read_more(&mut self) -> Result<(), PeerError> {
        let mut bytes = Vec::with_capacity(READ_BYTES);
        match self.stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => Err(PeerError::Closed),
            Ok(_) => self.decoder.push(&bytes).map_err(|_| PeerError::Broken),
        }
    }
}
