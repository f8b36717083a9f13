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
    let notification = prepare(draft, limits, rights, notify)?;
    if is_known(draft, &notification)? {
        return Ok(Sent { id: notification.id, arrived: None });
    }
    if !has_room(draft, limits, 1)? {
        let text = "too many notifications wait for their receivers";
        return Err(Refusal::new(ErrorCode::InternalException, text));
    }
    keep(draft, rights, notification)
}

/// Makes the notification, if whoever asks may send it.
pub(super) fn prepare(
    draft: &mut Draft<'_>,
    limits: &Limits,
    rights: &Rights,
    notify: &Notify,
) -> Result<Notification, Refusal> {
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
    Ok(notification)
}

/// Keeps and queues it, where there is room.
pub(super) fn keep(
    draft: &mut Draft<'_>,
    rights: &Rights,
    notification: Notification,
) -> Result<Sent, Refusal> {
    let id = notification.id.clone();
    if is_own(&notification) {
        let arrived = Some(kept::put_received(draft, notification)?);
        return Ok(Sent { id, arrived });
    }
    send(draft, rights, notification)?;
    Ok(Sent { id, arrived: None })
}

/// Whether it is for the owner herself, and so has come already.
fn is_own(notification: &Notification) -> bool {
    notification.status == Status::Delivered
}

/// Whether it was sent before, to others or to herself.
fn is_known(draft: &mut Draft<'_>, notification: &Notification) -> Result<bool, Refusal> {
    if is_own(notification) {
        kept::has_come(&mut draft.view, &notification.id, draft.identity)
    } else {
        kept::was_sent(&mut draft.view, &notification.id)
    }
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
        Some(notification) if has_room(draft, limits, 1)? => {
            send(draft, &Rights::Everything, notification)
        }
        Some(_) => {
            tracing::warn!("a change is not notified: too many notifications wait");
            Ok(())
        }
        None => Ok(()),
    }
}

/// Whether so many more can be kept and queued; old ones that are of no more use may make room.
pub(super) fn has_room(
    draft: &mut Draft<'_>,
    limits: &Limits,
    count: usize,
) -> Result<bool, Refusal> {
    Ok(draft.queues.len() + count <= limits.outbox_max && kept::make_room(draft, limits)?)
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
