//! A preface's bytes: version 2 of the PROXY protocol, with three fields of our own.
//!
//! ```text
//! 12 signature │ 1 version, command │ 1 family │ 2 length of the rest
//! client's address, nobody's address, client's port, nobody's port
//! E0 0016 volume │ E1 0008 when it was sent │ E2 0032 MAC over all before these 32 bytes
//! ```
//!
//! Fields that are not ours are passed over, so that a router may be newer than a cell; the MAC is
//! always the last one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use protocol::{Timestamp, VolumeId};

use super::{LinkKey, Preface, PrefaceError};
use crate::limits::{PREFACE_AGE_MAX, PREFACE_BYTES_MAX};

/// What every preface begins with: 16 bytes, the last two of which say how many follow.
pub(super) const HEAD_BYTES: usize = 16;
pub(super) const MAC_BYTES: usize = 32;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, on behalf of a client.
const VERSION_COMMAND: u8 = 0x21;
const TCP_OVER_V4: u8 = 0x11;
const TCP_OVER_V6: u8 = 0x21;

const VOLUME: u8 = 0xe0;
const SENT: u8 = 0xe1;
const MAC: u8 = 0xe2;
/// What stands before the MAC itself.
const MAC_FIELD: [u8; 3] = [MAC, 0, 32];

pub(super) fn encode(preface: &Preface, key: &LinkKey, now: Timestamp) -> Vec<u8> {
    // A listener of IPv6 shows clients of IPv4 in disguise.
    let (ip, port) = (preface.client.ip().to_canonical(), preface.client.port());
    let mut rest = Vec::with_capacity(PREFACE_BYTES_MAX);
    let family = match ip {
        IpAddr::V4(v4) => {
            rest.extend([v4.octets(), [0; 4]].concat());
            TCP_OVER_V4
        }
        IpAddr::V6(v6) => {
            rest.extend([v6.octets(), [0; 16]].concat());
            TCP_OVER_V6
        }
    };
    rest.extend(port.to_be_bytes());
    rest.extend([0; 2]);
    field(&mut rest, VOLUME, preface.volume.as_bytes());
    field(&mut rest, SENT, &now.0.to_be_bytes());
    rest.extend(MAC_FIELD);

    let length = u16::try_from(rest.len() + MAC_BYTES).unwrap_or(u16::MAX);
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([VERSION_COMMAND, family]);
    bytes.extend(length.to_be_bytes());
    bytes.append(&mut rest);
    let mac = key.sign(&bytes);
    bytes.extend(mac);
    bytes
}

fn field(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) {
    bytes.push(kind);
    bytes.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(value);
}

/// How many bytes follow the head.
pub(super) fn length_after(head: &[u8; HEAD_BYTES]) -> Result<usize, PrefaceError> {
    let [signature @ .., command, family, high, low] = head;
    let is_known = *command == VERSION_COMMAND && [TCP_OVER_V4, TCP_OVER_V6].contains(family);
    if *signature != SIGNATURE || !is_known {
        return Err(PrefaceError::Unknown);
    }
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    match length <= PREFACE_BYTES_MAX - HEAD_BYTES {
        true => Ok(length),
        false => Err(PrefaceError::TooLong),
    }
}

/// Reads a whole preface. Nothing is looked at before its MAC is.
pub(super) fn decode(bytes: &[u8], key: &LinkKey, now: Timestamp) -> Result<Preface, PrefaceError> {
    let (signed, mac) = bytes.split_last_chunk::<MAC_BYTES>().ok_or(PrefaceError::Forged)?;
    if !key.has_signed(signed, mac) {
        return Err(PrefaceError::Forged);
    }
    let rest = signed.strip_suffix(&MAC_FIELD).ok_or(PrefaceError::Malformed)?;
    let (head, rest) = rest.split_first_chunk::<HEAD_BYTES>().ok_or(PrefaceError::Malformed)?;
    let [.., family, _, _] = head;
    let (client, fields) = client(*family, rest).ok_or(PrefaceError::Malformed)?;
    let (volume, sent) = read_fields(fields).ok_or(PrefaceError::Malformed)?;
    if u128::from(now.0.abs_diff(sent.0)) > PREFACE_AGE_MAX.as_millis() {
        return Err(PrefaceError::Stale);
    }
    Ok(Preface { client, volume })
}

