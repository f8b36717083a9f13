//! Health of each server: one that does not get on is given up and started again, alone.
//!
//! ```text
//! awake ──hangs, breaks off──▶ given up ──pause──▶ asleep: the next connection wakes it
//!                                  └──again and again──▶ quarantined for a while: nobody is let in
//! ```
//! Giving up waits for nothing: the store is told to acknowledge nothing more, all who are connected are
//! told, and the next opening has a higher epoch, whose fence shuts out whatever the old one still does.
//! What hangs keeps its thread and its memory until it comes back; so the number of those is limited.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::control::roster::IllServer;
use protocol::{AtSign, VolumeId};
use server::{Server, Vitals};
use storage::Pulse;
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::cell::{Inner, State, Tenants};
use crate::limits;

/// How long a server may take for something before it is given up.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For one step of its store, such as a sync, while something waits for it.
    pub store: Duration,
    /// For one command.
    pub command: Duration,
    /// For its opening.
    pub open: Duration,
    /// For its end.
    pub shut: Duration,
    /// Between being given up the second time and being woken again; it doubles.
    pub pause: Duration,
    /// How long one is quarantined.
    pub quarantine: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            store: limits::STORE_PATIENCE,
            command: limits::COMMAND_PATIENCE,
            open: limits::OPEN_PATIENCE,
            shut: limits::SHUT_PATIENCE,
            pause: limits::RESTART_PAUSE,
            quarantine: limits::QUARANTINE,
        }
    }
}

/// What is wrong with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ill {
    #[error("its store does not get on")]
    StoreHangs,
    #[error("a command does not end")]
    CommandHangs,
    #[error("its store failed, or was broken off")]
    Broken,
    #[error("its store does not open")]
    OpeningHangs,
    #[error("it does not let go of its store")]
    ClosingHangs,
}

/// What befell a server lately.
pub(crate) struct Illness {
    identity: AtSign,
    why: Ill,
    /// When it was given up, in the last while.
    restarts: Vec<Instant>,
    /// Not to be woken before.
    until: Instant,
    is_quarantined: bool,
}

/// Whether a server may be woken.
pub(crate) enum Leave {
    Now,
    At(Instant),
    Quarantined,
}

impl Tenants {
    /// Whether a server may be woken, for all that befell it.
    pub(crate) fn leave(&self, volume: VolumeId) -> Leave {
        match self.ill.get(&volume) {
            Some(illness) if illness.until > Instant::now() => match illness.is_quarantined {
                true => Leave::Quarantined,
                false => Leave::At(illness.until),
            },
            _ => Leave::Now,
        }
    }

    /// Those that were given up lately, the quarantined first; as many as one report holds.
    pub(crate) fn ill(&self) -> Vec<IllServer> {
        let now = Instant::now();
        let tell = |(volume, illness): (&VolumeId, &Illness)| IllServer {
            identity: illness.identity.clone(),
            volume: *volume,
            restarts: u32::try_from(illness.restarts.len()).unwrap_or(u32::MAX),
            is_quarantined: illness.is_quarantined && illness.until > now,
            why: illness.why.to_string(),
        };
        let mut told: Vec<_> = self.ill.iter().map(tell).collect();
        told.sort_by(|one, two| {
            let order = |ill: &IllServer| (!ill.is_quarantined, ill.volume);
            order(one).cmp(&order(two))
        });
        told.truncate(limits::REPORT_ILL_MAX);
        told
    }

    /// How many are quarantined.
    pub(crate) fn quarantined(&self) -> usize {
        let now = Instant::now();
        self.ill.values().filter(|ill| ill.is_quarantined && ill.until > now).count()
    }
}

impl Illness {
    fn is_over(&self, now: Instant) -> bool {
        let last = self.restarts.last().copied().unwrap_or(now);
        now > self.until && now > last + limits::RESTARTS_WINDOW
    }

    /// Once more. A first time costs no pause.
    fn again(&mut self, why: Ill, patience: &Patience, is_last: bool) {
        let now = Instant::now();
        self.restarts.retain(|at| *at + limits::RESTARTS_WINDOW > now);
        self.restarts.push(now);
        self.why = why;
        self.is_quarantined = is_last || self.restarts.len() > limits::RESTARTS_MAX;
        self.until = now
            + match (self.is_quarantined, self.restarts.len()) {
                (true, _) => patience.quarantine,
                (false, 1) => Duration::ZERO,
                (false, times) => {
                    let doubled = 1 << times.saturating_sub(2).min(16);
                    patience.pause.saturating_mul(doubled).min(limits::RESTART_PAUSE_MAX)
                }
            };
    }
}

/// Notes that the store of a server was given up: it is opened with a higher epoch, and not at once
/// if it happens again and again.
pub(crate) fn note(inner: &Inner, tenants: &mut Tenants, volume: VolumeId, why: Ill) {
    let has_epochs = why == Ill::OpeningHangs || inner.shelf.raise(volume);
    let Some(tenant) = tenants.all.get(&volume) else { return };
    let identity = tenant.resident.identity.clone();
    inner.counts.restarts.fetch_add(1, Ordering::Relaxed);
    tenants.lost.retain(|lost| lost.strong_count() > 0);
    let is_last = !has_epochs || tenants.lost.len() >= limits::LOST_MAX;
    let illness = tenants.ill.entry(volume).or_insert_with(|| Illness {
        identity: identity.clone(),
        why,
        restarts: Vec::new(),
        until: Instant::now(),
        is_quarantined: false,
    });
    illness.again(why, &inner.config.patience, is_last);
    let is_quarantined = illness.is_quarantined;
    warn!(%identity, %why, is_quarantined, "a server did not get on; it is started again alone");
}

