//! From a question to its records. Nothing waits here, and all of it comes from memory.

use std::io::Write;
use std::net::IpAddr;

use feed::SnapshotError;
use protocol::{Address, AtSign, Epoch, HostName};

use super::query::Question;
use super::reply::{QUESTION_AT, Reply, Section};
use super::wire::{
    ANY_CLASS, Code, INTERNET, Kind, ROOT, put_address, put_host, put_u16, put_u32, split_label,
};
use super::zone::{Node, Part, Zone};
use crate::directory::Directory;
use crate::limits::{DNS_NEGATIVE_TTL, DNS_TTL, DNS_ZONE_TTL};

/// For secondary servers, of which there are none: often, soon again, a day.
const REFRESH: u32 = 600;
const RETRY: u32 = 120;
const EXPIRE: u32 = 86_400;

/// Bytes of one text of a TXT record (RFC 1035, section 3.3.14).
const TEXT_BYTES_MAX: usize = 255;
/// The parameter of a service's port (RFC 9460, section 14.3.2).
const PORT_PARAMETER: u16 = 3;
/// Bytes in front of the target in a record of the kind `SRV` and `SVCB`.
const SRV_TARGET_AT: usize = 6;
const SVCB_TARGET_AT: usize = 2;

/// What lies beyond this directory, for the name that the question is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Beyond<'a> {
    /// Nothing: there is no parent.
    Nothing,
    /// That is still to be asked.
    Unasked,
    /// What the parent said.
    Said(Option<&'a Address>),
}

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is answered.
    Answered,
    /// The same, and the answer is that nobody has the name.
    Missed,
    /// This name is not here: the parent is to be asked, and then the question is answered anew.
    AskBeyond(AtSign),
}

/// What there is under a name.
enum Spot<'a> {
    Apex,
    /// A host that the operator named, or an identity, or both under one name.
    Own {
        host: Option<&'a HostName>,
        person: Option<Person>,
    },
    Service(Person),
    Proof(Person),
    /// Something is below.
    Between,
}

/// An identity and where she is.
struct Person {
    identity: AtSign,
    address: Address,
    /// None where the parent says where she is.
    epoch: Option<Epoch>,
}

/// From what a question is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answerer<'a> {
    pub(super) directory: &'a Directory,
    pub(super) zone: &'a Zone,
    pub(super) beyond: Beyond<'a>,
    /// Whether the directory knows enough to say "unknown".
    pub(super) is_ready: bool,
    /// Whether the answer goes over UDP, where no proof has room.
    pub(super) is_datagram: bool,
}

impl<'a> Answerer<'a> {
    /// Answers one question.
    pub(super) fn answer(&self, asked: &Question<'_>, reply: &mut Reply<'_>) -> Outcome {
        let node = self.zone.find(asked.name);
        let is_transfer = matches!(asked.kind, Kind::AXFR | Kind::IXFR);
        let is_internet = matches!(asked.class, INTERNET | ANY_CLASS);
        if node == Node::Outside || is_transfer || !is_internet {
            reply.code = Code::Refused;
            return Outcome::Answered;
        }
        if !self.is_ready {
            reply.code = Code::ServFail;
            return Outcome::Answered;
        }
        reply.is_authoritative = true;
        let spot = match self.spot(node, asked.kind) {
            Ok(spot) => spot,
            Err(identity) => return Outcome::AskBeyond(identity),
        };
        let is_between = || self.zone.is_between(asked.name);
        match spot.or_else(|| is_between().then_some(Spot::Between)) {
            Some(spot) => self.records(&spot, asked, reply),
            None => {
                self.negative(asked, reply);
                reply.code = Code::NxDomain;
                return Outcome::Missed;
            }
        }
        Outcome::Answered
    }

