//! A registrar as tests want it: it says what it is told to say, and remembers what it hears.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use net::https::UpstreamError;
use protocol::Term;
use protocol::control::names::CellId;
use protocol::control::roster::{
    CellReport, Done, Order, Position, Roster, TermGrant, TermRequest,
};
use protocol::control::usage::Used;
use server_host::follow::{AskError, Asked, CellRegistrar, Follower, Superseded};
use tokio::sync::Notify;

use crate::lab::{PATIENCE, Running, term};

#[derive(Default)]
struct Script {
    terms: VecDeque<Option<TermGrant>>,
    rosters: VecDeque<Option<Roster>>,
    asked: Vec<Option<Position>>,
    reports: Vec<CellReport>,
    is_superseded: bool,
    is_away: bool,
}

/// The played registrar. Clones are the same.
#[derive(Clone, Default)]
pub struct Played {
    script: Arc<Mutex<Script>>,
    news: Arc<Notify>,
}

fn silence() -> AskError {
    AskError::Useless(UpstreamError::NoAddress)
}

impl Played {
    /// Its next answer about the roster.
    pub fn says(&self, run: u64, number: u64, is_whole: bool, orders: Vec<Order>) {
        let roster = Roster { upto: Position { run, number }, is_whole, orders };
        self.script.lock().unwrap().rosters.push_back(Some(roster));
        self.news.notify_one();
    }

    /// Its next answer is none.
    pub fn fails(&self) {
        self.script.lock().unwrap().rosters.push_back(None);
        self.news.notify_one();
    }

    /// Its next answer to who asks for a term.
    pub fn grants(&self, grant: Option<(u16, u32)>) {
        let grant = grant.map(|(cell, number)| {
            let cell = CellId::from_number(cell).unwrap();
            TermGrant { cell, term: term(number) }
        });
        self.script.lock().unwrap().terms.push_back(grant);
    }

    pub fn supersedes(&self) {
        self.script.lock().unwrap().is_superseded = true;
        self.news.notify_one();
    }

    pub fn goes_away(&self, is_away: bool) {
        self.script.lock().unwrap().is_away = is_away;
        self.news.notify_one();
    }

    /// From where the roster was asked for, each time.
    pub fn asked(&self) -> Vec<Option<Position>> {
        self.script.lock().unwrap().asked.clone()
    }

    /// All that it was told somebody used, each batch counted once.
    pub fn used(&self, who: &str) -> Used {
        let script = self.script.lock().unwrap();
        let batches = script.reports.iter().filter_map(|report| report.usage.clone());
        let batches: BTreeMap<_, _> = batches.map(|batch| (batch.number, batch.rows)).collect();
        let rows = batches.into_values().flatten();
        let hers = rows.filter(|row| row.identity.to_string() == who);
        hers.fold(Used::default(), |used, row| used.and_then(row.used))
    }

    /// All outcomes that it was told.
    pub fn done(&self) -> Vec<Done> {
        let script = self.script.lock().unwrap();
        script.reports.iter().flat_map(|report| report.done.clone()).collect()
    }

    pub fn last_report(&self) -> Option<CellReport> {
        self.script.lock().unwrap().reports.last().cloned()
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(tokio::time::Instant::now() < deadline, "{what}: {:?}", self.done());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Has a cell of this term follow it.
    pub fn lead(
        &self,
        running: &Running,
        number: u32,
    ) -> tokio::task::JoinHandle<Result<(), Superseded>> {
        let follower = Follower::new(Arc::new(self.clone()), running.cell.clone(), term(number));
        let drain = running.drain.clone();
        tokio::spawn(async move { follower.run(|| 1, drain).await })
    }
}

impl CellRegistrar for Played {
    fn term<'a>(&'a self, _request: &'a TermRequest) -> Asked<'a, TermGrant> {
        let grant = self.script.lock().unwrap().terms.pop_front().flatten();
        Box::pin(async move { grant.ok_or_else(silence) })
    }

    fn roster(&self, _term: Term, after: Option<Position>) -> Asked<'_, Roster> {
        self.script.lock().unwrap().asked.push(after);
        Box::pin(async move {
            loop {
                {
                    let mut script = self.script.lock().unwrap();
                    if script.is_superseded {
                        return Err(AskError::Superseded);
                    }
                    if script.is_away {
                        return Err(silence());
                    }
                    if let Some(said) = script.rosters.pop_front() {
                        return said.ok_or_else(silence);
                    }
                }
                self.news.notified().await;
            }
        })
    }

    fn report<'a>(&'a self, report: &'a CellReport) -> Asked<'a, ()> {
        Box::pin(async move {
            let mut script = self.script.lock().unwrap();
            if script.is_superseded {
                return Err(AskError::Superseded);
            }
            if script.is_away {
                return Err(silence());
            }
            script.reports.push(report.clone());
            Ok(())
        })
    }
}
