//! The directory as DNS: one zone, answered from the same memory (`docs/dns.md`).
//!
//! A module of the directory and no crate of its own: it is one more way of asking the same table,
//! under the same rules of when it may be asked. Messages are read and written by hand, without a
//! library in between: one question, and records that all begin with a pointer, are little to know,
//! and making lists of records first took more time than everything else. Tests read the answers
//! with `hickory-proto`.
//!
//! **Guessing.** Over TCP and TLS unknown names go into the same accounts as those of the line
//! protocol, and their answers wait as there. Over UDP they do neither. Who sends there can be
//! anybody, so a stranger could use up the account of another, whose questions elsewhere would then
//! wait; and an answer that is held back takes memory here and nothing of whoever asked, who is
//! mostly a resolver with many people behind it. There the rate of answers is the limit.

mod answer;
mod connection;
mod counts;
mod query;
mod rate;
mod reply;
mod wire;
mod zone;

pub use protocol::dns_name as name;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use net::accept::{serve_plain, serve_tls};
use net::drain::Drain;
use net::gate::Gate;
use net::telemetry::Metrics;
use net::tls::ServerTls;
use net::udp::{Sender, UdpDoor, Unsent};
use protocol::AtSign;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use self::answer::{Answerer, Beyond, Outcome};
use self::counts::{Counts, Transport};
use self::query::{Asked, Refused, Unasked};
use self::rate::{Limiter, Verdict};
use self::reply::Reply;
use self::wire::Code;
pub use self::zone::{Zone, ZoneError};
use crate::directory::Directory;
use crate::horizon::Horizon;
use crate::limits::{
    DNS_ACCEPT, DNS_ANSWER_BYTES_MAX, DNS_PARENT_QUESTIONS_MAX, DNS_PAYLOAD_MAX, DNS_PAYLOAD_MIN,
};
use crate::parent::Parent;

/// Answers the questions about one zone.
#[derive(Debug)]
pub struct DnsFront {
    horizon: Horizon,
    zone: Zone,
    limiter: Limiter,
    gate: Gate,
    counts: Counts,
    /// Once it may answer it always may.
    is_ready: AtomicBool,
    /// For questions over UDP that wait for the parent.
    turns: Arc<Semaphore>,
}

/// A message that gets an answer.
type Read<'a> = Result<Asked<'a>, Refused<'a>>;

impl DnsFront {
    /// Answers from this directory, and asks its parent, if it has one, for names that are not
    /// there. One block of addresses gets at most so many answers a second over UDP; 0 is no limit.
    #[must_use]
    pub fn new(
        directory: Arc<Directory>,
        parent: Option<Arc<Parent>>,
        zone: Zone,
        answers_per_second: u32,
    ) -> Arc<Self> {
        Arc::new(Self {
            horizon: Horizon { directory, parent },
            zone,
            limiter: Limiter::new(answers_per_second),
            gate: Gate::new(DNS_ACCEPT),
            counts: Counts::default(),
            is_ready: AtomicBool::new(false),
            turns: Arc::new(Semaphore::new(DNS_PARENT_QUESTIONS_MAX)),
        })
    }

    /// Answers over UDP until the drain begins, on every socket of this door.
    pub async fn serve_udp(self: Arc<Self>, door: UdpDoor, drain: Drain) {
        let (front, runtime, ending) = (Arc::clone(&self), Handle::current(), drain.clone());
        let answer = move |message: &[u8], sender: &Sender, out: &mut Vec<u8>| {
            let Some(name) = front.datagram(message, sender.peer, out)? else { return Some(()) };
            // The socket's thread is not of the runtime that asks.
            let _runtime = runtime.enter();
            front.ask_beyond(name, message, sender, &ending, out)
        };
        let answer = move |message: &[u8], sender: &Sender, out: &mut Vec<u8>| {
            answer(message, sender, out).is_some()
        };
        let unsent = move |why| self.count_unsent(why);
        door.serve(usize::from(DNS_PAYLOAD_MAX), drain, answer, unsent).await;
    }

    /// Answers over TCP until the drain begins.
    pub async fn serve_tcp(self: Arc<Self>, listener: TcpListener, drain: Drain) {
        let (gate, ending) = (self.gate.clone(), drain.clone());
        let handler = move |stream, peer: SocketAddr| {
            Arc::clone(&self).converse(stream, Transport::Tcp, peer.ip(), ending.clone())
        };
        serve_plain(listener, gate, drain, handler).await;
    }

    /// Answers over TLS (RFC 7858) until the drain begins.
    pub async fn serve_tls(self: Arc<Self>, listener: TcpListener, tls: ServerTls, drain: Drain) {
        let (gate, ending) = (self.gate.clone(), drain.clone());
        let handler = move |stream, peer: SocketAddr| {
            Arc::clone(&self).converse(stream, Transport::Tls, peer.ip(), ending.clone())
        };
        serve_tls(listener, tls, gate, drain, handler).await;
    }

    /// Adds its figures to the metrics, in a registry that carries its prefix.
    pub fn register(&self, metrics: &mut Metrics) {
        self.counts.register(metrics);
        self.gate.register(metrics);
    }

