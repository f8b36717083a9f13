//! Following the registrar: what it orders is done, what was done is told.
//!
//! ```text
//!  ask for a term ──▶ whole roster ──▶ parts of it, as they come ──▶ ended by the drain
//!                          ▲  not believed │  └───────────────────▶ superseded: serves nobody
//!                          └───────────────┘
//! ```
//! While the registrar is away, or talks nonsense, everybody is served as before.

mod course;
mod outcomes;
mod registrar;
mod works;

use std::sync::Arc;

use net::drain::Drain;
use protocol::Term;
use protocol::control::names::CellId;
use protocol::control::roster::{CellCounts, CellReport, Roster, TermRequest};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::warn;

pub use self::course::RosterFault;
pub use self::registrar::{AskError, Asked, CellRegistrar, HttpsRegistrar};
use crate::cell::Cell;
use crate::limits::{CELL_REPORT_INTERVAL, ROSTER_TURN_MIN};
use crate::usage::Telling;
use course::Course;
use outcomes::Outcomes;
use registrar::{chain, pause};
use works::Works;

/// The cell was started again elsewhere: this process must serve nobody, and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a later start of this cell has its place, term {0} is over")]
pub struct Superseded(pub Term);

/// Asks for a term until there is one; none if the drain begins before that.
pub async fn ask_for_term(
    registrar: &dyn CellRegistrar,
    cell: CellId,
    request: &TermRequest,
    drain: &Drain,
) -> Option<Term> {
    let mut failures = 0;
    loop {
        let asked = tokio::select! {
            () = drain.draining() => return None,
            asked = registrar.term(request) => asked,
        };
        match asked {
            Ok(grant) if grant.cell == cell => return Some(grant.term),
            Ok(grant) => warn!(%cell, other = %grant.cell, "the registrar means another cell"),
            Err(error) => warn!(error = chain(&error), "the registrar gives no term"),
        }
        failures += 1;
        tokio::select! {
            () = drain.draining() => return None,
            () = sleep(pause(failures)) => {}
        }
    }
}

/// A cell that follows its registrar.
pub struct Follower {
    registrar: Arc<dyn CellRegistrar>,
    cell: Cell,
    term: Term,
    works: Arc<Works>,
    outcomes: Arc<Outcomes>,
    is_ready: watch::Sender<bool>,
}

impl Follower {
    /// Follows for a cell that has this term.
    #[must_use]
    pub fn new(registrar: Arc<dyn CellRegistrar>, cell: Cell, term: Term) -> Self {
        let outcomes = Arc::new(Outcomes::default());
        let works = Works::new(cell.clone(), Arc::clone(&outcomes));
        Self { registrar, cell, term, works, outcomes, is_ready: watch::Sender::new(false) }
    }

    /// Whether the cell knows who lives in it.
    #[must_use]
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.is_ready.subscribe()
    }

    /// Follows until the drain begins.
    ///
    /// # Errors
    /// [`Superseded`].
    pub async fn run(&self, memory: fn() -> u64, drain: Drain) -> Result<(), Superseded> {
        tokio::select! {
            () = drain.draining() => Ok(()),
            superseded = self.follow() => Err(superseded),
            superseded = self.tell(memory) => Err(superseded),
        }
    }

    async fn follow(&self) -> Superseded {
        let (mut course, mut failures) = (Course::default(), 0);
        loop {
            let began = Instant::now();
            let went_well = match self.registrar.roster(self.term, course.after()).await {
                Ok(roster) => self.take(&mut course, roster),
                Err(AskError::Superseded) => return Superseded(self.term),
                Err(error) => {
                    warn!(error = chain(&error), "there is no roster; everybody stays");
                    false
                }
            };
            if went_well {
                failures = 0;
                // One that answers at once with nothing is not asked all the time.
                sleep(ROSTER_TURN_MIN.saturating_sub(began.elapsed())).await;
            } else {
                failures += 1;
                sleep(pause(failures)).await;
            }
        }
    }

    /// Whether the roster was believed.
    fn take(&self, course: &mut Course, roster: Roster) -> bool {
        if let Err(fault) = course.take(&roster) {
            warn!(%fault, "a roster is not believed; everybody stays");
            return false;
        }
        if roster.is_whole {
            self.works.take_whole(roster.orders);
            self.is_ready.send_replace(true);
        } else {
            self.works.take(roster.orders);
        }
        true
    }

    async fn tell(&self, memory: fn() -> u64) -> Superseded {
        let mut failures = 0;
        // Whoever reports can be sent clients.
        let mut readiness = self.readiness();
        // The sender is here, and so does not go away.
        let _ = readiness.wait_for(|is_ready| *is_ready).await;
        drop(readiness);
        let mut usage = Telling::new();
        loop {
            let done = self.outcomes.some();
            let (counts, ill) = (self.counts(memory), self.cell.ill());
            let usage_now = usage.batch(&self.cell);
            let report = CellReport { term: self.term, done, counts, ill, usage: usage_now };
            match self.registrar.report(&report).await {
                Ok(()) => {
                    failures = 0;
                    usage.told();
                }
                Err(AskError::Superseded) => return Superseded(self.term),
                Err(error) => {
                    warn!(error = chain(&error), "a report was not taken");
                    failures += 1;
                    sleep(pause(failures)).await;
                    continue;
                }
            }
            if !self.outcomes.told(&report.done) {
                tokio::select! {
                    () = self.outcomes.news() => {}
                    () = sleep(CELL_REPORT_INTERVAL) => {}
                }
            }
        }
    }

    fn counts(&self, memory: fn() -> u64) -> CellCounts {
        let counted = self.cell.counters();
        CellCounts {
            residents: counted.residents as u64,
            awake: counted.awake as u64,
            connections: counted.connections as u64,
            memory_bytes: memory(),
            fenced: counted.fenced,
            restarts: counted.restarts,
            quarantined: counted.quarantined as u64,
        }
    }
}
