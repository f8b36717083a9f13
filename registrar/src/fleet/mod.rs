//! Swarms, nodes and cells, as the registrar decides on them and as they tell it how they are.
//!
//! Cells, routers and agents ask and are answered; nobody is called. What they are told is numbered
//! within one run of the registrar, and runs only grow. What is told is durable: what lies in the
//! store is written before, and everything else is made from it at the start.
//!
//! The core (`latest`, `state`, `placing`, `orders`) decides without waiting; the rest waits for it.

mod cells;
mod emptying;
mod error;
mod follow;
mod heard;
mod history;
mod hosts;
mod latest;
mod measures;
mod moving;
mod operators;
mod orders;
mod placing;
mod records;
mod state;
mod steps;
mod usage;

use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use net::clock::Clock;
use protocol::VolumeId;
use protocol::control::names::CellId;
use protocol::control::placement::Placement;
use tokio::sync::watch;

pub use emptying::Cause;
pub(crate) use emptying::Source;
pub use error::FleetError;
pub(crate) use follow::Follower;
pub use history::Minute;
pub(crate) use measures::Measures;
pub use moving::NoTarget;
pub use operators::{CellOrder, CellPatch, CellView, NodeView, SwarmView};
pub use placing::NoRoom;
pub use records::{CellRecord, CellStart, CellState, NodeRecord, SwarmRecord};
pub use usage::UsageView;

use crate::choice::{Explanation, Policy, Wish};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::ports::PortRanges;
use crate::probe::Probe;
use crate::records as keys;
use crate::registrar::RegistrarConfig;
use crate::state::State as NameState;
use crate::tier::Tier;
use state::{Fact, State};

/// The machines and processes that run the servers. It is a [`Swarm`](crate::Swarm).
pub struct Fleet {
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    probe: Arc<dyn Probe>,
    /// The identities' ports, on which every node listens.
    ports: PortRanges,
    /// The port of all who have names.
    name_port: Option<NonZeroU16>,
    state: Mutex<State>,
    /// Facts are decided, written and taken in one after the other.
    turn: tokio::sync::Mutex<()>,
    is_closing: watch::Sender<bool>,
    usage: usage::Usage,
}

impl Fleet {
    /// Reads what the store has of swarms, cells and nodes. Blocking.
    pub(crate) fn open(
        ledger: Arc<Ledger>,
        config: &RegistrarConfig,
        probe: Arc<dyn Probe>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, LedgerError> {
        let mut state = State::new(ledger.run(), clock.now());
        ledger.all(keys::SWARM_PREFIX, |key, record| {
            state.apply(Fact::Swarm(keys::swarm_of(key)?, Some(record)));
            Ok(())
        })?;
        ledger.all(keys::NODE_PREFIX, |key, record| {
            state.apply(Fact::Node(keys::node_of(key)?, record));
            Ok(())
        })?;
        ledger.all(keys::CELL_PREFIX, |key, record| {
            state.apply(Fact::Cell(keys::cell_of(key)?, record));
            Ok(())
        })?;
        Ok(Arc::new(Self {
            usage: usage::Usage::new(Arc::clone(&ledger)),
            ledger,
            clock,
            probe,
            ports: config.ports.clone(),
            name_port: config.addressing.name_port(),
            state: Mutex::new(state),
            turn: tokio::sync::Mutex::default(),
            is_closing: watch::Sender::new(false),
        }))
    }

    /// Takes what is durable of one identity, at the start.
    pub(crate) fn load(&self, placement: Placement, cell: Option<CellId>, state: NameState) {
        let identity = placement.identity.clone();
        if !cell.is_some_and(|cell| self.state().load(placement, cell, state)) {
            tracing::error!(%identity, ?cell, "the record names no cell that is known");
        }
    }

    /// Chooses the cell of a new volume.
    pub(crate) fn settle(&self, volume: VolumeId, tier: Tier) -> Result<CellId, NoRoom> {
        self.state().settle(volume, tier, self.clock.now())
    }

    /// How cells are chosen from now on.
    pub(crate) fn place_by(&self, policy: Policy) {
        self.state().policy = policy;
    }

    /// How cells are chosen.
    pub(crate) fn policy(&self) -> Policy {
        self.state().policy
    }

    /// What a choice made now would come to; whoever lives in `home` is not counted there.
    pub(crate) fn explain(&self, wish: Wish, home: Option<CellId>) -> Explanation {
        self.state().explain(wish, home, self.clock.now())
    }

    /// The volume is gone, or never came to be.
    pub(crate) fn leave(&self, volume: VolumeId) {
        self.state().leave(volume);
    }

    /// Nobody waits for news any more.
    pub(crate) fn close(&self) {
        self.is_closing.send_replace(true);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a fact durable and then true. It goes on to its end even if nobody waits for it.
    async fn establish(
        self: &Arc<Self>,
        decide: impl FnOnce(&mut State) -> Result<Fact, FleetError> + Send + 'static,
    ) -> Result<Fact, FleetError> {
        self.ledger.in_reach()?;
        let this = Arc::clone(self);
        let task = tokio::spawn(async move {
            let _turn = this.turn.lock().await;
            let fact = decide(&mut this.state())?;
            let written = this.write(&fact).await;
            let mut state = this.state();
            match written {
                Ok(()) => state.apply(fact.clone()),
                Err(error) => {
                    state.cells.values_mut().for_each(|cell| cell.is_leaving = false);
                    return Err(error.into());
                }
            }
            Ok(fact)
        });
        tokio::select! {
            biased;
            outcome = task => outcome.map_err(|_| FleetError::Stopping)?,
            // It goes on when the store does.
            error = self.ledger.out_of_reach() => Err(error.into()),
        }
    }

    async fn write(&self, fact: &Fact) -> Result<(), LedgerError> {
        let appended = match fact {
            Fact::Swarm(name, Some(record)) => self.ledger.put(keys::swarm_key(name), record)?,
            Fact::Swarm(name, None) => self.ledger.delete(keys::swarm_key(name))?,
            Fact::Cell(cell, record) => self.ledger.put(keys::cell_key(*cell), record)?,
            Fact::Node(name, record) => self.ledger.put(keys::node_key(name), record)?,
        };
        self.ledger.durable(appended).await
    }
}