    /// Replaces `out` with the answer to a datagram, as far as it is known here: what it gives is a
    /// name that the parent is to be asked for, which leaves nothing in `out`. None if there is to
    /// be no answer.
    pub fn datagram(
        &self,
        message: &[u8],
        peer: SocketAddr,
        out: &mut Vec<u8>,
    ) -> Option<Option<AtSign>> {
        let read = self.read(message)?;
        match self.limiter.ask(peer.ip()) {
            Verdict::Send => match self.answer(&read, Transport::Udp, self.unasked(), out) {
                Outcome::Answered | Outcome::Missed => Some(None),
                Outcome::AskBeyond(name) => Some(Some(name)),
            },
            Verdict::Slip => {
                self.counts.slipped.inc();
                let mut reply = begin(&read, DNS_PAYLOAD_MIN, out);
                reply.cut();
                reply.finish();
                Some(None)
            }
            Verdict::Drop => {
                self.counts.dropped("rate");
                None
            }
        }
    }

    /// Asks the parent and answers then, while the socket goes on. Where too many wait already, the
    /// answer is that there is none.
    fn ask_beyond(
        self: &Arc<Self>,
        name: AtSign,
        message: &[u8],
        sender: &Sender,
        drain: &Drain,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else {
            let read = self.read(message)?;
            self.fail(&read, Transport::Udp, out);
            return Some(());
        };
        let (front, sender, message) = (Arc::clone(self), sender.clone(), message.to_vec());
        drain.spawn(async move {
            let _turn = turn;
            let mut out = Vec::new();
            if let Some(read) = front.read(&message) {
                front.answer_beyond(&read, Transport::Udp, &name, &mut out).await;
                if let Err(why) = sender.send(&out) {
                    front.count_unsent(why);
                }
            }
        });
        None
    }

    /// Asks the parent, and answers with what it says.
    async fn answer_beyond(
        &self,
        read: &Read<'_>,
        by: Transport,
        name: &AtSign,
        out: &mut Vec<u8>,
    ) -> Outcome {
        match self.horizon.beyond(name).await {
            Ok(address) => self.answer(read, by, Beyond::Said(address.as_ref()), out),
            Err(_) => {
                self.fail(read, by, out);
                Outcome::Answered
            }
        }
    }

    /// What a message asks; none if it gets no answer.
    fn read<'a>(&self, message: &'a [u8]) -> Option<Read<'a>> {
        match query::read(message) {
            Ok(asked) => Some(Ok(asked)),
            Err(Unasked::Refused(refused)) => Some(Err(refused)),
            Err(Unasked::Ignored(reason)) => {
                self.counts.dropped(reason);
                None
            }
        }
    }

    /// Replaces `out` with the answer, unless the parent is to be asked first.
    fn answer(
        &self,
        read: &Read<'_>,
        by: Transport,
        beyond: Beyond<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let is_datagram = by == Transport::Udp;
        let max = match (is_datagram, read) {
            (false, _) => DNS_ANSWER_BYTES_MAX,
            (true, Ok(Asked { edns: Some(edns), .. })) => edns.payload,
            (true, _) => DNS_PAYLOAD_MIN,
        };
        let mut reply = begin(read, max, out);
        let (kind, outcome) = match read {
            Ok(asked) => {
                let (directory, zone) = (&self.horizon.directory, &self.zone);
                let is_ready = self.is_ready();
                let answerer = Answerer { directory, zone, beyond, is_ready, is_datagram };
                (Some(asked.question.kind), answerer.answer(&asked.question, &mut reply))
            }
            Err(refused) => {
                reply.code = refused.code;
                (None, Outcome::Answered)
            }
        };
        if !matches!(outcome, Outcome::AskBeyond(_)) {
            self.counts.answered(by, kind, reply.code);
            reply.finish();
        }
        outcome
    }

    /// Replaces `out` with the answer that there is none now.
    fn fail(&self, read: &Read<'_>, by: Transport, out: &mut Vec<u8>) {
        let mut reply = begin(read, DNS_PAYLOAD_MIN, out);
        reply.code = Code::ServFail;
        let kind = read.as_ref().ok().map(|asked| asked.question.kind);
        self.counts.answered(by, kind, reply.code);
        reply.finish();
    }

    fn unasked(&self) -> Beyond<'static> {
        match self.horizon.parent {
            Some(_) => Beyond::Unasked,
            None => Beyond::Nothing,
        }
    }

    fn count_unsent(&self, why: Unsent) {
        self.counts.dropped(match why {
            Unsent::Busy => "busy",
            Unsent::Failed => "unsent",
        });
    }

    fn is_ready(&self) -> bool {
        if self.is_ready.load(Ordering::Relaxed) {
            return true;
        }
        let is_ready = self.horizon.directory.can_answer_now();
        self.is_ready.store(is_ready, Ordering::Relaxed);
        is_ready
    }
}

fn begin<'a>(read: &Read<'_>, max: u16, out: &'a mut Vec<u8>) -> Reply<'a> {
    match read {
        Ok(asked) => Reply::begin(asked.head, Some(asked.question), asked.edns, max, out),
        Err(refused) => Reply::begin(refused.head, refused.question, refused.edns, max, out),
    }
}
