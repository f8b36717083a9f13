//! `delete` (the protocol's section 5.9).

use protocol::verb::{Delete, Operation};
use protocol::{AtKey, ErrorCode};

use super::notify;
use crate::draft::{CommitId, Draft};
use crate::keys;
use crate::limits::Limits;
use crate::refusal::Refusal;

/// Keys without which the identity could not be used any more, by the name after their scope.
const PROTECTED: [&str; 4] =
    ["signing_publickey", "signing_privatekey", "publickey", "at_pkam_publickey"];

/// Deletes a key, and tells whom it was shared with. The deletion has a commit id even if there was
/// nothing to delete.
pub(crate) fn run(
    draft: &mut Draft<'_>,
    limits: &Limits,
    delete: &Delete,
) -> Result<CommitId, Refusal> {
    if delete.is_activation_secret() {
        return forget_secret(draft);
    }
    delete.check_owner(draft.identity)?;
    let key = &delete.key;
    if is_protected(key) {
        let text = format!("Cannot delete protected key: '{key}'");
        return Err(Refusal::new(ErrorCode::Unauthorized, text));
    }
    let commit = draft.delete(key)?;
    notify::of_change(draft, limits, key, Operation::Delete, None)?;
    Ok(commit)
}

fn is_protected(key: &AtKey) -> bool {
    !key.is_cached() && PROTECTED.contains(&key.entity())
}

/// The secret is gone for good: the mark keeps a start from storing it again.
fn forget_secret(draft: &mut Draft<'_>) -> Result<CommitId, Refusal> {
    draft.put_own(&keys::secret_deleted()?, "true".to_owned())?;
    draft.delete(&keys::secret()?)
}