/// Gives an awake server up.
fn give_up(inner: &Inner, tenants: &mut Tenants, volume: VolumeId, why: Ill) {
    let Some(tenant) = tenants.all.get_mut(&volume) else { return };
    let State::Awake(server) = &tenant.state else { return };
    let server = Arc::clone(server);
    server.give_up();
    tenants.usage.collect(volume, &server);
    tenant.state = State::Asleep;
    tenants.awake.remove(&volume);
    tenants.lost.push(Arc::downgrade(&server));
    note(inner, tenants, volume, why);
    if inner.waiting.contains(volume) {
        tenants.reminders.set(volume, Instant::now() + limits::REMINDED_AFTER_FAILURE);
    }
}

/// Examines everybody who is awake, again and again, until the drain begins.
pub(crate) async fn keep_well(inner: Arc<Inner>) {
    let mut pulses = Pulses::default();
    let interval = limits::HEALTH_INTERVAL.min(inner.config.patience.store / 4);
    loop {
        tokio::select! {
            () = inner.drain.draining() => return,
            () = sleep(interval) => {}
        }
        let mut tenants = inner.tenants();
        for (volume, why) in pulses.examine(&tenants, &inner.config.patience) {
            give_up(&inner, &mut tenants, volume, why);
        }
        let now = Instant::now();
        tenants.ill.retain(|_, illness| !illness.is_over(now));
    }
}

/// Since when the stores that are at work are at the same step.
#[derive(Default)]
struct Pulses(HashMap<VolumeId, (Pulse, Instant)>);

impl Pulses {
    fn examine(&mut self, tenants: &Tenants, patience: &Patience) -> Vec<(VolumeId, Ill)> {
        self.0.retain(|volume, _| tenants.awake.contains_key(volume));
        let server = |volume: &VolumeId| match &tenants.all.get(volume)?.state {
            State::Awake(server) if !server.is_fenced() => Some(server),
            _ => None,
        };
        let awake = tenants.awake.keys().filter_map(|volume| Some((*volume, server(volume)?)));
        let ill = |(volume, server): (VolumeId, &Arc<Server>)| {
            Some((volume, self.judge(volume, server.vitals(), patience)?))
        };
        awake.filter_map(ill).collect()
    }

    fn judge(&mut self, volume: VolumeId, vitals: Vitals, patience: &Patience) -> Option<Ill> {
        let now = Instant::now();
        let hangs = match vitals.store.filter(|pulse| pulse.is_busy) {
            None => {
                self.0.remove(&volume);
                false
            }
            Some(pulse) => {
                let entry = self.0.entry(volume).or_insert((pulse, now));
                if entry.0 != pulse {
                    *entry = (pulse, now);
                }
                now.duration_since(entry.1) > patience.store
            }
        };
        if hangs {
            Some(Ill::StoreHangs)
        } else if vitals.is_broken {
            Some(Ill::Broken)
        } else if vitals.oldest_command.is_some_and(|age| age > patience.command) {
            Some(Ill::CommandHangs)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn vitals(is_busy: bool, steps: u64) -> Vitals {
        Vitals { store: Some(Pulse { is_busy, steps }), oldest_command: None, is_broken: false }
    }

    async fn pass(time: Duration) {
        tokio::time::advance(time).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_hangs_that_is_at_one_step_for_too_long_and_not_one_that_is_slow() {
        let (mut pulses, patience) = (Pulses::default(), Patience::default());
        let alice = VolumeId::from_bytes([1; 16]);
        for steps in 0..100 {
            assert_eq!(pulses.judge(alice, vitals(true, steps), &patience), None);
            pass(patience.store).await;
        }
        assert_eq!(pulses.judge(alice, vitals(true, 99), &patience), None);
        pass(Duration::from_millis(1)).await;
        assert_eq!(pulses.judge(alice, vitals(true, 99), &patience), Some(Ill::StoreHangs));
        assert_eq!(pulses.judge(alice, vitals(false, 99), &patience), None);
        assert!(pulses.0.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_restart_is_at_once_later_ones_pause_and_too_many_end_in_quarantine() {
        let patience = Patience::default();
        let mut illness = Illness {
            identity: AtSign::parse("@alice").unwrap(),
            why: Ill::Broken,
            restarts: Vec::new(),
            until: Instant::now(),
            is_quarantined: false,
        };
        let mut pauses = Vec::new();
        for _ in 0..=limits::RESTARTS_MAX {
            illness.again(Ill::Broken, &patience, false);
            pauses.push((illness.until - Instant::now(), illness.is_quarantined));
        }
        let seconds = |seconds, quarantined| (Duration::from_secs(seconds), quarantined);
        let quarantined = (patience.quarantine, true);
        let first = [0, 1, 2, 4, 8].map(|pause| seconds(pause, false));
        assert_eq!(pauses, [&first[..], &[quarantined]].concat());
        pass(limits::RESTARTS_WINDOW + patience.quarantine).await;
        assert!(illness.is_over(Instant::now()));
        illness.again(Ill::Broken, &patience, false);
        assert_eq!((illness.until, illness.is_quarantined), (Instant::now(), false));
    }
}
