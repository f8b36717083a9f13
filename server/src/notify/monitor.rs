//! Connections that are told of notifications as they come.
//!
//! Each has a short queue of its own. A monitor that does not read in time is dropped, and delays
//! nobody; it asks again for what it missed. What is large is counted while it waits; where there is no
//! memory for it, those are dropped who have not read what came before. Statistics are not queued at all: a monitor that is
//! behind learns the latest.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::notification::{Kind, Notification, stats_line};
use protocol::verb::Operation;
use protocol::{AtSign, EnrollmentId, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::limits::{Limits, REPLAYED_MAX, UNCOUNTED_BYTES_MAX};
use crate::memory::{Memory, Reserved};
use crate::rights::Rights;
use crate::verb::Pattern;

/// How far the store has come.
#[derive(Debug, Clone, Copy)]
struct Progress {
    commit: i64,
    change: Operation,
}

/// All monitors of one server.
pub(crate) struct Monitors {
    listeners: Mutex<Vec<Listener>>,
    progress: watch::Sender<Progress>,
}

struct Listener {
    audience: Audience,
    queue: mpsc::Sender<Arc<Told>>,
}

/// A notification on its way to monitors, with the memory that it takes until all have it.
pub(crate) struct Told {
    pub(crate) notification: Notification,
    _reserved: Option<Reserved>,
}

/// Of what a monitor is told.
#[derive(Debug, Clone)]
pub(crate) struct Audience {
    pub(crate) pattern: Pattern,
    pub(crate) rights: Rights,
    /// Also of what the server itself tells its owner.
    pub(crate) self_notifications: bool,
}

impl Audience {
    /// Whether it is told of this one.
    pub(crate) fn hears(&self, notification: &Notification) -> bool {
        (notification.kind != Kind::OwnServer || self.self_notifications)
            && self.pattern.is_notification(&notification.subject, &notification.from)
            && self.rights.sees_notification(notification)
    }
}

/// A monitor's end.
pub(crate) struct Subscription {
    queue: mpsc::Receiver<Arc<Told>>,
    progress: watch::Receiver<Progress>,
    /// None where statistics do not match what a strict monitor asked for.
    next_stats: Option<Instant>,
    interval: Duration,
    /// What it was told of already because it asked for what came before.
    replayed: HashSet<(String, AtSign)>,
    /// On which it stands: who proves to be another afterwards has no monitor any more.
    enrolment: Option<EnrollmentId>,
}

/// A stored notification that a monitor asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backlog {
    pub(crate) id: String,
    pub(crate) from: AtSign,
    pub(crate) at: Timestamp,
}

/// What a monitor is told.
pub(crate) enum Event {
    Notification(Arc<Told>),
    /// It is time for statistics.
    Stats {
        commit: i64,
        change: Operation,
    },
    /// It was too slow, and is not told anything any more.
    Dropped,
}

impl Monitors {
    pub(crate) fn new(last_commit: Option<u64>) -> Self {
        let progress = Progress { commit: number(last_commit), change: Operation::Update };
        Self { listeners: Mutex::default(), progress: watch::Sender::new(progress) }
    }

    /// Tells the new monitor of all that comes from now on.
    pub(crate) fn subscribe(
        &self,
        audience: Audience,
        wants_stats: bool,
        limits: &Limits,
    ) -> Subscription {
        let (queue, receiver) = mpsc::channel(limits.monitor_queue_max.max(1));
        let enrolment = audience.rights.enrolment().cloned();
        self.listeners().push(Listener { audience, queue });
        let interval = limits.stats_interval;
        let next_stats = wants_stats.then(|| Instant::now() + interval);
        let progress = self.progress.subscribe();
        let replayed = HashSet::new();
        Subscription { queue: receiver, progress, next_stats, interval, replayed, enrolment }
    }

    /// Tells every monitor that wants to know. Waits for none.
    pub(crate) fn publish(&self, notification: Notification, memory: &Arc<Memory>) {
        let mut listeners = self.listeners();
        if listeners.is_empty() {
            return;
        }
        let bytes = notification.value.as_ref().map_or(0, String::len);
        let reserved = if bytes > UNCOUNTED_BYTES_MAX { memory.reserve(bytes) } else { None };
        let has_room = bytes <= UNCOUNTED_BYTES_MAX || reserved.is_some();
        let told = Arc::new(Told { notification, _reserved: reserved });
        listeners.retain(|listener| {
            let Listener { audience, queue } = listener;
            if !audience.hears(&told.notification) {
                return !queue.is_closed();
            }
            let is_behind = queue.capacity() < queue.max_capacity();
            (has_room || !is_behind) && queue.try_send(Arc::clone(&told)).is_ok()
        });
    }

    /// Tells that the store has changed.
    pub(crate) fn changed(&self, last_commit: Option<u64>, change: Operation) {
        let commit = number(last_commit);
        self.progress.send_if_modified(|progress| {
            let is_news = commit > progress.commit;
            if is_news {
                *progress = Progress { commit, change };
            }
            is_news
        });
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        // A list that a panic left behind is still a list of listeners.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// The next thing to tell. May be dropped at any await and called again.
    pub(crate) async fn next(&mut self) -> Event {
        let Self { queue, progress, next_stats, interval, replayed, .. } = self;
        loop {
            tokio::select! {
                biased;
                told = queue.recv() => match told {
                    Some(told) if !take(replayed, &told.notification) => {
                        return Event::Notification(told);
                    }
                    Some(_) => continue,
                    None => return Event::Dropped,
                },
                () = stats_due(*next_stats) => {}
                Ok(()) = progress.changed(), if next_stats.is_some() => {}
            }
            let Progress { commit, change } = *progress.borrow_and_update();
            *next_stats = Some(Instant::now() + *interval);
            return Event::Stats { commit, change };
        }
    }

    /// Whether it stands on this enrolment, or on none as well.
    pub(crate) fn is_of(&self, enrolment: Option<&EnrollmentId>) -> bool {
        self.enrolment.as_ref() == enrolment
    }

    /// Remembers what is told from the store, the newest last: it may be on its way as well. Only
    /// what other connections are storing at this moment can be, so a few are enough.
    pub(crate) fn replays(&mut self, notifications: &[Backlog]) {
        let newest = notifications.iter().rev().take(REPLAYED_MAX);
        self.replayed = newest.map(|one| (one.id.clone(), one.from.clone())).collect();
    }
}

/// The line of a stats notification.
pub(crate) fn stats(owner: &AtSign, commit: i64, change: Operation, now: Timestamp) -> Vec<u8> {
    stats_line(owner, commit, change, now)
}

/// Whether a strict monitor asked for statistics.
pub(crate) fn matches_stats(pattern: &Pattern, owner: &AtSign) -> bool {
    pattern.is_notification(&format!("statsNotification.{owner}"), owner)
}

fn take(replayed: &mut HashSet<(String, AtSign)>, notification: &Notification) -> bool {
    // The set is empty but for a moment after a monitor has begun.
    !replayed.is_empty() && replayed.remove(&(notification.id.clone(), notification.from.clone()))
}

async fn stats_due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn number(commit: Option<u64>) -> i64 {
    commit.map_or(-1, |id| i64::try_from(id).unwrap_or(i64::MAX))
}
