//! All that the registrar knows of swarms, nodes and cells. Changed under one lock and without
//! waiting; who waits for news has a receiver from here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use protocol::control::fleet::{Availability, NodeReport};
use protocol::control::names::{CellId, NodeName, SwarmName};
use protocol::control::placement::Placement;
use protocol::control::roster::{CellCounts, IllServer, Order, Position};
use protocol::control::routes::{CellPlace, Route, Target};
use protocol::{HostLabel, Term, Timestamp, VolumeId};
use tokio::sync::watch;
use tokio::time::Instant;

use super::emptying::Emptying;
use super::heard::Heard;
use super::history::History;
use super::latest::Latest;
use super::orders::Waiting;
use super::records::{CellRecord, CellState, NodeRecord, SwarmRecord};
use crate::choice::Policy;
use crate::limits::{RELEASES_KEPT_MAX, ROUTES_CLOSED_KEPT_MAX};
use crate::state::State as NameState;

pub(super) struct State {
    pub(super) run: u64,
    /// When that began.
    pub(super) since: Timestamp,
    /// The same by the clock that measures silence.
    pub(super) began: Instant,
    /// How cells are chosen.
    pub(super) policy: Policy,
    /// The one that was chosen last.
    pub(super) last: Option<CellId>,
    pub(super) swarms: BTreeMap<SwarmName, SwarmRecord>,
    pub(super) cells: BTreeMap<CellId, Cell>,
    pub(super) nodes: BTreeMap<NodeName, Node>,
    /// Which cell each identity's volume belongs to, also of those that are about to come or go.
    pub(super) homes: BTreeMap<VolumeId, CellId>,
    pub(super) routes: Latest<HostLabel, Route>,
    pub(super) route_news: watch::Sender<()>,
    /// Number of the newest change of any plan.
    pub(super) plan: u64,
    pub(super) plan_news: watch::Sender<()>,
    /// Orders whose outcome somebody awaits.
    pub(super) waiting: BTreeMap<VolumeId, Waiting>,
}

pub(super) struct Cell {
    pub(super) record: CellRecord,
    pub(super) roster: Latest<VolumeId, Order>,
    pub(super) news: watch::Sender<()>,
    pub(super) residents: usize,
    /// It is about to be retired: nobody more moves in.
    pub(super) is_leaving: bool,
    /// What its process told last, and when.
    pub(super) report: Option<(CellCounts, Timestamp)>,
    /// When it was heard, in this run of the registrar; whatever it asked or told is a sign.
    pub(super) heard: Option<Heard>,
    /// It was emptied because it was silent, and has not been heard for long enough since.
    pub(super) is_resting: bool,
    /// How it goes with emptying it.
    pub(super) emptying: Option<Emptying>,
    /// Up to which number its process has said that it knows the roster.
    pub(super) taken: watch::Sender<u64>,
    /// Of whom it told then that she did not get on.
    pub(super) ill: Vec<IllServer>,
    /// The minutes before.
    pub(super) history: History,
}

pub(super) struct Node {
    pub(super) swarm: SwarmName,
    pub(super) report: Option<(NodeReport, Timestamp)>,
    pub(super) wish: Option<Availability>,
    /// It is to be drained, and not all who are in its cells can be moved: the engine may start
    /// these elsewhere.
    pub(super) is_stuck: bool,
}

/// What becomes true once it is durable.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    Swarm(SwarmName, Option<SwarmRecord>),
    Cell(CellId, CellRecord),
    Node(NodeName, NodeRecord),
}

impl State {
    pub(super) fn new(run: u64, since: Timestamp) -> Self {
        Self {
            run,
            since,
            began: Instant::now(),
            policy: Policy::default(),
            last: None,
            swarms: BTreeMap::new(),
            cells: BTreeMap::new(),
            nodes: BTreeMap::new(),
            homes: BTreeMap::new(),
            routes: Latest::new(ROUTES_CLOSED_KEPT_MAX),
            route_news: watch::Sender::new(()),
            plan: 1,
            plan_news: watch::Sender::new(()),
            waiting: BTreeMap::new(),
        }
    }

    pub(super) fn position(&self, number: u64) -> Position {
        Position { run: self.run, number }
    }

