//! Who waits for which notifications, in memory; the store has the same in its table `q`.

use std::collections::{HashMap, HashSet, VecDeque};

use protocol::notification::Notification;
use protocol::verb::Strategy;
use protocol::{AtSign, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A notification that waits for its receiver's server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// Its place in the order.
    pub(crate) serial: u64,
    pub(crate) id: String,
    pub(crate) to: AtSign,
    /// In whose name only the latest are delivered, if only those are.
    latest_of: Option<String>,
    pub(crate) expires_at: Timestamp,
}

/// The notifications that wait, by receiver.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    receivers: HashMap<AtSign, Queue>,
    len: usize,
    /// There may be receivers that nobody takes care of.
    is_unclaimed: bool,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// A task takes care of it.
    is_served: bool,
    /// That task pauses until then, after a try that failed.
    next_try: Option<Instant>,
}

impl Waiting {
    pub(crate) fn new(serial: u64, notification: &Notification) -> Self {
        let is_latest = notification.strategy == Strategy::Latest;
        Self {
            serial,
            id: notification.id.clone(),
            to: notification.to.clone(),
            latest_of: is_latest.then(|| notification.notifier.clone()),
            expires_at: notification.expires_at,
        }
    }
}

impl Queues {
    /// Takes up what a commit queued and what it settled.
    pub(crate) fn apply(&mut self, queued: Vec<Waiting>, settled: &[Waiting]) {
        for done in settled {
            if let Some(queue) = self.receivers.get_mut(&done.to) {
                let before = queue.waiting.len();
                queue.waiting.retain(|waiting| waiting.serial != done.serial);
                self.len -= before - queue.waiting.len();
            }
        }
        for waiting in queued {
            let queue = self.receivers.entry(waiting.to.clone()).or_default();
            queue.waiting.push_back(waiting);
            self.is_unclaimed |= !queue.is_served;
            self.len += 1;
        }
    }

    /// How many wait in all.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What a new notification pushes out: those of the same notifier beyond the newest.
    pub(crate) fn superseded_by(&self, new: &Notification) -> Vec<Waiting> {
        if new.strategy != Strategy::Latest {
            return Vec::new();
        }
        let Some(queue) = self.receivers.get(&new.to) else { return Vec::new() };
        let is_same = |waiting: &&Waiting| waiting.latest_of.as_ref() == Some(&new.notifier);
        let older = usize::try_from(new.depth.saturating_sub(1)).unwrap_or(usize::MAX);
        queue.waiting.iter().rev().filter(is_same).skip(older).cloned().collect()
    }

    /// The one with this id, if it waits.
    pub(crate) fn find(&self, id: &str) -> Option<Waiting> {
        let mut all = self.receivers.values().flat_map(|queue| &queue.waiting);
        all.find(|waiting| waiting.id == id).cloned()
    }

    /// The ids of all that wait.
    pub(crate) fn ids(&self) -> HashSet<&[u8]> {
        let all = self.receivers.values().flat_map(|queue| &queue.waiting);
        all.map(|waiting| waiting.id.as_bytes()).collect()
    }

    /// The receivers that nobody takes care of yet; whoever asks takes care of them now.
    pub(crate) fn claim(&mut self) -> Vec<AtSign> {
        if !std::mem::take(&mut self.is_unclaimed) {
            return Vec::new();
        }
        let unserved = self.receivers.iter_mut().filter(|(_, queue)| !queue.is_served);
        unserved
            .map(|(receiver, queue)| {
                queue.is_served = true;
                receiver.clone()
            })
            .collect()
    }

    /// A try for the receiver has failed; the next is at this time.
    pub(crate) fn pause(&mut self, receiver: &AtSign, until: Instant) {
        if let Some(queue) = self.receivers.get_mut(receiver) {
            queue.next_try = Some(until);
        }
    }

    /// The pause before the next try is over.
    pub(crate) fn resume(&mut self, receiver: &AtSign) {
        if let Some(queue) = self.receivers.get_mut(receiver) {
            queue.next_try = None;
        }
    }

    /// When the next of the pauses is over; none while something is tried, or nothing waits.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        let tries = self.receivers.values().map(|queue| queue.next_try);
        tries.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// The first that wait for a receiver, at most so many.
    pub(crate) fn front(&self, receiver: &AtSign, most: usize) -> Vec<Waiting> {
        let waiting = self.receivers.get(receiver).map(|queue| queue.waiting.iter().take(most));
        waiting.into_iter().flatten().cloned().collect()
    }

    /// The first that waits for a receiver. If none does, nobody takes care of it any more.
    pub(crate) fn first(&mut self, receiver: &AtSign) -> Option<Waiting> {
        let first = self.receivers.get(receiver).and_then(|queue| queue.waiting.front().cloned());
        if first.is_none() {
            self.receivers.remove(receiver);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    fn waiting(serial: u64, to: &str, latest_of: Option<&str>) -> Waiting {
        Waiting {
            serial,
            id: format!("n{serial}"),
            to: AtSign::parse(to).unwrap(),
            latest_of: latest_of.map(str::to_owned),
            expires_at: Timestamp(1),
        }
    }

    #[test]
    fn a_receiver_is_claimed_once_until_its_queue_has_run_dry() {
        let bob = AtSign::parse("@bob").unwrap();
        let mut queues = Queues::default();
        queues.apply(vec![waiting(0, "@bob", None), waiting(1, "@bob", None)], &[]);
        assert_eq!(queues.claim(), std::slice::from_ref(&bob));
        assert_eq!(queues.claim(), []);
        for serial in 0..2 {
            assert_eq!(queues.len(), 2 - usize::try_from(serial).unwrap());
            let first = queues.first(&bob).unwrap();
            assert_eq!(first.serial, serial);
            queues.apply(Vec::new(), &[first]);
        }
        assert_eq!((queues.first(&bob), queues.len()), (None, 0));
        queues.apply(vec![waiting(2, "@bob", None)], &[]);
        assert_eq!(queues.claim(), [bob]);
    }

    #[test]
    fn the_next_try_is_the_earliest_and_none_while_one_is_under_way() {
        let names = ["@bob", "@carol"].map(|name| AtSign::parse(name).unwrap());
        let mut queues = Queues::default();
        assert_eq!(queues.next_try(), None);
        queues.apply(vec![waiting(0, "@bob", None), waiting(1, "@carol", None)], &[]);
        let (early, late) = (Instant::now(), Instant::now() + Duration::from_secs(9));
        queues.pause(&names[0], late);
        assert_eq!(queues.next_try(), None, "carol is tried now");
        queues.pause(&names[1], early);
        assert_eq!(queues.next_try(), Some(early));
        queues.resume(&names[1]);
        assert_eq!(queues.next_try(), None);
    }

    #[test]
    fn what_comes_while_the_last_is_settled_is_not_forgotten() {
        let bob = AtSign::parse("@bob").unwrap();
        let mut queues = Queues::default();
        queues.apply(vec![waiting(0, "@bob", None)], &[]);
        queues.claim();
        let first = queues.first(&bob).unwrap();
        queues.apply(Vec::new(), &[first]);
        queues.apply(vec![waiting(1, "@bob", None)], &[]);
        assert_eq!(queues.claim(), [], "the task that serves it has not ended");
        assert_eq!(queues.first(&bob).map(|w| w.serial), Some(1));
    }
}
