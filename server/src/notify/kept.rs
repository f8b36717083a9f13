//! The notifications in the store.
//!
//! What the owner sent is found by its id; what came, by its id and its sender, so that no sender
//! can take another's id.

use std::collections::{BTreeMap, HashMap};

use protocol::notification::{Kind, Notification};
use protocol::{AtSign, Timestamp};

use super::monitor::Backlog;
use crate::draft::Draft;
use crate::limits::{LISTED_BYTES_MAX, Limits, SWEEP_BATCH_MAX};
use crate::records::{Span, Table, Unreadable, decode_with_value, encode_with_value};
use crate::refusal::Refusal;
use crate::view::View;

/// Between the parts of a key; no id contains it.
const SEPARATOR: u8 = 0;

/// What the owner sent under this id.
pub(crate) fn sent(view: &mut View<'_>, id: &str) -> Result<Option<Notification>, Refusal> {
    match view.get(&Table::Sent.key(id.as_bytes()))? {
        Some(bytes) => Ok(Some(decode(&bytes)?)),
        None => Ok(None),
    }
}

/// What is kept under this id: what the owner sent, or else what came first. Who sends under
/// another's id later does not hide it.
pub(crate) fn find(view: &mut View<'_>, id: &str) -> Result<Option<Notification>, Refusal> {
    if let Some(notification) = sent(view, id)? {
        return Ok(Some(notification));
    }
    let received = received_as(view, id)?;
    Ok(received.into_iter().min_by_key(|notification| notification.at))
}

/// All that is kept under this id.
pub(crate) fn every(view: &mut View<'_>, id: &str) -> Result<Vec<Notification>, Refusal> {
    let mut every = received_as(view, id)?;
    every.extend(sent(view, id)?);
    Ok(every)
}

fn received_as(view: &mut View<'_>, id: &str) -> Result<Vec<Notification>, Refusal> {
    view.each(&received_from_anybody(id), |_, bytes| Ok(decode(bytes)?))
}

/// Whether this very notification has come before.
pub(crate) fn has_come(view: &mut View<'_>, id: &str, from: &AtSign) -> Result<bool, Refusal> {
    let key = Table::Received.key(&received_name(id, from));
    // Its span says so, and is shorter.
    Ok(view.span(&key)?.is_some())
}

/// Whether the owner has sent something under this id.
pub(crate) fn was_sent(view: &mut View<'_>, id: &str) -> Result<bool, Refusal> {
    Ok(view.span(&Table::Sent.key(id.as_bytes()))?.is_some())
}

/// One that came, by sender.
pub(crate) fn received_one(
    view: &mut View<'_>,
    backlog: &Backlog,
) -> Result<Option<Notification>, Refusal> {
    match view.get(&Table::Received.key(&received_name(&backlog.id, &backlog.from)))? {
        Some(bytes) => Ok(Some(decode(&bytes)?)),
        None => Ok(None),
    }
}

/// Those that came for which `is_wanted`, the oldest first; not their contents, which may be large.
pub(crate) fn backlog(
    view: &mut View<'_>,
    is_wanted: impl Fn(&Notification) -> bool,
) -> Result<Vec<Backlog>, Refusal> {
    let all = view.each(&Table::Received.key(b""), |_, bytes| {
        let notification = decode(bytes)?;
        let is_wanted = is_wanted(&notification);
        let Notification { id, from, at, .. } = notification;
        Ok(is_wanted.then_some(Backlog { id, from, at }))
    })?;
    let mut wanted: Vec<_> = all.into_iter().flatten().collect();
    wanted.sort_by_key(|one| one.at);
    Ok(wanted)
}

/// All that came from people, the oldest first.
pub(crate) fn received(view: &mut View<'_>) -> Result<Vec<Notification>, Refusal> {
    all(view, Table::Received, |notification| notification.kind != Kind::OwnServer)
}

/// All that the owner sent to `peer`, the oldest first.
pub(crate) fn sent_to(view: &mut View<'_>, peer: &AtSign) -> Result<Vec<Notification>, Refusal> {
    all(view, Table::Sent, |notification| notification.to == *peer)
}

/// Goes through all that is kept.
pub(crate) fn visit(
    view: &mut View<'_>,
    mut visit: impl FnMut(&Notification),
) -> Result<(), Refusal> {
    for table in [Table::Sent, Table::Received] {
        view.each(&table.key(b""), |_, bytes| {
            visit(&decode(bytes)?);
            Ok(())
        })?;
    }
    Ok(())
}

fn all(
    view: &mut View<'_>,
    table: Table,
    is_wanted: impl Fn(&Notification) -> bool,
) -> Result<Vec<Notification>, Refusal> {
    let mut newest = Newest::default();
    view.each(&table.key(b""), |_, bytes| {
        let notification = decode(bytes)?;
        if is_wanted(&notification) {
            newest.add(notification);
        }
        Ok(())
    })?;
    Ok(newest.by_time.into_values().collect())
}

