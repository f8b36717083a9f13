//! The directory as DNS, over real sockets, read by a library that is not ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use common::{Registrar, Running, SOON, change, name};
use directory::dns::{DnsFront, Zone, name::encode};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::svcb::SvcParamValue;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use net::drain::Drain;
use net::telemetry::{Metrics, encode_metrics};
use net::udp::UdpDoor;
use protocol::HostName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

/// As large as it gets: 55 emoji of 4 bytes.
const LONG: &str = "🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍";

struct Front {
    running: Running,
    front: Arc<DnsFront>,
    udp: SocketAddr,
    tcp: SocketAddr,
}

impl Front {
    async fn start(rate: u32) -> Self {
        let everybody = [
            change(1, "alice", Some("swarm.dir.example:25000"), 1),
            change(2, "bob", Some("127.0.0.9:25001"), 1),
            change(3, "carol", Some("elsewhere.example:25002"), 7),
            change(4, "alice🛠", Some("swarm.dir.example:25003"), 1),
            change(5, LONG, Some("swarm.dir.example:25004"), 1),
            change(6, "gone", Some("swarm.dir.example:25005"), 1),
            change(7, "gone", None, 2),
        ];
        let registrar = Registrar::new(everybody.to_vec());
        Self::over(Running::following(&registrar).await, rate).await
    }

    async fn over(running: Running, rate: u32) -> Self {
        let host = |text| HostName::parse(text).unwrap();
        let mut addresses: Vec<(HostName, IpAddr)> = vec![
            (host("swarm.dir.example"), "192.0.2.7".parse().unwrap()),
            (host("swarm.dir.example"), "2001:db8::7".parse().unwrap()),
            (host("a.ns.dir.example"), "192.0.2.53".parse().unwrap()),
        ];
        for last in 0..100 {
            addresses.push((host("many.dir.example"), IpAddr::from([192, 0, 2, last])));
        }
        let zone =
            Zone::new(&host("dir.example"), &[host("a.ns.dir.example")], &addresses).unwrap();
        let front = DnsFront::new(Arc::clone(&running.directory), zone, rate);
        let door = UdpDoor::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (udp, tcp) = (door.local_addr().unwrap(), listener.local_addr().unwrap());
        let drain: &Drain = &running.drain;
        drain.spawn(Arc::clone(&front).serve_udp(door, drain.clone()));
        drain.spawn(Arc::clone(&front).serve_tcp(listener, drain.clone()));
        Self { running, front, udp, tcp }
    }

    async fn socket(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.udp).await.unwrap();
        socket
    }

    /// What comes back for these bytes; none if nothing does.
    async fn raw(&self, bytes: &[u8]) -> Option<Message> {
        let socket = self.socket().await;
        socket.send(bytes).await.unwrap();
        let mut buffer = vec![0; 4096];
        let wait = std::time::Duration::from_millis(300);
        let length = timeout(wait, socket.recv(&mut buffer)).await.ok()?.unwrap();
        Some(Message::from_vec(&buffer[..length]).unwrap())
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Message {
        let asked = question(name, kind);
        let answer = self.raw(&asked.to_vec().unwrap()).await.expect("an answer");
        assert_eq!(answer.metadata.id, asked.metadata.id);
        assert_eq!(answer.metadata.message_type, MessageType::Response);
        assert_eq!(answer.queries, asked.queries);
        answer
    }

    async fn code(&self, name: &str, kind: RecordType) -> ResponseCode {
        self.ask(name, kind).await.metadata.response_code
    }
}

fn dns(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(dns(name), kind));
    message
}

fn data(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| record.data.to_string()).collect()
}

#[tokio::test]
async fn an_identity_has_a_service_an_address_and_a_text() {
    let front = Front::start(0).await;
    let service = front.ask("_atproto._tcp.alice.dir.example.", RecordType::SRV).await;
    assert!(service.metadata.authoritative && !service.metadata.recursion_available);
    assert_eq!(data(&service.answers), ["0 0 25000 swarm.dir.example."]);
    assert_eq!(service.answers[0].ttl, 60);
    assert_eq!(data(&service.additionals), ["192.0.2.7", "2001:db8::7"]);
    let binding = front.ask("alice.dir.example.", RecordType::SVCB).await;
    let RData::SVCB(svcb) = &binding.answers[0].data else { panic!("{binding}") };
    assert_eq!((svcb.svc_priority, &svcb.target_name), (1, &dns("swarm.dir.example.")));
    assert_eq!(svcb.svc_params[0].1, SvcParamValue::Port(25000));
    let text = front.ask("carol.dir.example.", RecordType::TXT).await;
    assert_eq!(data(&text.answers), ["host=elsewhere.example port=25002 epoch=7"]);
    let v4 = front.ask("alice.dir.example.", RecordType::A).await;
    assert_eq!(data(&v4.answers), ["192.0.2.7"]);
    let v6 = front.ask("alice.dir.example.", RecordType::AAAA).await;
    assert_eq!(data(&v6.answers), ["2001:db8::7"]);
}

