//! What comes in on a connection, before it is cut into lines: a caller who has proved nothing may
//! not make us hold a long line.
//!
//! The protocol lets every command be long. Only the owner and proven peers have a use for that, so
//! from anybody else a longer line is read to its end and thrown away; then the caller is told. The
//! same happens to a long line of theirs for which there is no memory: before more of it is kept, room
//! is reserved for all that it will take until it is answered.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use protocol::limits::COMMAND_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::{COMMAND_MEMORY_PER_BYTE, OPEN_COMMAND_BYTES_MAX};
use crate::memory::{Memory, Reserved};

/// A stream whose lines are bounded until somebody has proved who they are.
pub(crate) struct Inlet<S> {
    stream: S,
    is_trusted: AtomicBool,
    /// Bytes of the unfinished line.
    line_bytes: usize,
    memory: Arc<Memory>,
    /// For the long line that is being received or answered.
    reserved: Option<Reserved>,
    /// There was no room for the unfinished line.
    is_dropping: bool,
}

/// The error of a line that was too long and has been thrown away.
const TOO_LONG: io::ErrorKind = io::ErrorKind::FileTooLarge;

/// The error of a line for which there was no memory, and which has been thrown away.
const NO_ROOM: io::ErrorKind = io::ErrorKind::OutOfMemory;

/// Why a line was thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    TooLong,
    NoRoom,
}

/// Whether this error says that a line was thrown away.
pub(crate) fn dropped(error: &io::Error) -> Option<Dropped> {
    match error.kind() {
        TOO_LONG => Some(Dropped::TooLong),
        NO_ROOM => Some(Dropped::NoRoom),
        _ => None,
    }
}

impl<S> Inlet<S> {
    pub(crate) fn new(stream: S, memory: Arc<Memory>) -> Self {
        let is_trusted = AtomicBool::new(false);
        Self { stream, is_trusted, line_bytes: 0, memory, reserved: None, is_dropping: false }
    }

    /// From now on lines may be long, or may not any more.
    pub(crate) fn set_trusted(&self, is_trusted: bool) {
        self.is_trusted.store(is_trusted, Ordering::Relaxed);
    }

    /// Counts what a read brought; false if it belongs to a line that is too long already.
    fn takes(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if *self.is_trusted.get_mut() {
            return self.takes_long(bytes);
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

    /// The same for somebody whose lines may be long, as far as there is memory for them.
    fn takes_long(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let first_end = bytes.iter().position(|byte| *byte == b'\n');
        let line_bytes = self.line_bytes.saturating_add(first_end.unwrap_or(bytes.len()));
        self.is_dropping |= !self.has_room(line_bytes.min(COMMAND_BYTES_MAX));
        if self.is_dropping && (first_end.is_some() || line_bytes > COMMAND_BYTES_MAX) {
            return Err(NO_ROOM.into());
        }
        let last_end = bytes.iter().rposition(|byte| *byte == b'\n');
        self.line_bytes = last_end.map_or(line_bytes, |end| bytes.len() - end - 1);
        Ok(!self.is_dropping)
    }

    fn has_room(&mut self, line_bytes: usize) -> bool {
        if line_bytes <= OPEN_COMMAND_BYTES_MAX {
            return true;
        }
        // In large steps, so that the other servers' counters are left alone.
        let bytes = line_bytes.next_multiple_of(4 * OPEN_COMMAND_BYTES_MAX);
        let bytes = bytes.saturating_mul(COMMAND_MEMORY_PER_BYTE);
        match &mut self.reserved {
            Some(reserved) => reserved.grow_to(bytes),
            None => {
                self.reserved = self.memory.reserve(bytes);
                self.reserved.is_some()
            }
        }
    }

    /// The connection wants more, so the line before is answered.
    fn let_go(&mut self) {
        if self.line_bytes <= OPEN_COMMAND_BYTES_MAX && self.reserved.is_some() {
            self.reserved = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Inlet<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        self.let_go();
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

    fn roomy() -> Arc<Memory> {
        Memory::of_all(usize::MAX)
    }

    async fn read(is_trusted: bool, sent: Vec<u8>) -> (Vec<u8>, bool) {
        let (mut far, near) = tokio::io::duplex(32 * 1024);
        let mut inlet = Inlet::new(near, roomy());
        inlet.set_trusted(is_trusted);
        let sender = tokio::spawn(async move {
            // The other side may stop listening.
            drop(far.write_all(&sent).await);
        });
        let mut taken = Vec::new();
        let outcome = inlet.read_to_end(&mut taken).await;
        drop(inlet);
        sender.await.unwrap();
        (taken, outcome.is_err_and(|error| dropped(&error) == Some(Dropped::TooLong)))
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

    #[test]
    fn a_long_line_without_memory_is_thrown_away_and_the_memory_of_others_comes_back() {
        let memory = Memory::of_all(1 << 20);
        let trusted = || {
            let inlet = Inlet::new((), Arc::clone(&memory));
            inlet.set_trusted(true);
            inlet
        };
        let (mut one, mut two) = (trusted(), trusted());
        let read = vec![b'x'; OPEN_COMMAND_BYTES_MAX];
        (0..12).for_each(|_| assert!(one.takes(&read).unwrap()));
        assert!(two.takes(&read).unwrap(), "a short one needs none");
        (0..9).for_each(|_| drop(two.takes(&read)));
        assert!(!two.takes(&read).unwrap());
        assert_eq!(two.takes(b"\n").unwrap_err().kind(), NO_ROOM);
        assert!(one.takes(b"\n").unwrap());
        assert!(memory.reserve(1 << 19).is_none(), "it is not answered yet");
        one.let_go();
        drop(two);
        assert!(memory.reserve(1 << 20).is_some());
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
            let mut inlet = Inlet::new((), roomy());
            let told = lines.chunks(read).any(|bytes| inlet.takes(bytes).is_err());
            let is_long = |length: &usize| *length > OPEN_COMMAND_BYTES_MAX;
            // A read is never larger than a record, so the server sees each line begin.
            if read <= OPEN_COMMAND_BYTES_MAX {
                assert_eq!(told, lengths.iter().any(is_long));
            }
        }
    }
}
