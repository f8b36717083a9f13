//! An answer as bytes, within what the client can take.

use hickory_proto::ProtoError;
use hickory_proto::op::{Header, HeaderCounts, Metadata, Query, ResponseCode};
use hickory_proto::rr::{Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use super::query::Edns;
use crate::limits::DNS_PAYLOAD_MAX;

/// Bytes of our EDNS record: the root's name, type, size, flags and no options.
const EDNS_BYTES: u16 = 11;

/// What is answered.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) code: ResponseCode,
    pub(super) is_authoritative: bool,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
    pub(super) additionals: Vec<Record>,
    /// Whether the client is to ask again over TCP.
    pub(super) is_cut: bool,
}

impl Reply {
    /// Nothing but a code.
    pub(super) fn code(code: ResponseCode) -> Self {
        Self { code, ..Self::default() }
    }

    /// Replaces `out` with the message. What does not fit into `max` bytes makes it one without
    /// records that says so; records that merely help are left out without a word.
    pub(super) fn write(
        mut self,
        head: &Metadata,
        question: Option<&Query>,
        edns: Option<&Edns>,
        max: u16,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtoError> {
        let room = max - edns.map_or(0, |_| EDNS_BYTES);
        out.clear();
        let mut encoder = BinEncoder::new(out);
        encoder.set_max_size(room);
        let place = encoder.place::<Header>()?;
        let mut counts = HeaderCounts::default();
        if let Some(question) = question {
            question.emit(&mut encoder)?;
            counts.queries = 1;
        }
        let behind_question = encoder.offset();
        if !self.is_cut {
            let fits = emit(&mut encoder, &self.answers, &mut counts.answers)?
                && emit(&mut encoder, &self.authorities, &mut counts.authorities)?;
            self.is_cut = !fits;
        }
        if self.is_cut {
            encoder.set_offset(behind_question);
            encoder.trim();
            (counts.answers, counts.authorities) = (0, 0);
        } else {
            emit(&mut encoder, &self.additionals, &mut counts.additionals)?;
        }
        if let Some(edns) = edns {
            encoder.set_max_size(max);
            put_edns(&mut encoder, edns, self.code)?;
            counts.additionals += 1;
        }
        place.replace(&mut encoder, Header { metadata: self.metadata(head), counts })
    }

    fn metadata(&self, head: &Metadata) -> Metadata {
        let mut metadata = Metadata::response_from_request(head);
        metadata.response_code = self.code;
        metadata.authoritative = self.is_authoritative;
        metadata.truncation = self.is_cut;
        metadata
    }
}

/// Writes records and counts them; false if not all fit.
fn emit(
    encoder: &mut BinEncoder<'_>,
    records: &[Record],
    count: &mut u16,
) -> Result<bool, ProtoError> {
    for record in records {
        let before = encoder.offset();
        match record.emit(encoder) {
            Ok(()) => *count += 1,
            Err(ProtoError::MaxBufferSizeExceeded(_)) => {
                encoder.set_offset(before);
                encoder.trim();
                return Ok(false);
            }
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

fn put_edns(
    encoder: &mut BinEncoder<'_>,
    edns: &Edns,
    code: ResponseCode,
) -> Result<(), ProtoError> {
    encoder.emit_u8(0)?;
    RecordType::OPT.emit(encoder)?;
    encoder.emit_u16(DNS_PAYLOAD_MAX)?;
    encoder.emit_u8(code.high())?;
    encoder.emit_u8(0)?;
    encoder.emit_u16(if edns.dnssec_ok { 0x8000 } else { 0 })?;
    encoder.emit_u16(0)
}
