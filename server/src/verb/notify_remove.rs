//! `notify:remove` (the protocol's section 5.15).

use protocol::response::Answer;

use crate::draft::Draft;
use crate::notify::kept;
use crate::refusal::Refusal;
use crate::rights::{Deed, Rights};

/// Forgets a notification, known or not; what still waits is not delivered.
pub(crate) fn run(draft: &mut Draft<'_>, rights: &Rights, id: &str) -> Result<Answer, Refusal> {
    for notification in kept::every(&mut draft.view, id)? {
        rights.check_notification(Deed::RemoveNotification, &notification)?;
    }
    if let Some(waiting) = draft.queues.find(id) {
        draft.dequeue(&waiting)?;
    }
    kept::remove(draft, id)?;
    Ok(Answer::from("success"))
}
