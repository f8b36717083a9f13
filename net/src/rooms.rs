//! Room for the handshakes of each address block. Who finds none waits outside, in order, and costs
//! no more than a socket meanwhile; those inside who take too long leave for those who wait.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::limits::HANDSHAKE_TURN;

/// A room for each block that has somebody in it or before it.
#[derive(Debug)]
pub(crate) struct Rooms {
    max: usize,
    blocks: Mutex<HashMap<IpAddr, Arc<Room>>>,
}

#[derive(Debug, Default)]
struct Room {
    /// Held by the first of those who wait.
    door: tokio::sync::Mutex<()>,
    inside: Mutex<Inside>,
    left: Notify,
}

/// By the order in which they came in.
#[derive(Debug, Default)]
struct Inside {
    admitted: u64,
    all: BTreeMap<u64, (Instant, CancellationToken)>,
}

/// One who waits or is inside; the room is free again once this is dropped.
#[derive(Debug)]
pub(crate) struct Guest<'a> {
    rooms: &'a Rooms,
    block: IpAddr,
    room: Arc<Room>,
    number: Option<u64>,
}

impl Rooms {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, blocks: Mutex::default() }
    }

    /// Waits until there is room. `displaced` is cancelled once it is needed for somebody else.
    /// Dropping the wait gives the place in the queue up.
    pub(crate) async fn enter(&self, block: IpAddr, displaced: &CancellationToken) -> Guest<'_> {
        let room = Arc::clone(self.lock().entry(block).or_default());
        let mut guest = Guest { rooms: self, block, room, number: None };
        guest.number = Some(guest.room.enter(self.max, displaced).await);
        guest
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Room>>> {
        // Consistent after every statement that could panic.
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    async fn enter(&self, max: usize, displaced: &CancellationToken) -> u64 {
        let _first = self.door.lock().await;
        loop {
            let left = self.left.notified();
            let admitted = self.lock().admit(max, displaced);
            match admitted {
                Ok(number) => return number,
                // Whether the time passed or somebody left: the next look tells.
                Err(oldest_done) => drop(timeout_at(oldest_done, left).await),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// The number of the newcomer, or when the one who came first has had its time.
    fn admit(&mut self, max: usize, displaced: &CancellationToken) -> Result<u64, Instant> {
        let now = Instant::now();
        if self.all.len() >= max
            && let Some(oldest) = self.all.first_entry()
        {
            let (began, its_end) = oldest.get();
            let done = *began + HANDSHAKE_TURN;
            if done > now {
                return Err(done);
            }
            its_end.cancel();
            oldest.remove();
        }
        self.admitted += 1;
        self.all.insert(self.admitted, (now, displaced.clone()));
        Ok(self.admitted)
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.room.lock().all.remove(&number);
            self.room.left.notify_one();
        }
        let mut blocks = self.rooms.lock();
        // The map's and ours: nobody else is there, and under its lock nobody comes.
        if Arc::strong_count(&self.room) <= 2 {
            blocks.remove(&self.block);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::time::Duration;
    use tokio::time::{advance, timeout};

    fn block(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_waits_until_somebody_leaves_and_other_blocks_do_not_notice() {
        let (rooms, token) = (Rooms::new(2), CancellationToken::new());
        let one = rooms.enter(block(1), &token).await;
        let _two = rooms.enter(block(1), &token).await;
        let _other = rooms.enter(block(2), &token).await;
        let half = HANDSHAKE_TURN / 2;
        assert!(timeout(half, rooms.enter(block(1), &token)).await.is_err());
        let waiting = rooms.enter(block(1), &token);
        let leaving = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            drop(one);
        };
        let (_three, ()) =
            timeout(half / 2, async { tokio::join!(waiting, leaving) }).await.unwrap();
        assert!(!token.is_cancelled(), "nobody had to go");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_too_long_leaves_for_those_who_wait_and_for_nobody_else() {
        let rooms = Rooms::new(1);
        let (slow, next) = (CancellationToken::new(), CancellationToken::new());
        let _slow = rooms.enter(block(1), &slow).await;
        advance(60 * HANDSHAKE_TURN).await;
        assert!(!slow.is_cancelled(), "nobody needs the room");
        let began = Instant::now();
        let _next = rooms.enter(block(1), &next).await;
        assert!(slow.is_cancelled() && began.elapsed().is_zero());
        let _third = rooms.enter(block(1), &CancellationToken::new()).await;
        assert!(next.is_cancelled() && began.elapsed() >= HANDSHAKE_TURN, "it had its time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_that_nobody_uses_takes_no_memory() {
        let (rooms, token) = (Rooms::new(1), CancellationToken::new());
        let inside = rooms.enter(block(1), &token).await;
        assert!(timeout(HANDSHAKE_TURN / 2, rooms.enter(block(1), &token)).await.is_err());
        assert_eq!(rooms.lock().len(), 1);
        let waiting = timeout(HANDSHAKE_TURN / 2, rooms.enter(block(1), &token));
        let leaving = async { drop(inside) };
        drop(tokio::join!(waiting, leaving));
        assert!(rooms.lock().is_empty(), "whoever was the last to go");
    }
}