fn client(family: u8, rest: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (ip, rest): (IpAddr, _) = match family {
        TCP_OVER_V4 => {
            let ([a, b, c, d, ..], rest) = rest.split_first_chunk::<8>()?;
            (Ipv4Addr::new(*a, *b, *c, *d).into(), rest)
        }
        TCP_OVER_V6 => {
            let (address, rest) = rest.split_first_chunk::<16>()?;
            (Ipv6Addr::from(*address).into(), rest.split_first_chunk::<16>()?.1)
        }
        _ => return None,
    };
    let ([high, low, _, _], rest) = rest.split_first_chunk::<4>()?;
    Some((SocketAddr::new(ip, u16::from_be_bytes([*high, *low])), rest))
}

/// Each of ours must be there once.
fn read_fields(mut rest: &[u8]) -> Option<(VolumeId, Timestamp)> {
    let (mut volume, mut sent) = (None, None);
    while let Some(([kind, high, low], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, after) = after.split_at_checked(length)?;
        let is_again = match *kind {
            VOLUME => volume.replace(VolumeId::from_bytes(value.try_into().ok()?)).is_some(),
            SENT => sent.replace(Timestamp(i64::from_be_bytes(value.try_into().ok()?))).is_some(),
            kind => kind == MAC,
        };
        if is_again {
            return None;
        }
        rest = after;
    }
    if rest.is_empty() { volume.zip(sent) } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn key() -> LinkKey {
        LinkKey::parse("a key that two machines have, and nobody else").unwrap()
    }

    fn some() -> Preface {
        let client = "203.0.113.9:50000".parse().unwrap();
        Preface { client, volume: VolumeId::from_bytes([7; 16]) }
    }

    /// What comes after the addresses and before the MAC, as `change` leaves it, signed anew.
    fn resigned(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = encode(&some(), &key(), NOW);
        bytes.truncate(bytes.len() - MAC_BYTES - MAC_FIELD.len());
        let mut fields = bytes.split_off(HEAD_BYTES + 12);
        change(&mut fields);
        bytes.extend(fields);
        bytes.extend(MAC_FIELD);
        let mac = key().sign(&bytes);
        bytes.extend(mac);
        bytes
    }

    #[test]
    fn fields_of_others_are_passed_over_and_ours_may_stand_in_any_order() {
        let bytes = resigned(|fields| {
            fields.rotate_left(19);
            field(fields, 0x04, b"nothing");
            field(fields, 0xea, b"");
        });
        assert_eq!(decode(&bytes, &key(), NOW).unwrap(), some());
    }

    #[test]
    fn a_field_that_is_missing_doubled_or_of_another_size_is_refused() {
        let changes: [fn(&mut Vec<u8>); 9] = [
            |fields| fields.clear(),
            |fields| fields.truncate(19),
            |fields| drop(fields.drain(..19)),
            |fields| field(fields, VOLUME, &[7; 16]),
            |fields| field(fields, SENT, &NOW.0.to_be_bytes()),
            |fields| field(fields, MAC, &[0; 32]),
            |fields| {
                fields.truncate(19);
                field(fields, SENT, &[0; 7]);
            },
            |fields| fields.extend([0x04, 0xff, 0xff, 0]),
            |fields| fields.push(0x04),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let read = decode(&resigned(change), &key(), NOW);
            assert!(matches!(read, Err(PrefaceError::Malformed)), "{index}: {read:?}");
        }
    }

    proptest! {
        #[test]
        fn signed_garbage_is_refused_without_a_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..PREFACE_BYTES_MAX), with_field: bool,
        ) {
            if with_field {
                bytes.extend(MAC_FIELD);
            }
            let mac = key().sign(&bytes);
            bytes.extend(mac);
            prop_assert!(matches!(decode(&bytes, &key(), NOW), Err(PrefaceError::Malformed)));
        }
    }
}
