//! Several carriers of one feed: the first that is of use is followed.
//!
//! A carrier that cannot be asked, that has nothing, that is behind or whose words the follower
//! refused is left alone for a while, and the next one is asked; so is one whose newest word does
//! not change while the next one has a newer. When its time is over it is tried again. Nothing is
//! believed here: what a carrier says decides only whom to ask.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use feed::Signed;
use net::backoff;
use protocol::control::feed::Batch;
use protocol::{FeedId, Timestamp};
use tokio::time::{Instant, timeout};

use crate::feed::{BoxFuture, FeedAnswer, FeedError, FeedSource};
use crate::limits::{CARRIER_LEFT_MAX, CARRIER_LEFT_MIN, CARRIER_SILENT_MAX, FEED_DEADLINE};

/// Carriers in the order in which they are wanted.
pub struct Carriers {
    carriers: Vec<Arc<dyn FeedSource>>,
    state: Mutex<State>,
}

struct State {
    standings: Vec<Standing>,
    /// Who was asked last, as long as nobody has said that what he gave was refused.
    asked: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    failures: u32,
    left_until: Option<Instant>,
    /// The newest word that it gave, and since when there is no newer one.
    said: Option<(Timestamp, Instant)>,
}

impl Carriers {
    /// The first is asked as long as it is of use.
    #[must_use]
    pub fn new(carriers: Vec<Arc<dyn FeedSource>>) -> Self {
        let standings = vec![Standing::default(); carriers.len()];
        Self { carriers, state: Mutex::new(State { standings, asked: None }) }
    }

    async fn ask_after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> Result<FeedAnswer, FeedError> {
        let until = Instant::now() + wait;
        let mut last = FeedError::Empty;
        for place in self.begin() {
            let Some(carrier) = self.ask(place) else { continue };
            let wait = until.saturating_duration_since(Instant::now());
            match carrier.after(feed, number, wait).await {
                Ok(answer) => return Ok(self.newer(place, answer, feed, number).await),
                Err(error) => last = self.failed(place, error),
            }
        }
        Err(last)
    }

    /// This answer; or the next carrier's, where this one has been silent and that one has not.
    async fn newer(
        &self,
        place: usize,
        answer: FeedAnswer,
        feed: FeedId,
        number: u64,
    ) -> FeedAnswer {
        let FeedAnswer::Batch(signed) = &answer else { return answer };
        let Ok(batch) = signed.stated::<Batch>() else { return answer };
        if !self.state().standing(place).is_some_and(|s| s.is_silent(batch.at)) {
            return answer;
        }
        for other in (0..self.carriers.len()).filter(|other| *other != place) {
            let Some(carrier) = self.carriers.get(other) else { continue };
            let asked = timeout(FEED_DEADLINE, carrier.after(feed, number, Duration::ZERO));
            let Ok(Ok(FeedAnswer::Batch(theirs))) = asked.await else { continue };
            if theirs.stated::<Batch>().is_ok_and(|theirs| theirs.at > batch.at) {
                tracing::warn!(carrier = place, instead = other, "a carrier of the feed is behind");
                let mut state = self.state();
                state.leave(place);
                state.asked = Some(other);
                return FeedAnswer::Batch(theirs);
            }
        }
        // Nobody has anything newer: it is the registrar that is silent.
        if let Some(standing) = self.state().standing(place) {
            standing.said = Some((batch.at, Instant::now()));
        }
        answer
    }

    async fn ask_snapshot(&self) -> Result<Vec<u8>, FeedError> {
        let mut last = FeedError::Empty;
        for place in self.begin() {
            let Some(carrier) = self.ask(place) else { continue };
            match carrier.snapshot().await {
                Ok(snapshot) => return Ok(snapshot),
                Err(error) => last = self.failed(place, error),
            }
        }
        Err(last)
    }

    async fn ask_checkpoint(&self) -> Result<Signed, FeedError> {
        let mut last = FeedError::Empty;
        for place in self.begin() {
            let Some(carrier) = self.ask(place) else { continue };
            match carrier.checkpoint().await {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(error) => last = self.failed(place, error),
            }
        }
        Err(last)
    }

    /// In which order they are to be asked now: those that are left alone come last, the one whose
    /// time is over soonest before the others.
    fn begin(&self) -> Vec<usize> {
        let mut state = self.state();
        state.accept();
        let now = Instant::now();
        let mut order: Vec<(Option<Instant>, usize)> = Vec::new();
        for (place, standing) in state.standings.iter().enumerate() {
            order.push((standing.left_until.filter(|until| *until > now), place));
        }
        order.sort();
        order.into_iter().map(|(_, place)| place).collect()
    }

    fn ask(&self, place: usize) -> Option<&Arc<dyn FeedSource>> {
        self.state().asked = Some(place);
        self.carriers.get(place)
    }

    fn failed(&self, place: usize, error: FeedError) -> FeedError {
        tracing::debug!(carrier = place, %error, "a carrier of the feed is of no use now");
        let mut state = self.state();
        state.asked = None;
        state.leave(place);
        error
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing between lock and unlock leaves it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn standing(&mut self, place: usize) -> Option<&mut Standing> {
        self.standings.get_mut(place)
    }

    fn leave(&mut self, place: usize) {
        if let Some(standing) = self.standing(place) {
            standing.failures = standing.failures.saturating_add(1);
            let pause = backoff::pause(standing.failures, CARRIER_LEFT_MIN, CARRIER_LEFT_MAX);
            standing.left_until = Some(Instant::now() + pause);
            standing.said = None;
        }
    }

    /// Nobody has refused what was given last.
    fn accept(&mut self) {
        if let Some(standing) = self.asked.take().and_then(|place| self.standing(place)) {
            standing.failures = 0;
            standing.left_until = None;
        }
    }
}

impl Standing {
    /// Takes note of when its word was said; whether there was no newer one for long.
    fn is_silent(&mut self, at: Timestamp) -> bool {
        match self.said {
            Some((said, since)) if at <= said => since.elapsed() >= CARRIER_SILENT_MAX,
            _ => {
                self.said = Some((at, Instant::now()));
                false
            }
        }
    }
}

impl FeedSource for Carriers {
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<u8>, FeedError>> {
        Box::pin(self.ask_snapshot())
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Signed, FeedError>> {
        Box::pin(self.ask_checkpoint())
    }

    fn after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> BoxFuture<'_, Result<FeedAnswer, FeedError>> {
        Box::pin(self.ask_after(feed, number, wait))
    }

    fn refused(&self) {
        let mut state = self.state();
        if let Some(place) = state.asked.take() {
            tracing::warn!(carrier = place, "what a carrier of the feed gave was refused");
            state.leave(place);
            if let Some(carrier) = self.carriers.get(place) {
                carrier.refused();
            }
        }
    }
}
