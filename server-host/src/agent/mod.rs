//! What runs on each machine of a Docker Swarm beside the engine.
//!
//! The registrar says which cells a swarm is to have ([`Plan`](protocol::control::fleet::Plan)); the
//! agent whose engine leads the managers ([`acting`]) makes a service of each ([`Template`]), compares what there
//! is with what there is to be ([`reconcile()`], a pure function) and mends the difference. Every agent
//! tells how its machine stands. Nothing is kept: an agent that was started again looks and goes on.
//!
//! The engine is asked through [`Engine`], and only behind [`Guarded`]: an engine that hangs costs a
//! call its deadline, and one that goes on failing is left alone for a while. Ids and names that an
//! engine gives are parsed before they are used.

mod difference;
mod docker;
mod drift;
mod engine;
mod guard;
mod measures;
mod plan;
mod reading;
mod reconcile;
mod round;
mod run;
mod template;

pub use crate::limits::DRIFT_TOLD;
pub use docker::{DockerEngine, socket_of};
pub use drift::taken_back;
pub use engine::{
    Answer, Engine, EngineError, EngineId, EngineInfo, EngineNode, EngineSecret, EngineService,
    EngineTask, Update,
};
pub use guard::Guarded;
pub use reconcile::{Action, Decision, Seen, Written, acting, reconcile};
pub use round::round;
pub use run::{Agent, AgentConfig};
pub use template::{CELL_LABEL, HEALTH_PORT, Means, NoSecret, SPEC_LABEL, SWARM_LABEL, Template};
