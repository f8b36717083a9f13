//! What operators see and decide.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use protocol::Timestamp;
use protocol::control::fleet::{Availability, NodeReport};
use protocol::control::names::{CellId, NodeName, SwarmName};
use protocol::control::roster::{CellCounts, IllServer};
use serde::{Deserialize, Serialize};

use super::cells::known;
use super::emptying::EmptyingView;
use super::history::Minute;
use super::records::{CellRecord, CellState, NodeRecord, SwarmRecord};
use super::state::{Cell, Fact, Node, State};
use super::{Fleet, FleetError};
use crate::limits::{CELL_LABELS_MAX, CELL_TEXT_BYTES_MAX, CELLS_MAX, SWARMS_MAX};

/// A cell that is wanted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellOrder {
    swarm: SwarmName,
    image: String,
    port: NonZeroU16,
    capacity: u32,
    memory_bytes: u64,
    millicpus: u32,
    #[serde(default)]
    on: BTreeMap<String, String>,
}

/// What is to be different about a cell.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CellPatch {
    image: Option<String>,
    capacity: Option<u32>,
    memory_bytes: Option<u64>,
    millicpus: Option<u32>,
    on: Option<BTreeMap<String, String>>,
    is_draining: Option<bool>,
}

/// A swarm as it is.
#[derive(Debug, Clone, Serialize)]
pub struct SwarmView {
    swarm: SwarmName,
    since: Timestamp,
    nodes: usize,
    cells: usize,
    identities: usize,
    capacity: u64,
}

/// A node as it is.
#[derive(Debug, Clone, Serialize)]
pub struct NodeView {
    node: NodeName,
    swarm: SwarmName,
    /// What the operator wants of it.
    availability: Availability,
    /// What its agent told last; none since the registrar's start.
    report: Option<NodeReport>,
    /// How old that is.
    report_age_ms: Option<i64>,
    /// Cells whose newest start was here.
    cells: Vec<CellId>,
    /// Who lives in them.
    identities: usize,
    /// Not all of them can be moved: the engine may start the cells elsewhere.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_stuck: bool,
}

/// A cell as it is.
#[derive(Debug, Clone, Serialize)]
pub struct CellView {
    cell: CellId,
    #[serde(flatten)]
    record: CellRecord,
    /// Identities that live in it, or are about to come or go.
    identities: usize,
    /// Where routers reach it.
    address: Option<SocketAddr>,
    /// What its process told last.
    counts: Option<CellCounts>,
    /// How old that is.
    report_age_ms: Option<i64>,
    /// How it goes, or went, with moving all who live in it to other cells.
    #[serde(skip_serializing_if = "Option::is_none")]
    emptying: Option<EmptyingView>,
    /// It was emptied because it was silent, and gets nobody before it has been heard for a while.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_resting: bool,
    /// Servers that did not get on lately.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ill: Vec<IllServer>,
}

impl Fleet {
    /// All swarms.
    pub(crate) fn swarms(&self) -> Vec<SwarmView> {
        let state = self.state();
        state.swarms.iter().map(|(name, record)| state.swarm_view(name, record)).collect()
    }

    /// One swarm.
    pub(crate) fn swarm(&self, name: &SwarmName) -> Result<SwarmView, FleetError> {
        let state = self.state();
        let record =
            state.swarms.get(name).ok_or_else(|| FleetError::UnknownSwarm(name.clone()))?;
        Ok(state.swarm_view(name, record))
    }

    /// Makes a swarm known.
    pub(crate) async fn add_swarm(self: &Arc<Self>, name: SwarmName) -> Result<(), FleetError> {
        let since = self.clock.now();
        let decide = move |state: &mut State| match state.swarms.contains_key(&name) {
            true => Err(FleetError::SwarmExists(name)),
            false if state.swarms.len() >= SWARMS_MAX => Err(FleetError::TooMany(SWARMS_MAX)),
            false => Ok(Fact::Swarm(name, Some(SwarmRecord { since }))),
        };
        self.establish(decide).await.map(drop)
    }

    /// Forgets a swarm without cells.
    pub(crate) async fn remove_swarm(self: &Arc<Self>, name: SwarmName) -> Result<(), FleetError> {
        let decide = move |state: &mut State| {
            if !state.swarms.contains_key(&name) {
                return Err(FleetError::UnknownSwarm(name));
            }
            match state.cells_of(&name).count() {
                0 => Ok(Fact::Swarm(name, None)),
                cells => Err(FleetError::SwarmInUse { swarm: name, cells }),
            }
        };
        self.establish(decide).await.map(drop)
    }