    /// What there is; none where there is nothing. The error is a name that may be beyond.
    fn spot(&self, node: Node<'a>, kind: Kind) -> Result<Option<Spot<'a>>, AtSign> {
        let (identity, part) = match node {
            Node::Apex => return Ok(Some(Spot::Apex)),
            Node::Between => return Ok(Some(Spot::Between)),
            Node::Nobody | Node::Outside => return Ok(None),
            Node::Host(host, identity) => {
                // The addresses are the host's, whoever is called the same.
                let person = match identity.filter(|_| !matches!(kind, Kind::A | Kind::AAAA)) {
                    Some(identity) => self.person(identity)?,
                    None => None,
                };
                return Ok(Some(Spot::Own { host: Some(host), person }));
            }
            Node::Identity(_, Part::Nothing) => return Ok(None),
            Node::Identity(identity, part) => (identity, part),
        };
        let Some(person) = self.person(identity)? else { return Ok(None) };
        Ok(match part {
            Part::Herself => Some(Spot::Own { host: None, person: Some(person) }),
            Part::Between => Some(Spot::Between),
            Part::Service => Some(Spot::Service(person)),
            Part::Proof => Some(Spot::Proof(person)),
            Part::Nothing => None,
        })
    }

    fn person(&self, identity: AtSign) -> Result<Option<Person>, AtSign> {
        if let Some((address, epoch)) = self.directory.record(&identity) {
            return Ok(Some(Person { identity, address, epoch: Some(epoch) }));
        }
        match self.beyond {
            Beyond::Nothing => Ok(None),
            Beyond::Unasked => Err(identity),
            Beyond::Said(address) => Ok(address.map(|address| Person {
                identity,
                address: address.clone(),
                epoch: None,
            })),
        }
    }

    fn records(&self, spot: &Spot<'_>, asked: &Question<'_>, reply: &mut Reply<'_>) {
        match asked.kind {
            // One kind will do (RFC 8482).
            Kind::ANY => {
                for kind in kinds(spot) {
                    self.put(spot, *kind, asked, reply);
                    if reply.has_answers() {
                        break;
                    }
                }
            }
            kind => self.put(spot, kind, asked, reply),
        }
        if !reply.has_answers() && reply.code == Code::NoError {
            self.negative(asked, reply);
        }
    }

    /// Adds the records of one kind.
    fn put(&self, spot: &Spot<'_>, kind: Kind, asked: &Question<'_>, reply: &mut Reply<'_>) {
        match (spot, kind) {
            (Spot::Apex, Kind::SOA) => {
                answer(reply, kind, DNS_ZONE_TTL, |out| self.put_authority(out));
            }
            (Spot::Apex, Kind::NS) => self.put_servers(reply),
            (Spot::Own { host, person }, Kind::A | Kind::AAAA) => {
                let named = host.or(person.as_ref().map(|person| &person.address.host));
                let addresses = named.into_iter().flat_map(|host| self.zone.addresses(host));
                for address in addresses.filter(|address| Kind::of(*address) == kind) {
                    answer(reply, kind, DNS_TTL, |out| put_address(out, address));
                }
            }
            (Spot::Own { person: Some(person), .. }, Kind::SVCB) => self.put_binding(person, reply),
            (Spot::Own { person: Some(person), .. }, Kind::TXT) => {
                answer(reply, kind, DNS_TTL, |out| put_text(out, &describe(person)));
            }
            (Spot::Service(person), Kind::SRV) => self.put_service(person, asked, reply),
            (Spot::Proof(person), Kind::TXT) => self.put_proof(person, reply),
            _ => {}
        }
    }

    fn put_servers(&self, reply: &mut Reply<'_>) {
        let servers = &self.zone.servers;
        let put = |reply: &mut Reply<'_>, server: &[u8]| {
            answer(reply, Kind::NS, DNS_ZONE_TTL, |out| out.extend_from_slice(server))
        };
        let places: Vec<_> = servers.iter().map(|server| put(reply, server)).collect();
        for (server, at) in servers.iter().zip(places) {
            if let Some(at) = at {
                self.help(self.zone.find(server), at, reply);
            }
        }
    }

    fn put_service(&self, person: &Person, asked: &Question<'_>, reply: &mut Reply<'_>) {
        let Address { host, port } = &person.address;
        let herself = skip_labels(asked.name, 2);
        let is_bare = is_bare(host);
        let at = answer(reply, Kind::SRV, DNS_TTL, |out| {
            put_u32(out, 0);
            put_u16(out, port.get());
            match is_bare {
                true => out.extend_from_slice(herself),
                false => put_host(out, host),
            }
        });
        match at.map(|at| at + SRV_TARGET_AT) {
            Some(at) if is_bare => put_helpful(self.zone.addresses(host), at, reply),
            Some(at) => self.help_target(at, reply),
            None => {}
        }
    }

    fn put_binding(&self, person: &Person, reply: &mut Reply<'_>) {
        let Address { host, port } = &person.address;
        let is_bare = is_bare(host);
        let at = answer(reply, Kind::SVCB, DNS_TTL, |out| {
            put_u16(out, 1);
            match is_bare {
                // The root's name stands for the owner (RFC 9460, section 2.5).
                true => out.extend_from_slice(ROOT),
                false => put_host(out, host),
            }
            put_u16(out, PORT_PARAMETER);
            put_u16(out, 2);
            put_u16(out, port.get());
        });
        match at.map(|at| at + SVCB_TARGET_AT) {
            Some(_) if is_bare => put_helpful(self.zone.addresses(host), QUESTION_AT, reply),
            Some(at) => self.help_target(at, reply),
            None => {}
        }
    }

