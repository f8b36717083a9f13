#![doc = include_str!("../../FORMAT.md")]
//!
//! This module only knows the layout: it parses bytes of any origin into values, bounded before it
//! allocates, and never panics. Keys, files and history are the business of others.

mod body;
mod cursor;
mod header;
mod record;

pub use body::{Continues, Mode, Op, OpError, Opening, Ops};
pub use header::{HEADER_BYTES, Header, HeaderError, parse_header};
pub use record::{Kind, RECORD_OVERHEAD_BYTES, RecordError, RecordHead, RecordParse, parse_record};

pub(crate) use body::{push_op, snapshot_end, snapshot_end_count};
pub(crate) use cursor::Cursor;
pub(crate) use header::WRAPPED_AT;
pub(crate) use record::{CHECKED_BYTES, HEAD_BYTES, NONCE_BYTES, TAG_BYTES, record_bytes};
