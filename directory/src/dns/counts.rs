//! What the DNS front counts.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use net::telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// How a question came.
#[derive(Debug, Clone, Copy)]
pub(super) enum Transport {
    Udp,
    Tcp,
    Tls,
}

type Labels = [(&'static str, &'static str); 3];

/// Counters; cloning shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    answers: Family<Labels, Counter>,
    dropped: Family<[(&'static str, &'static str); 1], Counter>,
    pub(super) slipped: Counter,
}

impl Counts {
    pub(super) fn answered(&self, by: Transport, kind: Option<RecordType>, code: ResponseCode) {
        let labels =
            [("transport", by.label()), ("type", kind_label(kind)), ("code", code_label(code))];
        self.answers.get_or_create(&labels).inc();
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

fn kind_label(kind: Option<RecordType>) -> &'static str {
    match kind {
        None => "none",
        Some(RecordType::A) => "a",
        Some(RecordType::AAAA) => "aaaa",
        Some(RecordType::ANY) => "any",
        Some(RecordType::NS) => "ns",
        Some(RecordType::SOA) => "soa",
        Some(RecordType::SRV) => "srv",
        Some(RecordType::SVCB) => "svcb",
        Some(RecordType::TXT) => "txt",
        Some(_) => "other",
    }
}

fn code_label(code: ResponseCode) -> &'static str {
    match code {
        ResponseCode::NoError => "noerror",
        ResponseCode::FormErr => "formerr",
        ResponseCode::ServFail => "servfail",
        ResponseCode::NXDomain => "nxdomain",
        ResponseCode::NotImp => "notimp",
        ResponseCode::Refused => "refused",
        ResponseCode::BADVERS => "badvers",
        _ => "other",
    }
}
