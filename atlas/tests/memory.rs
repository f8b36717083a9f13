//! What an identity costs, at the size that segments really have.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::sync::Arc;

use atlas::{Atlas, Packer, Place};
use protocol::dns_name::Labels;
use protocol::{Epoch, HostName};

const IDENTITIES: u32 = 100_000;

/// Names of every kind: some that stand as they are in front of a suffix, some that do not.
fn names() -> BTreeSet<String> {
    let name = |number: u32| {
        let spread = number.wrapping_mul(2_654_435_761);
        match number % 10 {
            0 => format!("id_{spread:x}"),
            1 => format!("{spread:x}🛠"),
            _ => format!("name{spread:x}"),
        }
    };
    (0..IDENTITIES).map(name).collect()
}

fn bytes_each(host: impl Fn(&str) -> String) -> f64 {
    let names = names();
    let mut packer = Packer::default();
    for name in &names {
        let host = HostName::parse(&host(name)).unwrap();
        let place = Place { host: (&host).into(), port: NonZeroU16::MIN, epoch: Epoch::FIRST };
        packer.push(name.as_bytes(), place).unwrap();
    }
    let segments = packer.finish().unwrap().into_iter().map(Arc::new).collect();
    let atlas = Atlas::new(segments).unwrap();
    for name in names.iter().step_by(97) {
        assert_eq!(&atlas.find(name.as_bytes()).unwrap().host, &*host(name));
    }
    atlas.memory_bytes() as f64 / names.len() as f64
}

#[test]
fn a_host_of_her_own_costs_an_identity_nothing() {
    let shared = bytes_each(|_| "swarm.id.example".to_owned());
    let own = bytes_each(|name| format!("{}.id.example", Labels::of(name).unwrap().as_str()));
    println!("bytes an identity: {shared:.3} with a shared host, {own:.3} with one of her own");
    assert!(own <= shared, "{own} {shared}");
}
