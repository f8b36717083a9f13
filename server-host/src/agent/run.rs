//! The agent at work: it follows the plan, mends the swarm where its engine leads it, and tells about
//! its machine.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use http::Method;
use net::backoff;
use net::drain::Drain;
use net::https::{Upstream, UpstreamError};
use net::machine;
use net::telemetry::Metrics;
use protocol::control::fleet::{EngineReport, NODE_ITEMS_MAX, NodeReport, Plan, Pressure};
use protocol::control::names::NodeName;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::drift::DriftLog;
use super::engine::{Answer, Engine, EngineInfo};
use super::guard::Guarded;
use super::plan::{Followed, accept};
use super::reconcile::{Written, acting};
use super::round::round;
use super::template::Template;
use crate::limits::{
    PLAN_DEADLINE, PLAN_PAUSE_MAX, PLAN_PAUSE_MIN, PLAN_WAIT, REPORT_DEADLINE, REPORT_INTERVAL,
    ROUND_INTERVAL,
};

/// What an agent works with.
#[derive(Debug)]
pub struct AgentConfig {
    /// How cells become services.
    pub template: Template,
    /// Where this machine sees the volumes, to say how full they are.
    pub volumes: PathBuf,
    /// Where other machines reach this one, if not where the engine says.
    pub address: Option<IpAddr>,
    /// Say what would be done, and do nothing.
    pub is_dry: bool,
    /// The program's version.
    pub version: String,
}

/// The agent of one machine.
#[derive(Debug)]
pub struct Agent<E> {
    engine: Guarded<E>,
    registrar: Upstream,
    config: AgentConfig,
    drift: Mutex<DriftLog>,
    plan: watch::Sender<Option<Plan>>,
    standing: watch::Sender<Option<Standing>>,
}

/// What the engine said last, and whether it still does.
#[derive(Debug, Clone, PartialEq)]
struct Standing {
    info: EngineInfo,
    engine: EngineReport,
}

impl<E: Engine> Agent<E> {
    /// An agent that asks `registrar` for its plan and `engine` to carry it out.
    #[must_use]
    pub fn new(engine: E, registrar: Upstream, config: AgentConfig) -> Self {
        Self {
            engine: Guarded::new(engine),
            registrar,
            config,
            drift: Mutex::default(),
            plan: watch::Sender::new(None),
            standing: watch::Sender::new(None),
        }
    }

    /// Adds what is measured of its calls to the engine, in a registry that carries a prefix for that.
    pub fn register(&self, metrics: &mut Metrics) {
        self.engine.register(metrics);
    }

    /// Works until the end begins. What is under way with the engine is not waited for: the next
    /// agent finds out how far it came.
    pub async fn run(&self, drain: &Drain) {
        tokio::select! {
            () = drain.draining() => {}
            () = self.follow_plan() => {}
            () = self.watch_engine() => {}
            () = self.mend() => {}
            () = self.report() => {}
        }
    }

    /// Whether the engine answered when it was last asked.
    #[must_use]
    pub fn is_engine_answering(&self) -> bool {
        self.standing.borrow().as_ref().is_some_and(|standing| standing.engine.is_answering)
    }

