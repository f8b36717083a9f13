//! The directory as DNS, over real sockets, read by a library that is not ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::dns::{Front, data, dns, framed, question, receive, send};
use common::{Registrar, Running, SOON, change, name, the_key};
use directory::dns::name::encode;
use feed::Evidence;
use hickory_proto::op::{Edns, Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::svcb::SvcParamValue;
use hickory_proto::rr::{DNSClass, RData, RecordType};
use net::telemetry::{Metrics, encode_metrics};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// As large as it gets: 55 emoji of 4 bytes.
const LONG: &str = "🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍🛠🦄🐙🌍";

/// A front over a few names.
async fn start(rate: u32) -> Front {
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
    Front::over(Running::following(&registrar).await, rate).await
}

#[tokio::test]
async fn an_identity_has_a_service_an_address_and_a_text() {
    let front = start(0).await;
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
    let front = start(0).await;
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
    let front = start(0).await;
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
    let front = start(0).await;
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
    let front = start(0).await;
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
    let front = start(0).await;
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
    let front = start(0).await;
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
    let front = start(0).await;
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
    let front = start(0).await;
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
    let front = start(0).await;
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
    let front = start(0).await;
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
    let front = start(1).await;
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
    let front = start(0).await;
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

#[tokio::test]
async fn a_proof_is_had_over_tcp_and_leads_to_the_registrars_word() {
    let registrar = Registrar::new(vec![
        change(1, "alice", Some("swarm.dir.example:25000"), 1),
        change(2, LONG, Some("swarm.dir.example:25004"), 1),
    ]);
    let front = Front::over(Running::following(&registrar).await, 0).await;
    registrar.publish(change(3, "bob", Some("127.0.0.9:25001"), 2));
    assert!(front.running.directory.reached(3, SOON).await);
    for (who, address) in [
        ("alice", "swarm.dir.example:25000"),
        (LONG, "swarm.dir.example:25004"),
        ("bob", "127.0.0.9:25001"),
    ] {
        let asked = format!("_proof.{}.dir.example.", encode(&name(who)).unwrap().join("."));
        let over_udp = front.ask(&asked, RecordType::TXT).await;
        assert!(over_udp.metadata.truncation && over_udp.answers.is_empty());

        let mut stream = TcpStream::connect(front.tcp).await.unwrap();
        send(&mut stream, &[question(&asked, RecordType::TXT)]).await;
        let answer = receive(&mut stream).await.unwrap();
        let RData::TXT(text) = &answer.answers[0].data else { panic!("{answer}") };
        let evidence: Evidence = serde_json::from_slice(&text.txt_data.concat()).unwrap();
        let proven = evidence.check(&the_key().public(), &name(who)).unwrap();
        assert_eq!(proven.address.unwrap().to_string(), address);
        assert!(evidence.check(&the_key().public(), &name("mallory")).is_err());
    }
    assert_eq!(
        front.code("_proof.nobody.dir.example.", RecordType::TXT).await,
        ResponseCode::NXDomain
    );
    let other = front.ask("_proof.alice.dir.example.", RecordType::A).await;
    assert_eq!(other.metadata.response_code, ResponseCode::NoError);
    assert!(other.answers.is_empty() && !other.metadata.truncation);
}

#[tokio::test]
async fn a_proof_without_room_is_no_record() {
    // One signed batch of so many changes is the only word about them.
    let registrar = Registrar::new(vec![change(1, "alice", Some("localhost:1"), 1)]);
    let front = Front::over(Running::following(&registrar).await, 0).await;
    registrar.set_away(true);
    for number in 2..=400 {
        registrar.publish(change(number, &format!("name{number}"), Some("localhost:1"), 1));
    }
    registrar.set_away(false);
    assert!(front.running.directory.reached(400, 4 * SOON).await);
    let mut stream = TcpStream::connect(front.tcp).await.unwrap();
    send(&mut stream, &[question("_proof.name400.dir.example.", RecordType::TXT)]).await;
    let answer = receive(&mut stream).await.unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(answer.answers.is_empty() && !answer.metadata.truncation);
}

#[tokio::test]
async fn datagrams_that_come_together_are_all_answered() {
    let front = start(0).await;
    let socket = front.socket().await;
    for at in 0..200_u16 {
        let mut asked = question("alice.dir.example.", RecordType::TXT);
        asked.metadata.id = at;
        socket.send(&asked.to_vec().unwrap()).await.unwrap();
    }
    let (mut seen, mut buffer) = (std::collections::BTreeSet::new(), vec![0; 4096]);
    while seen.len() < 200 {
        let length = timeout(SOON, socket.recv(&mut buffer)).await.unwrap().unwrap();
        let answer = Message::from_vec(&buffer[..length]).unwrap();
        assert_eq!(data(&answer.answers), ["host=swarm.dir.example port=25000 epoch=1"]);
        seen.insert(answer.metadata.id);
    }
    // A drain ends the threads of the sockets.
    front.running.drain.start();
    assert!(front.running.drain.finished(SOON).await);
}
