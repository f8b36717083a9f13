//! Prefaces as they come from a stream: good ones, broken ones, and what nobody meant as one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use net::limits::{PREFACE_AGE_MAX, PREFACE_BYTES_MAX, PREFACE_DEADLINE};
use net::preface::{self, LinkKey, Preface, PrefaceError};
use proptest::prelude::*;
use protocol::{Timestamp, VolumeId};
use tokio::io::AsyncWriteExt;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const LONGEST: usize = 117;

fn key() -> LinkKey {
    LinkKey::parse("a key that two machines have, and nobody else").unwrap()
}

/// What reading these bytes comes to, and how many of them are left.
fn read_at(bytes: &[u8], now: Timestamp) -> (Result<Preface, PrefaceError>, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut stream = bytes;
    let read = runtime.block_on(preface::read(&mut stream, &key(), now));
    (read, stream.len())
}

fn read(bytes: &[u8]) -> Result<Preface, PrefaceError> {
    read_at(bytes, NOW).0
}

fn clients() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<[u8; 4]>().prop_map(|octets| IpAddr::from(Ipv4Addr::from(octets)));
    let v6 = any::<[u8; 16]>().prop_map(|octets| Ipv6Addr::from(octets).to_canonical());
    (prop_oneof![v4, v6], any::<u16>()).prop_map(SocketAddr::from)
}

fn prefaces() -> impl Strategy<Value = Preface> {
    let volumes = any::<[u8; 16]>().prop_map(VolumeId::from_bytes);
    (clients(), volumes).prop_map(|(client, volume)| Preface { client, volume })
}

fn some() -> Preface {
    let client = "203.0.113.9:50000".parse().unwrap();
    Preface { client, volume: VolumeId::from_bytes([7; 16]) }
}

fn long() -> Preface {
    Preface { client: "[2001:db8::9]:50000".parse().unwrap(), ..some() }
}

proptest! {
    #[test]
    fn a_preface_survives_its_bytes_and_what_follows_stays(
        preface in prefaces(), after in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = preface::write(&preface, &key(), NOW);
        prop_assert!(bytes.len() <= LONGEST && LONGEST <= PREFACE_BYTES_MAX);
        bytes.extend(&after);
        let (read, left) = read_at(&bytes, NOW);
        prop_assert_eq!(read.unwrap(), preface);
        prop_assert_eq!(left, after.len());
    }

    #[test]
    fn garbage_is_refused_with_or_without_a_good_beginning(
        garbage in prop::collection::vec(any::<u8>(), 0..600), keep in 0..LONGEST,
    ) {
        prop_assert!(read(&garbage).is_err());
        let good = preface::write(&long(), &key(), NOW);
        let bytes = [&good[..keep], &garbage].concat();
        // Once in a while garbage is just what was cut off.
        prop_assert!(read(&bytes).is_err() || bytes.starts_with(&good));
    }
}

/// Made by hand elsewhere, so that routers and cells of different versions go on understanding one
/// another.
#[test]
fn the_form_on_the_wire_does_not_change() {
    let bytes = "0d0a0d0a000d0a515549540a2111004dcb00710900000000c3500000e0001007070707070707070707070707\
         070707e10008000001a3185c5000e20020dd17e1005b4ff65284941d8b46f6c132b4622b74ca8e387ef8cb8b\
         f118168eb1";
    let written = preface::write(&some(), &key(), NOW);
    let hex: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, bytes);
}

#[test]
fn every_flipped_bit_is_refused() {
    for preface in [some(), long()] {
        let good = preface::write(&preface, &key(), NOW);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Whoever lengthens it must not get it read because more bytes came.
            bytes.extend([0; PREFACE_BYTES_MAX]);
            assert!(read(&bytes).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn every_shorter_one_is_refused_as_ended() {
    let good = preface::write(&long(), &key(), NOW);
    assert_eq!(good.len(), LONGEST);
    for length in 0..good.len() {
        assert!(matches!(read(&good[..length]), Err(PrefaceError::Io(_))), "{length}");
    }
}

#[test]
fn one_that_says_it_is_long_is_refused_at_its_head() {
    let mut bytes = preface::write(&some(), &key(), NOW);
    for length in [241_u16, 4_096, u16::MAX] {
        bytes[14..16].copy_from_slice(&length.to_be_bytes());
        let (read, left) = read_at(&bytes, NOW);
        assert!(matches!(read, Err(PrefaceError::TooLong)));
        assert_eq!(left, bytes.len() - 16, "nothing was taken beyond the head");
    }
}

#[test]
fn other_ways_of_the_proxy_protocol_are_not_ours() {
    let good = preface::write(&some(), &key(), NOW);
    // Local, version 1, UDP, sockets of files; and its text form.
    for (at, byte) in [(12, 0x20), (12, 0x11), (13, 0x12), (13, 0x31), (13, 0x00)] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        assert!(matches!(read(&bytes), Err(PrefaceError::Unknown)));
    }
    let text = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
    assert!(matches!(read(text), Err(PrefaceError::Unknown)));
}

#[test]
fn another_swarms_key_signs_nothing_here() {
    let other = LinkKey::parse("a key that two other machines have").unwrap();
    let bytes = preface::write(&some(), &other, NOW);
    assert!(matches!(read(&bytes), Err(PrefaceError::Forged)));
}

#[test]
fn clocks_may_differ_by_a_minute_and_no_more() {
    let bytes = preface::write(&some(), &key(), NOW);
    let age = i64::try_from(PREFACE_AGE_MAX.as_millis()).unwrap();
    for off in [-age, -1, 0, 1, age] {
        assert!(read_at(&bytes, NOW.plus_millis(off)).0.is_ok(), "{off}");
    }
    for now in [NOW.plus_millis(-age - 1), NOW.plus_millis(age + 1), Timestamp(i64::MIN)] {
        assert!(matches!(read_at(&bytes, now).0, Err(PrefaceError::Stale)), "{now:?}");
    }
    let farthest = preface::write(&some(), &key(), Timestamp(i64::MAX));
    assert!(matches!(read_at(&farthest, Timestamp(i64::MIN)).0, Err(PrefaceError::Stale)));
}

#[test]
fn a_client_of_ipv4_that_an_ipv6_listener_saw_is_one_of_ipv4() {
    let disguised = Preface { client: "[::ffff:203.0.113.9]:50000".parse().unwrap(), ..some() };
    assert_eq!(read(&preface::write(&disguised, &key(), NOW)).unwrap(), some());
}

#[tokio::test(start_paused = true)]
async fn a_slow_sender_is_not_waited_for() {
    let (mut router, mut cell) = tokio::io::duplex(64);
    let sender = tokio::spawn(async move {
        for byte in preface::write(&some(), &key(), NOW) {
            if router.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let began = tokio::time::Instant::now();
    let read = preface::read(&mut cell, &key(), NOW).await;
    assert!(matches!(read, Err(PrefaceError::Slow)), "{read:?}");
    assert_eq!(began.elapsed(), PREFACE_DEADLINE);
    drop(cell);
    sender.await.unwrap();
}
