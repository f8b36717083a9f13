//! `notify:list` (the protocol's section 5.14).

use protocol::response::Answer;
use protocol::verb::NotifyList;
use protocol::{AtSign, Timestamp};

use super::Pattern;
use crate::notify::kept;
use crate::refusal::Refusal;
use crate::view::View;

/// What is not over: for the owner all that came, for a peer what the owner sent to it. Null if there
/// is none.
pub(crate) fn run(
    view: &mut View<'_>,
    list: &NotifyList,
    peer: Option<&AtSign>,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let pattern = Pattern::compile(list.regex.as_deref())?;
    let mut json = String::new();
    let notifications = match peer {
        Some(peer) => kept::sent_to(view, peer)?,
        None => kept::received(view)?,
    };
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
