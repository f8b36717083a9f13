//! Health, readiness and metrics of a cell.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router as Routes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use net::telemetry::{METRICS_CONTENT_TYPE, Metrics, encode_metrics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use server_host::{Cell, Door};
use tokio::sync::watch;

use crate::monitoring::{encode, size};

/// What the endpoints look at; the cell is there once it has its term.
#[derive(Clone, Default)]
pub struct Figures {
    metrics: Arc<OnceLock<Mutex<Metrics>>>,
    is_ready: Arc<OnceLock<watch::Receiver<bool>>>,
    is_ending: Arc<AtomicBool>,
}

impl Figures {
    /// From now on there is a cell to look at.
    pub fn show(&self, cell: &Cell, door: &Door, is_ready: watch::Receiver<bool>) {
        let mut metrics = Metrics::with_prefix("warren");
        cell.register(metrics.sub_registry_with_prefix("cell"));
        door.register(metrics.sub_registry_with_prefix("cell_door"));
        metrics.register_collector(Box::new(Counters(cell.clone())));
        // There is one cell in a process; a second one would not be shown.
        let _ = self.metrics.set(Mutex::new(metrics));
        let _ = self.is_ready.set(is_ready);
    }

    /// From now on it says that it is not ready.
    pub fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// `/metrics`, `/healthz` and `/readyz`.
    pub fn routes(&self) -> Routes {
        Routes::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .with_state(self.clone())
    }
}

async fn metrics(State(figures): State<Figures>) -> Response {
    let text = match figures.metrics.get() {
        Some(metrics) => encode_metrics(&metrics.lock().unwrap_or_else(PoisonError::into_inner)),
        None => encode_metrics(&Metrics::default()),
    };
    ([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], text).into_response()
}

async fn ready(State(figures): State<Figures>) -> Response {
    let is_ready = figures.is_ready.get().is_some_and(|ready| *ready.borrow());
    match (figures.is_ending.load(Ordering::Relaxed), is_ready) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "it is about to end\n").into_response(),
        (false, true) => (StatusCode::OK, "ready\n").into_response(),
        (false, false) => {
            let why = "the registrar has not said yet who lives here\n";
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
    }
}

/// The cell's own counters, read when somebody asks.
struct Counters(Cell);

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counters")
    }
}

impl Collector for Counters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let cell = self.0.counters();
        let gauges = [
            ("cell_residents", "Servers that live here", cell.residents),
            ("cell_awake", "Servers that are awake", cell.awake),
            ("cell_quarantined", "Servers that are left asleep since they fail", cell.quarantined),
            ("cell_reminders", "Sleepers in which something waits", cell.reminders),
        ];
        let counters = [
            ("cell_wakes", "Wakes", cell.wakes),
            ("cell_wakes_failed", "Wakes that failed", cell.wakes_failed),
            ("cell_wake_microseconds", "Time spent waking", cell.wake_micros),
            ("cell_restarts", "Servers that did not get on and were started again", cell.restarts),
            ("cell_fenced", "Servers that were found to run elsewhere", cell.fenced),
        ];
        encode(
            &mut encoder,
            &gauges.map(|(name, help, value)| (name, help, size(value))),
            &counters,
        )
    }
}