#[tokio::test]
async fn a_server_at_a_bare_address_is_pointed_to_by_the_identity_itself() {
    let front = Front::start(0).await;
    let service = front.ask("_atproto._tcp.bob.dir.example.", RecordType::SRV).await;
    assert_eq!(data(&service.answers), ["0 0 25001 bob.dir.example."]);
    assert_eq!(data(&service.additionals), ["127.0.0.9"]);
    let binding = front.ask("bob.dir.example.", RecordType::SVCB).await;
    let RData::SVCB(svcb) = &binding.answers[0].data else { panic!("{binding}") };
    assert!(svcb.target_name.is_root());
    assert_eq!(data(&front.ask("bob.dir.example.", RecordType::A).await.answers), ["127.0.0.9"]);
}

#[tokio::test]
async fn names_that_labels_cannot_hold_are_found_under_their_encoding() {
    let front = Front::start(0).await;
    for (identity, port) in [("alice🛠", 25003), (LONG, 25004)] {
        let labels = encode(&name(identity)).unwrap().join(".");
        let service = format!("_atproto._tcp.{labels}.dir.example.");
        let answer = front.ask(&service, RecordType::SRV).await;
        assert_eq!(data(&answer.answers), [format!("0 0 {port} swarm.dir.example.")]);
        let upper = front.ask(&service.to_uppercase(), RecordType::SRV).await;
        assert_eq!(data(&upper.answers), data(&answer.answers));
        assert_eq!(upper.answers[0].name.to_ascii(), service.to_uppercase(), "as it was asked");
    }
    let labels = encode(&name(LONG)).unwrap();
    let part = format!("{}.dir.example.", labels.last().unwrap());
    assert_eq!(front.code(&part, RecordType::SRV).await, ResponseCode::NoError);
}

#[tokio::test]
async fn what_there_is_not_is_told_apart_from_what_has_no_such_record() {
    let front = Front::start(0).await;
    for (asked, kind, code) in [
        ("nobody.dir.example.", RecordType::A, ResponseCode::NXDomain),
        ("gone.dir.example.", RecordType::SVCB, ResponseCode::NXDomain),
        ("_tcp.nobody.dir.example.", RecordType::SRV, ResponseCode::NXDomain),
        ("_udp.alice.dir.example.", RecordType::SRV, ResponseCode::NXDomain),
        ("_http._tcp.alice.dir.example.", RecordType::SRV, ResponseCode::NXDomain),
        ("_atproto.alice.dir.example.", RecordType::SRV, ResponseCode::NXDomain),
        ("x._atproto._tcp.alice.dir.example.", RecordType::SRV, ResponseCode::NXDomain),
        ("u1-0-alice.dir.example.", RecordType::A, ResponseCode::NXDomain),
        ("alice.dir.example.", RecordType::MX, ResponseCode::NoError),
        ("alice.dir.example.", RecordType::SRV, ResponseCode::NoError),
        ("carol.dir.example.", RecordType::A, ResponseCode::NoError),
        ("bob.dir.example.", RecordType::AAAA, ResponseCode::NoError),
        ("_tcp.alice.dir.example.", RecordType::SRV, ResponseCode::NoError),
        ("_tcp.alice.dir.example.", RecordType::ANY, ResponseCode::NoError),
        ("_atproto._tcp.alice.dir.example.", RecordType::A, ResponseCode::NoError),
        ("ns.dir.example.", RecordType::A, ResponseCode::NoError),
        ("u3-a.dir.example.", RecordType::A, ResponseCode::NoError),
        ("dir.example.", RecordType::A, ResponseCode::NoError),
    ] {
        let answer = front.ask(asked, kind).await;
        assert_eq!(answer.metadata.response_code, code, "{asked} {kind}");
        assert!(answer.answers.is_empty(), "{asked} {kind}");
        assert!(answer.metadata.authoritative);
        let authority = &answer.authorities[0];
        assert_eq!((&authority.name, authority.ttl), (&dns("dir.example."), 15));
        let RData::SOA(soa) = &authority.data else { panic!("{answer}") };
        assert_eq!((soa.serial, soa.minimum), (7, 15), "the feed's number");
    }
}

