//! What the registrar counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::book::StateCounts;
use crate::fleet::Cause;
use crate::state::State;
use crate::swarm::Step;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabel {
    step: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: &'static str,
}

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    names: Family<StateLabel, Gauge>,
    failures: Family<StepLabel, Counter>,
    moves: Family<CauseLabel, Counter>,
    feed_number: Gauge,
    web_refused: Counter,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "names",
            "Names by state; published ones are identities",
            self.names.clone(),
        );
        registry.register("step_failures", "Steps of the swarm that failed", self.failures.clone());
        registry.register("moves", "Identities moved to another cell", self.moves.clone());
        registry.register(
            "feed_number",
            "Number of the newest durable change",
            self.feed_number.clone(),
        );
        registry.register("web_refused", "Forms refused for their rate", self.web_refused.clone());
    }

    pub(crate) fn begin(&self, counts: &StateCounts, feed_number: u64) {
        for (state, count) in State::ALL.into_iter().zip(counts) {
            if state != State::Retired {
                self.gauge(state).set(i64::try_from(*count).unwrap_or(i64::MAX));
            }
        }
        for step in Step::ALL {
            drop(self.failures.get_or_create(&StepLabel { step: step.as_str() }));
        }
        for cause in Cause::ALL {
            drop(self.moves.get_or_create(&CauseLabel { cause: cause.as_str() }));
        }
        self.published(feed_number);
    }

    /// A name went from one state to another. Retired ones are not counted, nor kept in memory.
    pub(crate) fn moved(&self, from: Option<State>, to: State) {
        if let Some(from) = from {
            self.gauge(from).dec();
        }
        if to != State::Retired {
            self.gauge(to).inc();
        }
    }

    /// Somebody was moved to another cell.
    pub(crate) fn moved_cell(&self, cause: Cause) {
        self.moves.get_or_create(&CauseLabel { cause: cause.as_str() }).inc();
    }

    pub(crate) fn failed(&self, step: Step) {
        self.failures.get_or_create(&StepLabel { step: step.as_str() }).inc();
    }

    pub(crate) fn published(&self, number: u64) {
        self.feed_number.set(i64::try_from(number).unwrap_or(i64::MAX));
    }

    pub(crate) fn web_refused(&self) {
        self.web_refused.inc();
    }

    fn gauge(&self, state: State) -> impl std::ops::Deref<Target = Gauge> {
        self.names.get_or_create(&StateLabel { state: state.as_str() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn names_are_counted_by_state() {
        let metrics = Metrics::default();
        metrics.begin(&[0, 1, 0, 0, 0, 7, 0, 0], 9);
        metrics.moved(Some(State::Placed), State::Created);
        metrics.moved(None, State::Reserved);
        metrics.moved(Some(State::Reserved), State::Retired);
        metrics.failed(Step::Probe);
        let mut registry = Registry::with_prefix("warren");
        metrics.register(registry.sub_registry_with_prefix("registrar"));
        let text = net::telemetry::encode_metrics(&registry);
        for line in [
            "warren_registrar_names{state=\"placed\"} 0",
            "warren_registrar_names{state=\"created\"} 1",
            "warren_registrar_names{state=\"reserved\"} 0",
            "warren_registrar_names{state=\"published\"} 7",
            "warren_registrar_step_failures_total{step=\"probe\"} 1",
            "warren_registrar_step_failures_total{step=\"create\"} 0",
            "warren_registrar_feed_number 9",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} in {text}");
        }
        assert!(!text.contains("retired"), "{text}");
    }
}
