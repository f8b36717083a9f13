//! Swarms, nodes and cells, and where an identity goes. What is not looked at here is kept, so that
//! `--json` prints all that the API answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use net::https::Method;
use protocol::control::fleet::{Availability, NodeReport};
use protocol::control::names::{CellId, NodeName, SwarmName};
use protocol::control::roster::{CellCounts, IllServer};
use protocol::control::usage::Used;
use protocol::{AtSign, Term, Timestamp};
use registrar::Cause;
use registrar::choice::{Explanation, Policy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Api, encode, parsed, percent_encode};
use crate::failure::Failure;

/// One swarm.
#[derive(Debug, Serialize, Deserialize)]
pub struct SwarmView {
    pub swarm: SwarmName,
    pub since: Timestamp,
    pub nodes: usize,
    pub cells: usize,
    pub identities: u64,
    pub capacity: u64,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct NodeView {
    pub node: NodeName,
    pub swarm: SwarmName,
    pub availability: Availability,
    pub report_age_ms: Option<u64>,
    pub report: Option<NodeReport>,
    pub cells: Vec<CellId>,
    #[serde(default)]
    pub identities: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_stuck: bool,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One cell.
#[derive(Debug, Serialize, Deserialize)]
pub struct CellView {
    pub cell: CellId,
    pub swarm: SwarmName,
    pub image: String,
    pub port: NonZeroU16,
    pub capacity: u32,
    pub memory_bytes: u64,
    pub millicpus: u32,
    pub on: BTreeMap<String, String>,
    pub state: String,
    pub identities: u64,
    pub start: Option<StartView>,
    pub report_age_ms: Option<u64>,
    pub counts: Option<CellCounts>,
    pub address: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emptying: Option<EmptyingView>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_resting: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_draining: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ill: Vec<IllServer>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The newest start of a cell.
#[derive(Debug, Serialize, Deserialize)]
pub struct StartView {
    pub term: Term,
    pub node: NodeName,
    pub version: String,
    pub since: Timestamp,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How it goes with moving all who live in a cell to others.
#[derive(Debug, Serialize, Deserialize)]
pub struct EmptyingView {
    pub cause: Cause,
    pub moved: u64,
    pub left: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A move that is done.
#[derive(Debug, Serialize, Deserialize)]
pub struct MoveView {
    pub identity: AtSign,
    pub from: CellId,
    pub to: CellId,
    pub is_known: bool,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A cell that is to be.
#[derive(Debug, Clone, Serialize)]
pub struct NewCell {
    pub swarm: SwarmName,
    pub image: String,
    pub port: NonZeroU16,
    pub capacity: u32,
    pub memory_bytes: u64,
    pub millicpus: u32,
    pub on: BTreeMap<String, String>,
}

/// Where an identity is, and where she would go now.
#[derive(Debug, Serialize, Deserialize)]
pub struct PlacementView {
    pub identity: AtSign,
    pub state: Option<String>,
    pub cell: Option<CellId>,
    #[serde(flatten)]
    pub explanation: Explanation,
}

/// What an identity used.
#[derive(Debug, Serialize, Deserialize)]
pub struct UsageView {
    pub identity: AtSign,
    pub rows: Vec<UsedRow>,
}

/// In an hour, or in a day.
#[derive(Debug, Serialize, Deserialize)]
pub struct UsedRow {
    pub at: Timestamp,
    pub hours: u32,
    #[serde(flatten)]
    pub used: Used,
}

/// How long a report counts: the registrar's own limit.
fn is_fresh(age_ms: Option<u64>, limit: Duration) -> bool {
    age_ms.is_some_and(|age| u128::from(age) <= limit.as_millis())
}

impl NodeView {
    /// Whether its agent tells of it.
    pub fn is_reporting(&self) -> bool {
        is_fresh(self.report_age_ms, registrar::limits::NODE_SILENT)
    }
}

impl CellView {
    /// Whether somebody runs it and says so.
    pub fn is_reporting(&self) -> bool {
        self.start.is_some() && is_fresh(self.report_age_ms, registrar::limits::CELL_SILENT)
    }
}

impl Api {
    pub async fn swarms(&self) -> Result<Vec<SwarmView>, Failure> {
        #[derive(Deserialize)]
        struct List {
            swarms: Vec<SwarmView>,
        }
        self.get::<List>("/v1/swarms").await.map(|list| list.swarms)
    }

    pub async fn swarm(&self, swarm: &SwarmName) -> Result<SwarmView, Failure> {
        self.get(&format!("/v1/swarms/{swarm}")).await
    }

    pub async fn create_swarm(&self, swarm: &SwarmName) -> Result<SwarmView, Failure> {
        let body = json!({ "swarm": swarm });
        parsed(&self.ask(Method::POST, "/v1/swarms", Some(&body)).await?)
    }

    pub async fn delete_swarm(&self, swarm: &SwarmName) -> Result<(), Failure> {
        self.ask(Method::DELETE, &format!("/v1/swarms/{swarm}"), None).await.map(drop)
    }

    pub async fn nodes(&self) -> Result<Vec<NodeView>, Failure> {
        #[derive(Deserialize)]
        struct List {
            nodes: Vec<NodeView>,
        }
        self.get::<List>("/v1/nodes").await.map(|list| list.nodes)
    }

    pub async fn set_node(
        &self,
        node: &NodeName,
        availability: Availability,
    ) -> Result<NodeView, Failure> {
        let body = json!({ "availability": availability });
        parsed(&self.ask(Method::PATCH, &format!("/v1/nodes/{node}"), Some(&body)).await?)
    }

    pub async fn cells(&self) -> Result<Vec<CellView>, Failure> {
        #[derive(Deserialize)]
        struct List {
            cells: Vec<CellView>,
        }
        self.get::<List>("/v1/cells").await.map(|list| list.cells)
    }

    pub async fn cell(&self, cell: CellId) -> Result<CellView, Failure> {
        self.get(&format!("/v1/cells/{cell}")).await
    }

    pub async fn create_cell(&self, cell: &NewCell) -> Result<CellView, Failure> {
        parsed(&self.ask(Method::POST, "/v1/cells", Some(&json!(cell))).await?)
    }

    pub async fn set_cell(&self, cell: CellId, changes: &Value) -> Result<CellView, Failure> {
        parsed(&self.ask(Method::PATCH, &format!("/v1/cells/{cell}"), Some(changes)).await?)
    }

    pub async fn delete_cell(&self, cell: CellId) -> Result<(), Failure> {
        self.ask(Method::DELETE, &format!("/v1/cells/{cell}"), None).await.map(drop)
    }

    pub async fn node(&self, node: &NodeName) -> Result<NodeView, Failure> {
        self.get(&format!("/v1/nodes/{node}")).await
    }

    pub async fn relocate(
        &self,
        identity: &AtSign,
        to: Option<CellId>,
    ) -> Result<MoveView, Failure> {
        let path = format!("/v1/identities/{}/placement", encode(identity));
        parsed(&self.ask(Method::POST, &path, Some(&json!({ "to": to }))).await?)
    }

    pub async fn usage(&self, identity: &AtSign, from: i64) -> Result<UsageView, Failure> {
        self.get(&format!("/v1/usage?identity={}&from={from}", encode(identity))).await
    }

    pub async fn explain(
        &self,
        identity: &AtSign,
        policy: Option<Policy>,
        needs: &[(String, String)],
    ) -> Result<PlacementView, Failure> {
        let mut path = format!("/v1/identities/{}/placement?", encode(identity));
        if let Some(policy) = policy {
            path.push_str(&format!("policy={policy}&"));
        }
        if !needs.is_empty() {
            let needs = needs.iter().map(|(name, value)| format!("{name}={value}"));
            let needs = needs.collect::<Vec<_>>().join(",");
            path.push_str(&format!("needs={}", percent_encode(&needs)));
        }
        self.get(&path).await
    }
}
