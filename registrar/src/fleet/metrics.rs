//! The fleet in figures, read when somebody asks. Each cell and each node has rows of its own; no
//! identity has.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use protocol::Timestamp;
use protocol::control::roster::CellCounts;

use super::Fleet;
use super::state::{Cell, Node, State};

/// Reads a fleet.
pub(crate) struct Figures(pub(crate) Arc<Fleet>);

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

type Outcome = Result<(), fmt::Error>;
/// A name, what it says, and how it is read from a cell.
type OfCell = (&'static str, &'static str, fn(&Cell, Timestamp) -> Option<u64>);
/// The same of a node.
type OfNode = (&'static str, &'static str, fn(&Node, Timestamp) -> Option<u64>);

const OF_CELLS: [OfCell; 8] = [
    ("cell_identities", "Identities that live there", |cell, _| Some(cell.residents as u64)),
    ("cell_capacity", "Identities for which there is room", |cell, _| {
        Some(cell.record.capacity.into())
    }),
    ("cell_term", "Its newest start", |cell, _| Some(cell.record.term()?.number().into())),
    ("cell_awake", "Servers that are awake", |cell, _| Some(counts(cell)?.awake)),
    ("cell_connections", "Open connections", |cell, _| Some(counts(cell)?.connections)),
    ("cell_memory_bytes", "Resident memory", |cell, _| Some(counts(cell)?.memory_bytes)),
    ("cell_fenced", "Servers that were fenced", |cell, _| Some(counts(cell)?.fenced)),
    ("cell_report_age_milliseconds", "Since its last report", |cell, now| {
        Some(age(cell.report?.1, now))
    }),
];

const OF_NODES: [OfNode; 4] = [
    ("node_memory_thousandths", "Memory in use", |node, _| {
        Some(node.report.as_ref()?.0.pressure.memory.into())
    }),
    ("node_disk_thousandths", "Room of the volume in use", |node, _| {
        Some(node.report.as_ref()?.0.pressure.disk.into())
    }),
    ("node_handles_thousandths", "File handles in use", |node, _| {
        Some(node.report.as_ref()?.0.pressure.handles.into())
    }),
    ("node_report_age_milliseconds", "Since its last report", |node, now| {
        Some(age(node.report.as_ref()?.1, now))
    }),
];

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Outcome {
        let (now, state) = (self.0.clock.now(), self.0.state());
        totals(&state, &mut encoder)?;
        for (name, help, read) in OF_CELLS {
            let cells = state.cells.iter().filter(|(_, cell)| cell.record.is_active());
            let rows = cells.filter_map(|(id, cell)| Some((id.to_string(), read(cell, now)?)));
            family(&mut encoder, (name, help), "cell", rows)?;
        }
        for (name, help, read) in OF_NODES {
            let rows = state.nodes.iter();
            let rows = rows.filter_map(|(id, node)| Some((id.to_string(), read(node, now)?)));
            family(&mut encoder, (name, help), "node", rows)?;
        }
        Ok(())
    }
}

fn totals(state: &State, encoder: &mut DescriptorEncoder<'_>) -> Outcome {
    let active = state.cells.values().filter(|cell| cell.record.is_active()).count();
    for (name, help, value) in [
        ("fleet_run", "Which start of the registrar this is", state.run),
        ("fleet_swarms", "Swarms that are known", state.swarms.len() as u64),
        ("fleet_nodes", "Nodes that are known", state.nodes.len() as u64),
        ("fleet_cells", "Cells that are to run", active as u64),
        ("fleet_orders_awaited", "Orders of which no outcome is known", state.waiting.len() as u64),
    ] {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&clamped(value))?;
    }
    Ok(())
}

fn family(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    label: &'static str,
    rows: impl Iterator<Item = (String, u64)>,
) -> Outcome {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (row, value) in rows {
        metric.encode_family(&[(label, row.as_str())])?.encode_gauge(&clamped(value))?;
    }
    Ok(())
}

fn counts(cell: &Cell) -> Option<CellCounts> {
    cell.report.map(|(counts, _)| counts)
}

fn age(at: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.0.saturating_sub(at.0)).unwrap_or(0)
}

fn clamped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
