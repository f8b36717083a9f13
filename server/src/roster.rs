//! The connections of one server: how many, and which have been idle for too long.
//!
//! As the places fill up, the idle time that is allowed shrinks (the protocol's section 2.9), so
//! that connections which nobody uses make room for new ones.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::EnrollmentId;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limits::Limits;

/// All connections of one server.
#[derive(Default)]
pub(crate) struct Roster {
    seats: Mutex<Seats>,
    /// The last connection has gone.
    emptied: Notify,
}

#[derive(Default)]
struct Seats {
    next: u64,
    taken: HashMap<u64, Arc<Seat>>,
    /// A task looks after what has to be done while there are connections.
    is_kept: bool,
}

struct Seat {
    is_trusted: AtomicBool,
    last_written: Mutex<Instant>,
    /// Since when a command is being done.
    working: Mutex<Option<Instant>>,
    /// The enrolment on which the connection stands.
    enrolment: Mutex<Option<EnrollmentId>>,
    revoked: Notify,
    dismissed: Notify,
}

/// One connection's place; given back when it is dropped.
pub(crate) struct Ticket {
    roster: Arc<Roster>,
    number: u64,
    seat: Arc<Seat>,
}

impl Roster {
    /// Takes a place; none if all are taken by connections that are in use.
    pub(crate) fn enter(self: &Arc<Self>, limits: &Limits) -> Option<Ticket> {
        let mut seats = self.seats();
        seats.dismiss_idle(limits);
        if seats.taken.len() >= limits.connections_max {
            return None;
        }
        let seat = Arc::new(Seat {
            is_trusted: AtomicBool::new(false),
            last_written: Mutex::new(Instant::now()),
            working: Mutex::default(),
            enrolment: Mutex::default(),
            revoked: Notify::new(),
            dismissed: Notify::new(),
        });
        let number = seats.next;
        seats.next += 1;
        seats.taken.insert(number, Arc::clone(&seat));
        Some(Ticket { roster: Arc::clone(self), number, seat })
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.seats().taken.len()
    }

    /// How long the oldest command is under way, of those that are.
    pub(crate) fn oldest_command(&self) -> Option<Duration> {
        let since = |seat: &Arc<Seat>| *seat.working();
        self.seats().taken.values().filter_map(since).min().map(|since| since.elapsed())
    }

    /// Whether there is no connection.
    pub(crate) fn is_empty(&self) -> bool {
        self.seats().taken.is_empty()
    }

    /// Whether the caller is the one to look after things from now on.
    pub(crate) fn claim_keeping(&self) -> bool {
        !std::mem::replace(&mut self.seats().is_kept, true)
    }

    /// Gives up looking after things, if there are no connections.
    pub(crate) fn end_keeping(&self) -> bool {
        let mut seats = self.seats();
        seats.is_kept = !seats.taken.is_empty();
        !seats.is_kept
    }

    /// Waits until the last connection goes. It may have come back since.
    pub(crate) async fn emptied(&self) {
        self.emptied.notified().await;
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        // Each change is one call on one map.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    fn dismiss_idle(&mut self, limits: &Limits) {
        let occupancy = occupancy(self.taken.len(), limits.connections_max);
        self.taken.retain(|_, seat| {
            let (idle_max, idle_full) = if seat.is_trusted.load(Ordering::Relaxed) {
                (limits.trusted_idle_max, limits.trusted_idle_full)
            } else {
                (limits.open_idle_max, limits.open_idle_full)
            };
            let stays = seat.idle() <= squeezed(idle_max, idle_full, occupancy);
            if !stays {
                seat.dismissed.notify_one();
            }
            stays
        });
    }
}

impl Seat {
    fn stands_on(&self, id: &EnrollmentId) -> bool {
        self.enrolment().as_ref() == Some(id)
    }

