//! What the agent asks of the engine on its machine, and what it understands of the answers.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use bollard::models::{NodeSpec, ServiceSpec};
use protocol::control::fleet::Availability;
use protocol::control::names::{NodeName, SwarmName};
use serde_json::Value;

/// Longest id that an engine may give to something.
const ID_BYTES_MAX: usize = 64;

/// What an engine calls a service, a secret or a task. It goes into the path of a request, so it is
/// nothing but lower-case letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineId(Box<str>);

impl EngineId {
    /// Reads an id; `None` for what cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_good = (1..=ID_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        is_good.then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an engine says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Its node in the Swarm.
    pub node: NodeName,
    /// What the machine calls itself.
    pub hostname: String,
    /// Where the other nodes reach it.
    pub address: IpAddr,
    /// Whether it can be asked about the Swarm.
    pub is_manager: bool,
    /// Labels of the engine itself, as its operator started it.
    pub labels: BTreeMap<String, String>,
    /// The minor number of the version 1 that both sides speak.
    pub api_minor: u16,
}

/// A node of the Swarm.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineNode {
    /// Its id.
    pub id: NodeName,
    /// Which version of it this is; a change names the version that it changes.
    pub version: u64,
    /// Whether it leads the managers.
    pub is_leader: bool,
    /// Whether it is a manager that the others reach.
    pub is_manager: bool,
    /// Whether it takes tasks.
    pub availability: Availability,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// All that can be changed of it, to be sent back with a change.
    pub spec: NodeSpec,
}

/// A service of the Swarm.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineService {
    /// Its id.
    pub id: EngineId,
    /// Which version of it this is.
    pub version: u64,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The whole of what it is to be, as the engine has it.
    pub spec: Value,
    /// What became of its last change.
    pub update: Option<Update>,
}

/// What became of a service's last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// It goes on.
    Running,
    /// It is done.
    Done,
    /// The engine stopped in it.
    Paused,
    /// The engine goes, or went, back to what the service was before.
    RolledBack,
}

/// A secret of the Swarm; its value stays there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSecret {
    /// Its id.
    pub id: EngineId,
    /// Its name.
    pub name: String,
}

/// A task of a service: one container, on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineTask {
    /// Whose task it is.
    pub service: EngineId,
    /// Whether it runs.
    pub is_running: bool,
    /// What the engine says went wrong.
    pub error: Option<String>,
}

/// Why an engine gives no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Its socket cannot be reached, or the connection broke.
    #[error("the engine cannot be reached: {0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("the engine gave no answer within {} s", .0.as_secs())]
    Deadline(Duration),
    /// It failed too often just now, and is left alone for a while.
    #[error("the engine failed {failures} times in a row and is asked again later")]
    Resting {
        /// How often.
        failures: u32,
    },
    /// It refuses.
    #[error("the engine refuses with status {status}: {message}")]
    Refused {
        /// Its status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// It says something that makes no sense.
    #[error("the engine gives nonsense: {0}")]
    Nonsense(String),
    /// It is too old, or no part of a Swarm.
    #[error("the engine is of no use: {0}")]
    Unfit(&'static str),
}

impl EngineError {
    /// Whether the engine itself is at fault. A refusal is an answer: one service that cannot be
    /// made must not keep the others from being made.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Deadline(_) | Self::Nonsense(_) => true,
            Self::Refused { .. } | Self::Resting { .. } | Self::Unfit(_) => false,
        }
    }
}

/// An answer of an engine.
pub type Answer<T> = Result<T, EngineError>;

/// An engine that runs services on the machines of a Swarm. Nobody but [`Guarded`](super::Guarded)
/// calls one: an engine may take any time.
pub trait Engine: Send + Sync + 'static {
    /// What it says about itself.
    fn info(&self) -> impl Future<Output = Answer<EngineInfo>> + Send;

    /// All nodes. Only a manager knows.
    fn nodes(&self) -> impl Future<Output = Answer<Vec<EngineNode>>> + Send;

    /// Whether a node takes tasks, from now on.
    fn set_availability(
        &self,
        node: &EngineNode,
        availability: Availability,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// All services that carry this swarm's label.
    fn services(
        &self,
        swarm: &SwarmName,
    ) -> impl Future<Output = Answer<Vec<EngineService>>> + Send;

    /// Makes a service.
    fn create(&self, spec: &ServiceSpec) -> impl Future<Output = Answer<EngineId>> + Send;

    /// Makes a service something else.
    fn update(
        &self,
        id: &EngineId,
        version: u64,
        spec: &ServiceSpec,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Ends a service. One that is gone already is as good.
    fn remove(&self, id: &EngineId) -> impl Future<Output = Answer<()>> + Send;

    /// All tasks that are to run.
    fn tasks(&self) -> impl Future<Output = Answer<Vec<EngineTask>>> + Send;

    /// All secrets, without their values.
    fn secrets(&self) -> impl Future<Output = Answer<Vec<EngineSecret>>> + Send;
}