#[tokio::test]
async fn the_zone_itself_and_its_hosts() {
    let front = Front::start(0).await;
    let servers = front.ask("dir.example.", RecordType::NS).await;
    assert_eq!(data(&servers.answers), ["a.ns.dir.example."]);
    assert_eq!(data(&servers.additionals), ["192.0.2.53"]);
    let authority = front.ask("DIR.example.", RecordType::SOA).await;
    let wanted = "a.ns.dir.example. hostmaster.dir.example. 7 600 120 86400 15";
    assert_eq!(data(&authority.answers), [wanted]);
    let host = front.ask("swarm.dir.example.", RecordType::A).await;
    assert_eq!(data(&host.answers), ["192.0.2.7"]);
}

#[tokio::test]
async fn only_the_zone_is_answered_for_and_never_all_of_it() {
    let front = Front::start(0).await;
    for (asked, kind) in [
        ("example.", RecordType::SOA),
        ("elsewhere.example.", RecordType::A),
        ("notdir.example.", RecordType::A),
        (".", RecordType::NS),
        ("dir.example.", RecordType::AXFR),
        ("dir.example.", RecordType::IXFR),
    ] {
        let answer = front.ask(asked, kind).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::Refused, "{asked}");
        assert!(!answer.metadata.authoritative && answer.authorities.is_empty());
    }
    let mut chaos = question("version.bind.", RecordType::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    let answer = front.raw(&chaos.to_vec().unwrap()).await.unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    let any = front.ask("alice.dir.example.", RecordType::ANY).await;
    assert_eq!(any.answers.len(), 1, "one kind is enough");
}

#[tokio::test]
async fn nonsense_gets_a_code_and_answers_get_none() {
    let front = Front::start(0).await;
    let good = question("alice.dir.example.", RecordType::A).to_vec().unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, code) in [
        (good[..good.len() - 1].to_vec(), ResponseCode::FormErr),
        (with(5, 0), ResponseCode::FormErr),
        (with(5, 2), ResponseCode::FormErr),
        (with(11, 1), ResponseCode::FormErr),
        (with(10, 0xff), ResponseCode::FormErr),
        (with(12, 0xc0), ResponseCode::FormErr),
        (with(2, 0x20), ResponseCode::NotImp),
        (with(2, 0x28), ResponseCode::NotImp),
        (with(2, 0x78), ResponseCode::NotImp),
    ] {
        let answer = front.raw(&bytes).await.unwrap();
        assert_eq!(answer.metadata.response_code, code, "{bytes:02x?}");
        assert_eq!(answer.metadata.id, 4711);
    }
    assert!(front.raw(&with(2, 0x80)).await.is_none(), "an answer");
    assert!(front.raw(&good[..11]).await.is_none(), "no head");
    assert!(front.raw(b"").await.is_none());
}

#[tokio::test]
async fn edns_is_answered_with_edns() {
    let front = Front::start(0).await;
    let mut asked = question("alice.dir.example.", RecordType::A);
    let mut edns = Edns::new();
    edns.set_max_payload(4096).set_dnssec_ok(true);
    asked.set_edns(edns.clone());
    let answer = front.raw(&asked.to_vec().unwrap()).await.unwrap();
    let ours = answer.edns.unwrap();
    assert_eq!((ours.max_payload(), ours.version(), ours.flags().dnssec_ok), (1232, 0, true));
    assert!(front.ask("alice.dir.example.", RecordType::A).await.edns.is_none());
    edns.set_version(1);
    asked.set_edns(edns);
    let answer = front.raw(&asked.to_vec().unwrap()).await.unwrap();
    // The library gives another name of the same number.
    assert_eq!(u16::from(answer.metadata.response_code), u16::from(ResponseCode::BADVERS));
}

#[tokio::test]
async fn what_is_too_large_is_cut_and_comes_whole_over_tcp() {
    let front = Front::start(0).await;
    let plain = front.ask("many.dir.example.", RecordType::A).await;
    assert!(plain.metadata.truncation && plain.answers.is_empty());
    let mut asked = question("many.dir.example.", RecordType::A);
    let mut edns = Edns::new();
    edns.set_max_payload(65_000);
    asked.set_edns(edns);
    let answer = front.raw(&asked.to_vec().unwrap()).await.unwrap();
    assert!(answer.metadata.truncation, "100 addresses take more than 1232 bytes");
    assert!(answer.edns.is_some());

    let mut stream = TcpStream::connect(front.tcp).await.unwrap();
    send(&mut stream, &[asked.clone()]).await;
    let answer = receive(&mut stream).await.unwrap();
    assert_eq!((answer.answers.len(), answer.metadata.truncation), (100, false));
}

