//! `notify:remove` (the protocol's section 5.15).

use protocol::response::Answer;

use crate::draft::Draft;
use crate::notify::kept;
use crate::refusal::Refusal;

/// Forgets a notification, known or not; what still waits is not delivered.
pub(crate) fn run(draft: &mut Draft<'_>, id: &str) -> Result<Answer, Refusal> {
    if let Some(waiting) = draft.queues.find(id) {
        draft.dequeue(&waiting)?;
    }
    kept::remove(draft, id)?;
    Ok(Answer::from("success"))
}
