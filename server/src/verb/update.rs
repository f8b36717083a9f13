//! `update`: writes a value (the protocol's section 5.3).

use protocol::verb::{Operation, Update};

use super::notify;
use crate::draft::{CommitId, Draft};
use crate::limits::Limits;
use crate::records::Change;
use crate::refusal::Refusal;

/// Writes value and metadata, and tells whom the key is shared with.
pub(crate) fn run(
    draft: &mut Draft<'_>,
    limits: &Limits,
    update: Update,
) -> Result<CommitId, Refusal> {
    update.check_owner(draft.identity)?;
    let Update { key, value, patch } = update;
    let old = draft.existing(&key)?;
    let metadata = draft.next_metadata(old.as_ref(), &patch);
    let content = Some((&metadata, Some(value.as_str())));
    notify::of_change(draft, limits, &key, Operation::Update, content)?;
    draft.put(&key, Change::All, metadata, Some(value))
}
