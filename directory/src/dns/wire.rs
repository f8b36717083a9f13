//! The numbers and names of messages (RFC 1035, section 4). What is read and written here is little:
//! one question, and records that all begin with a pointer; so it is done by hand, without a step in
//! between that would take memory.

use std::net::IpAddr;

use protocol::HostName;

/// Bytes of a message's head.
pub(super) const HEAD_BYTES: usize = 12;
/// Bytes of a name, with the root's label.
pub(super) const NAME_BYTES_MAX: usize = 255;
/// Bytes of a label.
const LABEL_BYTES_MAX: usize = 63;

/// The root.
pub(super) const ROOT: &[u8] = &[0];

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(pub(super) u16);

impl Kind {
    pub(super) const A: Self = Self(1);
    pub(super) const NS: Self = Self(2);
    pub(super) const SOA: Self = Self(6);
    pub(super) const TXT: Self = Self(16);
    pub(super) const AAAA: Self = Self(28);
    pub(super) const SRV: Self = Self(33);
    pub(super) const OPT: Self = Self(41);
    pub(super) const SVCB: Self = Self(64);
    pub(super) const IXFR: Self = Self(251);
    pub(super) const AXFR: Self = Self(252);
    pub(super) const ANY: Self = Self(255);

    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::A,
            IpAddr::V6(_) => Self::AAAA,
        }
    }
}

/// The class of everything here…
pub(super) const INTERNET: u16 = 1;
/// …and of questions that leave it open.
pub(super) const ANY_CLASS: u16 = 255;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Code {
    #[default]
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
    BadVers = 16,
}

/// Appends a host's name. Every one fits: its labels have 63 bytes at most, and it has 253.
pub(super) fn put_host(out: &mut Vec<u8>, host: &HostName) {
    for label in host.as_str().split('.') {
        out.push(u8::try_from(label.len()).unwrap_or(0));
        out.extend_from_slice(label.as_bytes());
    }
    out.extend_from_slice(ROOT);
}

/// Appends a record's address.
pub(super) fn put_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
    }
}

/// Appends a number.
pub(super) fn put_u16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// Appends a number.
pub(super) fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// Takes the first label off a name; none at its end, or where it is none.
pub(super) fn split_label(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = name.split_first()?;
    let length = usize::from(*length);
    if !(1..=LABEL_BYTES_MAX).contains(&length) {
        return None;
    }
    rest.split_at_checked(length)
}
