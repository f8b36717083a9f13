//! What the DNS front counts.

use std::sync::{Arc, OnceLock};

use net::telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::wire::{Code, Kind};

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
    Tls,
}

type Labels = [(&'static str, &'static str); 3];

/// What is counted by name; the rest is "other".
const KINDS: [(Kind, &str); 8] = [
    (Kind::SRV, "srv"),
    (Kind::SVCB, "svcb"),
    (Kind::A, "a"),
    (Kind::AAAA, "aaaa"),
    (Kind::TXT, "txt"),
    (Kind::NS, "ns"),
    (Kind::SOA, "soa"),
    (Kind::ANY, "any"),
];
const CODES: usize = 7;
const CELLS: usize = 3 * (KINDS.len() + 2) * CODES;

/// Counters; cloning shares them.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    answers: Family<Labels, Counter>,
    /// The same by number: this happens for every answer, and looking labels up takes longer than
    /// some answers.
    cells: Arc<[OnceLock<Counter>; CELLS]>,
    dropped: Family<[(&'static str, &'static str); 1], Counter>,
    pub(super) slipped: Counter,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            answers: Family::default(),
            cells: Arc::new([const { OnceLock::new() }; CELLS]),
            dropped: Family::default(),
            slipped: Counter::default(),
        }
    }
}

impl Counts {
    pub(super) fn answered(&self, by: Transport, kind: Option<Kind>, code: Code) {
        let (kind_at, kind) = kind_label(kind);
        let (code_at, code) = code_label(code);
        let at = (by as usize * (KINDS.len() + 2) + kind_at) * CODES + code_at;
        let labels = [("transport", by.label()), ("type", kind), ("code", code)];
        if let Some(cell) = self.cells.get(at) {
            cell.get_or_init(|| self.answers.get_or_create_owned(&labels)).inc();
        }
    }

    /// A message that got no answer.
    pub(super) fn dropped(&self, reason: &'static str) {
        self.dropped.get_or_create(&[("reason", reason)]).inc();
    }

    pub(super) fn register(&self, metrics: &mut Metrics) {
        metrics.register(
            "answers",
            "Answers, by transport, kind of record and code",
            self.answers.clone(),
        );
        metrics.register("dropped", "Messages without an answer, by reason", self.dropped.clone());
        metrics.register(
            "slipped",
            "Answers over UDP beyond an address block's rate that only said to use TCP",
            self.slipped.clone(),
        );
    }
}

impl Transport {
    fn label(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

fn kind_label(kind: Option<Kind>) -> (usize, &'static str) {
    let Some(kind) = kind else { return (KINDS.len(), "none") };
    let known = KINDS.iter().enumerate().find(|(_, (known, _))| *known == kind);
    known.map_or((KINDS.len() + 1, "other"), |(at, (_, label))| (at, *label))
}

fn code_label(code: Code) -> (usize, &'static str) {
    match code {
        Code::NoError => (0, "noerror"),
        Code::FormErr => (1, "formerr"),
        Code::ServFail => (2, "servfail"),
        Code::NxDomain => (3, "nxdomain"),
        Code::NotImp => (4, "notimp"),
        Code::Refused => (5, "refused"),
        Code::BadVers => (6, "badvers"),
    }
}
