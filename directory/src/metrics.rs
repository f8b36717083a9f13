//! What the directory counts.

use std::sync::atomic::AtomicU64;

use net::telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::session::Outcome;

type By = Family<[(&'static str, &'static str); 1], Counter>;

/// Lookups by how they ended. Each has its counter at hand: finding it would cost more than the
/// lookup.
#[derive(Debug, Clone)]
struct Lookups {
    all: By,
    found: Counter,
    unknown: Counter,
    empty: Counter,
}

impl Default for Lookups {
    fn default() -> Self {
        let all = By::default();
        let of = |result| all.get_or_create_owned(&[("result", result)]);
        Self { found: of("found"), unknown: of("unknown"), empty: of("empty"), all }
    }
}

/// Counters and gauges; cloning shares them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    lookups: Lookups,
    closed: By,
    delayed: Counter,
    parent: By,
    feed_refused: By,
    feed_failures: Counter,
    pub(crate) entries: Gauge,
    pub(crate) number: Gauge<u64, AtomicU64>,
    pub(crate) newest: Gauge<u64, AtomicU64>,
    /// Seconds since 1970 at which the registrar last confirmed what is known.
    pub(crate) confirmed: Gauge,
}

impl Counts {
    pub(crate) fn lookup(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Found => &self.lookups.found,
            Outcome::Unknown => &self.lookups.unknown,
            Outcome::Empty => &self.lookups.empty,
        };
        counter.inc();
    }

    /// A connection that the directory ended.
    pub(crate) fn closed(&self, reason: &'static str) {
        self.closed.get_or_create(&[("reason", reason)]).inc();
    }

    /// A miss that had to wait.
    pub(crate) fn delayed(&self) {
        self.delayed.inc();
    }

    /// How a question that went beyond this directory ended.
    pub(crate) fn parent(&self, result: &'static str) {
        self.parent.get_or_create(&[("result", result)]).inc();
    }

    pub(crate) fn feed_refused(&self, reason: &'static str) {
        self.feed_refused.get_or_create(&[("reason", reason)]).inc();
    }

    pub(crate) fn feed_failed(&self) {
        self.feed_failures.inc();
    }

    /// Adds all to a registry that carries the directory's prefix.
    pub(crate) fn register(&self, metrics: &mut Metrics) {
        metrics.register("lookups", "Lookups answered, by result", self.lookups.all.clone());
        metrics.register("misses_delayed", "Unknown names answered late", self.delayed.clone());
        metrics.register(
            "parent_lookups",
            "Names that are not here, by what the parent said",
            self.parent.clone(),
        );
        metrics.register("closed", "Connections ended here, by reason", self.closed.clone());
        metrics.register("entries", "Identities with an address", self.entries.clone());
        metrics.register("feed_number", "Last change applied", self.number.clone());
        metrics.register(
            "feed_newest",
            "Newest change that the registrar told of",
            self.newest.clone(),
        );
        metrics.register(
            "feed_confirmed_timestamp_seconds",
            "When the registrar last confirmed what is known",
            self.confirmed.clone(),
        );
        metrics.register(
            "feed_refused",
            "Batches and snapshots refused, by reason",
            self.feed_refused.clone(),
        );
        metrics.register(
            "feed_failures",
            "Failed questions to the feed",
            self.feed_failures.clone(),
        );
    }
}
