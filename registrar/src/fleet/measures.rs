//! What is measured of nodes and cells; never of an identity.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use protocol::Timestamp;
use protocol::control::fleet::Availability;
use tokio::time::Instant;

use super::Fleet;
use super::state::{Cell, State};

/// Reads the fleet whenever somebody asks for the metrics.
pub struct Measures(Arc<Fleet>);

/// One value of a measure: whose it is, and the value.
type Sample = (Vec<(&'static str, String)>, f64);

/// A measure: its name, what it means, and its values now.
type Measure = (&'static str, &'static str, fn(&State, Timestamp) -> Vec<Sample>);

const MEASURES: [Measure; 13] = [
    ("cell_identities", "Identities that live in a cell, or are about to", |state, _| {
        of_cells(state, |cell| Some(cell.residents as f64))
    }),
    ("cell_capacity", "Identities for which a cell has room", |state, _| {
        of_cells(state, |cell| Some(f64::from(cell.record.capacity)))
    }),
    ("cell_awake", "Servers of a cell that are awake", |state, _| {
        of_cells(state, |cell| Some(cell.report?.0.awake as f64))
    }),
    ("cell_connections", "Open connections of a cell", |state, _| {
        of_cells(state, |cell| Some(cell.report?.0.connections as f64))
    }),
    ("cell_memory_bytes", "Resident memory of a cell's process", |state, _| {
        of_cells(state, |cell| Some(cell.report?.0.memory_bytes as f64))
    }),
    (
        "cell_restarts",
        "Servers of a cell that did not get on and were started again",
        |state, _| of_cells(state, |cell| Some(cell.report?.0.restarts as f64)),
    ),
    ("cell_quarantined", "Servers of a cell that are left asleep for that", |state, _| {
        of_cells(state, |cell| Some(cell.report?.0.quarantined as f64))
    }),
    ("cell_report_age_seconds", "Age of a cell's newest report", |state, now| {
        of_cells(state, |cell| Some(seconds(cell.report?.1, now)))
    }),
    ("cell_lost", "Whether a cell has been silent for so long that it is emptied", |state, _| {
        let now = Instant::now();
        of_cells(state, |cell| Some(f64::from(u8::from(cell.is_lost(state.began, now)))))
    }),
    ("cell_stranded", "Identities of a silent cell that no other one has taken yet", |state, _| {
        let now = Instant::now();
        of_cells(state, |cell| {
            Some(if cell.is_lost(state.began, now) { cell.residents as f64 } else { 0.0 })
        })
    }),
    ("node_report_age_seconds", "Age of a node's newest report", |state, now| {
        let ages = state.nodes.iter().filter_map(|(name, node)| {
            Some((vec![("node", name.to_string())], seconds(node.report.as_ref()?.1, now)))
        });
        ages.collect()
    }),
    ("node_takes_work", "Whether an operator wants a node to take work", |state, _| {
        let wishes = state.nodes.iter().map(|(name, node)| {
            let takes_work = node.wish.unwrap_or_default() == Availability::Active;
            (vec![("node", name.to_string())], f64::from(u8::from(takes_work)))
        });
        wishes.collect()
    }),
    ("node_used_ratio", "How much of a node's resource is used", |state, _| pressures(state)),
];

impl Measures {
    pub fn new(fleet: Arc<Fleet>) -> Self {
        Self(fleet)
    }
}

impl fmt::Debug for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Measures")
    }
}

impl Collector for Measures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, read) in MEASURES {
            let samples = read(&self.0.state(), self.0.clock.now());
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (labels, value) in samples {
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn of_cells(state: &State, read: impl Fn(&Cell) -> Option<f64>) -> Vec<Sample> {
    let active = state.cells.iter().filter(|(_, cell)| cell.record.is_active());
    let samples = active.filter_map(|(id, cell)| {
        let swarm = cell.record.swarm.to_string();
        Some((vec![("cell", id.to_string()), ("swarm", swarm)], read(cell)?))
    });
    samples.collect()
}

fn pressures(state: &State) -> Vec<Sample> {
    let reports = state.nodes.iter().filter_map(|(name, node)| Some((name, node.report.as_ref()?)));
    let samples = reports.flat_map(|(name, (report, _))| {
        let pressure = report.pressure;
        let of =
            [("memory", pressure.memory), ("disk", pressure.disk), ("handles", pressure.handles)];
        of.map(|(resource, used)| {
            let labels = vec![("node", name.to_string()), ("resource", resource.to_owned())];
            (labels, f64::from(used.min(1_000)) / 1_000.0)
        })
    });
    samples.collect()
}

fn seconds(at: Timestamp, now: Timestamp) -> f64 {
    now.0.saturating_sub(at.0).max(0) as f64 / 1_000.0
}
