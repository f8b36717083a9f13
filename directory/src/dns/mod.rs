//! The directory as DNS: one zone, answered from the same memory (`docs/dns.md`).
//!
//! A module of the directory and no crate of its own: it is one more way of asking the same table,
//! under the same rules of when it may be asked. Messages are read and written with
//! `hickory-proto`; its server is not used, since it brings an own accept loop, own TLS set-up and
//! zones that are kept in memory a second time.

mod answer;
mod connection;
mod counts;
mod query;
mod rate;
mod reply;
mod zone;

pub use protocol::dns_name as name;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::ProtoError;
use hickory_proto::op::ResponseCode;
use net::accept::{serve_plain, serve_tls};
use net::drain::Drain;
use net::gate::Gate;
use net::telemetry::Metrics;
use net::tls::ServerTls;
use net::udp::{UdpDoor, Unsent};
use tokio::net::TcpListener;

use self::counts::{Counts, Transport};
use self::query::{Asked, Refused, Unasked};
use self::rate::{Limiter, Verdict};
use self::reply::Reply;
pub use self::zone::{Zone, ZoneError};
use crate::directory::Directory;
use crate::limits::{DNS_ACCEPT, DNS_ANSWER_BYTES_MAX, DNS_PAYLOAD_MIN, DNS_QUERY_BYTES_MAX};

/// Answers the questions about one zone.
#[derive(Debug)]
pub struct DnsFront {
    directory: Arc<Directory>,
    zone: Zone,
    limiter: Limiter,
    gate: Gate,
    counts: Counts,
    /// Once it may answer it always may.
    is_ready: AtomicBool,
}

impl DnsFront {
    /// Answers from this directory. One block of addresses gets at most so many answers a second
    /// over UDP; 0 is no limit.
    #[must_use]
    pub fn new(directory: Arc<Directory>, zone: Zone, answers_per_second: u32) -> Arc<Self> {
        Arc::new(Self {
            directory,
            zone,
            limiter: Limiter::new(answers_per_second),
            gate: Gate::new(DNS_ACCEPT),
            counts: Counts::default(),
            is_ready: AtomicBool::new(false),
        })
    }

    /// Answers over UDP until the drain begins, on every socket of this door.
    pub async fn serve_udp(self: Arc<Self>, door: UdpDoor, drain: Drain) {
        let counts = self.counts.clone();
        let answer =
            move |message: &[u8], peer, out: &mut Vec<u8>| self.datagram(message, peer, out);
        let unsent = move |why| match why {
            Unsent::Busy => counts.dropped("busy"),
            Unsent::Failed => counts.dropped("unsent"),
        };
        door.serve(DNS_QUERY_BYTES_MAX, drain, answer, unsent).await;
    }

    /// Answers over TCP until the drain begins.
    pub async fn serve_tcp(self: Arc<Self>, listener: TcpListener, drain: Drain) {
        let (gate, ending) = (self.gate.clone(), drain.clone());
        let handler =
            move |stream, _| Arc::clone(&self).converse(stream, Transport::Tcp, ending.clone());
        serve_plain(listener, gate, drain, handler).await;
    }

    /// Answers over TLS (RFC 7858) until the drain begins.
    pub async fn serve_tls(self: Arc<Self>, listener: TcpListener, tls: ServerTls, drain: Drain) {
        let (gate, ending) = (self.gate.clone(), drain.clone());
        let handler =
            move |stream, _| Arc::clone(&self).converse(stream, Transport::Tls, ending.clone());
        serve_tls(listener, tls, gate, drain, handler).await;
    }

    /// Adds its figures to the metrics, in a registry that carries its prefix.
    pub fn register(&self, metrics: &mut Metrics) {
        self.counts.register(metrics);
        self.gate.register(metrics);
    }

    /// The answer to a datagram; false if there is to be none.
    fn datagram(&self, message: &[u8], peer: SocketAddr, out: &mut Vec<u8>) -> bool {
        let Some(read) = self.read(message) else { return false };
        match self.limiter.ask(peer.ip()) {
            Verdict::Send => self.answer(read, Transport::Udp, out),
            Verdict::Slip => {
                self.counts.slipped.inc();
                cut(&read, out).is_ok()
            }
            Verdict::Drop => {
                self.counts.dropped("rate");
                false
            }
        }
    }

    /// What a message asks; none if it gets no answer.
    fn read(&self, message: &[u8]) -> Option<Result<Asked, Box<Refused>>> {
        match query::read(message) {
            Ok(asked) => Some(Ok(asked)),
            Err(Unasked::Refused(refused)) => Some(Err(refused)),
            Err(Unasked::Ignored(reason)) => {
                self.counts.dropped(reason);
                None
            }
        }
    }

    /// Replaces `out` with the answer; false if there is to be none.
    fn answer(&self, read: Result<Asked, Box<Refused>>, by: Transport, out: &mut Vec<u8>) -> bool {
        let (kind, code, written) = match &read {
            Ok(asked) => {
                let is_ready = self.is_ready();
                let reply = answer::answer(&self.directory, &self.zone, &asked.question, is_ready);
                let max = match (by, &asked.edns) {
                    (Transport::Udp, Some(edns)) => edns.payload,
                    (Transport::Udp, None) => DNS_PAYLOAD_MIN,
                    _ => DNS_ANSWER_BYTES_MAX,
                };
                let code = reply.code;
                let written =
                    reply.write(&asked.head, Some(&asked.question), asked.edns.as_ref(), max, out);
                (Some(asked.question.query_type), code, written)
            }
            Err(refused) => {
                let reply = Reply::code(refused.code);
                (None, refused.code, write_refused(refused, reply, out))
            }
        };
        if written.is_err() {
            self.counts.dropped("unwritten");
            return false;
        }
        self.counts.answered(by, kind, code);
        true
    }

    fn is_ready(&self) -> bool {
        if self.is_ready.load(Ordering::Relaxed) {
            return true;
        }
        let is_ready = self.directory.can_answer_now();
        self.is_ready.store(is_ready, Ordering::Relaxed);
        is_ready
    }
}

fn write_refused(refused: &Refused, reply: Reply, out: &mut Vec<u8>) -> Result<(), ProtoError> {
    let (question, edns) = (refused.question.as_ref(), refused.edns.as_ref());
    reply.write(&refused.head, question, edns, DNS_PAYLOAD_MIN, out)
}

/// An answer that only says to use TCP.
fn cut(read: &Result<Asked, Box<Refused>>, out: &mut Vec<u8>) -> Result<(), ProtoError> {
    let reply = Reply { is_cut: true, ..Reply::code(ResponseCode::NoError) };
    match read {
        Ok(asked) => {
            let (question, edns) = (Some(&asked.question), asked.edns.as_ref());
            reply.write(&asked.head, question, edns, DNS_PAYLOAD_MIN, out)
        }
        Err(refused) => write_refused(refused, reply, out),
    }
}
