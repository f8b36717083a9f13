//! An answer as bytes, within what the client can take. It is written into the buffer that it is
//! sent from.

use super::query::{Edns, Head, Question};
use super::wire::{Code, HEAD_BYTES, INTERNET, Kind, put_u16, put_u32};
use crate::limits::DNS_PAYLOAD_MAX;

/// Bytes of our EDNS record: the root's name, type, size, flags and no options.
const EDNS_BYTES: usize = 11;
/// Bytes of a record in front of its data.
const RECORD_HEAD_BYTES: usize = 12;
/// Where the question's name stands.
pub(super) const QUESTION_AT: usize = HEAD_BYTES;

/// Bits of an answer's flags.
const RESPONSE: u8 = 0x80;
const AUTHORITATIVE: u8 = 0x04;
const CUT: u8 = 0x02;
/// What is as the client has it: what kind of question, that recursion is wanted…
const KEPT: u8 = 0x79;
/// …and that nothing is to be checked.
const KEPT_CHECKING: u8 = 0x10;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Answer,
    Authority,
    /// It merely helps, and is left out without a word where there is no room.
    Additional,
}

/// An answer that is being written.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    out: &'a mut Vec<u8>,
    head: Head,
    edns: Option<Edns>,
    /// Bytes that it may have without EDNS.
    room: usize,
    behind_question: usize,
    counts: [u16; 4],
    pub(super) code: Code,
    pub(super) is_authoritative: bool,
    is_cut: bool,
}

impl<'a> Reply<'a> {
    /// Begins anew in this buffer.
    pub(super) fn begin(
        head: Head,
        question: Option<Question<'_>>,
        edns: Option<Edns>,
        max: u16,
        out: &'a mut Vec<u8>,
    ) -> Self {
        out.clear();
        out.extend_from_slice(&[0; HEAD_BYTES]);
        out.extend_from_slice(question.map_or(&[], |question| question.bytes));
        let room = usize::from(max) - edns.map_or(0, |_| EDNS_BYTES);
        let (behind_question, counts) = (out.len(), [u16::from(question.is_some()), 0, 0, 0]);
        let (code, is_authoritative, is_cut) = (Code::NoError, false, false);
        Self { out, head, edns, room, behind_question, counts, code, is_authoritative, is_cut }
    }

    /// Adds a record whose owner's name stands at `owner` in the message already. Where its data
    /// begins; none if it does not fit, whereupon the client is to ask again over TCP.
    pub(super) fn record(
        &mut self,
        section: Section,
        owner: usize,
        kind: Kind,
        ttl: u32,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Option<usize> {
        if self.is_cut {
            return None;
        }
        let before = self.out.len();
        // No answer is longer than what a pointer reaches.
        put_u16(self.out, 0xc000 | u16::try_from(owner).ok()?);
        put_u16(self.out, kind.0);
        put_u16(self.out, INTERNET);
        put_u32(self.out, ttl);
        put_u16(self.out, 0);
        let begin = before + RECORD_HEAD_BYTES;
        put(self.out);
        let length = u16::try_from(self.out.len() - begin).ok();
        match length.filter(|_| self.out.len() <= self.room) {
            Some(length) => {
                if let Some(place) = self.out.get_mut(begin - 2..begin) {
                    place.copy_from_slice(&length.to_be_bytes());
                }
                let [_, answers, authorities, additionals] = &mut self.counts;
                *match section {
                    Section::Answer => answers,
                    Section::Authority => authorities,
                    Section::Additional => additionals,
                } += 1;
                Some(begin)
            }
            None if section == Section::Additional => {
                self.out.truncate(before);
                None
            }
            None => {
                self.cut();
                None
            }
        }
    }

    /// Bytes that the data of one more record may have.
    pub(super) fn room_for_data(&self) -> usize {
        self.room.saturating_sub(self.out.len() + RECORD_HEAD_BYTES)
    }

    /// What was written from here on.
    pub(super) fn written(&self, from: usize) -> &[u8] {
        self.out.get(from..).unwrap_or_default()
    }

    /// Makes it one without records that says to use TCP.
    pub(super) fn cut(&mut self) {
        self.out.truncate(self.behind_question);
        let [_, records @ ..] = &mut self.counts;
        *records = [0; 3];
        self.is_cut = true;
    }

    /// Whether there is an answer in it, or would be over TCP.
    pub(super) fn has_answers(&self) -> bool {
        let [_, answers, ..] = self.counts;
        self.is_cut || answers > 0
    }

    /// Ends it.
    pub(super) fn finish(mut self) {
        let code = self.code as u16;
        if let Some(edns) = self.edns {
            self.out.push(0);
            put_u16(self.out, Kind::OPT.0);
            put_u16(self.out, DNS_PAYLOAD_MAX);
            let [high, low] = (code >> 4).to_be_bytes();
            debug_assert_eq!(high, 0, "codes have 12 bits");
            self.out.extend_from_slice(&[low, 0, if edns.dnssec_ok { 0x80 } else { 0 }, 0]);
            put_u16(self.out, 0);
            let [.., additionals] = &mut self.counts;
            *additionals += 1;
        }
        let [kept, checking] = self.head.flags;
        let mut first = RESPONSE | kept & KEPT;
        first |= if self.is_authoritative { AUTHORITATIVE } else { 0 };
        first |= if self.is_cut { CUT } else { 0 };
        let [_, low] = (code & 0xf).to_be_bytes();
        let [id0, id1] = self.head.id;
        let [questions, answers, authorities, additionals] = self.counts.map(u16::to_be_bytes);
        let head = [
            [id0, id1],
            [first, checking & KEPT_CHECKING | low],
            questions,
            answers,
            authorities,
            additionals,
        ];
        for (place, bytes) in self.out.chunks_exact_mut(2).zip(head) {
            place.copy_from_slice(&bytes);
        }
    }
}
