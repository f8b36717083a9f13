//! Waiting for news.

use std::time::Duration;

use protocol::control::roster::Position;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::state::State;
use super::{Fleet, FleetError};
use crate::limits::FLEET_WAIT_MAX;

/// Where a follower stands, and how long it waits for what comes after.
#[derive(Debug, Clone, Copy)]
pub struct Follower {
    /// What it knows.
    pub known: Position,
    /// How long it waits where that is all.
    pub wait: Duration,
}

impl Follower {
    /// What it knows of this run; none of any other.
    pub(super) fn number(&self, state: &State) -> Option<u64> {
        (self.known.run == state.run).then_some(self.known.number)
    }
}

/// What a look shows.
pub(super) enum Looked<T> {
    /// Something that the follower does not know.
    News(T),
    /// Nothing; and where news would be heard of.
    Nothing(T, watch::Receiver<()>),
}

impl Fleet {
    /// Looks until there are news, the follower's time is over, or the end has begun.
    pub(super) async fn follow<T>(
        &self,
        follower: &Follower,
        mut look: impl FnMut(&mut State) -> Result<Looked<T>, FleetError>,
    ) -> Result<T, FleetError> {
        let end = Instant::now() + follower.wait.min(FLEET_WAIT_MAX);
        let mut is_closing = self.is_closing.subscribe();
        loop {
            let looked = look(&mut self.state())?;
            let (nothing, mut news) = match looked {
                Looked::News(answer) => return Ok(answer),
                Looked::Nothing(answer, news) => (answer, news),
            };
            tokio::select! {
                _ = news.changed() => {}
                () = sleep_until(end) => return Ok(nothing),
                _ = is_closing.wait_for(|is_closing| *is_closing) => return Ok(nothing),
            }
        }
    }
}
