//! Follows the registrar: opens the ports that it names, closes the others.

use std::future::Future;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use net::backoff::pause;
use net::drain::Drain;
use protocol::control::roster::Position;
use protocol::control::routes::{CellPlace, Routes};
use protocol::{Timestamp, VolumeId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::doors::Doors;
use crate::forward::Forwarder;
use crate::known::{Changes, Homes, Known, NewsError};
use crate::last_routes::LastRoutes;
use crate::limits::{NEWS_PAUSE_MAX, NEWS_PAUSE_MIN, NEWS_TURN, NEWS_WAIT};
use crate::listen::Router;
use crate::source::RouteSource;
use crate::trace::{Entrance, Knowledge, Trace};

/// Keeps a router and a forwarder as the registrar wants them. Clones are the same.
///
/// While the registrar is away, or talks nonsense, everything stays as it is.
#[derive(Clone)]
pub struct Follower(Arc<Inner>);

struct Inner {
    router: Arc<Router>,
    doors: Arc<Doors>,
    known: Mutex<Known>,
    told: watch::Sender<Told>,
    /// Some port is not open that should be.
    has_gaps: AtomicBool,
    refused: AtomicU64,
    unanswered: AtomicU64,
}

/// The newest of what was told.
#[derive(Debug, Clone, Default)]
struct Told {
    cells: Vec<CellPlace>,
    at: Option<Position>,
    /// When the registrar last answered.
    heard: Option<Instant>,
    /// When what was kept from an earlier run was written.
    kept: Option<Timestamp>,
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
            told: watch::Sender::default(),
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

    /// Begins with what an earlier run knew last, until the registrar has more to say.
    ///
    /// # Errors
    /// [`NewsError`] if more is known already.
    pub fn restore(&self, last: &LastRoutes) -> Result<(), NewsError> {
        self.0.apply(&last.routes)?;
        self.0.told.send_modify(|told| told.kept = Some(last.saved_at));
        Ok(())
    }

    /// What is to be kept for a later run; none before anything was told.
    #[must_use]
    pub fn last_routes(&self, now: Timestamp) -> Option<LastRoutes> {
        let known = self.0.known();
        let routes = Routes {
            upto: known.at()?,
            is_whole: true,
            routes: known.routes(),
            cells: self.0.told.borrow().cells.clone(),
        };
        Some(LastRoutes { saved_at: now, routes })
    }

    /// Waits until something has changed since this was called last, or since the start.
    pub fn changes(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut told = self.0.told.subscribe();
        let before = told.borrow_and_update().clone();
        async move {
            let is_new = |told: &Told| told.at != before.at || told.cells != before.cells;
            // It lives as long as the follower.
            let _ = told.wait_for(is_new).await;
        }
    }

    /// Waits until it knows every route.
    pub async fn known(&self) {
        let _ = self.0.told.subscribe().wait_for(|told| told.at.is_some()).await;
    }

    /// Which way a connection that comes in here would take.
    #[must_use]
    pub fn trace(&self, entrance: Entrance) -> Trace {
        let (target, state) = match entrance {
            Entrance::Port(port) => (self.0.known().target(port), self.0.router.port(port.get())),
            Entrance::Name(label) => {
                (self.0.known().target_of(label), self.0.router.names().state(label))
            }
        };
        let door = target.and_then(|target| self.0.doors.of(target.volume));
        let door = door.map(|door| *door.borrow()).unwrap_or_default();
        let told = self.0.told.borrow();
        let knowledge = Knowledge {
            at: told.at,
            heard_ms: told
                .heard
                .map(|heard| u64::try_from(heard.elapsed().as_millis()).unwrap_or(u64::MAX)),
            kept: told.kept,
        };
        Trace::new((entrance, state), target, door, knowledge)
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
        self.0.told.send_modify(|told| told.heard = Some(Instant::now()));
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
        self.told.send_modify(|told| {
            told.at = Some(news.upto);
            told.cells.clone_from(&news.cells);
        });
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
