//! A DNS front over real sockets, read by a library that is not ours.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use directory::Parent;
use directory::dns::{DnsFront, Zone};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use net::drain::Drain;
use net::udp::UdpDoor;
use protocol::HostName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::{Running, SOON};

/// A DNS front on loopback ports.
pub struct Front {
    pub running: Running,
    pub front: Arc<DnsFront>,
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
}

impl Front {
    pub async fn over(running: Running, rate: u32) -> Self {
        Self::below(None, running, rate).await
    }

    pub async fn below(parent: Option<Arc<Parent>>, running: Running, rate: u32) -> Self {
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
        let front = DnsFront::new(Arc::clone(&running.directory), parent, zone, rate);
        let door = UdpDoor::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (udp, tcp) = (door.local_addr().unwrap(), listener.local_addr().unwrap());
        let drain: &Drain = &running.drain;
        drain.spawn(Arc::clone(&front).serve_udp(door, drain.clone()));
        drain.spawn(Arc::clone(&front).serve_tcp(listener, drain.clone()));
        Self { running, front, udp, tcp }
    }

    pub async fn socket(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.udp).await.unwrap();
        socket
    }

    /// What comes back for these bytes; none if nothing does.
    pub async fn raw(&self, bytes: &[u8]) -> Option<Message> {
        let socket = self.socket().await;
        socket.send(bytes).await.unwrap();
        let mut buffer = vec![0; 4096];
        let wait = std::time::Duration::from_millis(300);
        let length = timeout(wait, socket.recv(&mut buffer)).await.ok()?.unwrap();
        Some(Message::from_vec(&buffer[..length]).unwrap())
    }

    pub async fn ask(&self, name: &str, kind: RecordType) -> Message {
        let asked = question(name, kind);
        let answer = self.raw(&asked.to_vec().unwrap()).await.expect("an answer");
        assert_eq!(answer.metadata.id, asked.metadata.id);
        assert_eq!(answer.metadata.message_type, MessageType::Response);
        assert_eq!(answer.queries, asked.queries);
        answer
    }

    pub async fn code(&self, name: &str, kind: RecordType) -> ResponseCode {
        self.ask(name, kind).await.metadata.response_code
    }
}

pub fn dns(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

pub fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(dns(name), kind));
    message
}

pub fn data(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| record.data.to_string()).collect()
}

pub fn framed(message: &Message) -> Vec<u8> {
    let bytes = message.to_vec().unwrap();
    let mut framed = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(bytes);
    framed
}

pub async fn send(stream: &mut TcpStream, questions: &[Message]) {
    let bytes: Vec<u8> = questions.iter().flat_map(framed).collect();
    stream.write_all(&bytes).await.unwrap();
}

/// The next answer; none once the server has closed.
pub async fn receive(stream: &mut TcpStream) -> Option<Message> {
    let mut length = [0; 2];
    timeout(SOON, stream.read_exact(&mut length)).await.unwrap().ok()?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).await.unwrap();
    Some(Message::from_vec(&bytes).unwrap())
}
