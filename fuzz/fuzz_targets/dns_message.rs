//! Whole messages of DNS: whatever comes in, what goes out can be read by a library that is not ours,
//! belongs to the question, and is not longer than its sender takes.
#![no_main]

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use directory::Directory;
use directory::dns::{DnsFront, Zone};
use directory::limits::{DNS_PAYLOAD_MAX, DNS_PAYLOAD_MIN};
use directory::snapshot_file::{self, Head};
use hickory_proto::op::{Message, MessageType};
use libfuzzer_sys::fuzz_target;
use protocol::control::feed::Entry;
use protocol::{Address, AtSign, Epoch, FeedId, HostName, Timestamp};

static FRONT: LazyLock<Arc<DnsFront>> = LazyLock::new(|| {
    let host = |text| HostName::parse(text).unwrap();
    let addresses = [
        (host("swarm.dir.example"), "192.0.2.7".parse().unwrap()),
        (host("a.ns.dir.example"), "2001:db8::53".parse().unwrap()),
    ];
    let zone = Zone::new(&host("dir.example"), &[host("a.ns.dir.example")], &addresses).unwrap();
    DnsFront::new(directory(), None, zone, 0)
});

/// One that says what a small file says.
fn directory() -> Arc<Directory> {
    let people = [
        ("alice", "swarm.dir.example:25000"),
        ("bob", "127.0.0.9:25001"),
        ("carol_🛠", "elsewhere.example:25002"),
    ];
    let entries: Vec<_> = people
        .iter()
        .map(|(name, at)| Entry {
            identity: AtSign::parse(name).unwrap(),
            address: Address::parse(at).unwrap(),
            epoch: Epoch::FIRST,
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("directory.snapshot");
    let atlas = feed::pack(&entries).unwrap();
    let (of, now) = (FeedId::from_bytes([7; 16]), Timestamp(0));
    let head = Head::of(&atlas, of, 1, now, now);
    snapshot_file::save(&file, &head, &Arc::new(atlas), &[]).unwrap();
    Directory::open_alone(&file).unwrap()
}

fuzz_target!(|message: &[u8]| {
    let mut out = vec![0xff; 7];
    let peer = SocketAddr::from(([192, 0, 2, 1], 53));
    let Some(beyond) = FRONT.datagram(message, peer, &mut out) else { return };
    assert!(beyond.is_none(), "there is no parent to ask");
    assert!(out.len() <= usize::from(DNS_PAYLOAD_MAX));
    let answer = Message::from_vec(&out).expect("a message");
    assert_eq!(answer.metadata.message_type, MessageType::Response);
    assert_eq!(&out[..2], &message[..2], "its id");
    if answer.edns.is_none() {
        assert!(out.len() <= usize::from(DNS_PAYLOAD_MIN));
    }
    if answer.metadata.truncation {
        assert!(answer.answers.is_empty() && answer.authorities.is_empty());
    }
});