/// The newest notifications whose values fit into [`LISTED_BYTES_MAX`], the oldest first.
#[derive(Default)]
struct Newest {
    by_time: BTreeMap<(Timestamp, usize), Notification>,
    seen: usize,
    bytes: usize,
}

impl Newest {
    fn add(&mut self, notification: Notification) {
        self.bytes += bytes_of(&notification);
        self.seen += 1;
        self.by_time.insert((notification.at, self.seen), notification);
        while self.bytes > LISTED_BYTES_MAX
            && let Some((_, oldest)) = self.by_time.pop_first()
        {
            self.bytes -= bytes_of(&oldest);
        }
    }
}

fn bytes_of(notification: &Notification) -> usize {
    notification.value.as_ref().map_or(0, String::len)
}

/// Keeps what the owner sent, as it is now.
pub(crate) fn put_sent(draft: &mut Draft<'_>, notification: &Notification) -> Result<(), Refusal> {
    put(draft, Table::Sent, notification.id.as_bytes(), notification)
}

/// Keeps what came, and has the monitors told; gives back when it came.
pub(crate) fn put_received(
    draft: &mut Draft<'_>,
    notification: Notification,
) -> Result<Timestamp, Refusal> {
    let name = received_name(&notification.id, &notification.from);
    put(draft, Table::Received, &name, &notification)?;
    let at = notification.at;
    draft.arrive(notification);
    Ok(at)
}

/// Forgets all that is kept under this id.
pub(crate) fn remove(draft: &mut Draft<'_>, id: &str) -> Result<(), Refusal> {
    draft.remove_entry(Table::Sent, id.as_bytes())?;
    for key in draft.view.keys(&received_from_anybody(id)) {
        draft.remove_entry(Table::Received, key.get(1..).unwrap_or_default())?;
    }
    Ok(())
}

/// Where there are as many notifications as there may be, forgets some that are of no more use: of
/// those whose party has most, the ones that end first. Nobody can push out another's that way. What
/// still waits to be delivered stays. False: everything waits, and there is no room.
pub(crate) fn make_room(draft: &mut Draft<'_>, limits: &Limits) -> Result<bool, Refusal> {
    if draft.notifications() < limits.notifications_max {
        return Ok(true);
    }
    let mut most = by_party(draft)?.into_values().max_by_key(Vec::len).unwrap_or_default();
    most.sort_unstable();
    let count = most.len().div_ceil(2).min(SWEEP_BATCH_MAX);
    for (_, key) in most.iter().take(count) {
        if let Some((table, name)) = Table::of(key) {
            draft.remove_entry(table, name)?;
        }
    }
    Ok(count > 0)
}

/// A notification that does not wait: when it ends, and its key.
type Settled = (Option<Timestamp>, Vec<u8>);

/// The notifications that do not wait, by who sent them; nobody stands for the owner.
fn by_party(draft: &mut Draft<'_>) -> Result<HashMap<Option<Vec<u8>>, Vec<Settled>>, Refusal> {
    let mut parties: HashMap<_, Vec<_>> = HashMap::new();
    let waiting = draft.queues.ids();
    for (key, span) in draft.view.spans(&Table::Sent.key(b""))? {
        if key.get(1..).is_none_or(|id| !waiting.contains(id)) {
            parties.entry(None).or_default().push((span.expires_at, key));
        }
    }
    for (key, span) in draft.view.spans(&Table::Received.key(b""))? {
        let sender = key.rsplit(|byte| *byte == SEPARATOR).next().map(<[u8]>::to_vec);
        parties.entry(sender).or_default().push((span.expires_at, key));
    }
    Ok(parties)
}

fn put(
    draft: &mut Draft<'_>,
    table: Table,
    name: &[u8],
    notification: &Notification,
) -> Result<(), Refusal> {
    let span = Span::until(notification.expires_at);
    draft.put_entry(table, name, &encode(notification)?, Some(span))
}

fn received_from_anybody(id: &str) -> Vec<u8> {
    Table::Received.key(&[id.as_bytes(), &[SEPARATOR]].concat())
}

fn received_name(id: &str, from: &AtSign) -> Vec<u8> {
    [id.as_bytes(), &[SEPARATOR], from.bare().as_bytes()].concat()
}

/// The value stands outside the JSON, which would make it longer.
fn encode(notification: &Notification) -> Result<Vec<u8>, Unreadable> {
    let head = Notification { value: None, ..notification.clone() };
    encode_with_value(&head, notification.value.as_deref())
}

fn decode(bytes: &[u8]) -> Result<Notification, Unreadable> {
    let (head, value) = decode_with_value(bytes)?;
    Ok(Notification { value, ..head })
}
