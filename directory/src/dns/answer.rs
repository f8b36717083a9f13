//! From a question to its records. Nothing waits here, and all of it comes from memory.

use std::net::IpAddr;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::rdata::svcb::{SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{A, AAAA, NS, SOA, SRV, SVCB, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use protocol::{Address, AtSign, Epoch, HostName};

use super::reply::Reply;
use super::zone::{Node, Part, Zone, dns_name};
use crate::directory::Directory;
use crate::limits::{DNS_NEGATIVE_TTL, DNS_TTL, DNS_ZONE_TTL};

/// For secondary servers, of which there are none: often, soon again, a day.
const REFRESH: i32 = 600;
const RETRY: i32 = 120;
const EXPIRE: i32 = 86_400;

/// Bytes of one text of a TXT record (RFC 1035, section 3.3.14).
const TEXT_BYTES_MAX: usize = 255;

/// What there is under a name.
enum Spot<'a> {
    Apex,
    /// A host that the operator named, or an identity, or both under one name.
    Own {
        host: Option<&'a HostName>,
        person: Option<Person>,
    },
    Service(Person),
    /// Something is below.
    Between,
}

/// An identity and where she is.
struct Person {
    identity: AtSign,
    address: Address,
}

/// Answers one question; `is_ready` says whether the directory knows enough to say "unknown".
pub(super) fn answer(directory: &Directory, zone: &Zone, asked: &Query, is_ready: bool) -> Reply {
    let node = zone.find(&asked.name);
    let is_transfer = matches!(asked.query_type, RecordType::AXFR | RecordType::IXFR);
    let is_internet = matches!(asked.query_class, DNSClass::IN | DNSClass::ANY);
    if node == Node::Outside || is_transfer || !is_internet {
        return Reply::code(ResponseCode::Refused);
    }
    if !is_ready {
        return Reply::code(ResponseCode::ServFail);
    }
    let answerer = Answerer { directory, zone, owner: &asked.name };
    match answerer.spot(node) {
        Some(spot) => answerer.records(&spot, asked.query_type),
        None => answerer.negative(ResponseCode::NXDomain),
    }
}

struct Answerer<'a> {
    directory: &'a Directory,
    zone: &'a Zone,
    owner: &'a Name,
}

