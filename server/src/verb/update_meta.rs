//! `update:meta`: writes metadata and leaves the value (the protocol's section 5.4).

use protocol::verb::{Operation, UpdateMeta};

use super::notify;
use crate::draft::{CommitId, Draft};
use crate::limits::Limits;
use crate::records::Change;
use crate::refusal::Refusal;

/// Writes the metadata, of a key without value if there was none, and tells whom it is shared with.
pub(crate) fn run(
    draft: &mut Draft<'_>,
    limits: &Limits,
    update: &UpdateMeta,
) -> Result<CommitId, Refusal> {
    update.check_owner(draft.identity)?;
    let old = draft.existing(&update.key)?;
    let metadata = draft.next_metadata(old.as_ref(), &update.patch);
    let content = Some((&metadata, None));
    notify::of_change(draft, limits, &update.key, Operation::Update, content)?;
    let value = old.and_then(|old| old.value);
    draft.put(&update.key, Change::Metadata, metadata, value)
}
