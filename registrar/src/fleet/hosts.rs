//! What the agents on the machines tell and ask.

use protocol::control::fleet::{NodeReport, Plan};
use protocol::control::names::{NodeName, SwarmName};

use super::follow::{Follower, Looked};
use super::state::{Node, State};
use super::{Fleet, FleetError};
use crate::limits::NODES_MAX;

impl Fleet {
    /// Takes in how a node is.
    pub(crate) fn report_node(&self, name: NodeName, report: NodeReport) -> Result<(), FleetError> {
        let now = self.clock.now();
        let mut state = self.state();
        if !state.swarms.contains_key(&report.swarm) {
            return Err(FleetError::UnknownSwarm(report.swarm));
        }
        if !state.nodes.contains_key(&name) && state.nodes.len() >= NODES_MAX {
            return Err(FleetError::TooMany(NODES_MAX));
        }
        let before = state.places();
        let node = state.nodes.entry(name).or_insert_with(|| Node::new(report.swarm.clone()));
        node.swarm = report.swarm.clone();
        node.report = Some((report, now));
        if before != state.places() {
            state.routes_changed();
        }
        Ok(())
    }

    /// What a swarm is to run.
    pub(crate) async fn plan(
        &self,
        swarm: &SwarmName,
        follower: &Follower,
    ) -> Result<Plan, FleetError> {
        let look = |state: &mut State| {
            if !state.swarms.contains_key(swarm) {
                return Err(FleetError::UnknownSwarm(swarm.clone()));
            }
            let plan = state.plan_of(swarm);
            Ok(match follower.number(state) == Some(state.plan) {
                true => Looked::Nothing(plan, state.plan_news.subscribe()),
                false => Looked::News(plan),
            })
        };
        self.follow(follower, look).await
    }
}

impl State {
    fn plan_of(&self, swarm: &SwarmName) -> Plan {
        let cells = self.cells.iter().filter(|(_, cell)| cell.record.is_active());
        let cells = cells.filter(|(_, cell)| cell.record.swarm == *swarm);
        let nodes = self.nodes.iter().filter(|(_, node)| node.swarm == *swarm);
        Plan {
            upto: self.position(self.plan),
            cells: cells.map(|(id, cell)| cell.record.spec(*id)).collect(),
            nodes: nodes.filter_map(|(name, node)| self.wish_of(name, node)).collect(),
        }
    }
}