    /// All nodes.
    pub(crate) fn nodes(&self) -> Vec<NodeView> {
        let (now, state) = (self.clock.now(), self.state());
        state.nodes.iter().map(|(name, node)| state.node_view(name, node, now)).collect()
    }

    /// One node.
    pub(crate) fn node(&self, name: &NodeName) -> Result<NodeView, FleetError> {
        let (now, state) = (self.clock.now(), self.state());
        let node = state.nodes.get(name).ok_or_else(|| FleetError::UnknownNode(name.clone()))?;
        Ok(state.node_view(name, node, now))
    }

    /// Says whether a node is to take work.
    pub(crate) async fn set_availability(
        self: &Arc<Self>,
        name: NodeName,
        availability: Availability,
    ) -> Result<(), FleetError> {
        let decide = move |state: &mut State| match state.nodes.get(&name) {
            None => Err(FleetError::UnknownNode(name)),
            Some(node) => {
                let swarm = node.swarm.clone();
                Ok(Fact::Node(name, NodeRecord { swarm, availability }))
            }
        };
        self.establish(decide).await.map(drop)
    }

    /// All cells, those that are not to run any more only if asked for.
    pub(crate) fn cells(&self, with_retired: bool) -> Vec<CellView> {
        let (now, state) = (self.clock.now(), self.state());
        let cells = state.cells.iter();
        let cells = cells.filter(|(_, cell)| with_retired || cell.record.is_active());
        cells.map(|(id, cell)| state.cell_view(*id, cell, now)).collect()
    }

    /// One cell.
    pub(crate) fn cell(&self, id: CellId) -> Result<CellView, FleetError> {
        let (now, state) = (self.clock.now(), self.state());
        let cell = state.cells.get(&id).ok_or(FleetError::UnknownCell(id))?;
        Ok(state.cell_view(id, cell, now))
    }

    /// How a cell went in the minutes in which it reported, oldest first.
    pub(crate) fn history(&self, id: CellId) -> Result<Vec<Minute>, FleetError> {
        let state = self.state();
        let cell = state.cells.get(&id).ok_or(FleetError::UnknownCell(id))?;
        Ok(cell.history.minutes().copied().collect())
    }

    /// A new cell.
    pub(crate) async fn add_cell(
        self: &Arc<Self>,
        order: CellOrder,
    ) -> Result<CellView, FleetError> {
        let this = Arc::clone(self);
        let decide = move |state: &mut State| {
            let record = record(order);
            check(&record)?;
            this.check_port(state, &record)?;
            let id = match state.cells.last_key_value() {
                None => Some(CellId::FIRST),
                Some((last, _)) => last.next(),
            };
            let active = state.cells.values().filter(|cell| cell.record.is_active()).count();
            match id.filter(|_| active < CELLS_MAX) {
                Some(id) => Ok(Fact::Cell(id, record)),
                None => Err(FleetError::TooMany(active)),
            }
        };
        self.establish_cell(decide).await
    }

    /// Another description of a cell.
    pub(crate) async fn change_cell(
        self: &Arc<Self>,
        id: CellId,
        patch: CellPatch,
    ) -> Result<CellView, FleetError> {
        let decide = move |state: &mut State| {
            let mut record = active(state, id)?.record.clone();
            let CellPatch { image, capacity, memory_bytes, millicpus, on, is_draining } = patch;
            image.into_iter().for_each(|image| record.image = image);
            capacity.into_iter().for_each(|capacity| record.capacity = capacity);
            memory_bytes.into_iter().for_each(|bytes| record.memory_bytes = bytes);
            millicpus.into_iter().for_each(|millicpus| record.millicpus = millicpus);
            on.into_iter().for_each(|on| record.on = on);
            is_draining.into_iter().for_each(|is| record.is_draining = is);
            check(&record)?;
            Ok(Fact::Cell(id, record))
        };
        self.establish_cell(decide).await
    }

    /// Retires a cell in which nobody lives.
    pub(crate) async fn retire_cell(self: &Arc<Self>, id: CellId) -> Result<(), FleetError> {
        let decide = move |state: &mut State| {
            let cell = active(state, id)?;
            if cell.residents > 0 {
                return Err(FleetError::CellInUse { cell: id, residents: cell.residents });
            }
            cell.is_leaving = true;
            let record = CellRecord { state: CellState::Retired, ..cell.record.clone() };
            Ok(Fact::Cell(id, record))
        };
        self.establish(decide).await.map(drop)
    }

    async fn establish_cell(
        self: &Arc<Self>,
        decide: impl FnOnce(&mut State) -> Result<Fact, FleetError> + Send + 'static,
    ) -> Result<CellView, FleetError> {
        match self.establish(decide).await? {
            Fact::Cell(id, _) => self.cell(id),
            Fact::Swarm(..) | Fact::Node(..) => Err(FleetError::Stopping),
        }
    }

