//! Lines out of reads, for every conversation that ends its lines with LF.
//!
//! The rule for empty lines is that of the protocol notes' section 2.2: some clients end a command
//! with two LF in one write and expect one answer, others send an empty line alone and wait for its
//! answer. So an empty line counts only where it is the first line that a read completes.

use crate::limits::IDLE_CAPACITY_MAX;

/// Collects the bytes of one connection and gives them back line by line.
#[derive(Debug)]
pub struct LineDecoder {
    /// Whole lines, each with its LF, then the unfinished one.
    buffer: Vec<u8>,
    /// Where the first line begins that has not been taken yet.
    taken: usize,
    /// Where the unfinished line begins.
    unfinished: usize,
    bytes_max: usize,
    overflowed: bool,
}

/// A line that is longer than its decoder allows. The connection cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than the {bytes_max} bytes allowed here")]
pub struct LineTooLong {
    /// The limit, in bytes without the line end.
    pub bytes_max: usize,
}

impl LineDecoder {
    /// Makes a decoder for lines of at most `bytes_max` bytes, their line end not counted. It
    /// allocates nothing until bytes come.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { buffer: Vec::new(), taken: 0, unfinished: 0, bytes_max, overflowed: false }
    }

    /// Takes what one read brought.
    ///
    /// # Errors
    /// [`LineTooLong`] once a line exceeds the limit, and at every push after that. The lines
    /// before it can still be taken; nothing of it is kept.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), LineTooLong> {
        let mut rest = bytes;
        let mut first_of_read = true;
        while !self.overflowed {
            let (part, is_whole) = match rest.iter().position(|b| *b == b'\n') {
                Some(end) => (&rest[..end], true),
                None => (rest, false),
            };
            if self.pending_bytes() + part.len() > self.bytes_max {
                self.overflowed = true;
                self.buffer.truncate(self.unfinished);
                self.buffer.shrink_to_fit();
                break;
            }
            self.buffer.extend_from_slice(part);
            if !is_whole {
                return Ok(());
            }
            self.end_line(first_of_read);
            first_of_read = false;
            rest = rest.get(part.len() + 1..).unwrap_or_default();
        }
        Err(LineTooLong { bytes_max: self.bytes_max })
    }

    /// The next whole line without its LF or CR-LF.
    pub fn next_line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        self.next_line_into(&mut line).then_some(line)
    }

    /// The same, into a buffer that may have been used before; false, and nothing in it, where
    /// there is none.
    pub fn next_line_into(&mut self, line: &mut Vec<u8>) -> bool {
        line.clear();
        let whole = self.buffer.get(self.taken..self.unfinished).unwrap_or_default();
        let Some(length) = whole.iter().position(|b| *b == b'\n') else { return false };
        let end = self.taken + length;
        if self.taken == 0 && end + 1 == self.buffer.len() && line.capacity() < length {
            // It is alone, and may be long.
            *line = std::mem::take(&mut self.buffer);
            line.truncate(length);
        } else {
            line.extend_from_slice(self.buffer.get(self.taken..end).unwrap_or_default());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        self.taken = end + 1;
        if self.taken == self.unfinished {
            self.forget_taken();
        }
        true
    }

    /// Whether the unfinished line is `@exit`, which closes without waiting for its line end.
    #[must_use]
    pub fn pending_exit(&self) -> bool {
        self.unfinished_line().trim_ascii().eq_ignore_ascii_case(b"@exit")
    }

    /// How many bytes the unfinished line has so far.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.unfinished_line().len()
    }

    /// The unfinished line.
    #[must_use]
    pub fn unfinished_line(&self) -> &[u8] {
        self.buffer.get(self.unfinished..).unwrap_or_default()
    }

    /// Bytes of memory that the decoder holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    fn end_line(&mut self, first_of_read: bool) {
        if !first_of_read && self.unfinished_line().trim_ascii().is_empty() {
            self.buffer.truncate(self.unfinished);
        } else {
            self.buffer.push(b'\n');
            self.unfinished = self.buffer.len();
        }
    }

    /// Once all whole lines are taken, moves the unfinished one to the front and gives back memory
    /// that a large line needed.
    fn forget_taken(&mut self) {
        self.buffer.drain(..self.unfinished.min(self.buffer.len()));
        (self.taken, self.unfinished) = (0, 0);
        if self.buffer.len() < IDLE_CAPACITY_MAX {
            self.buffer.shrink_to(IDLE_CAPACITY_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn lines(decoder: &mut LineDecoder) -> Vec<String> {
        std::iter::from_fn(|| decoder.next_line()).map(|l| String::from_utf8(l).unwrap()).collect()
    }

    fn after_reads(reads: &[&str]) -> Vec<String> {
        let mut decoder = LineDecoder::new(100);
        let mut got = Vec::new();
        for read in reads {
            decoder.push(read.as_bytes()).unwrap();
            got.extend(lines(&mut decoder));
        }
        got
    }

    #[test]
    fn an_empty_line_counts_only_as_the_first_of_a_read() {
        // Checklist 3, 9, 17 to 20, 28.
        for (reads, expected) in [
            (&["from:alice\n\n"][..], &["from:alice"][..]),
            (&["from:alice\r\n\r\n"], &["from:alice"]),
            (&["from:alice\n", "\n"], &["from:alice", ""]),
            (&["\r\n"], &[""]),
            (&["\n\n\n"], &[""]),
            (&["\n", "\n"], &["", ""]),
            (&["a\n\nb\n\n"], &["a", "b"]),
            (&["from:al", "ice\n\n"], &["from:alice"]),
            (&["  \n"], &["  "]),
            (&["a\n  \nb\n"], &["a", "b"]),
            (&["a\r", "\n"], &["a"]),
            (&["a\rb\n"], &["a\rb"]),
            (&["a\r\r\n"], &["a\r"]),
            (&["no end"], &[]),
        ] {
            assert_eq!(after_reads(reads), expected, "{reads:?}");
        }
    }

    #[test]
    fn a_character_may_be_split_between_reads() {
        // Checklist 8.
        let mut decoder = LineDecoder::new(100);
        for byte in "alice🛠\n".as_bytes() {
            decoder.push(&[*byte]).unwrap();
        }
        assert_eq!(lines(&mut decoder), ["alice🛠"]);
    }

    #[test]
    fn a_line_may_have_exactly_the_limit() {
        let mut decoder = LineDecoder::new(5);
        decoder.push(b"12345").unwrap();
        decoder.push(b"\n12345\n").unwrap();
        assert_eq!(lines(&mut decoder), ["12345", "12345"]);
    }

    #[test]
    fn a_longer_line_is_refused_for_good_and_nothing_of_it_is_kept() {
        // Checklist 11, 30.
        for reads in [&["one\n123456"][..], &["one\n", "123", "456"], &["one\n123456\nnext\n"]] {
            let mut decoder = LineDecoder::new(5);
            let results: Vec<_> = reads.iter().map(|read| decoder.push(read.as_bytes())).collect();
            assert_eq!(results.last(), Some(&Err(LineTooLong { bytes_max: 5 })), "{reads:?}");
            assert_eq!(decoder.push(b"x\n"), Err(LineTooLong { bytes_max: 5 }));
            assert_eq!(decoder.pending_bytes(), 0);
            assert_eq!(lines(&mut decoder), ["one"]);
        }
    }

    #[test]
    fn exit_needs_no_line_end() {
        // Checklist 10, 35.
        for (sent, is_exit) in [
            ("@exit", true),
            (" @exit\r", true),
            ("first\n@exit", true),
            ("@exi", false),
            ("@exit2", false),
            ("@exit\n", false),
        ] {
            let mut decoder = LineDecoder::new(100);
            decoder.push(sent.as_bytes()).unwrap();
            assert_eq!(decoder.pending_exit(), is_exit, "{sent:?}");
        }
    }

    #[test]
    fn a_large_line_does_not_leave_its_memory_behind() {
        let large = [vec![b'x'; 5_000_000], b"\ntail".to_vec()].concat();
        let mut decoder = LineDecoder::new(10_240_000);
        assert_eq!(decoder.capacity(), 0, "an idle decoder costs nothing");
        for read in large.chunks(16_384) {
            decoder.push(read).unwrap();
        }
        assert_eq!(decoder.next_line().unwrap().len(), 5_000_000);
        assert!(decoder.capacity() <= IDLE_CAPACITY_MAX);
        assert_eq!(decoder.unfinished_line(), b"tail");
        let mut decoder = LineDecoder::new(1_000_000);
        decoder.push(&[b'x'; 1_000_000]).unwrap();
        decoder.push(b"x").unwrap_err();
        assert!(decoder.capacity() <= IDLE_CAPACITY_MAX);
    }
}