impl<'a> Answerer<'a> {
    /// What there is; none where there is nothing, and nothing below.
    fn spot(&self, node: Node<'a>) -> Option<Spot<'a>> {
        let known = match node {
            Node::Apex => return Some(Spot::Apex),
            Node::Between => return Some(Spot::Between),
            Node::Host(host, identity) => {
                let person = identity.and_then(|identity| self.person(identity));
                return Some(Spot::Own { host: Some(host), person });
            }
            Node::Identity(identity, part) => self.person(identity).map(|person| (person, part)),
            Node::Nobody | Node::Outside => None,
        };
        let spot = known.and_then(|(person, part)| match part {
            Part::Herself => Some(Spot::Own { host: None, person: Some(person) }),
            Part::Between => Some(Spot::Between),
            Part::Service => Some(Spot::Service(person)),
            Part::Nothing => None,
        });
        spot.or_else(|| self.zone.is_between(self.owner).then_some(Spot::Between))
    }

    fn person(&self, identity: AtSign) -> Option<Person> {
        let address = self.directory.lookup(&identity)?;
        Some(Person { identity, address })
    }

    fn records(&self, spot: &Spot<'_>, kind: RecordType) -> Reply {
        let data = match kind {
            // One kind will do (RFC 8482).
            RecordType::ANY => kinds(spot)
                .iter()
                .map(|kind| self.data(spot, *kind))
                .find(|data| !data.is_empty())
                .unwrap_or_default(),
            kind => self.data(spot, kind),
        };
        if data.is_empty() {
            return self.negative(ResponseCode::NoError);
        }
        let ttl = if matches!(spot, Spot::Apex) { DNS_ZONE_TTL } else { DNS_TTL };
        let additionals = data.iter().flat_map(|data| self.helpful(data)).collect();
        let record = |data| Record::from_rdata(self.owner.clone(), ttl, data);
        Reply {
            is_authoritative: true,
            answers: data.into_iter().map(record).collect(),
            additionals,
            ..Reply::default()
        }
    }

    /// The records of one kind.
    fn data(&self, spot: &Spot<'_>, kind: RecordType) -> Vec<RData> {
        match (spot, kind) {
            (Spot::Apex, RecordType::SOA) => vec![self.authority()],
            (Spot::Apex, RecordType::NS) => {
                self.zone.servers.iter().map(|server| RData::NS(NS(server.clone()))).collect()
            }
            (Spot::Own { host, person }, RecordType::A | RecordType::AAAA) => {
                let named = host.or(person.as_ref().map(|person| &person.address.host));
                named.map(|host| self.addresses(host, kind)).unwrap_or_default()
            }
            (Spot::Own { person: Some(Person { address, .. }), .. }, RecordType::SVCB) => {
                // The root's name stands for the owner (RFC 9460, section 2.5).
                let target = target(&address.host).unwrap_or_else(Name::root);
                let port = (SvcParamKey::Port, SvcParamValue::Port(address.port.get()));
                vec![RData::SVCB(SVCB::new(1, target, vec![port]))]
            }
            (Spot::Own { person: Some(person), .. }, RecordType::TXT) => {
                let place = self.directory.place(&person.identity);
                place.iter().map(|(address, epoch)| text(address, *epoch)).collect()
            }
            (Spot::Service(Person { address, .. }), RecordType::SRV) => {
                let herself = || self.owner.base_name().base_name();
                let target = target(&address.host).unwrap_or_else(herself);
                vec![RData::SRV(SRV::new(0, 0, address.port.get(), target))]
            }
            _ => Vec::new(),
        }
    }

    fn addresses(&self, host: &HostName, kind: RecordType) -> Vec<RData> {
        let data = |address| match address {
            IpAddr::V4(v4) => RData::A(A(v4)),
            IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
        };
        let all = self.zone.addresses(host).into_iter().map(data);
        all.filter(|data| data.record_type() == kind).collect()
    }

    /// The addresses of what a record points to, where they are ours to give.
    fn helpful(&self, data: &RData) -> Vec<Record> {
        let target = match data {
            RData::SRV(srv) => &srv.target,
            RData::SVCB(svcb) if svcb.target_name.is_root() => self.owner,
            RData::SVCB(svcb) => &svcb.target_name,
            RData::NS(NS(server)) => server,
            _ => return Vec::new(),
        };
        let Some(spot) = self.spot(self.zone.find(target)) else { return Vec::new() };
        let kinds = [RecordType::A, RecordType::AAAA];
        let data = kinds.iter().flat_map(|kind| self.data(&spot, *kind));
        data.map(|data| Record::from_rdata(target.clone(), DNS_TTL, data)).collect()
    }

    /// That there is nothing, and for how long that may be remembered (RFC 2308).
    fn negative(&self, code: ResponseCode) -> Reply {
        let authority =
            Record::from_rdata(self.zone.origin.clone(), DNS_NEGATIVE_TTL, self.authority());
        Reply { code, is_authoritative: true, authorities: vec![authority], ..Reply::default() }
    }

    fn authority(&self) -> RData {
        let server = self.zone.servers.first().unwrap_or(&self.zone.origin).clone();
        let mailbox = self.zone.mailbox.clone();
        // Serial numbers go round (RFC 1982).
        let [.., a, b, c, d] = self.directory.status().number.to_be_bytes();
        let serial = u32::from_be_bytes([a, b, c, d]);
        RData::SOA(SOA::new(server, mailbox, serial, REFRESH, RETRY, EXPIRE, DNS_NEGATIVE_TTL))
    }
}

fn kinds(spot: &Spot<'_>) -> &'static [RecordType] {
    match spot {
        Spot::Apex => &[RecordType::SOA],
        Spot::Own { .. } => &[RecordType::SVCB, RecordType::A, RecordType::AAAA],
        Spot::Service(_) => &[RecordType::SRV],
        Spot::Between => &[],
    }
}

/// The name to connect to; none where the host is a bare address, which no record can point to.
fn target(host: &HostName) -> Option<Name> {
    match host.as_str().parse::<IpAddr>() {
        Ok(_) => None,
        Err(_) => dns_name(host).ok(),
    }
}

fn text(address: &Address, epoch: Epoch) -> RData {
    let text = format!("host={} port={} epoch={epoch}", address.host, address.port);
    RData::TXT(TXT::from_bytes(text.as_bytes().chunks(TEXT_BYTES_MAX).collect()))
}
