//! An engine that is asked with care: each call ends in time, and one that fails is left alone.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use bollard::models::ServiceSpec;
use net::backoff;
use net::telemetry::Metrics;
use protocol::control::fleet::Availability;
use protocol::control::names::SwarmName;
use tokio::time::{Instant, timeout};

use super::engine::{
    Answer, Engine, EngineError, EngineId, EngineInfo, EngineNode, EngineSecret, EngineService,
    EngineTask,
};
use super::measures::{Breaker, Measures};
use crate::limits::{ENGINE_DEADLINE, ENGINE_FAILURES_MAX, ENGINE_REST_MAX, ENGINE_REST_MIN};

/// The engine behind a deadline and a breaker. After [`ENGINE_FAILURES_MAX`] failures in a row it
/// refuses at once for a while; then one call is let through to try.
#[derive(Debug)]
pub struct Guarded<E> {
    engine: E,
    state: Mutex<State>,
    measures: Measures,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    failures: u32,
    rests_until: Option<Instant>,
}

impl<E: Engine> Guarded<E> {
    /// Guards an engine that has not failed yet.
    #[must_use]
    pub fn new(engine: E) -> Self {
        Self { engine, state: Mutex::default(), measures: Measures::new() }
    }

    /// Adds what is measured of the calls, in a registry that carries the engine's prefix.
    pub fn register(&self, metrics: &mut Metrics) {
        self.measures.register(metrics);
    }

    async fn call<T>(
        &self,
        kind: &'static str,
        asked: impl Future<Output = Answer<T>> + Send,
    ) -> Answer<T> {
        self.admit().inspect_err(|_| self.measures.refused(kind))?;
        let began = Instant::now();
        let answer = timeout(ENGINE_DEADLINE, asked)
            .await
            .unwrap_or(Err(EngineError::Deadline(ENGINE_DEADLINE)));
        self.measures.ended(kind, answer.as_ref().err(), began.elapsed());
        self.note(answer.as_ref().err());
        answer
    }

    /// Whoever comes first after a rest is let through, and the others rest on.
    fn admit(&self) -> Answer<()> {
        let mut state = self.state();
        match state.rests_until {
            Some(until) if Instant::now() < until => {
                Err(EngineError::Resting { failures: state.failures })
            }
            Some(_) => {
                state.rests_until = Some(Instant::now() + ENGINE_DEADLINE);
                self.measures.breaker_is(Breaker::Trying);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn note(&self, error: Option<&EngineError>) {
        let mut state = self.state();
        if !error.is_some_and(EngineError::is_failure) {
            *state = State::default();
            self.measures.breaker_is(Breaker::Closed);
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if let Some(over) = state.failures.checked_sub(ENGINE_FAILURES_MAX) {
            let pause = backoff::pause(over.saturating_add(1), ENGINE_REST_MIN, ENGINE_REST_MAX);
            state.rests_until = Some(Instant::now() + pause);
            self.measures.breaker_is(Breaker::Open);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Engine> Engine for Guarded<E> {
    async fn info(&self) -> Answer<EngineInfo> {
        self.call("info", self.engine.info()).await
    }

    async fn nodes(&self) -> Answer<Vec<EngineNode>> {
        self.call("nodes", self.engine.nodes()).await
    }

    async fn set_availability(&self, node: &EngineNode, to: Availability) -> Answer<()> {
        self.call("set_availability", self.engine.set_availability(node, to)).await
    }

    async fn services(&self, swarm: &SwarmName) -> Answer<Vec<EngineService>> {
        self.call("services", self.engine.services(swarm)).await
    }

    async fn create(&self, spec: &ServiceSpec) -> Answer<EngineId> {
        self.call("create", self.engine.create(spec)).await
    }

    async fn update(&self, id: &EngineId, version: u64, spec: &ServiceSpec) -> Answer<()> {
        self.call("update", self.engine.update(id, version, spec)).await
    }

    async fn remove(&self, id: &EngineId) -> Answer<()> {
        self.call("remove", self.engine.remove(id)).await
    }

    async fn tasks(&self) -> Answer<Vec<EngineTask>> {
        self.call("tasks", self.engine.tasks()).await
    }

    async fn secrets(&self) -> Answer<Vec<EngineSecret>> {
        self.call("secrets", self.engine.secrets()).await
    }
}
