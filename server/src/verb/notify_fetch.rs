//! `notify:fetch` (the protocol's section 5.15).

use protocol::Timestamp;
use protocol::notification::Notification;
use protocol::response::Answer;

use crate::notify::kept;
use crate::refusal::Refusal;
use crate::view::View;

/// All that is known about a notification.
pub(crate) fn run(view: &mut View<'_>, id: &str, now: Timestamp) -> Result<Answer, Refusal> {
    Ok(Answer::Data(match kept::find(view, id)? {
        Some(notification) => notification.fetch_json(now),
        None => Notification::fetch_unknown_json(id),
    }))
}