    pub(super) fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Swarm(name, Some(record)) => drop(self.swarms.insert(name, record)),
            Fact::Swarm(name, None) => drop(self.swarms.remove(&name)),
            Fact::Node(name, record) => {
                let node = self.nodes.entry(name);
                let node = node.or_insert_with(|| Node::new(record.swarm));
                (node.wish, node.is_stuck) = (Some(record.availability), false);
                self.plan_changed();
            }
            Fact::Cell(id, record) => self.apply_cell(id, record),
        }
    }

    fn apply_cell(&mut self, id: CellId, record: CellRecord) {
        let place = self.place(id);
        let before = self.cells.remove(&id);
        let spec = before.as_ref().map(|cell| (cell.record.spec(id), cell.record.state));
        let node = |record: &CellRecord| record.start.as_ref().map(|start| start.node.clone());
        let was_on = before.as_ref().and_then(|cell| node(&cell.record));
        let is_planned_anew =
            spec != Some((record.spec(id), record.state)) || was_on != node(&record);
        let cell = match before {
            Some(cell) => {
                // A retired cell is remembered for ever, but not how it went.
                let history = if record.is_active() { cell.history } else { History::default() };
                Cell { record, is_leaving: false, history, ..cell }
            }
            None => Cell::new(record),
        };
        cell.news.send_replace(());
        self.cells.insert(id, cell);
        if is_planned_anew {
            self.plan_changed();
        }
        if place != self.place(id) {
            self.routes_changed();
        }
    }

    pub(super) fn plan_changed(&mut self) {
        self.plan += 1;
        self.plan_news.send_replace(());
    }

    pub(super) fn routes_changed(&mut self) {
        self.routes.touch();
        self.route_news.send_replace(());
    }

    /// Takes what is durable of one identity, at the start.
    pub(super) fn load(&mut self, placement: Placement, cell: CellId, state: NameState) -> bool {
        if !self.cells.contains_key(&cell) {
            return false;
        }
        self.move_in(placement.volume, cell);
        if matches!(state, NameState::Started | NameState::Reachable | NameState::Published) {
            self.open_route(&placement, Target { volume: placement.volume, cell });
        }
        if let Some(cell) = self.cells.get_mut(&cell).filter(|_| state.has_server()) {
            cell.roster.say(placement.volume, Order::Keep { placement });
        }
        true
    }

    pub(super) fn move_in(&mut self, volume: VolumeId, id: CellId) {
        if self.homes.insert(volume, id).is_none()
            && let Some(cell) = self.cells.get_mut(&id)
        {
            cell.residents += 1;
        }
    }

    /// The volume belongs to no cell any more.
    pub(super) fn leave(&mut self, volume: VolumeId) {
        self.waiting.remove(&volume);
        let home = self.homes.remove(&volume);
        if let Some(cell) = home.and_then(|id| self.cells.get_mut(&id)) {
            cell.residents = cell.residents.saturating_sub(1);
            cell.roster.forget(volume);
            if cell.residents == 0 {
                // Its machine may be drained by the engine now.
                self.plan_changed();
            }
        }
    }

    pub(super) fn open_route(&mut self, placement: &Placement, target: Target) {
        let label = HostLabel::of(&placement.identity);
        let route = Route { label: Some(label), port: placement.port, to: Some(target) };
        if self.routes.get(label) != Some(&route) {
            self.routes.say(label, route);
            self.route_news.send_replace(());
        }
    }

    pub(super) fn close_route(&mut self, placement: &Placement) {
        let label = HostLabel::of(&placement.identity);
        let open = self.routes.get(label).and_then(|route| route.to);
        if open.is_some_and(|target| target.volume == placement.volume) {
            let route = Route { label: Some(label), port: placement.port, to: None };
            self.routes.end(label, route);
            self.route_news.send_replace(());
        }
    }

    /// Where a cell takes connections; none for one that was never started or is not to run.
    pub(super) fn place(&self, id: CellId) -> Option<CellPlace> {
        let record = &self.cells.get(&id)?.record;
        let start = record.start.as_ref().filter(|_| record.is_active())?;
        let reported = self.address_of(&start.node, &record.swarm);
        let address = Some(record.door(reported.unwrap_or(start.address)));
        Some(CellPlace { cell: id, term: start.term, address })
    }

    /// Where a node of a swarm is reached, as its agent says.
    pub(super) fn address_of(&self, node: &NodeName, swarm: &SwarmName) -> Option<IpAddr> {
        let node = self.nodes.get(node).filter(|node| node.swarm == *swarm)?;
        Some(node.report.as_ref()?.0.address)
    }

    pub(super) fn places(&self) -> Vec<CellPlace> {
        self.cells.keys().filter_map(|id| self.place(*id)).collect()
    }
}

impl Cell {
    fn new(record: CellRecord) -> Self {
        Self {
            record,
            roster: Latest::new(RELEASES_KEPT_MAX),
            news: watch::Sender::new(()),
            residents: 0,
            is_leaving: false,
            report: None,
            heard: None,
            is_resting: false,
            emptying: None,
            taken: watch::Sender::new(0),
            ill: Vec::new(),
            history: History::default(),
        }
    }

    /// Whether this term is the one that counts.
    pub(super) fn is_run_by(&self, term: Term) -> bool {
        self.record.state == CellState::Active && self.record.term() == Some(term)
    }
}

impl Node {
    pub(super) fn new(swarm: SwarmName) -> Self {
        Self { swarm, report: None, wish: None, is_stuck: false }
    }
}
