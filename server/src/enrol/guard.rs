//! How often who may ask to be enrolled.
//!
//! A connection may ask a few times an hour, as in the protocol. A new connection would be a way
//! around that, and so would be a server that fell asleep and forgot; so a process also counts what
//! is asked of each identity from each address, but for the owner with her activation secret. A wrong passcode is answered late, and later
//! each time, to the address it came from: others do not notice. Only the number of all wrong
//! passcodes together is bounded for an identity: then it takes no more of them for a while, from
//! whatever address, since they can only come from very many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::{AtSign, Timestamp};

use crate::limits::{ENROL_WINDOW_MILLIS, GUARD_ENTRIES_MAX, Limits, WRONG_PASSCODES_MAX};

/// Answers to wrong passcodes are late by so many steps…
const STEPS: [u32; 9] = [1, 2, 3, 5, 8, 13, 21, 34, 55];
/// …and after so many steps without one, a right passcode makes up for them.
const STEPS_FORGIVEN: u32 = 55;

/// From where somebody calls: one address, or one IPv6 network, since whoever has one has all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Origin(IpAddr);

/// The requests of one connection.
#[derive(Debug, Default)]
pub(crate) struct Pace(Vec<Timestamp>);

/// What a process remembers of requests.
#[derive(Debug, Default)]
pub(crate) struct Guard(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    origins: HashMap<(AtSign, Option<Origin>), Entry>,
    identities: HashMap<AtSign, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    began: Timestamp,
    requests: u32,
    wrong: u32,
    last_wrong: Timestamp,
}

impl Origin {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Self(IpAddr::V6(network.into()))
            }
            address @ IpAddr::V4(_) => Self(address),
        }
    }
}

impl Pace {
    /// Counts a request; false if there have been too many.
    pub(crate) fn admit(&mut self, now: Timestamp, limits: &Limits) -> bool {
        self.0.retain(|at| is_recent(*at, now));
        let is_admitted = self.0.len() < limits.enrol_requests_max;
        if is_admitted {
            self.0.push(now);
        }
        is_admitted
    }
}

impl Guard {
    /// Counts a request; false if there have been too many.
    pub(crate) fn admit(
        &self,
        owner: &AtSign,
        origin: Option<Origin>,
        now: Timestamp,
        limits: &Limits,
    ) -> bool {
        let mut entries = self.entries();
        entries.make_room(now);
        if entries.identity(owner, now).wrong >= WRONG_PASSCODES_MAX {
            return false;
        }
        let entry = entries.origin(owner, origin, now);
        let is_admitted = entry.requests < limits.enrol_requests_per_address_max;
        entry.requests += u32::from(is_admitted);
        is_admitted
    }

    /// A wrong passcode came: how late it is answered.
    pub(crate) fn wrong(
        &self,
        owner: &AtSign,
        origin: Option<Origin>,
        now: Timestamp,
        limits: &Limits,
    ) -> Duration {
        let mut entries = self.entries();
        entries.identity(owner, now).wrong += 1;
        let entry = entries.origin(owner, origin, now);
        let step = usize::try_from(entry.wrong).unwrap_or(usize::MAX).min(STEPS.len() - 1);
        entry.wrong += 1;
        entry.last_wrong = now;
        limits.passcode_step * STEPS.get(step).copied().unwrap_or(STEPS_FORGIVEN)
    }

    /// A right passcode came.
    pub(crate) fn right(
        &self,
        owner: &AtSign,
        origin: Option<Origin>,
        now: Timestamp,
        limits: &Limits,
    ) {
        let mut entries = self.entries();
        let entry = entries.origin(owner, origin, now);
        let patience = (limits.passcode_step * STEPS_FORGIVEN).as_millis();
        let since = now.0.saturating_sub(entry.last_wrong.0);
        if u128::try_from(since).is_ok_and(|since| since >= patience) {
            entry.wrong = 0;
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Counts that a panic left behind are still counts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn origin(&mut self, owner: &AtSign, origin: Option<Origin>, now: Timestamp) -> &mut Entry {
        let entry = self.origins.entry((owner.clone(), origin)).or_insert_with(|| Entry::new(now));
        entry.at(now)
    }

    fn identity(&mut self, owner: &AtSign, now: Timestamp) -> &mut Entry {
        self.identities.entry(owner.clone()).or_insert_with(|| Entry::new(now)).at(now)
    }

    /// Forgets what is too old to count. Where that is not enough, addresses have been made up by
    /// the thousand: those that guessed least are forgotten, and the identities' counts hold.
    fn make_room(&mut self, now: Timestamp) {
        if self.origins.len() < GUARD_ENTRIES_MAX && self.identities.len() < GUARD_ENTRIES_MAX {
            return;
        }
        self.origins.retain(|_, entry| is_recent(entry.began, now));
        self.identities.retain(|_, entry| is_recent(entry.began, now));
        if self.origins.len() >= GUARD_ENTRIES_MAX {
            self.origins.retain(|_, entry| entry.wrong > 1);
        }
        if self.origins.len() >= GUARD_ENTRIES_MAX {
            self.origins.clear();
        }
    }
}

impl Entry {
    fn new(now: Timestamp) -> Self {
        Self { began: now, requests: 0, wrong: 0, last_wrong: Timestamp(i64::MIN) }
    }

    /// Begins anew after its hour.
    fn at(&mut self, now: Timestamp) -> &mut Self {
        if !is_recent(self.began, now) {
            *self = Self::new(now);
        }
        self
    }
}

/// A clock that was set back makes nothing recent for ever.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    (0..ENROL_WINDOW_MILLIS).contains(&now.0.saturating_sub(at.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn alice() -> AtSign {
        AtSign::parse("@alice").unwrap()
    }

