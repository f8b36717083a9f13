//! `notify:status` (the protocol's section 5.15).

use protocol::Timestamp;
use protocol::response::Answer;

use crate::notify::kept;
use crate::refusal::Refusal;
use crate::rights::{Deed, Rights};
use crate::view::View;

/// How far a notification has come; null if nobody knows it.
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
    Ok(match found {
        Some(notification) => Answer::from(notification.status_at(now).as_str()),
        None => Answer::Null,
    })
}
