//! Metrics and health of a router, and which way a connection would take, on a listener of their own.

use std::num::NonZeroU16;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router as Pages};
use net::telemetry::Metrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use protocol::HostLabel;
use serde::Deserialize;
use swarm_router::{Entrance, Follower, Forwarder, NamesListener, Router, Trace};

use crate::monitoring::{Monitored, encode, size};

/// Ready once it has heard of every route; it stays so while the registrar is away.
pub fn monitored(
    router: &Arc<Router>,
    names: Option<&Arc<NamesListener>>,
    forwarder: &Forwarder,
    follower: &Follower,
) -> Monitored {
    let mut metrics = Metrics::with_prefix("warren");
    let figures = metrics.sub_registry_with_prefix("router");
    forwarder.register(figures);
    router.register(figures);
    metrics.register_collector(Box::new(Counters {
        router: Arc::clone(router),
        forwarder: forwarder.clone(),
        follower: follower.clone(),
    }));
    names.into_iter().for_each(|names| crate::names::register(names, &mut metrics));
    let follower = follower.clone();
    Monitored::ready_unless(metrics, move || {
        follower.status().at.is_none().then_some("the registrar has told no routes yet\n")
    })
}

/// `/trace?port=20000` and `/trace?name=LABEL`: a volume's number says nothing of whose it is.
pub fn tracing(follower: &Follower) -> Pages {
    Pages::new().route("/trace", get(trace)).with_state(follower.clone())
}

#[derive(Deserialize)]
struct Traced {
    port: Option<NonZeroU16>,
    name: Option<HostLabel>,
}

async fn trace(
    State(follower): State<Follower>,
    Query(traced): Query<Traced>,
) -> Result<Json<Trace>, StatusCode> {
    let entrance = traced.name.map(Entrance::Name).or(traced.port.map(Entrance::Port));
    entrance.map(|entrance| Json(follower.trace(entrance))).ok_or(StatusCode::BAD_REQUEST)
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
        let gauges = [
            ("router_routes", "Ports whose connections are taken", size(router.routes)),
            ("router_listeners", "Ports with a listener of their own", size(router.listeners)),
            ("router_routes_waiting", "Routes whose port is taken", size(router.routes_waiting)),
            ("router_news_run", "Run of the registrar that is followed", run),
            ("router_news_number", "Change up to which it is followed", number),
        ];
        let counters = [
            ("router_full", "Connections over the router's limit", router.refused),
            ("router_cell_unreached", "Tries to reach a cell that failed", forwarder.unreached),
            ("router_given_up", "Clients whose cell could not be reached", forwarder.given_up),
            ("router_cut", "Connections to cells that were started anew", forwarder.cut),
            ("router_news_refused", "Answers not believed", follower.refused),
            ("router_news_unanswered", "Questions without answer", follower.unanswered),
        ];
        encode(&mut encoder, &gauges, &counters)
    }
}
