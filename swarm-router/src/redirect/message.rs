//! Messages to the kernel's packet filter and to its list of sockets, as bytes.
//!
//! Heads and their numbers are in the machine's byte order, the filter's own numbers are big-endian,
//! and everything begins at a multiple of four bytes.

/// Every message is a request.
const REQUEST: u16 = 0x1;
/// An answer is wanted, even if all went well.
const ACK: u16 = 0x4;
/// What is not there yet is made.
const CREATE: u16 = 0x400;
/// A rule comes after the others of its chain.
const APPEND: u16 = 0x800;
/// All that there is is asked for.
const DUMP: u16 = 0x300;

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// The part of the filter that has tables, chains and rules.
const SUBSYSTEM: u16 = 10;
/// IPv4 and IPv6 in one table.
const FAMILY_INET: u8 = 1;
const NESTED: u16 = 1 << 15;
const HEAD_BYTES: usize = 16;

/// What is done to the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    NewTable,
    NewChain,
    NewRule,
    /// A rule in front of the others of its chain.
    NewFirstRule,
    DeleteRules,
    NewSet,
    NewElements,
    DeleteElements,
}

impl Verb {
    fn number(self) -> u16 {
        match self {
            Self::NewTable => 0,
            Self::NewChain => 3,
            Self::NewRule | Self::NewFirstRule => 6,
            Self::DeleteRules => 8,
            Self::NewSet => 9,
            Self::NewElements => 12,
            Self::DeleteElements => 14,
        }
    }

    fn flags(self) -> u16 {
        REQUEST
            | ACK
            | match self {
                Self::NewRule => CREATE | APPEND,
                Self::DeleteRules | Self::DeleteElements => 0,
                _ => CREATE,
            }
    }
}

/// Several changes that take effect together or not at all.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    first: u32,
    next: u32,
}

impl Batch {
    /// Empty; its messages are numbered from here on.
    pub(super) fn new(first: u32) -> Self {
        let mut batch = Self { bytes: Vec::with_capacity(4_096), first, next: first };
        batch.mark(BATCH_BEGIN);
        batch
    }

    /// One more change.
    pub(super) fn add(&mut self, verb: Verb, write: impl FnOnce(&mut Attributes<'_>)) {
        let kind = SUBSYSTEM << 8 | verb.number();
        self.message(kind, verb.flags(), FAMILY_INET, 0, write);
    }

    /// The bytes, and the numbers of the messages that are answered.
    pub(super) fn finish(mut self) -> (Vec<u8>, std::ops::Range<u32>) {
        let answered = self.first.wrapping_add(1)..self.next;
        self.mark(BATCH_END);
        (self.bytes, answered)
    }

    /// The number that is free after this.
    pub(super) fn after(&self) -> u32 {
        self.next.wrapping_add(1)
    }

    fn mark(&mut self, kind: u16) {
        self.message(kind, REQUEST, 0, SUBSYSTEM, |_| {});
    }

    fn message(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        write: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        head(&mut self.bytes, kind, flags, self.next);
        self.next = self.next.wrapping_add(1);
        self.bytes.extend([family, 0]);
        self.bytes.extend(resource.to_be_bytes());
        write(&mut Attributes(&mut self.bytes));
        close(&mut self.bytes, start);
    }
}

/// What a message says, piece by piece.
pub(super) struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    /// Bytes as they are.
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// A name.
    pub(super) fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes);
    }

    /// A number.
    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// Pieces within a piece.
    pub(super) fn nested(&mut self, kind: u16, write: impl FnOnce(&mut Attributes<'_>)) {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend((kind | NESTED).to_ne_bytes());
        write(&mut Attributes(self.0));
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        if let Some(place) = self.0.get_mut(start..start + 2) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
    }
}