    fn enrolment(&self) -> MutexGuard<'_, Option<EnrollmentId>> {
        self.enrolment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn working(&self) -> MutexGuard<'_, Option<Instant>> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> Duration {
        self.last_written.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl Ticket {
    /// Something was written to the connection.
    pub(crate) fn wrote(&self) {
        let mut last = self.seat.last_written.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Instant::now();
    }

    /// Does a command; until it is done, its time counts.
    pub(crate) async fn working<T>(&self, command: impl Future<Output = T>) -> T {
        *self.seat.working() = Some(Instant::now());
        let done = command.await;
        *self.seat.working() = None;
        done
    }

    /// Whether somebody has authenticated on the connection.
    pub(crate) fn set_trusted(&self, is_trusted: bool) {
        self.seat.is_trusted.store(is_trusted, Ordering::Relaxed);
    }

    /// On which enrolment the connection stands, if on any.
    pub(crate) fn set_enrolment(&self, id: Option<&EnrollmentId>) {
        let mut enrolment = self.seat.enrolment();
        if enrolment.as_ref() != id {
            *enrolment = id.cloned();
        }
    }

    /// Has all other connections end that stand on this enrolment.
    pub(crate) fn revoke_others(&self, id: &EnrollmentId) {
        for (number, seat) in &self.roster.seats().taken {
            if *number != self.number && seat.stands_on(id) {
                seat.revoked.notify_one();
            }
        }
    }

    /// How long the connection may go on without an answer.
    pub(crate) fn patience(&self, limits: &Limits) -> Duration {
        let is_trusted = self.seat.is_trusted.load(Ordering::Relaxed);
        let idle_max = if is_trusted { limits.trusted_idle_max } else { limits.open_idle_max };
        idle_max.saturating_sub(self.seat.idle())
    }

    /// Waits until the enrolment on which the connection stands is revoked. Safe to drop and call
    /// again.
    pub(crate) async fn revoked(&self) {
        self.seat.revoked.notified().await;
    }

    /// Waits until the connection has to make room. Safe to drop and call again.
    pub(crate) async fn dismissed(&self) {
        self.seat.dismissed.notified().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut seats = self.roster.seats();
        seats.taken.remove(&self.number);
        if seats.taken.is_empty() {
            seats.taken.shrink_to_fit();
            self.roster.emptied.notify_one();
        }
    }
}

/// How full it is beyond the half, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
fn occupancy(taken: usize, places: usize) -> f64 {
    let share = taken as f64 / places.max(1) as f64;
    ((share - 0.5) * 2.0).clamp(0.0, 1.0)
}

/// From `idle_max` to `idle_full` as the places fill up.
fn squeezed(idle_max: Duration, idle_full: Duration, occupancy: f64) -> Duration {
    idle_max.saturating_sub(idle_max.saturating_sub(idle_full).mul_f64(occupancy))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn limits() -> Limits {
        Limits { connections_max: 4, ..Limits::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn s037_idle_open_connections_make_room_for_new_ones() {
        let (roster, limits) = (Arc::new(Roster::default()), limits());
        let open: Vec<_> = (0..3).map(|_| roster.enter(&limits).unwrap()).collect();
        let owner = roster.enter(&limits).unwrap();
        owner.set_trusted(true);
        assert!(roster.enter(&limits).is_none(), "nobody has been idle yet");
        tokio::time::advance(Duration::from_secs(4)).await;
        open[0].wrote();
        tokio::time::advance(Duration::from_secs(2)).await;
        let newcomer = roster.enter(&limits);
        assert!(newcomer.is_some(), "two were idle for more than 5 s");
        for (ticket, is_dismissed) in [(&open[0], false), (&open[1], true), (&owner, false)] {
            let dismissed = tokio::time::timeout(Duration::ZERO, ticket.dismissed()).await;
            assert_eq!(dismissed.is_ok(), is_dismissed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn s038_an_open_connection_is_idle_for_ten_minutes_and_an_owners_for_thirty_days() {
        let (roster, limits) = (Arc::new(Roster::default()), limits());
        let ticket = roster.enter(&limits).unwrap();
        tokio::time::advance(Duration::from_secs(599)).await;
        assert_eq!(ticket.patience(&limits), Duration::from_secs(1));
        ticket.set_trusted(true);
        assert_eq!(ticket.patience(&limits), Duration::from_secs(2_592_000 - 599));
        ticket.wrote();
        assert_eq!(ticket.patience(&limits), limits.trusted_idle_max);
    }

    #[test]
    fn the_squeeze_begins_at_half() {
        let (most, least) = (Duration::from_secs(600), Duration::from_secs(5));
        for (taken, seconds) in [(0, 600.0), (100, 600.0), (150, 302.5), (200, 5.0)] {
            let idle = squeezed(most, least, occupancy(taken, 200));
            assert!((idle.as_secs_f64() - seconds).abs() < 0.01, "{taken}: {idle:?}");
        }
    }

    #[tokio::test]
    async fn one_task_at_a_time_looks_after_a_server_in_use() {
        let (roster, limits) = (Arc::new(Roster::default()), limits());
        let ticket = roster.enter(&limits).unwrap();
        assert!(roster.claim_keeping());
        assert!(!roster.claim_keeping());
        assert!(!roster.end_keeping(), "somebody is there");
        drop(ticket);
        roster.emptied().await;
        assert!(roster.is_empty() && roster.end_keeping());
        assert!(roster.claim_keeping());
    }
}
