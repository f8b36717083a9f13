//! Metrics and health, on a listener of their own that is for the operator and her load balancer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router as Routes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use directory::Directory;
use net::telemetry::{METRICS_CONTENT_TYPE, Metrics, encode_metrics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use server_host::Cell;
use swarm_router::Router;

/// Why whoever asks should go elsewhere, if he should.
type WhyNotReady = dyn Fn() -> Option<&'static str> + Send + Sync;

/// What the endpoints look at.
#[derive(Clone)]
pub struct Monitored {
    metrics: Arc<Mutex<Metrics>>,
    why_not_ready: Arc<WhyNotReady>,
    is_ending: Arc<AtomicBool>,
}

impl Monitored {
    /// Ready once the directory may answer.
    pub fn new(metrics: Metrics, directory: Arc<Directory>) -> Self {
        Self::ready_unless(metrics, move || {
            (!directory.status().ready).then_some("the directory has no snapshot yet\n")
        })
    }

    /// Ready unless there is a reason not to be.
    pub fn ready_unless(
        metrics: Metrics,
        why_not: impl Fn() -> Option<&'static str> + Send + Sync + 'static,
    ) -> Self {
        let metrics = Arc::new(Mutex::new(metrics));
        Self { metrics, why_not_ready: Arc::new(why_not), is_ending: Arc::default() }
    }

    /// From now on it says that it is not ready, so that nobody new is sent here.
    pub fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }
}

/// `/metrics`, `/healthz` and `/readyz`.
pub fn routes(monitored: Monitored) -> Routes {
    Routes::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(monitored)
}

async fn metrics(State(monitored): State<Monitored>) -> Response {
    let text = encode_metrics(&monitored.metrics.lock().unwrap_or_else(PoisonError::into_inner));
    ([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], text).into_response()
}

/// A figure's name, what it says, and its value.
pub type Figure<T> = (&'static str, &'static str, T);

/// Writes figures that are read when somebody asks.
pub fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    gauges: &[Figure<i64>],
    counters: &[Figure<u64>],
) -> Result<(), std::fmt::Error> {
    for (name, help, value) in gauges {
        let gauge = ConstGauge::new(*value);
        gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
    }
    for (name, help, value) in counters {
        let counter = ConstCounter::new(*value);
        let kind = counter.metric_type();
        counter.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
    }
    Ok(())
}

/// A number of things as a gauge has it.
pub fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Ready unless something speaks against it: everything else is up before this listener is.
async fn ready(State(monitored): State<Monitored>) -> Response {
    let is_ending = monitored.is_ending.load(Ordering::Relaxed);
    let why_not = is_ending.then_some("it is about to end\n");
    match why_not.or_else(|| (monitored.why_not_ready)()) {
        None => (StatusCode::OK, "ready\n").into_response(),
        Some(why_not) => (StatusCode::SERVICE_UNAVAILABLE, why_not).into_response(),
    }
}

/// The cell's and the router's own counters, read when somebody asks.
pub struct Counters {
    pub cell: Cell,
    pub router: Arc<Router>,
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counters")
    }
}

impl Collector for Counters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let cell = self.cell.counters();
        let router = self.router.counters();
        let gauges = [
            ("cell_residents", "Servers that live here", cell.residents),
            ("cell_awake", "Servers that are awake", cell.awake),
            ("cell_reminders", "Sleepers in which something waits", cell.reminders),
            ("router_routes", "Ports that are listened on", router.routes),
            ("router_routes_waiting", "Routes whose port is taken", router.routes_waiting),
            ("router_connections", "Connections handed over and open", router.connections),
        ];
        let counters = [
            ("cell_wakes", "Wakes", cell.wakes),
            ("cell_wakes_failed", "Wakes that failed", cell.wakes_failed),
            ("cell_wake_microseconds", "Time spent waking", cell.wake_micros),
            ("router_accepted", "Connections handed over", router.accepted),
            ("router_refused", "Connections over the router's limit", router.refused),
        ];
        encode(
            &mut encoder,
            &gauges.map(|(name, help, value)| (name, help, size(value))),
            &counters,
        )
    }
}
