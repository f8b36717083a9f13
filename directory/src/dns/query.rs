//! What a client asks: one question, and what it can take.
//!
//! Of the records behind the question only EDNS is looked at, and nothing of what a client sends is
//! ever logged; hence all others are skipped here.

use super::wire::{Code, HEAD_BYTES, Kind, NAME_BYTES_MAX, split_label};
use crate::limits::{DNS_PAYLOAD_MAX, DNS_PAYLOAD_MIN, DNS_QUERY_RECORDS_MAX};

/// The bits of a head's flags.
const RESPONSE: u8 = 0x80;
const OPCODE: u8 = 0x78;
/// Two bits in the first byte of a label that point to an earlier one.
const POINTER: u8 = 0xc0;

/// What of a question's head goes into its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) id: [u8; 2],
    pub(super) flags: [u8; 2],
}

/// One question.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) head: Head,
    pub(super) question: Question<'a>,
    pub(super) edns: Option<Edns>,
}

/// The question itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    /// As it was sent: name, kind and class.
    pub(super) bytes: &'a [u8],
    pub(super) name: &'a [u8],
    pub(super) kind: Kind,
    pub(super) class: u16,
}

/// What EDNS (RFC 6891) says of the client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edns {
    /// Bytes of an answer over UDP that reach it, within what we send at most.
    pub(super) payload: u16,
    pub(super) dnssec_ok: bool,
    version: u8,
}

/// Why there is no question to answer.
#[derive(Debug)]
pub(super) enum Unasked<'a> {
    /// Too short, or an answer: saying anything could go on for ever.
    Ignored(&'static str),
    /// The client hears this code.
    Refused(Refused<'a>),
}

/// An answer that is but a code.
#[derive(Debug)]
pub(super) struct Refused<'a> {
    pub(super) head: Head,
    pub(super) question: Option<Question<'a>>,
    pub(super) edns: Option<Edns>,
    pub(super) code: Code,
}

/// Reads a message of a client.
pub(super) fn read(message: &[u8]) -> Result<Asked<'_>, Unasked<'_>> {
    let Some((head, rest)) = message.split_first_chunk::<HEAD_BYTES>() else {
        return Err(Unasked::Ignored("short"));
    };
    let [id @ .., f0, f1, q0, q1, a0, a1, n0, n1, m0, m1] = *head;
    let head = Head { id, flags: [f0, f1] };
    if f0 & RESPONSE != 0 {
        return Err(Unasked::Ignored("answer"));
    }
    let refused = |code| Unasked::Refused(Refused { head, question: None, edns: None, code });
    if f0 & OPCODE != 0 {
        return Err(refused(Code::NotImp));
    }
    let number = |high, low| usize::from(u16::from_be_bytes([high, low]));
    let before = number(a0, a1) + number(n0, n1);
    let mut reader = Reader { rest };
    let read = (number(q0, q1) == 1).then_some(()).and_then(|()| {
        let question = reader.question()?;
        Some((question, reader.edns(before, before + number(m0, m1))?))
    });
    match read {
        None => Err(refused(Code::FormErr)),
        Some((question, Some(edns))) if edns.version > 0 => {
            let (question, edns) = (Some(question), Some(edns));
            Err(Unasked::Refused(Refused { head, question, edns, code: Code::BadVers }))
        }
        Some((question, edns)) => Ok(Asked { head, question, edns }),
    }
}

/// What is left of a message.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn question(&mut self) -> Option<Question<'a>> {
        let bytes = self.rest;
        let mut rest = bytes;
        while let Some((_, behind)) = split_label(rest) {
            rest = behind;
        }
        // Nothing stands before it that a pointer could mean.
        rest = rest.strip_prefix(&[0])?;
        let name = bytes.get(..bytes.len() - rest.len())?;
        self.rest = rest;
        let (kind, class) = (Kind(self.u16()?), self.u16()?);
        let bytes = bytes.get(..bytes.len() - self.rest.len())?;
        (name.len() <= NAME_BYTES_MAX).then_some(Question { bytes, name, kind, class })
    }

    /// Looks for EDNS among the records behind the question: at most once, and under the root's
    /// name.
    fn edns(&mut self, before: usize, all: usize) -> Option<Option<Edns>> {
        let mut found = None;
        if all > DNS_QUERY_RECORDS_MAX {
            return None;
        }
        for at in 0..all {
            let is_root = self.rest.first() == Some(&0);
            self.skip_name()?;
            let (kind, payload) = (Kind(self.u16()?), self.u16()?);
            let [_, version, flags, _] = *self.take()?;
            let length = self.u16()?;
            self.rest = self.rest.get(usize::from(length)..)?;
            if kind == Kind::OPT && at >= before {
                if found.is_some() || !is_root {
                    return None;
                }
                let payload = payload.clamp(DNS_PAYLOAD_MIN, DNS_PAYLOAD_MAX);
                found = Some(Edns { payload, dnssec_ok: flags & 0x80 != 0, version });
            }
        }
        Some(found)
    }

    fn skip_name(&mut self) -> Option<()> {
        while let Some((_, behind)) = split_label(self.rest) {
            self.rest = behind;
        }
        let [first] = *self.take()?;
        match first {
            0 => Some(()),
            pointer if pointer & POINTER == POINTER => self.take::<1>().map(|_| ()),
            _ => None,
        }
    }

    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(|bytes| u16::from_be_bytes(*bytes))
    }
}
