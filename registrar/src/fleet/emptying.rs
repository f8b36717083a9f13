//! Which cells are to be emptied, and how it goes. What is decided here is durable only as the moves
//! that come of it: a registrar that begins anew looks again.

use protocol::AtSign;
use protocol::Timestamp;
use protocol::control::fleet::Availability;
use protocol::control::names::{CellId, NodeName};
use protocol::control::roster::Order;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Fleet;
use super::heard::Heard;
use super::state::{Cell, Node, State};
use crate::limits::{CELL_LOST, CELL_REST, CELL_SILENT, DRAIN_PATIENCE};

/// Why an identity is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Her cell is silent.
    Lost,
    /// Her cell, or its machine, is to be emptied.
    Drain,
    /// An operator wants it.
    Order,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lost, Self::Drain, Self::Order];

    /// As logs and metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Drain => "drain",
            Self::Order => "order",
        }
    }
}

/// A cell that is to be emptied.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) cell: CellId,
    pub(crate) cause: Cause,
    /// Some of those who live in it.
    pub(crate) names: Vec<AtSign>,
    /// Whether these are fewer than are counted there: some have no server yet, or none any more.
    pub(crate) has_others: bool,
}

/// How it goes with emptying a cell.
#[derive(Debug, Clone)]
pub(super) struct Emptying {
    cause: Cause,
    since: Timestamp,
    moved: u64,
    is_over: bool,
    /// Why the newest try of one was in vain.
    why: Option<String>,
    /// When somebody was moved last, or it began.
    progress: Instant,
}

/// The same for operators.
#[derive(Debug, Clone, Serialize)]
pub struct EmptyingView {
    cause: Cause,
    since: Timestamp,
    moved: u64,
    left: usize,
    /// Why those who are left stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Emptying {
    pub(super) fn view(&self, left: usize) -> EmptyingView {
        let why = self.why.clone().filter(|_| left > 0);
        EmptyingView { cause: self.cause, since: self.since, moved: self.moved, left, why }
    }
}

impl Cell {
    /// A sign of life of the process that runs it.
    pub(super) fn sign(&mut self, now: Instant) {
        let heard = self.heard.map_or(Heard::first(now), |heard| heard.again(now));
        self.heard = Some(heard);
        self.is_resting &= heard.steady(now) < Some(CELL_REST);
    }

    /// Its process knows the roster up to this number.
    pub(super) fn took(&self, number: Option<u64>) {
        let number = number.unwrap_or(0);
        self.taken.send_if_modified(|taken| std::mem::replace(taken, number) != number);
    }

    /// Whether it ran and has not been heard for so long that nobody counts on it. One that this
    /// registrar has never heard is given longer.
    pub(super) fn is_lost(&self, began: Instant, now: Instant) -> bool {
        self.record.start.is_some()
            && match self.heard {
                Some(heard) => heard.silence(now) >= CELL_LOST,
                None => now.saturating_duration_since(began) >= CELL_SILENT,
            }
    }
}

impl Fleet {
    /// The cells that are to be emptied now, each with at most so many who live in it.
    pub(crate) fn to_empty(&self, at_most: usize) -> Vec<Source> {
        let (now, mut state) = (Instant::now(), self.state());
        let found: Vec<_> = state.cells.keys().filter_map(|id| state.cause(*id, now)).collect();
        state.end_emptying(&found);
        let sources = found.into_iter().map(|(cell, cause)| {
            state.begin_emptying(cell, cause, self.clock.now(), now);
            state.source(cell, cause, at_most)
        });
        sources.collect()
    }

    /// Whether a cell is still to be emptied for this cause: it may have been heard again.
    pub(crate) fn is_to_empty(&self, cell: CellId, cause: Cause) -> bool {
        let state = self.state();
        state.cause(cell, Instant::now()).is_some_and(|(_, found)| found == cause)
    }

    /// Nobody takes any who is left in a cell, for now.
    pub(crate) fn has_no_target(&self, cell: CellId, why: String) {
        let mut state = self.state();
        let Some(known) = state.cells.get_mut(&cell) else { return };
        let Some(emptying) = &mut known.emptying else { return };
        if emptying.why.as_ref() != Some(&why) {
            tracing::warn!(%cell, why, left = known.residents, "they cannot be moved");
            emptying.why = Some(why);
        }
        let is_late = emptying.progress.elapsed() > DRAIN_PATIENCE;
        let node = known.record.start.as_ref().map(|start| start.node.clone());
        let node = node.filter(|_| emptying.cause == Cause::Drain && is_late);
        if let Some(node) = node.and_then(|node| state.nodes.get_mut(&node))
            && !node.is_stuck
        {
            node.is_stuck = true;
            state.plan_changed();
        }
    }
}

