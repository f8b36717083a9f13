//! What happens when a notification comes from another's server (the protocol's section 5.12).

use protocol::notification::{Envelope, Notification};
use protocol::verb::{Notify, Operation};
use protocol::{AtKey, AtSign, ErrorCode, Metadata, Timestamp};
use uuid::Uuid;

use super::kept;
use crate::draft::Draft;
use crate::keys;
use crate::limits::{Limits, NOTIFICATION_LIFE_MILLIS_MAX};
use crate::records::Change;
use crate::refusal::Refusal;

/// Keeps what `peer` delivers, and what it says about the copy of a key; gives back when it came.
/// None: it has come before.
pub(crate) fn receive(
    draft: &mut Draft<'_>,
    limits: &Limits,
    peer: &AtSign,
    mut notify: Notify,
) -> Result<Option<Timestamp>, Refusal> {
    notify.check_delivery(peer, draft.identity)?;
    notify.ttln = notify.ttln.map(|ttln| ttln.min(NOTIFICATION_LIFE_MILLIS_MAX));
    let notification = arrived(draft, limits, peer, &notify)?;
    if kept::has_come(&mut draft.view, &notification.id, peer)? {
        return Ok(None);
    }
    if let Some(key) = notify.key(peer).map_err(too_long)? {
        follow(draft, peer, &key, &notification)?;
    }
    if !kept::make_room(draft, limits)? {
        let text = "too many notifications are kept";
        return Err(Refusal::new(ErrorCode::InternalException, text));
    }
    kept::put_received(draft, notification).map(Some)
}

fn arrived(
    draft: &mut Draft<'_>,
    limits: &Limits,
    peer: &AtSign,
    notify: &Notify,
) -> Result<Notification, Refusal> {
    let fresh = Uuid::new_v4().to_string();
    let envelope = Envelope {
        id: notify.id.as_deref().unwrap_or(&fresh),
        from: peer,
        at: draft.notification_time(),
        ttln_default: limits.notification_life_millis(),
    };
    Notification::received(notify, &envelope, draft.identity).map_err(too_long)
}

/// Makes, changes or removes the copy of the key that the notification is about.
fn follow(
    draft: &mut Draft<'_>,
    peer: &AtSign,
    key: &AtKey,
    notification: &Notification,
) -> Result<(), Refusal> {
    let copy = keys::cached(key)?;
    let old = draft.existing(&copy)?;
    let patch = notification.metadata.as_patch(notification.is_encrypted);
    let metadata = |old: Option<&Metadata>, draft: &Draft<'_>| match old {
        Some(old) => old.updated(draft.now, &patch),
        None => Metadata::created(peer, draft.now, &patch),
    };
    match (notification.operation, &notification.value, old) {
        (Operation::Update, Some(value), old) if notification.metadata.ttr.is_some() => {
            let metadata = metadata(old.as_ref().map(|old| &old.metadata), draft);
            draft.put(&copy, Change::All, metadata, Some(value.clone()))?;
        }
        (Operation::Update, None, Some(old)) => {
            let metadata = metadata(Some(&old.metadata), draft);
            draft.put(&copy, Change::Metadata, metadata, old.value)?;
        }
        (Operation::Delete, _, Some(old)) if old.metadata.ccd == Some(true) => {
            draft.delete(&copy)?;
        }
        _ => {}
    }
    Ok(())
}

fn too_long(error: protocol::KeyError) -> Refusal {
    let text = match error {
        protocol::KeyError::TooLong { units, .. } => {
            format!("notification key length {units} is greater than 255 chars")
        }
        protocol::KeyError::Invalid => error.to_string(),
    };
    Refusal::new(ErrorCode::InvalidKey, text)
}
