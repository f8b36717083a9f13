//! Room for handshakes. Who waits for a silent client holds nobody up: where room is short, the one
//! that has taken longest leaves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::limits::HANDSHAKE_TURN;

/// The handshakes under way.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    under_way: Arc<Mutex<UnderWay>>,
    max: usize,
}

/// By the order in which they began.
#[derive(Debug, Default)]
struct UnderWay {
    begun: u64,
    all: BTreeMap<u64, (Instant, CancellationToken)>,
}

/// One handshake; its room is free again once this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Turns,
    number: u64,
    displaced: CancellationToken,
}

impl Turns {
    pub(crate) fn new(max: usize) -> Self {
        Self { under_way: Arc::default(), max }
    }

    /// Never waits: if there is no room the oldest leaves, and if all are young there is one more.
    /// How many there can be is the affair of the permits that they hold besides.
    pub(crate) fn begin(&self) -> Turn {
        let now = Instant::now();
        let displaced = CancellationToken::new();
        let mut under_way = self.lock();
        if under_way.all.len() >= self.max {
            under_way.displace_oldest(now);
        }
        under_way.begun += 1;
        let number = under_way.begun;
        under_way.all.insert(number, (now, displaced.clone()));
        drop(under_way);
        Turn { turns: self.clone(), number, displaced }
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        // Consistent after every statement that could panic.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    fn displace_oldest(&mut self, now: Instant) {
        if let Some(oldest) = self.all.first_entry() {
            let (began, displaced) = oldest.get();
            if now.duration_since(*began) >= HANDSHAKE_TURN {
                displaced.cancel();
                oldest.remove();
            }
        }
    }
}

impl Turn {
    /// Waits until the room is needed for somebody else.
    pub(crate) async fn displaced(&self) {
        self.displaced.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::advance;

    fn is_displaced(turn: &Turn) -> bool {
        turn.displaced.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_leaves_for_a_newcomer_but_not_before_it_had_its_time() {
        let turns = Turns::new(2);
        let one = turns.begin();
        advance(HANDSHAKE_TURN / 2).await;
        let two = turns.begin();
        let three = turns.begin();
        assert!(!is_displaced(&one) && turns.lock().all.len() == 3, "all are young");
        advance(HANDSHAKE_TURN / 2).await;
        let four = turns.begin();
        assert!(is_displaced(&one) && !is_displaced(&two), "the oldest alone");
        drop((one, two, three, four));
        assert!(turns.lock().all.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn with_room_nobody_leaves_however_old() {
        let turns = Turns::new(2);
        let one = turns.begin();
        advance(Duration::from_secs(60)).await;
        let _two = turns.begin();
        assert!(!is_displaced(&one));
    }
}
