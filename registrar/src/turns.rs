//! Who works when: one task at a time for each name, and not too many at once.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::AtSign;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::limits::{ADMITTED_MAX, RUNNING_MAX, TURN_DEADLINE};

/// The names that somebody works on, and the room for more.
pub(crate) struct Turns {
    taken: Mutex<HashSet<AtSign>>,
    given_back: Notify,
    admitted: Semaphore,
    running: Semaphore,
}

/// The right to work on one name, until it is dropped.
pub(crate) struct Turn<'a> {
    _admitted: SemaphorePermit<'a>,
    _running: SemaphorePermit<'a>,
    _name: NameTurn<'a>,
}

/// The right to work on one name, until it is dropped, beside those who wait for theirs.
pub(crate) struct NameTurn<'a> {
    turns: &'a Turns,
    name: &'a AtSign,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            taken: Mutex::default(),
            given_back: Notify::new(),
            admitted: Semaphore::new(ADMITTED_MAX),
            running: Semaphore::new(RUNNING_MAX),
        }
    }

    /// Waits for the turn at `name`; none if too many wait already or it does not come in time.
    /// Whoever waits for somebody else at the same name takes no room from those at others.
    pub(crate) async fn take<'a>(&'a self, name: &'a AtSign) -> Option<Turn<'a>> {
        let admitted = self.admitted.try_acquire().ok()?;
        let name = timeout(TURN_DEADLINE, self.take_name(name)).await.ok()?;
        let running = timeout(TURN_DEADLINE, self.running.acquire()).await.ok()?.ok()?;
        Some(Turn { _admitted: admitted, _running: running, _name: name })
    }

    /// The turn at `name`, if nobody has it; it takes no room from those who wait.
    pub(crate) fn take_now<'a>(&'a self, name: &'a AtSign) -> Option<NameTurn<'a>> {
        self.taken().insert(name.clone()).then_some(NameTurn { turns: self, name })
    }

    async fn take_name<'a>(&'a self, name: &'a AtSign) -> NameTurn<'a> {
        loop {
            let given_back = self.given_back.notified();
            tokio::pin!(given_back);
            // Registered before the look, so that no turn is given back unnoticed in between.
            given_back.as_mut().enable();
            if self.taken().insert(name.clone()) {
                return NameTurn { turns: self, name };
            }
            given_back.await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<AtSign>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NameTurn<'_> {
    fn drop(&mut self) {
        self.turns.taken().remove(self.name);
        self.turns.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Duration;

    use super::*;

    fn name(text: &str) -> AtSign {
        AtSign::parse(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_at_a_name_waits_and_others_do_not() {
        let turns = Turns::new();
        let (alice, bob) = (name("@alice"), name("@bob"));
        let first = turns.take(&alice).await;
        assert!(first.is_some() && turns.take(&bob).await.is_some());
        let soon = timeout(Duration::from_secs(1), turns.take(&alice));
        assert!(soon.await.is_err());
        let (second, ()) = tokio::join!(turns.take(&alice), async {
            tokio::task::yield_now().await;
            drop(first);
        });
        assert!(second.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_gives_up_and_leaves_no_trace() {
        let turns = Turns::new();
        let alice = name("@alice");
        let first = turns.take(&alice).await;
        assert!(turns.take(&alice).await.is_none());
        drop(first);
        assert!(turns.take(&alice).await.is_some());
        assert!(turns.taken().is_empty());
        assert_eq!(turns.admitted.available_permits(), ADMITTED_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_run_and_only_so_many_wait() {
        let turns = Turns::new();
        let names: Vec<_> = (0..=ADMITTED_MAX).map(|n| name(&format!("n{n}"))).collect();
        let mut running = Vec::new();
        for name in &names[..RUNNING_MAX] {
            running.push(turns.take(name).await.unwrap());
        }
        let one_more = timeout(Duration::from_secs(1), turns.take(&names[RUNNING_MAX]));
        assert!(one_more.await.is_err());
        let _waiting =
            turns.admitted.try_acquire_many(u32::try_from(ADMITTED_MAX - RUNNING_MAX).unwrap());
        assert!(turns.take(&names[ADMITTED_MAX]).await.is_none(), "refused at once");
    }
}
