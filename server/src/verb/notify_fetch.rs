//! `notify:fetch` (the protocol's section 5.15).

use protocol::Timestamp;
use protocol::notification::Notification;
use protocol::response::Answer;

use crate::notify::kept;
use crate::refusal::Refusal;
use crate::rights::{Deed, Rights};
use crate::view::View;

/// All that is known about a notification.
pub(crate) fn run(
    view: &mut View<'_>,
    rights: &Rights,
    id: &str,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let found = kept::find(view, id)?;
    if let Some(notification) = &found {
        rights.check_notification(Deed::FetchNotification, notification)?;
    }
    Ok(Answer::Data(match found {
        Some(notification) => notification.fetch_json(now),
        None => Notification::fetch_unknown_json(id),
    }))
}