    async fn follow_plan(&self) {
        let registrar = self.registrar.with_deadline(PLAN_DEADLINE);
        let (mut followed, mut failures) = (Followed::default(), 0_u32);
        loop {
            let path = followed.path(&self.config.template.swarm, PLAN_WAIT);
            let asked = Instant::now();
            let told = registrar.get::<Plan>(&path).await;
            match told.map_err(|error| tell(&error)).and_then(|plan| accept(&mut followed, plan)) {
                Ok(Some(plan)) => {
                    failures = 0;
                    tracing::info!(cells = plan.cells.len(), "the registrar has a new plan");
                    self.plan.send_replace(Some(plan));
                }
                Ok(None) => {
                    failures = 0;
                    // Also where the registrar does not wait with its answer.
                    sleep_until(asked + PLAN_PAUSE_MIN).await;
                }
                Err(problem) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(problem, failures, "no plan from the registrar");
                    self.note([format!("no plan from the registrar: {problem}")]);
                    sleep(backoff::pause(failures, PLAN_PAUSE_MIN, PLAN_PAUSE_MAX)).await;
                }
            }
        }
    }

    /// Asks the engine who it is and whether it leads, again and again.
    async fn watch_engine(&self) {
        loop {
            match self.stand().await {
                Ok(standing) => {
                    self.standing.send_replace(Some(standing));
                }
                Err(error) => {
                    tracing::warn!(%error, "the engine does not say how it stands");
                    self.note([format!("the engine does not say how it stands: {error}")]);
                    self.standing.send_modify(|standing| {
                        if let Some(standing) = standing {
                            standing.engine.is_answering = false;
                            standing.engine.is_leader = false;
                        }
                    });
                }
            }
            sleep(REPORT_INTERVAL).await;
        }
    }

    /// A worker's engine knows neither the node's labels nor whether it takes tasks; it tells its
    /// own labels then.
    async fn stand(&self) -> Answer<Standing> {
        let info = self.engine.info().await?;
        let mut engine = EngineReport {
            is_answering: true,
            is_leader: false,
            availability: self.last_availability(),
            labels: info.labels.clone(),
        };
        if info.is_manager {
            let nodes = self.engine.nodes().await?;
            engine.is_leader = acting(&nodes) == Some(&info.node);
            if let Some(node) = nodes.into_iter().find(|node| node.id == info.node) {
                engine.availability = node.availability;
                engine.labels.extend(node.labels);
            }
        }
        while engine.labels.len() > NODE_ITEMS_MAX {
            engine.labels.pop_last();
        }
        Ok(Standing { info, engine })
    }

    fn last_availability(&self) -> protocol::control::fleet::Availability {
        let standing = self.standing.borrow();
        standing.as_ref().map(|standing| standing.engine.availability).unwrap_or_default()
    }

    /// Makes the swarm what the plan says, wherever this engine leads it: at news of the plan, when
    /// it becomes the leader, and every so often.
    async fn mend(&self) {
        let (mut plans, mut standings) = (self.plan.subscribe(), self.standing.subscribe());
        let mut written = Written::new();
        loop {
            let plan = plans.borrow_and_update().clone();
            let led = leads(&standings.borrow_and_update());
            if led.is_none() {
                self.drift.lock().unwrap_or_else(PoisonError::into_inner).set_now(Vec::new());
            }
            if let (Some(plan), Some(api_minor)) = (&plan, led) {
                self.mend_once(plan, &mut written, api_minor).await;
            }
            tokio::select! {
                _ = plans.changed() => {}
                _ = standings.wait_for(|now| leads(now).is_some() != led.is_some()) => {}
                () = sleep(ROUND_INTERVAL) => {}
            }
        }
    }

    async fn mend_once(&self, plan: &Plan, written: &mut Written, api_minor: u16) {
        let is_dry = self.config.is_dry;
        let template = &self.config.template;
        match round(&self.engine, plan, template, written, api_minor, is_dry).await {
            Ok(decision) => {
                if is_dry {
                    for action in &decision.actions {
                        tracing::info!(%action, "would be done");
                    }
                }
                self.note(decision.drift);
                let mut drift = self.drift.lock().unwrap_or_else(PoisonError::into_inner);
                drift.set_now(decision.idle);
            }
            Err(error) => {
                tracing::warn!(%error, "the engine does not say what there is");
                self.note([format!("the engine does not say what there is: {error}")]);
            }
        }
    }

    /// Tells about the machine every few seconds, and at once when the engine stands differently.
    async fn report(&self) {
        let mut standings = self.standing.subscribe();
        loop {
            let standing = standings.borrow_and_update().clone();
            if let Some(standing) = standing {
                let (node, report) = self.node_report(standing.clone());
                let path = format!("/v1/nodes/{node}");
                let told = self.registrar.send(Method::PUT, &path, &report);
                match timeout(REPORT_DEADLINE, told).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        let error = tell(&error);
                        tracing::warn!(error, "the registrar does not take the report");
                    }
                    Err(_) => tracing::warn!("the registrar does not take the report in time"),
                }
                let is_other = |now: &Option<Standing>| now.as_ref() != Some(&standing);
                drop(timeout(REPORT_INTERVAL, standings.wait_for(is_other)).await);
            } else {
                drop(timeout(REPORT_INTERVAL, standings.changed()).await);
            }
        }
    }

    fn node_report(&self, standing: Standing) -> (NodeName, NodeReport) {
        let Standing { info, engine } = standing;
        let mut drift = self.drift.lock().unwrap_or_else(PoisonError::into_inner).lines();
        drift.truncate(NODE_ITEMS_MAX);
        let report = NodeReport {
            swarm: self.config.template.swarm.clone(),
            hostname: info.hostname,
            address: self.config.address.unwrap_or(info.address),
            engine,
            pressure: self.pressure(),
            drift,
            version: self.config.version.clone(),
        };
        (info.node, report)
    }

    /// What cannot be measured counts as full: nobody should be sent to a machine without a volume.
    fn pressure(&self) -> Pressure {
        const FULL: u16 = 1000;
        Pressure {
            memory: machine::memory_used().unwrap_or(FULL),
            disk: machine::disk_used(&self.config.volumes).unwrap_or(FULL),
            handles: machine::handles_used().unwrap_or(FULL),
        }
    }

    fn note(&self, lines: impl IntoIterator<Item = String>) {
        self.drift.lock().unwrap_or_else(PoisonError::into_inner).note(lines);
    }
}

/// With which API version it leads, if it does.
fn leads(standing: &Option<Standing>) -> Option<u16> {
    let standing = standing.as_ref()?;
    standing.engine.is_leader.then_some(standing.info.api_minor)
}

/// An error and its cause, short.
fn tell(error: &UpstreamError) -> String {
    use std::error::Error;
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
