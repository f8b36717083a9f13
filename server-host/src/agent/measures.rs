//! What is measured of the calls to the engine: how many of each kind came to what, and how long they
//! took. All labels are words of this program.

use std::time::Duration;

use net::telemetry::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::engine::EngineError;

/// Upper ends of the durations, in seconds; the last one is the deadline of a call.
const SECONDS: [f64; 10] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0];

/// Which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    call: &'static str,
}

/// Which call, and what it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    call: &'static str,
    outcome: &'static str,
}

/// Whether calls are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breaker {
    /// All of them.
    Closed,
    /// None: the engine is left alone.
    Open,
    /// One, to try.
    Trying,
}

/// The calls to one engine.
#[derive(Debug, Clone)]
pub(super) struct Measures {
    calls: Family<Ended, Counter>,
    seconds: Family<Kind, Histogram, fn() -> Histogram>,
    breaker: Gauge,
}

impl Measures {
    pub(super) fn new() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            breaker: Gauge::default(),
        }
    }

    pub(super) fn register(&self, metrics: &mut Metrics) {
        metrics.register("calls", "Calls to the engine by what they came to", self.calls.clone());
        let help = "How long calls to the engine took that were let through";
        metrics.register("call_seconds", help, self.seconds.clone());
        let help = "Whether the engine is left alone: 0 no, 1 yes, 2 one call tries";
        metrics.register("breaker", help, self.breaker.clone());
    }

    /// A call was not let through.
    pub(super) fn refused(&self, call: &'static str) {
        self.calls.get_or_create(&Ended { call, outcome: "resting" }).inc();
    }

    /// A call came to its end.
    pub(super) fn ended(&self, call: &'static str, error: Option<&EngineError>, took: Duration) {
        let outcome = error.map_or("done", outcome);
        self.calls.get_or_create(&Ended { call, outcome }).inc();
        self.seconds.get_or_create(&Kind { call }).observe(took.as_secs_f64());
    }

    pub(super) fn breaker_is(&self, breaker: Breaker) {
        self.breaker.set(match breaker {
            Breaker::Closed => 0,
            Breaker::Open => 1,
            Breaker::Trying => 2,
        });
    }
}

fn outcome(error: &EngineError) -> &'static str {
    match error {
        EngineError::Unreachable(_) => "unreachable",
        EngineError::Deadline(_) => "deadline",
        EngineError::Resting { .. } => "resting",
        EngineError::Refused { .. } => "refused",
        EngineError::Nonsense(_) => "nonsense",
        EngineError::Unfit(_) => "unfit",
    }
}