/// Asks for every TCP socket of one family that listens.
pub(super) fn listeners_of(family: u8, number: u32) -> Vec<u8> {
    const BY_FAMILY: u16 = 20;
    const TCP: u8 = 6;
    const LISTENING: u32 = 1 << 10;
    /// Two addresses with ports, an interface and a cookie: of any.
    const ANY_SOCKET: [u8; 48] = [0; 48];
    let mut bytes = Vec::with_capacity(HEAD_BYTES + 56);
    head(&mut bytes, BY_FAMILY, REQUEST | DUMP, number);
    bytes.extend([family, TCP, 0, 0]);
    bytes.extend(LISTENING.to_ne_bytes());
    bytes.extend(ANY_SOCKET);
    close(&mut bytes, 0);
    bytes
}

fn head(bytes: &mut Vec<u8>, kind: u16, flags: u16, number: u32) {
    bytes.extend([0; 4]);
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(number.to_ne_bytes());
    bytes.extend([0; 4]);
}

/// Writes the length of the message that began there.
fn close(bytes: &mut [u8], start: usize) {
    let length = u32::try_from(bytes.len() - start).unwrap_or(u32::MAX);
    if let Some(place) = bytes.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_ne_bytes());
    }
}

/// One message of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    /// What became of the message with this number: 0 if it was done, else the system's error.
    Outcome(u32, i32),
    /// That was all of what was asked for with this number.
    End(u32),
    /// Part of it.
    Part(u32, &'a [u8]),
}

/// The messages in what was received; it ends where one makes no sense.
pub(super) fn answers(mut bytes: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
        let message = bytes.get(..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        let kind = u16::from_ne_bytes(*message.get(4..)?.first_chunk()?);
        let number = u32::from_ne_bytes(*message.get(8..)?.first_chunk()?);
        let body = message.get(HEAD_BYTES..)?;
        Some(match kind {
            2 => Answer::Outcome(number, -i32::from_ne_bytes(*body.first_chunk()?)),
            3 => Answer::End(number),
            _ => Answer::Part(number, body),
        })
    })
}

/// The port of a socket, as part of an answer to [`listeners_of`].
pub(super) fn port_of(part: &[u8]) -> Option<u16> {
    part.get(4..)?.first_chunk().map(|port| u16::from_be_bytes(*port))
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_batch_is_its_messages_between_two_marks() {
        let mut batch = Batch::new(7);
        batch.add(Verb::NewTable, |table| {
            table.text(1, "abc");
            table.number(2, 2);
        });
        let (bytes, answered) = batch.finish();
        assert_eq!(answered, 8..9);
        #[rustfmt::skip]
        let expected = [
            20, 0, 0, 0, 0x10, 0, 1, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10,
            36, 0, 0, 0, 0, 10, 5, 4, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
            8, 0, 1, 0, b'a', b'b', b'c', 0,
            8, 0, 2, 0, 0, 0, 0, 2,
            20, 0, 0, 0, 0x11, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10,
        ];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn what_is_nested_has_its_own_length_and_ends_at_a_multiple_of_four() {
        let mut bytes = Vec::new();
        Attributes(&mut bytes).nested(4, |inner| inner.bytes(1, &[1, 2]));
        assert_eq!(bytes, [12, 0, 4, 0x80, 6, 0, 1, 0, 1, 2, 0, 0]);
    }

    #[test]
    fn answers_are_read_as_far_as_they_make_sense() {
        #[rustfmt::skip]
        let bytes = [
            20, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
            24, 0, 0, 0, 20, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 2, 10, 0, 0, 0x50, 0x10, 0, 0,
            16, 0, 0, 0, 3, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0,
        ];
        let read: Vec<_> = answers(&bytes).collect();
        let part = &bytes[36..44];
        assert_eq!(read, [Answer::Outcome(5, 1), Answer::Part(6, part), Answer::End(6)]);
        assert_eq!(port_of(part), Some(0x5010));
        // However it is cut or spoilt, reading it ends.
        for cut in 0..bytes.len() {
            assert!(answers(&bytes[..cut]).count() <= 3);
            for byte in [0, 1, 0xff] {
                let mut spoilt = bytes;
                spoilt[cut] = byte;
                assert!(answers(&spoilt).count() <= 4);
            }
        }
        assert_eq!(port_of(&[2, 10, 0, 0, 9]), None);
    }
}
