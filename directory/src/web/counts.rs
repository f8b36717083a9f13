//! What the front counts: requests, by route and by the kind of the answer.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use net::telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::path;
use crate::directory::Directory;

/// Neither label can be chosen by a client: there are as many as routes and classes.
#[derive(Debug, Default)]
pub(super) struct Requests(Family<[(&'static str, &'static str); 2], Counter>);

impl Requests {
    pub(super) fn register(&self, metrics: &mut Metrics) {
        metrics.register("requests", "Requests answered, by route and status", self.0.clone());
    }
}

pub(super) async fn count(
    State(directory): State<Arc<Directory>>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let matched = matched.as_ref().map(MatchedPath::as_str);
    let route = path::ALL
        .into_iter()
        .chain(path::RELAY)
        .find(|path| Some(*path) == matched)
        .unwrap_or("none");
    let response = next.run(request).await;
    let labels = [("route", route), ("status", class_of(response.status()))];
    directory.front.requests.0.get_or_create(&labels).inc();
    response
}

fn class_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
