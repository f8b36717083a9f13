//! `notify`, and the notifications that follow an update or a deletion by themselves (the protocol's
//! sections 5.3, 5.12).

use protocol::notification::{Envelope, Notification, Status};
use protocol::verb::{Notify, Operation};
use protocol::{AtKey, ErrorCode, Metadata, Timestamp};
use uuid::Uuid;

use crate::draft::Draft;
use crate::limits::Limits;
use crate::notify::kept;
use crate::notify::outbox::Waiting;
use crate::refusal::Refusal;
use crate::rights::{Deed, Rights};

/// What became of the owner's notification.
pub(crate) struct Sent {
    pub(crate) id: String,
    /// To herself: when it came. Her monitors are told at once.
    pub(crate) arrived: Option<Timestamp>,
}

/// Keeps the owner's notification, and queues it if it is for somebody else. One with the same id
/// is the same: asking again sends nothing again.
pub(crate) fn as_owner(
    draft: &mut Draft<'_>,
    limits: &Limits,
    rights: &Rights,
    notify: &Notify,
) -> Result<Sent, Refusal> {
    notify.check_sender(draft.identity)?;
    let id = notify.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
    let envelope = Envelope {
        id: &id,
        from: draft.identity,
        at: draft.notification_time(),
        ttln_default: limits.notification_life_millis(),
    };
    let notification = Notification::sent(notify, &envelope)
        .map_err(|error| Refusal::new(ErrorCode::InvalidKey, error.to_string()))?;
    rights.check_notification(Deed::Notify, &notification)?;
    let is_own = notification.status == Status::Delivered;
    let is_known = if is_own {
        kept::has_come(&mut draft.view, &notification)?
    } else {
        kept::was_sent(&mut draft.view, &id)?
    };
    if is_known {
        return Ok(Sent { id, arrived: None });
    }
    if !has_room(draft, limits)? {
        let text = "too many notifications wait for their receivers";
        return Err(Refusal::new(ErrorCode::InternalException, text));
    }
    if is_own {
        let arrived = Some(kept::put_received(draft, notification)?);
        return Ok(Sent { id, arrived });
    }
    send(draft, rights, notification)?;
    Ok(Sent { id, arrived: None })
}

/// After an update or a deletion, tells whom the key is shared with, if it is.
pub(crate) fn of_change(
    draft: &mut Draft<'_>,
    limits: &Limits,
    key: &AtKey,
    change: Operation,
    content: Option<(&Metadata, Option<&str>)>,
) -> Result<(), Refusal> {
    if !limits.auto_notify || key.shared_with().is_none() {
        return Ok(());
    }
    let envelope = Envelope {
        id: &Uuid::new_v4().to_string(),
        from: draft.identity,
        at: draft.notification_time(),
        ttln_default: limits.notification_life_millis(),
    };
    let (metadata, value) = content.unzip();
    let notification = Notification::automatic(key, change, value.flatten(), metadata, &envelope);
    match notification {
        Some(notification) if has_room(draft, limits)? => {
            send(draft, &Rights::Everything, notification)
        }
        Some(_) => {
            tracing::warn!("a change is not notified: too many notifications wait");
            Ok(())
        }
        None => Ok(()),
    }
}

fn has_room(draft: &mut Draft<'_>, limits: &Limits) -> Result<bool, Refusal> {
    Ok(draft.queues.len() < limits.outbox_max && kept::make_room(draft, limits)?)
}

/// Takes back those that it supersedes, but none that the sender could not have removed.
fn send(draft: &mut Draft<'_>, rights: &Rights, notification: Notification) -> Result<(), Refusal> {
    for waiting in draft.queues.superseded_by(&notification) {
        let old = kept::sent(&mut draft.view, &waiting.id)?;
        let may = |old| rights.check_notification(Deed::RemoveNotification, old).is_ok();
        if !old.as_ref().is_none_or(may) {
            continue;
        }
        draft.dequeue(&waiting)?;
        if let Some(old) = old {
            kept::put_sent(draft, &Notification { status: Status::Errored, ..old })?;
        }
    }
    kept::put_sent(draft, &notification)?;
    draft.enqueue(|serial| Waiting::new(serial, &notification))
}
