//! `llookup`: one key of the own store, exactly (the protocol's section 5.5).

use protocol::Timestamp;
use protocol::response::{Answer, Fault};
use protocol::verb::Llookup;

use super::project;
use crate::refusal::Refusal;
use crate::view::View;

/// Reads the key; null before its time and after it. References are not followed.
pub(crate) fn run(
    view: &mut View<'_>,
    llookup: &Llookup,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let name = llookup.key.as_str();
    let record = view.record(name)?.ok_or_else(|| Fault::key_not_found(name))?;
    if !record.metadata.is_active(now) {
        return Ok(Answer::Null);
    }
    Ok(project(llookup.projection, name, record.value.as_deref(), &record.metadata))
}