impl State {
    /// A new start of a cell.
    pub(super) fn begins(&mut self, id: CellId) {
        if let Some(cell) = self.cells.get_mut(&id) {
            cell.heard = Some(Heard::begins(cell.heard, Instant::now()));
            cell.taken.send_replace(0);
        }
    }

    /// Why a cell in which somebody lives is to be emptied, if it is.
    fn cause(&self, id: CellId, now: Instant) -> Option<(CellId, Cause)> {
        let cell = self.cells.get(&id).filter(|cell| cell.residents > 0)?;
        let is_drained = cell.record.is_draining || self.is_on_drained_node(cell);
        let lost = cell.is_lost(self.began, now).then_some(Cause::Lost);
        lost.or(is_drained.then_some(Cause::Drain)).map(|cause| (id, cause))
    }

    fn is_on_drained_node(&self, cell: &Cell) -> bool {
        let node = cell.record.start.as_ref().and_then(|start| self.nodes.get(&start.node));
        node.is_some_and(|node| {
            node.wish == Some(Availability::Drain) && node.swarm == cell.record.swarm
        })
    }

    fn begin_emptying(&mut self, id: CellId, cause: Cause, since: Timestamp, now: Instant) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        if cell.emptying.as_ref().is_none_or(|known| known.is_over || known.cause != cause) {
            let (cause_word, left) = (cause.as_str(), cell.residents);
            tracing::info!(cell = %id, cause = cause_word, left, "its identities go to other cells");
            let (moved, is_over, why) = (0, false, None);
            cell.emptying = Some(Emptying { cause, since, moved, is_over, why, progress: now });
        }
    }

    /// Of all cells but these: whoever is left in them stays.
    fn end_emptying(&mut self, but: &[(CellId, Cause)]) {
        for (id, cell) in &mut self.cells {
            let Some(emptying) = cell.emptying.as_mut().filter(|known| !known.is_over) else {
                continue;
            };
            if !but.iter().any(|(other, _)| other == id) {
                (emptying.is_over, emptying.why) = (true, None);
                let (cause, moved, left) =
                    (emptying.cause.as_str(), emptying.moved, cell.residents);
                tracing::info!(cell = %id, cause, moved, left, "no more of its identities go");
            }
        }
    }

    /// Somebody has left a cell for another one.
    pub(super) fn has_left(&mut self, id: CellId) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        cell.residents = cell.residents.saturating_sub(1);
        if let Some(emptying) = cell.emptying.as_mut().filter(|known| !known.is_over) {
            emptying.moved += 1;
            (emptying.why, emptying.progress) = (None, Instant::now());
            cell.is_resting |= emptying.cause == Cause::Lost;
        }
        if cell.residents == 0 {
            // Its machine may be drained by the engine now.
            self.plan_changed();
        }
    }

    /// What the agents are told of a node: one that is to be drained is closed until its cells are
    /// empty, and only then drained, or when some can go nowhere.
    pub(super) fn wish_of(&self, name: &NodeName, node: &Node) -> Option<(NodeName, Availability)> {
        let is_here =
            |cell: &Cell| cell.record.start.as_ref().is_some_and(|start| start.node == *name);
        let mut cells = self.cells.values().filter(|cell| cell.record.is_active());
        let mut is_lived_in = || cells.any(|cell| is_here(cell) && cell.residents > 0);
        let wish = match node.wish? {
            Availability::Drain if !node.is_stuck && is_lived_in() => Availability::Pause,
            wish => wish,
        };
        Some((name.clone(), wish))
    }

    fn source(&self, id: CellId, cause: Cause, at_most: usize) -> Source {
        let Some(cell) = self.cells.get(&id) else {
            return Source { cell: id, cause, names: Vec::new(), has_others: false };
        };
        let names = cell.roster.words().filter_map(|order| match order {
            Order::Create { placement, .. }
            | Order::Keep { placement }
            | Order::Remove { placement } => Some(placement.identity.clone()),
            Order::Release { .. } => None,
        });
        let names: Vec<_> = names.take(at_most).collect();
        let has_others = names.len() < cell.residents.min(at_most);
        Source { cell: id, cause, names, has_others }
    }
}
