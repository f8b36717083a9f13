//! A connection that is read line by line and written answer by answer.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use protocol::line::LineDecoder;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout, timeout_at};

use crate::limits::{
    CLOSE_DEADLINE, LINE_BYTES_PER_SECOND_MIN, LINE_GRACE, RECORD_BYTES_MAX, TURN_BYTES_MAX,
    WRITE_BYTES_PER_SECOND_MIN, WRITE_GRACE,
};

/// Lines in, records out.
#[derive(Debug)]
pub struct LineConn<S> {
    stream: S,
    decoder: LineDecoder,
    /// When the line that is being received began.
    line_began: Option<Instant>,
    /// After the lines that the decoder holds comes one that is not taken.
    is_too_long: bool,
    /// A write began and has not ended: nothing may follow it.
    is_writing: bool,
}

/// Why there is no further line.
#[derive(Debug, thiserror::Error)]
pub enum ReadEnd {
    /// The peer closed.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer sent `@exit`.
    #[error("the peer said @exit")]
    Exit,
    /// A line is longer than allowed; nothing of it is kept.
    #[error("a line is longer than allowed")]
    TooLong,
    /// No line within the caller's deadline.
    #[error("no line came in time")]
    Idle,
    /// A line began, and its bytes came too slowly.
    #[error("a line came too slowly")]
    Slow,
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[source] io::Error),
}

impl<S: AsyncRead + AsyncWrite + Unpin> LineConn<S> {
    /// Lines have at most `line_bytes_max` bytes without their end.
    pub fn new(stream: S, line_bytes_max: usize) -> Self {
        let decoder = LineDecoder::new(line_bytes_max);
        Self { stream, decoder, line_began: None, is_too_long: false, is_writing: false }
    }

    /// The next line without its end. May be dropped at any await and called again; nothing is
    /// lost. The `deadline` counts from this call to the whole line; a line that has begun also has
    /// one of its own, which no repeated call prolongs.
    ///
    /// # Errors
    /// [`ReadEnd`] says why there is none; after it, the connection is of no more use.
    pub async fn read_line(&mut self, deadline: Option<Duration>) -> Result<Vec<u8>, ReadEnd> {
        let Some(deadline) = deadline else { return self.next_line().await };
        timeout(deadline, self.next_line()).await.unwrap_or(Err(ReadEnd::Idle))
    }

    /// The next line, if it has come whole already, into a buffer that may have been used before.
    pub fn ready_line(&mut self, line: &mut Vec<u8>) -> bool {
        let is_there = self.decoder.next_line_into(line);
        if is_there {
            self.line_began = None;
        }
        is_there
    }

    async fn next_line(&mut self) -> Result<Vec<u8>, ReadEnd> {
        let mut line = Vec::new();
        loop {
            if self.ready_line(&mut line) {
                return Ok(line);
            }
            if self.is_too_long {
                return Err(ReadEnd::TooLong);
            }
            if self.decoder.pending_exit() {
                return Err(ReadEnd::Exit);
            }
            self.read_more().await?;
        }
    }

    /// One read, within the deadline of the line that it belongs to.
    async fn read_more(&mut self) -> Result<(), ReadEnd> {
        let pending = self.decoder.pending_bytes();
        let line_deadline = match (pending, self.line_began) {
            (0, _) => None,
            (_, began) => {
                let began = *self.line_began.insert(began.unwrap_or_else(Instant::now));
                Some(began + allowance(LINE_GRACE, pending, LINE_BYTES_PER_SECOND_MIN))
            }
        };
        let read = poll_fn(|cx| self.poll_read(cx));
        match line_deadline {
            None => read.await,
            Some(deadline) => timeout_at(deadline, read).await.unwrap_or(Err(ReadEnd::Slow)),
        }
    }

    /// The buffer lives on the stack of this call only, so a waiting connection holds none.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ReadEnd>> {
        let mut space = [MaybeUninit::uninit(); RECORD_BYTES_MAX];
        let mut bytes = ReadBuf::uninit(&mut space);
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut bytes));
        Poll::Ready(match read {
            // A peer that leaves without TLS's farewell has left all the same.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(ReadEnd::Closed),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Err(ReadEnd::Closed),
            Err(e) => Err(ReadEnd::Io(e)),
            Ok(()) if bytes.filled().is_empty() => Err(ReadEnd::Closed),
            Ok(()) => {
                // The lines before one that is too long are still taken and answered.
                self.is_too_long = self.decoder.push(bytes.filled()).is_err();
                Ok(())
            }
        })
    }

    /// Sends `bytes` in one write: one TLS record if they fit [`RECORD_BYTES_MAX`], and never in a
    /// record with anything else. Long ones give way to other tasks now and then. Not to be dropped half-way: nothing can be written after that.
    ///
    /// # Errors
    /// `TimedOut` if the peer does not read; any error ends the connection's use.
    pub async fn write_record(&mut self, bytes: &[u8]) -> io::Result<()> {
        if std::mem::replace(&mut self.is_writing, true) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let deadline = allowance(WRITE_GRACE, bytes.len(), WRITE_BYTES_PER_SECOND_MIN);
        let write = async {
            for (number, part) in bytes.chunks(TURN_BYTES_MAX).enumerate() {
                if number > 0 {
                    yield_now().await;
                }
                self.stream.write_all(part).await?;
            }
            self.stream.flush().await
        };
        let written = timeout(deadline, write).await;
        written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.is_writing = false;
        Ok(())
    }

    /// Says farewell in order, within a short deadline.
    pub async fn close(mut self) {
        // Nothing is left to do for a peer that does not take the farewell.
        drop(timeout(CLOSE_DEADLINE, self.stream.shutdown()).await);
    }

    /// The stream, to ask it about its peer.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Gives the stream back; bytes that were read and not taken are lost.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Bytes of memory that unread lines hold.
    pub fn buffered_bytes(&self) -> usize {
        self.decoder.capacity()
    }
}

/// What `bytes` may take: a grace, and longer for more of them.
fn allowance(grace: Duration, bytes: usize, bytes_per_second_min: u64) -> Duration {
    grace + Duration::from_secs(bytes as u64 / bytes_per_second_min)
}