    fn origin(address: &str) -> Option<Origin> {
        Some(Origin::of(address.parse().unwrap()))
    }

    #[test]
    fn an_origin_is_an_address_or_a_network() {
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:1"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
    }

    #[test]
    fn s216_a_connection_asks_five_times_an_hour() {
        let (limits, mut pace) = (Limits::default(), Pace::default());
        let admitted = (0..7).filter(|n| pace.admit(Timestamp(*n), &limits)).count();
        assert_eq!(admitted, 5);
        assert!(!pace.admit(Timestamp(ENROL_WINDOW_MILLIS - 1), &limits));
        assert!(pace.admit(Timestamp(ENROL_WINDOW_MILLIS), &limits));
        assert!(!pace.admit(Timestamp(ENROL_WINDOW_MILLIS), &limits));
    }

    #[test]
    fn an_address_asks_so_often_an_hour_however_many_connections_it_opens() {
        let (limits, guard) = (Limits::default(), Guard::default());
        let most = limits.enrol_requests_per_address_max;
        let ask = |address: &str, now| guard.admit(&alice(), origin(address), now, &limits);
        assert!((0..most).all(|_| ask("192.0.2.1", Timestamp(0))));
        assert!(!ask("192.0.2.1", Timestamp(1)));
        assert!(ask("192.0.2.2", Timestamp(1)), "others do not notice");
        let bob = AtSign::parse("@bob").unwrap();
        assert!(guard.admit(&bob, origin("192.0.2.1"), Timestamp(1), &limits));
        assert!(ask("192.0.2.1", Timestamp(ENROL_WINDOW_MILLIS)));
    }

    #[test]
    fn s199_wrong_passcodes_are_answered_later_and_later_to_their_own_address() {
        let (limits, guard) = (Limits::default(), Guard::default());
        let wrong = |address: &str, millis| {
            guard.wrong(&alice(), origin(address), Timestamp(millis), &limits).as_secs()
        };
        let delays: Vec<_> = (0..12).map(|_| wrong("192.0.2.1", 0)).collect();
        assert_eq!(delays, [1, 2, 3, 5, 8, 13, 21, 34, 55, 55, 55, 55]);
        assert_eq!(wrong("192.0.2.2", 0), 1);
        let right = |millis| guard.right(&alice(), origin("192.0.2.1"), Timestamp(millis), &limits);
        right(54_999);
        assert_eq!(wrong("192.0.2.1", 55_000), 55);
        right(110_000);
        assert_eq!(wrong("192.0.2.1", 110_000), 1);
    }

    #[test]
    fn all_wrong_passcodes_together_are_bounded() {
        let (limits, guard) = (Limits::default(), Guard::default());
        let address = |n: u32| Some(Origin::of(IpAddr::V4(n.into())));
        for n in 0..WRONG_PASSCODES_MAX {
            assert!(guard.admit(&alice(), address(n), Timestamp(0), &limits));
            guard.wrong(&alice(), address(n), Timestamp(0), &limits);
        }
        assert!(!guard.admit(&alice(), address(u32::MAX), Timestamp(0), &limits));
        assert!(guard.admit(&alice(), address(0), Timestamp(ENROL_WINDOW_MILLIS), &limits));
    }

    #[test]
    fn made_up_addresses_take_a_bounded_room_and_push_out_no_guesser() {
        let (limits, guard) = (Limits::default(), Guard::default());
        for _ in 0..3 {
            guard.wrong(&alice(), origin("192.0.2.1"), Timestamp(0), &limits);
        }
        for n in 0..u32::try_from(GUARD_ENTRIES_MAX).unwrap() + 10 {
            let made_up = Some(Origin::of(IpAddr::V4(n.into())));
            guard.admit(&alice(), made_up, Timestamp(0), &limits);
        }
        assert!(guard.entries().origins.len() <= GUARD_ENTRIES_MAX);
        let late = guard.wrong(&alice(), origin("192.0.2.1"), Timestamp(0), &limits);
        assert_eq!(late.as_secs(), 5);
    }
}
