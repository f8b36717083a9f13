//! `notify:list` (the protocol's section 5.14).

use protocol::notification::Notification;
use protocol::response::Answer;
use protocol::verb::NotifyList;
use protocol::{AtSign, Timestamp};

use super::Pattern;
use crate::notify::kept;
use crate::refusal::Refusal;
use crate::rights::Rights;
use crate::view::View;

/// What came and is not over, as far as the owner's connection may see it. Null if there is none.
pub(crate) fn as_owner(
    view: &mut View<'_>,
    rights: &Rights,
    list: &NotifyList,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let mut notifications = kept::received(view)?;
    notifications.retain(|notification| rights.sees_notification(notification));
    listed(notifications, list, now)
}

/// What the owner sent to a peer. Null if there is none.
pub(crate) fn as_peer(
    view: &mut View<'_>,
    peer: &AtSign,
    list: &NotifyList,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    listed(kept::sent_to(view, peer)?, list, now)
}

fn listed(
    notifications: Vec<Notification>,
    list: &NotifyList,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let pattern = Pattern::compile(list.regex.as_deref())?;
    let mut json = String::new();
    for notification in notifications {
        let is_wanted = !notification.is_expired(now)
            && list.from.is_none_or(|from| from <= notification.at)
            && list.before.is_none_or(|before| notification.at < before)
            && pattern.is_notification(&notification.subject, &notification.from);
        if is_wanted {
            json.push(if json.is_empty() { '[' } else { ',' });
            json.push_str(&notification.list_json());
        }
    }
    if json.is_empty() {
        return Ok(Answer::Null);
    }
    json.push(']');
    Ok(Answer::Data(json))
}
