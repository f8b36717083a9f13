//! What comes in on a connection, before it is cut into lines: a caller who has proved nothing may
//! not make us hold a long line.
//!
//! The protocol lets every command be long. Only the owner and proven peers have a use for that, so
//! from anybody else a longer line is read to its end and thrown away; then the caller is told.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use protocol::limits::COMMAND_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::OPEN_COMMAND_BYTES_MAX;

/// A stream whose lines are bounded until somebody has proved who they are.
pub(crate) struct Inlet<S> {
    stream: S,
    is_trusted: AtomicBool,
    /// Bytes of the unfinished line; only counted while nobody is trusted.
    line_bytes: usize,
}

/// The error of a line that was too long and has been thrown away.
const TOO_LONG: io::ErrorKind = io::ErrorKind::FileTooLarge;

/// Whether this is that error.
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    error.kind() == TOO_LONG
}

impl<S> Inlet<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, is_trusted: AtomicBool::new(false), line_bytes: 0 }
    }

    /// From now on lines may be long, or may not any more.
    pub(crate) fn set_trusted(&self, is_trusted: bool) {
        self.is_trusted.store(is_trusted, Ordering::Relaxed);
    }

    /// Counts what a read brought; false if it belongs to a line that is too long already.
    fn takes(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if *self.is_trusted.get_mut() {
            self.line_bytes = 0;
            return Ok(true);
        }
        // Within one read, only the line that began before it can be too long.
        let first_end = bytes.iter().position(|byte| *byte == b'\n');
        let line_bytes = self.line_bytes.saturating_add(first_end.unwrap_or(bytes.len()));
        let is_too_long = line_bytes > OPEN_COMMAND_BYTES_MAX;
        if is_too_long && (first_end.is_some() || line_bytes > COMMAND_BYTES_MAX) {
            return Err(TOO_LONG.into());
        }
        let last_end = bytes.iter().rposition(|byte| *byte == b'\n');
        self.line_bytes = last_end.map_or(line_bytes, |end| bytes.len() - end - 1);
        Ok(!is_too_long)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Inlet<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
            let bytes = buffer.filled().get(before..).unwrap_or_default();
            match self.takes(bytes) {
                Ok(true) => return Poll::Ready(Ok(())),
                Ok(false) if bytes.is_empty() => return Poll::Ready(Ok(())),
                Ok(false) => buffer.set_filled(before),
                Err(error) => {
                    buffer.set_filled(before);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Inlet<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn read(is_trusted: bool, sent: Vec<u8>) -> (Vec<u8>, bool) {
        let (mut far, near) = tokio::io::duplex(32 * 1024);
        let mut inlet = Inlet::new(near);
        inlet.set_trusted(is_trusted);
        let sender = tokio::spawn(async move {
            // The other side may stop listening.
            drop(far.write_all(&sent).await);
        });
        let mut taken = Vec::new();
        let outcome = inlet.read_to_end(&mut taken).await;
        drop(inlet);
        sender.await.unwrap();
        (taken, outcome.is_err_and(|error| is_too_long(&error)))
    }

    #[tokio::test]
    async fn a_long_line_of_a_stranger_is_thrown_away_and_told() {
        let long = [vec![b'x'; 3 * OPEN_COMMAND_BYTES_MAX], b"\nscan\n".to_vec()].concat();
        let (taken, is_told) = read(false, long.clone()).await;
        assert!(is_told && taken.len() <= OPEN_COMMAND_BYTES_MAX, "{}", taken.len());
        assert_eq!(read(true, long.clone()).await, (long, false));
        let endless = vec![b'x'; COMMAND_BYTES_MAX + 1];
        let (taken, is_told) = read(false, endless).await;
        assert!(is_told && taken.len() <= OPEN_COMMAND_BYTES_MAX);
    }

    #[tokio::test]
    async fn many_short_lines_are_not_a_long_one() {
        let lines = b"noop:0\n".repeat(10_000);
        assert_eq!(read(false, lines.clone()).await, (lines, false));
        let longest = [vec![b'x'; OPEN_COMMAND_BYTES_MAX], b"\n".to_vec()].concat();
        assert_eq!(read(false, longest.clone()).await, (longest, false));
    }

    proptest::proptest! {
        #[test]
        fn the_limit_holds_however_the_lines_are_cut_into_reads(
            lengths in proptest::collection::vec(0..2 * OPEN_COMMAND_BYTES_MAX, 1..5),
            read in 1_usize..20_000,
        ) {
            let lines: Vec<u8> = lengths
                .iter()
                .flat_map(|length| [vec![b'x'; *length], b"\n".to_vec()].concat())
                .collect();
            let mut inlet = Inlet::new(());
            let told = lines.chunks(read).any(|bytes| inlet.takes(bytes).is_err());
            let is_long = |length: &usize| *length > OPEN_COMMAND_BYTES_MAX;
            // A read is never larger than a record, so the server sees each line begin.
            if read <= OPEN_COMMAND_BYTES_MAX {
                assert_eq!(told, lengths.iter().any(is_long));
            }
        }
    }
}
