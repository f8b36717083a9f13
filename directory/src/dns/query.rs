//! What a client asks: one question, and what it can take.
//!
//! Of the records behind the question only EDNS is looked at, and nothing of what a client sends is
//! ever logged; hence records are skipped here, and not read by the library.

use hickory_proto::op::{Header, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};

use crate::limits::{DNS_PAYLOAD_MAX, DNS_PAYLOAD_MIN, DNS_QUERY_RECORDS_MAX};

/// One question.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) head: Metadata,
    pub(super) question: Query,
    pub(super) edns: Option<Edns>,
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
pub(super) enum Unasked {
    /// Too short, or an answer: saying anything could go on for ever.
    Ignored(&'static str),
    /// The client hears this code.
    Refused(Box<Refused>),
}

/// An answer that is but a code.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) head: Metadata,
    pub(super) question: Option<Query>,
    pub(super) edns: Option<Edns>,
    pub(super) code: ResponseCode,
}

/// Reads a message of a client.
pub(super) fn read(message: &[u8]) -> Result<Asked, Unasked> {
    let mut decoder = BinDecoder::new(message);
    let header = Header::read(&mut decoder).map_err(|_| Unasked::Ignored("short"))?;
    let head = header.metadata;
    if head.message_type == MessageType::Response {
        return Err(Unasked::Ignored("answer"));
    }
    let refuse =
        |code| Unasked::Refused(Box::new(Refused { head, question: None, edns: None, code }));
    if head.op_code != OpCode::Query {
        return Err(refuse(ResponseCode::NotImp));
    }
    if header.counts.queries != 1 {
        return Err(refuse(ResponseCode::FormErr));
    }
    let question = Query::read(&mut decoder).map_err(|_| refuse(ResponseCode::FormErr))?;
    match edns(&mut decoder, &header) {
        Ok(Some(edns)) if edns.version > 0 => Err(Unasked::Refused(Box::new(Refused {
            head,
            question: Some(question),
            edns: Some(edns),
            code: ResponseCode::BADVERS,
        }))),
        Ok(edns) => Ok(Asked { head, question, edns }),
        Err(_) => Err(refuse(ResponseCode::FormErr)),
    }
}

/// Looks for EDNS among the records behind the question: at most once, and under the root's name.
fn edns(decoder: &mut BinDecoder<'_>, header: &Header) -> Result<Option<Edns>, DecodeError> {
    let counts = &header.counts;
    let before = usize::from(counts.answers) + usize::from(counts.authorities);
    let all = before + usize::from(counts.additionals);
    if all > DNS_QUERY_RECORDS_MAX {
        return Err(DecodeError::InsufficientBytes);
    }
    let mut found = None;
    for at in 0..all {
        let name = Name::read(decoder)?;
        let kind = RecordType::read(decoder)?;
        let payload = decoder.read_u16()?.unverified(/* any number will do */);
        let [_, version, flags, _] =
            decoder.read_u32()?.unverified(/* taken apart bit by bit */).to_be_bytes();
        let length = decoder.read_u16()?.unverified(/* the slice is checked */);
        decoder.read_slice(usize::from(length))?;
        if kind == RecordType::OPT && at >= before {
            if found.is_some() || !name.is_root() {
                return Err(DecodeError::DuplicateEdns);
            }
            let payload = payload.clamp(DNS_PAYLOAD_MIN, DNS_PAYLOAD_MAX);
            found = Some(Edns { payload, dnssec_ok: flags & 0x80 != 0, version });
        }
    }
    Ok(found)
}