    /// What `GET /v1/identities/{name}/proof` gives, if it is not longer than an answer may be.
    /// Making it costs some hashing, so it is not made for who will have to ask again over TCP.
    fn put_proof(&self, person: &Person, reply: &mut Reply<'_>) {
        if person.epoch.is_none() {
            return;
        }
        if self.is_datagram {
            return reply.cut();
        }
        let evidence = match self.directory.evidence_now(&person.identity) {
            Ok(Some(evidence)) => evidence,
            // There is one, but not now.
            Err(SnapshotError::Renewed) => return reply.code = Code::ServFail,
            Ok(None) | Err(_) => return,
        };
        let Ok(text) = serde_json::to_vec(&evidence) else { return };
        if text.len() + text.len().div_ceil(TEXT_BYTES_MAX) <= reply.room_for_data() {
            answer(reply, Kind::TXT, DNS_TTL, |out| put_text(out, &text));
        }
    }

    /// The addresses of the name that was written here, where they are ours to give.
    fn help_target(&self, at: usize, reply: &mut Reply<'_>) {
        let name = reply.written(at);
        let behind = skip_labels(name, usize::MAX);
        let target = name.get(..name.len() - behind.len() + ROOT.len()).unwrap_or_default();
        self.help(self.zone.find(target), at, reply);
    }

    fn help(&self, node: Node<'_>, at: usize, reply: &mut Reply<'_>) {
        match node {
            Node::Host(host, _) => put_helpful(self.zone.addresses(host), at, reply),
            Node::Identity(identity, Part::Herself) => {
                if let Some(Address { host, .. }) = self.directory.lookup(&identity) {
                    put_helpful(self.zone.addresses(&host), at, reply);
                }
            }
            _ => {}
        }
    }

    /// That there is nothing, and for how long that may be remembered (RFC 2308).
    fn negative(&self, asked: &Question<'_>, reply: &mut Reply<'_>) {
        // The name that was asked for ends with the zone's.
        let at = QUESTION_AT + asked.name.len() - self.zone.origin.len();
        let put = |out: &mut Vec<u8>| self.put_authority(out);
        reply.record(Section::Authority, at, Kind::SOA, DNS_NEGATIVE_TTL, put);
    }

    fn put_authority(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.zone.servers.first().unwrap_or(&self.zone.origin));
        out.extend_from_slice(&self.zone.mailbox);
        // Serial numbers go round (RFC 1982).
        let [.., a, b, c, d] = self.directory.counts.number.get().to_be_bytes();
        out.extend_from_slice(&[a, b, c, d]);
        for number in [REFRESH, RETRY, EXPIRE, DNS_NEGATIVE_TTL] {
            put_u32(out, number);
        }
    }
}

/// Adds a record of the name that was asked for.
fn answer(
    reply: &mut Reply<'_>,
    kind: Kind,
    ttl: u32,
    put: impl FnOnce(&mut Vec<u8>),
) -> Option<usize> {
    reply.record(Section::Answer, QUESTION_AT, kind, ttl, put)
}

/// Adds the addresses of the name that stands here.
fn put_helpful(addresses: impl Iterator<Item = IpAddr>, at: usize, reply: &mut Reply<'_>) {
    for address in addresses {
        let put = |out: &mut Vec<u8>| put_address(out, address);
        reply.record(Section::Additional, at, Kind::of(address), DNS_TTL, put);
    }
}

fn kinds(spot: &Spot<'_>) -> &'static [Kind] {
    match spot {
        Spot::Apex => &[Kind::SOA],
        Spot::Own { .. } => &[Kind::SVCB, Kind::A, Kind::AAAA],
        Spot::Service(_) => &[Kind::SRV],
        Spot::Proof(_) => &[Kind::TXT],
        Spot::Between => &[],
    }
}

/// Whether a host is a bare address, which no record can point to.
fn is_bare(host: &HostName) -> bool {
    host.as_str().parse::<IpAddr>().is_ok()
}

/// A name without so many of its first labels; the root where it has no more.
fn skip_labels(name: &[u8], count: usize) -> &[u8] {
    let mut rest = name;
    for _ in 0..count {
        let Some((_, behind)) = split_label(rest) else { break };
        rest = behind;
    }
    rest
}

fn describe(person: &Person) -> Vec<u8> {
    let Address { host, port } = &person.address;
    let mut text = format!("host={host} port={port}").into_bytes();
    if let Some(epoch) = person.epoch {
        // Writing into memory does not fail.
        let _ = write!(text, " epoch={epoch}");
    }
    text
}

/// A text in pieces of so many bytes.
fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    for piece in text.chunks(TEXT_BYTES_MAX) {
        out.push(u8::try_from(piece.len()).unwrap_or(0));
        out.extend_from_slice(piece);
    }
}
