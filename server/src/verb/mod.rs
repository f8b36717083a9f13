//! What the verbs do, one file for each (they mirror `protocol::verb`).
//!
//! Everything here is synchronous: it reads a [`View`](crate::view::View) or decides a
//! [`Draft`](crate::draft::Draft) and says what to answer, or what to ask another server first. The
//! sessions call it and wait. Who may call what is in their types: what writes is reached only from
//! an owner's session, or for a notification from a peer's.

mod pattern;

pub(crate) mod config;
pub(crate) mod cram;
pub(crate) mod delete;
pub(crate) mod enroll;
pub(crate) mod from;
pub(crate) mod info;
pub(crate) mod keys;
pub(crate) mod llookup;
pub(crate) mod lookup;
pub(crate) mod monitor;
pub(crate) mod notify;
pub(crate) mod notify_all;
pub(crate) mod notify_fetch;
pub(crate) mod notify_list;
pub(crate) mod notify_remove;
pub(crate) mod notify_status;
pub(crate) mod otp;
pub(crate) mod pkam;
pub(crate) mod plookup;
pub(crate) mod scan;
pub(crate) mod stats;
pub(crate) mod sync_from;
pub(crate) mod update;
pub(crate) mod update_meta;

pub(crate) use pattern::Pattern;

use protocol::response::Answer;
use protocol::verb::Projection;
use protocol::{Metadata, record};

/// Whether a caller may see a key: what an enrolment restricts.
pub(crate) type MaySee<'a> = &'a (dyn Fn(&str) -> bool + Sync);

/// What of a key was asked for.
pub(crate) fn project(
    projection: Projection,
    key: &str,
    value: Option<&str>,
    metadata: &Metadata,
) -> Answer {
    match (projection, value) {
        (Projection::Value, Some(value)) => Answer::Data(value.to_owned()),
        (Projection::Value, None) => Answer::Null,
        (Projection::Meta, _) => Answer::Data(metadata.to_json()),
        (Projection::All, value) => Answer::Data(record::to_json(key, value, metadata)),
    }
}
