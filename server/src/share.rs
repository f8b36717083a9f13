//! How much of the machine one identity gets.
//!
//! While nobody else is served she may have all of it. While others are, the processor time of the
//! commands on her server is counted, and beyond her share the next one waits: so a flood, costly
//! expressions and long scans all count for what they cost, and her neighbours notice little. Her own
//! connections and those of everybody else count apart, so that nobody uses up her share for her.
//!
//! A command that looks at all of a large store is a *survey*. It runs on a thread that gives way to
//! everybody else's commands ([`crate::backstage`]), one at a time for each server.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use net::clock::thread_cpu;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::limits::{Limits, NEIGHBOUR_WINDOW, SURVEY_ENTRIES_MIN, THROTTLE_MAX};
use crate::rate::Bucket;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::view::View;

/// On whose behalf something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Owner,
    Other,
}

/// What one identity's server has used of the machine lately.
pub(crate) struct Shares {
    owner: Share,
    others: Share,
}

struct Share {
    used: Mutex<Bucket>,
    surveys: Semaphore,
}

/// Which servers of a process are in use, as far as it matters: this one alone, or another as well.
#[derive(Debug, Default)]
pub(crate) struct Neighbours(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    latest: Option<usize>,
    /// When a server other than the latest was in use.
    other: Option<(usize, Instant)>,
    at: Option<Instant>,
}

impl Neighbours {
    /// Takes note that the server with this number is in use; whether another was lately.
    pub(crate) fn meet(&self, server: usize, now: Instant) -> bool {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Recent { latest, other, at } = &mut *recent;
        if let (Some(before), Some(used)) = (*latest, *at)
            && before != server
        {
            *other = Some((before, used));
        }
        (*latest, *at) = (Some(server), Some(now));
        other.is_some_and(|(other, used)| {
            other != server && now.saturating_duration_since(used) < NEIGHBOUR_WINDOW
        })
    }
}

impl Shares {
    pub(crate) fn new() -> Self {
        Self { owner: Share::new(), others: Share::new() }
    }

    fn of(&self, standing: Standing) -> &Share {
        match standing {
            Standing::Owner => &self.owner,
            Standing::Other => &self.others,
        }
    }
}

impl Share {
    fn new() -> Self {
        let used = Mutex::new(Bucket::new(Instant::now()));
        Self { used, surveys: Semaphore::new(1) }
    }

    fn used(&self) -> MutexGuard<'_, Bucket> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts processor time.
    fn charge(&self, limits: &Limits, spent: Duration, now: Instant) {
        self.used().take(grows_in(limits, spent), limits.busy_burst, now);
    }

    /// How long the next command waits.
    fn delay(&self, limits: &Limits, now: Instant) -> Duration {
        let burst = grows_in(limits, limits.busy_burst);
        self.used().missing(now).saturating_sub(burst).min(THROTTLE_MAX)
    }
}

/// Processors of the machine. Asking the system reads a dozen files, so it is asked once.
pub(crate) fn processors() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// How long it takes until so much processor time is hers again.
fn grows_in(limits: &Limits, spent: Duration) -> Duration {
    let processors = u32::try_from(processors()).unwrap_or(u32::MAX);
    spent * 100 / processors.saturating_mul(limits.busy_percent.max(1))
}

impl Server {
    /// How long the next command waits because of what the earlier ones cost.
    pub(crate) fn busy_delay(&self, standing: Standing) -> Duration {
        let now = Instant::now();
        match self.world().neighbours.meet(self.number(), now) {
            true => self.shares().of(standing).delay(&self.world().limits, now),
            false => Duration::ZERO,
        }
    }

    /// Counts what a command has cost.
    pub(crate) fn charge(&self, standing: Standing, spent: Duration) {
        self.shares().of(standing).charge(&self.world().limits, spent, Instant::now());
    }

    /// Reads as [`Ledger::read`](crate::commit::Ledger::read) does, for what looks at all of the
    /// store. What it costs counts here, and once more with its command.
    ///
    /// # Errors
    /// That of `read`, or that the store failed.
    pub(crate) async fn survey<T: Send + 'static>(
        self: &Arc<Self>,
        standing: Standing,
        read: impl FnOnce(&mut View<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        if self.ledger().len() < SURVEY_ENTRIES_MIN {
            return self.ledger().read(read).await;
        }
        // They are never closed; if they were, the order would be all that is lost.
        let _turn = self.shares().of(standing).surveys.acquire().await.ok();
        let delay = self.busy_delay(standing);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let server = Arc::clone(self);
        let look = move || {
            let before = thread_cpu();
            let looked = server.ledger().look(read);
            server.charge(standing, thread_cpu().saturating_sub(before));
            looked
        };
        let looked = self.world().backstage.run(look).await.ok_or_else(Refusal::internal)?;
        self.ledger().settle_look(looked).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_neighbours_while_another_is_in_use() {
        let (neighbours, now) = (Neighbours::default(), Instant::now());
        assert!(!neighbours.meet(1, now));
        assert!(!neighbours.meet(1, now));
        assert!(neighbours.meet(2, now));
        assert!(neighbours.meet(1, now));
        assert!(neighbours.meet(1, now + NEIGHBOUR_WINDOW / 2));
        assert!(!neighbours.meet(1, now + NEIGHBOUR_WINDOW * 2));
    }

    #[test]
    fn beyond_its_burst_a_share_grows_back_at_its_percentage() {
        let (share, limits) = (Share::new(), Limits::default());
        let now = Instant::now() + Duration::from_secs(1);
        share.charge(&limits, limits.busy_burst, now);
        assert_eq!(share.delay(&limits, now), Duration::ZERO);
        let spent = Duration::from_millis(10);
        share.charge(&limits, spent, now);
        assert_eq!(share.delay(&limits, now), grows_in(&limits, spent));
        assert_eq!(share.delay(&limits, now + grows_in(&limits, spent)), Duration::ZERO);
        share.charge(&limits, Duration::from_secs(3600), now);
        assert_eq!(share.delay(&limits, now), THROTTLE_MAX, "nobody is kept for good");
    }
}
