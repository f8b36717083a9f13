//! Follows the registrar: opens the ports that it names, closes the others.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use net::backoff::pause;
use net::drain::Drain;
use protocol::VolumeId;
use protocol::control::roster::Position;
use protocol::control::routes::Routes;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::doors::Doors;
use crate::forward::Forwarder;
use crate::known::{Changes, Homes, Known, NewsError};
use crate::limits::{NEWS_PAUSE_MAX, NEWS_PAUSE_MIN, NEWS_TURN, NEWS_WAIT};
use crate::listen::Router;
use crate::source::RouteSource;

/// Keeps a router and a forwarder as the registrar wants them. Clones are the same.
///
/// While the registrar is away, or talks nonsense, everything stays as it is.
#[derive(Clone)]
pub struct Follower(Arc<Inner>);

struct Inner {
    router: Arc<Router>,
    doors: Arc<Doors>,
    known: Mutex<Known>,
    /// Some port is not open that should be.
    has_gaps: AtomicBool,
    refused: AtomicU64,
    unanswered: AtomicU64,
}

/// How a follower stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowerStatus {
    /// Up to where it has followed; none before the first answer.
    pub at: Option<Position>,
    /// Answers that were not believed.
    pub refused: u64,
    /// Questions that had no answer.
    pub unanswered: u64,
}

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("the registrar cannot be asked for routes")]
    Unanswered(#[source] net::https::UpstreamError),
    #[error("the registrar's routes are not believed")]
    Refused(#[source] NewsError),
    #[error("applying the routes failed")]
    Applying(#[source] tokio::task::JoinError),
}

impl Follower {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(router: Arc<Router>, forwarder: &Forwarder) -> Self {
        Self(Arc::new(Inner {
            router,
            doors: Arc::clone(forwarder.doors()),
            known: Mutex::default(),
            has_gaps: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
        }))
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> FollowerStatus {
        FollowerStatus {
            at: self.0.known().at(),
            refused: self.0.refused.load(Ordering::Relaxed),
            unanswered: self.0.unanswered.load(Ordering::Relaxed),
        }
    }

    /// Follows until the drain begins.
    pub async fn follow(self, source: Arc<dyn RouteSource>, drain: Drain) {
        tokio::select! {
            () = self.rounds(&*source) => {}
            () = drain.draining() => {}
        }
    }

    async fn rounds(&self, source: &dyn RouteSource) {
        let (mut failures, mut is_whole_wanted) = (0, false);
        loop {
            let known = self.0.known().at();
            let at = known.filter(|_| !is_whole_wanted);
            let began = Instant::now();
            match self.round(source, at).await {
                Ok(upto) => {
                    if known.is_none() || failures > 0 {
                        self.announce(upto);
                    }
                    (failures, is_whole_wanted) = (0, false);
                    // Whoever has nothing to say and does not wait either is not asked at once.
                    let is_hasty = Some(upto) == known && began.elapsed() < NEWS_WAIT / 2;
                    sleep(if is_hasty { NEWS_PAUSE_MIN } else { NEWS_TURN }).await;
                }
                Err(error) => {
                    is_whole_wanted = matches!(error, FollowError::Refused(_));
                    failures += 1;
                    self.note(&error, failures);
                    sleep(pause(failures, NEWS_PAUSE_MIN, NEWS_PAUSE_MAX)).await;
                }
            }
        }
    }

    async fn round(
        &self,
        source: &dyn RouteSource,
        at: Option<Position>,
    ) -> Result<Position, FollowError> {
        let news = source.after(at, NEWS_WAIT).await.map_err(FollowError::Unanswered)?;
        let (inner, upto) = (Arc::clone(&self.0), news.upto);
        // Opening thousands of ports takes a while.
        let applied = tokio::task::spawn_blocking(move || inner.apply(&news)).await;
        applied.map_err(FollowError::Applying)?.map_err(FollowError::Refused)?;
        Ok(upto)
    }

    fn announce(&self, upto: Position) {
        let routes = self.0.router.counters().routes;
        info!(run = upto.run, number = upto.number, routes, "following the registrar");
    }

    /// A registrar that stays away is mentioned once.
    fn note(&self, error: &FollowError, failures: u32) {
        let count = match error {
            FollowError::Refused(_) => &self.0.refused,
            _ => &self.0.unanswered,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if failures == 1 {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            warn!(%error, cause, "routes stay as they are; asking again until it answers");
        }
    }
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who comes through a new port is to find her cell, so doors come before ports.
    fn apply(&self, news: &Routes) -> Result<(), NewsError> {
        let (changes, ports) = {
            let mut known = self.known();
            let changes = known.take(news)?;
            let gaps = self.has_gaps.swap(false, Ordering::Relaxed);
            let ports = if gaps { known.ports().collect() } else { changes.opened.clone() };
            (changes, ports)
        };
        self.doors.place(&news.cells);
        let Changes { closed, opened, named, homes } = changes;
        match homes {
            Homes::All(homes) => self.doors.house(homes),
            Homes::Some(homes) => self.doors.rehouse(homes),
        }
        self.router.names().change(&named);
        for port in &closed {
            self.router.close(port.get());
        }
        for (port, volume) in ports {
            self.open(port, volume);
        }
        if !(closed.is_empty() && opened.is_empty() && named.is_empty()) {
            let (opened, closed, names) = (opened.len(), closed.len(), named.len());
            debug!(opened, closed, names, "the registrar changed routes");
        }
        Ok(())
    }

    fn open(&self, port: NonZeroU16, volume: VolumeId) {
        if let Err(error) = self.router.open_eventually(port.get(), volume) {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            // Thousands of ports fail for the same reason.
            if !self.has_gaps.swap(true, Ordering::Relaxed) {
                warn!(%error, cause, "a route is not open; trying again with the next answer");
            }
        }
    }
}