#[tokio::test]
async fn questions_on_a_connection_may_come_together_and_in_pieces() {
    let front = Front::start(0).await;
    let mut stream = TcpStream::connect(front.tcp).await.unwrap();
    let questions: Vec<_> = (0..500)
        .map(|at| {
            let mut asked = question("alice.dir.example.", RecordType::TXT);
            asked.metadata.id = at;
            asked
        })
        .collect();
    send(&mut stream, &questions).await;
    for at in 0..500 {
        assert_eq!(receive(&mut stream).await.unwrap().metadata.id, at, "in their order");
    }
    let mut bytes = framed(&questions[0]);
    let rest = bytes.split_off(5);
    for byte in bytes {
        stream.write_all(&[byte]).await.unwrap();
        sleep(std::time::Duration::from_millis(5)).await;
    }
    stream.write_all(&rest).await.unwrap();
    assert!(receive(&mut stream).await.is_some());
}

#[tokio::test]
async fn a_connection_that_sends_nonsense_is_closed() {
    let front = Front::start(0).await;
    let mut answer = question("alice.dir.example.", RecordType::A);
    answer.metadata.message_type = MessageType::Response;
    for bytes in [vec![0xff, 0xff, 0], vec![0, 2, 1, 2], framed(&answer)] {
        let mut stream = TcpStream::connect(front.tcp).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        assert!(receive(&mut stream).await.is_none(), "{bytes:02x?}");
    }
}

#[tokio::test]
async fn who_floods_is_sent_to_tcp() {
    let front = Front::start(1).await;
    let socket = front.socket().await;
    let bytes = question("alice.dir.example.", RecordType::TXT).to_vec().unwrap();
    let (mut whole, mut cut, mut none) = (0, 0, 0);
    let mut buffer = vec![0; 4096];
    for _ in 0..1_200 {
        socket.send(&bytes).await.unwrap();
        let wait = std::time::Duration::from_millis(20);
        match timeout(wait, socket.recv(&mut buffer)).await {
            Err(_) => none += 1,
            Ok(length) => {
                let answer = Message::from_vec(&buffer[..length.unwrap()]).unwrap();
                if answer.metadata.truncation { cut += 1 } else { whole += 1 }
            }
        }
    }
    assert!((1_000..1_050).contains(&whole), "{whole}");
    assert!(cut >= 60 && none >= 60, "{cut} cut, {none} not sent");
    let mut stream = TcpStream::connect(front.tcp).await.unwrap();
    stream.write_all(&framed(&question("alice.dir.example.", RecordType::TXT))).await.unwrap();
    assert_eq!(receive(&mut stream).await.unwrap().answers.len(), 1);
}

#[tokio::test]
async fn a_directory_that_knows_nothing_yet_fails_and_never_says_unknown() {
    let front = Front::over(Running::start().await, 0).await;
    assert_eq!(front.code("alice.dir.example.", RecordType::A).await, ResponseCode::ServFail);
    assert_eq!(front.code("example.", RecordType::A).await, ResponseCode::Refused);
    let registrar = Registrar::new(vec![change(1, "alice", Some("127.0.0.1:1"), 1)]);
    let directory = Arc::clone(&front.running.directory);
    let drain = front.running.drain.clone();
    tokio::spawn(directory.follow(Arc::new(registrar), common::the_key().public(), drain));
    assert!(front.running.directory.reached(1, SOON).await);
    assert_eq!(front.code("alice.dir.example.", RecordType::A).await, ResponseCode::NoError);
    assert_eq!(front.code("bob.dir.example.", RecordType::A).await, ResponseCode::NXDomain);
}

#[tokio::test]
async fn what_is_counted_names_nobody() {
    let front = Front::start(0).await;
    let mut metrics = Metrics::with_prefix("dns");
    front.front.register(&mut metrics);
    front.ask("alice.dir.example.", RecordType::SVCB).await;
    front.ask("nobody.dir.example.", RecordType::Unknown(4711)).await;
    front.raw(&question("alice.dir.example.", RecordType::A).to_vec().unwrap()[..11]).await;
    let text = encode_metrics(&metrics);
    for line in [
        r#"dns_answers_total{transport="udp",type="svcb",code="noerror"} 1"#,
        r#"dns_answers_total{transport="udp",type="other",code="nxdomain"} 1"#,
        r#"dns_dropped_total{reason="short"} 1"#,
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("alice") && !text.contains("nobody"));
}

fn framed(message: &Message) -> Vec<u8> {
    let bytes = message.to_vec().unwrap();
    let mut framed = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(bytes);
    framed
}

async fn send(stream: &mut TcpStream, questions: &[Message]) {
    let bytes: Vec<u8> = questions.iter().flat_map(framed).collect();
    stream.write_all(&bytes).await.unwrap();
}

/// The next answer; none once the server has closed.
async fn receive(stream: &mut TcpStream) -> Option<Message> {
    let mut length = [0; 2];
    timeout(SOON, stream.read_exact(&mut length)).await.unwrap().ok()?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).await.unwrap();
    Some(Message::from_vec(&bytes).unwrap())
}