    /// Every node's routers listen on all identities' ports, and any cell may come to any node.
    fn check_port(&self, state: &State, record: &CellRecord) -> Result<(), FleetError> {
        if !state.swarms.contains_key(&record.swarm) {
            return Err(FleetError::UnknownSwarm(record.swarm.clone()));
        }
        let port = record.port;
        if self.ports.position(port).is_some() {
            let what = format!("port {port} is among the identities' ports");
            return Err(FleetError::BadCell(what));
        }
        if self.name_port == Some(port) {
            return Err(FleetError::BadCell(format!("port {port} is the one of all names")));
        }
        match state.cells_of(&record.swarm).find(|(_, cell)| cell.record.port == port) {
            Some((id, _)) => Err(FleetError::BadCell(format!("{id} has port {port}"))),
            None => Ok(()),
        }
    }
}

impl State {
    fn cells_of<'a>(
        &'a self,
        swarm: &'a SwarmName,
    ) -> impl Iterator<Item = (&'a CellId, &'a Cell)> {
        let cells = self.cells.iter().filter(|(_, cell)| cell.record.is_active());
        cells.filter(move |(_, cell)| cell.record.swarm == *swarm)
    }

    fn swarm_view(&self, name: &SwarmName, record: &SwarmRecord) -> SwarmView {
        let cells = || self.cells_of(name).map(|(_, cell)| cell);
        SwarmView {
            swarm: name.clone(),
            since: record.since,
            nodes: self.nodes.values().filter(|node| node.swarm == *name).count(),
            cells: cells().count(),
            identities: cells().map(|cell| cell.residents).sum(),
            capacity: cells().map(|cell| u64::from(cell.record.capacity)).sum(),
        }
    }

    fn node_view(&self, name: &NodeName, node: &Node, now: Timestamp) -> NodeView {
        let is_here =
            |cell: &Cell| cell.record.start.as_ref().is_some_and(|start| start.node == *name);
        let cells = || self.cells_of(&node.swarm).filter(|(_, cell)| is_here(cell));
        NodeView {
            node: name.clone(),
            swarm: node.swarm.clone(),
            availability: node.wish.unwrap_or_default(),
            report: node.report.as_ref().map(|(report, _)| report.clone()),
            report_age_ms: node.report.as_ref().map(|(_, at)| now.0.saturating_sub(at.0)),
            cells: cells().map(|(id, _)| *id).collect(),
            identities: cells().map(|(_, cell)| cell.residents).sum(),
            is_stuck: node.is_stuck,
        }
    }

    fn cell_view(&self, id: CellId, cell: &Cell, now: Timestamp) -> CellView {
        CellView {
            cell: id,
            record: cell.record.clone(),
            identities: cell.residents,
            address: self.place(id).and_then(|place| place.address),
            counts: cell.report.map(|(counts, _)| counts),
            report_age_ms: cell.report.map(|(_, at)| now.0.saturating_sub(at.0)),
            emptying: cell.emptying.as_ref().map(|emptying| emptying.view(cell.residents)),
            is_resting: cell.is_resting,
            ill: cell.ill.clone(),
        }
    }
}

fn active(state: &mut State, id: CellId) -> Result<&mut Cell, FleetError> {
    let cell = known(state, id)?;
    if cell.record.is_active() { Ok(cell) } else { Err(FleetError::UnknownCell(id)) }
}

fn record(order: CellOrder) -> CellRecord {
    let CellOrder { swarm, image, port, capacity, memory_bytes, millicpus, on } = order;
    let state = CellState::Active;
    CellRecord {
        swarm,
        image,
        port,
        capacity,
        memory_bytes,
        millicpus,
        on,
        state,
        is_draining: false,
        start: None,
    }
}

/// What becomes part of a service's description has to be plain.
fn check(record: &CellRecord) -> Result<(), FleetError> {
    let is_plain = |text: &str| {
        !text.is_empty() && text.len() <= CELL_TEXT_BYTES_MAX && text.bytes().all(is_plain_byte)
    };
    if !is_plain(&record.image) {
        return Err(FleetError::BadCell("the image has no plain name".to_owned()));
    }
    if record.on.len() > CELL_LABELS_MAX {
        let what = format!("a cell's machine has at most {CELL_LABELS_MAX} labels to have");
        return Err(FleetError::BadCell(what));
    }
    match record.on.iter().find(|(label, value)| !is_plain(label) || !is_plain(value)) {
        Some(_) => Err(FleetError::BadCell("a label is not plain text".to_owned())),
        None => Ok(()),
    }
}

fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._/:@".contains(&byte)
}
