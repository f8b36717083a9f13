//! Metrics and health of a router, on a listener of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router as Pages;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use net::telemetry::{METRICS_CONTENT_TYPE, Metrics, encode_metrics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use swarm_router::{Follower, Forwarder, Router};

/// What the pages look at.
#[derive(Clone)]
pub struct Health {
    metrics: Arc<Mutex<Metrics>>,
    follower: Follower,
    is_ending: Arc<AtomicBool>,
}

impl Health {
    pub fn new(router: &Arc<Router>, forwarder: &Forwarder, follower: &Follower) -> Self {
        let mut metrics = Metrics::with_prefix("warren");
        forwarder.register(metrics.sub_registry_with_prefix("router"));
        metrics.register_collector(Box::new(Counters {
            router: Arc::clone(router),
            forwarder: forwarder.clone(),
            follower: follower.clone(),
        }));
        let (metrics, follower) = (Arc::new(Mutex::new(metrics)), follower.clone());
        Self { metrics, follower, is_ending: Arc::default() }
    }

    /// From now on it says that it is not ready, so that nobody new is sent here.
    pub fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// `/metrics`, `/healthz` and `/readyz`.
    pub fn pages(&self) -> Pages {
        Pages::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .with_state(self.clone())
    }
}

async fn metrics(State(health): State<Health>) -> Response {
    let text = encode_metrics(&health.metrics.lock().unwrap_or_else(PoisonError::into_inner));
    ([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], text).into_response()
}

/// Ready once it has heard of every route; it stays so while the registrar is away.
async fn ready(State(health): State<Health>) -> Response {
    let why_not = match health.follower.status().at {
        _ if health.is_ending.load(Ordering::Relaxed) => "it is about to end\n",
        None => "the registrar has told no routes yet\n",
        Some(_) => return (StatusCode::OK, "ready\n").into_response(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, why_not).into_response()
}

/// The figures that are read when somebody asks.
struct Counters {
    router: Arc<Router>,
    forwarder: Forwarder,
    follower: Follower,
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counters")
    }
}

impl Collector for Counters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (router, forwarder) = (self.router.counters(), self.forwarder.counters());
        let follower = self.follower.status();
        let run = follower.at.map_or(0, |at| i64::try_from(at.run).unwrap_or(i64::MAX));
        let number = follower.at.map_or(0, |at| i64::try_from(at.number).unwrap_or(i64::MAX));
        let size = |size| i64::try_from(size).unwrap_or(i64::MAX);
        let gauges = [
            ("router_routes", "Ports that are listened on", size(router.routes)),
            ("router_routes_waiting", "Routes whose port is taken", size(router.routes_waiting)),
            ("router_news_run", "Run of the registrar that is followed", run),
            ("router_news_number", "Change up to which it is followed", number),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let counters = [
            ("router_cell_unreached", "Tries to reach a cell that failed", forwarder.unreached),
            ("router_given_up", "Clients whose cell could not be reached", forwarder.given_up),
            ("router_cut", "Connections to cells that were started anew", forwarder.cut),
            ("router_news_refused", "Answers not believed", follower.refused),
            ("router_news_unanswered", "Questions without answer", follower.unanswered),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            let kind = counter.metric_type();
            counter.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        Ok(())
    }
}
