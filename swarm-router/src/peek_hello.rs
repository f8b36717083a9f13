//! Whom a ClientHello asks for (RFC 8446, section 4.1.2; RFC 6066, section 3). Pure; nothing is
//! allocated, whatever the bytes are.
//!
//! A hello may be cut into any number of records, anywhere. It is read once it is whole: what is
//! half would be held by the server otherwise.

use protocol::HostLabel;

use crate::limits::HELLO_BYTES_MAX;

/// What the first bytes of a connection say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hello {
    /// It has not come whole yet.
    Incomplete,
    /// It asks for the host with this label.
    Label(HostLabel),
    /// It asks for another host, or for none.
    Other,
    /// It is no ClientHello, or a longer one than [`HELLO_BYTES_MAX`].
    Malformed,
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RECORD_HEAD_BYTES: usize = 5;
/// RFC 8446, section 5.1.
const RECORD_BYTES_MAX: usize = 1 << 14;
const RANDOM_BYTES: usize = 32;
const SESSION_BYTES_MAX: usize = 32;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
/// Of a host's name (RFC 1035, section 2.3.4).
const NAME_BYTES_MAX: usize = 253;

/// Reads a hello from the start of a connection.
#[must_use]
pub fn read_hello(bytes: &[u8]) -> Hello {
    let is_all = bytes.len() >= HELLO_BYTES_MAX;
    let bytes = bytes.get(..HELLO_BYTES_MAX).unwrap_or(bytes);
    match body_bytes(bytes) {
        Ok(count) => {
            let mut body = Body { parts: Parts { rest: bytes }, part: &[], left: 4 + count };
            hello(&mut body, count).unwrap_or(Hello::Malformed)
        }
        Err(Hello::Incomplete) if is_all => Hello::Malformed,
        Err(why) => why,
    }
}

/// How long the hello is, if it is there to its end.
fn body_bytes(bytes: &[u8]) -> Result<usize, Hello> {
    let mut parts = Parts { rest: bytes };
    // The type and three bytes of length may stand in records of their own.
    let (mut head, mut have) = ([0; 4], 0);
    let (mut wanted, mut promised) = (None, 0);
    loop {
        let part = parts.next()?;
        promised += part.length;
        for byte in part.bytes {
            if let Some(place) = head.get_mut(have) {
                *place = *byte;
            }
            have += 1;
        }
        if have > 0 && head[0] != CLIENT_HELLO {
            return Err(Hello::Malformed);
        }
        if wanted.is_none() && have >= head.len() {
            let [_, high, middle, low] = head;
            let count = u32::from_be_bytes([0, high, middle, low]) as usize;
            if count > HELLO_BYTES_MAX {
                return Err(Hello::Malformed);
            }
            wanted = Some(count);
        }
        match wanted {
            // Nothing may follow it in its last record, come yet or not.
            Some(count) if promised > head.len() + count => return Err(Hello::Malformed),
            Some(count) if have == head.len() + count => return Ok(count),
            _ if have < promised => return Err(Hello::Incomplete),
            _ => {}
        }
    }
}

/// The contents of records, one after the other.
#[derive(Clone, Copy)]
struct Parts<'a> {
    rest: &'a [u8],
}

struct Part<'a> {
    bytes: &'a [u8],
    /// Of the whole record, as far as it has come or not.
    length: usize,
}

impl<'a> Parts<'a> {
    fn next(&mut self) -> Result<Part<'a>, Hello> {
        // Garbage is known as such from its first bytes.
        let first =
            |at: usize, is_right: fn(u8) -> bool| self.rest.get(at).is_none_or(|b| is_right(*b));
        if !(first(0, |kind| kind == HANDSHAKE)
            && first(1, |major| major == 3)
            && first(2, |minor| minor <= 4))
        {
            return Err(Hello::Malformed);
        }
        let Some((head, rest)) = self.rest.split_first_chunk::<RECORD_HEAD_BYTES>() else {
            return Err(Hello::Incomplete);
        };
        let [_, _, _, high, low] = *head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 || length > RECORD_BYTES_MAX {
            return Err(Hello::Malformed);
        }
        let (bytes, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        self.rest = rest;
        Ok(Part { bytes, length })
    }
}

/// Reads across the seams of records. `left` counts what the part being read may still hold.
struct Body<'a> {
    parts: Parts<'a>,
    part: &'a [u8],
    left: usize,
}

/// The hello's parts do not fit into one another.
struct Unfit;

impl Body<'_> {
    fn byte(&mut self) -> Result<u8, Unfit> {
        self.left = self.left.checked_sub(1).ok_or(Unfit)?;
        loop {
            if let Some((byte, rest)) = self.part.split_first() {
                self.part = rest;
                return Ok(*byte);
            }
            self.part = self.parts.next().map_err(|_| Unfit)?.bytes;
            if self.part.is_empty() {
                return Err(Unfit);
            }
        }
    }

    fn skip(&mut self, count: usize) -> Result<(), Unfit> {
        self.left = self.left.checked_sub(count).ok_or(Unfit)?;
        let mut count = count;
        loop {
            match self.part.split_at_checked(count) {
                Some((_, rest)) => {
                    self.part = rest;
                    return Ok(());
                }
                None => count -= self.part.len(),
            }
            self.part = self.parts.next().map_err(|_| Unfit)?.bytes;
            if self.part.is_empty() {
                return Err(Unfit);
            }
        }
    }

    fn u16(&mut self) -> Result<u16, Unfit> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    /// A length of two bytes of what follows, which must be there.
    fn length(&mut self) -> Result<usize, Unfit> {
        let length = usize::from(self.u16()?);
        if length > self.left { Err(Unfit) } else { Ok(length) }
    }
}

fn hello(body: &mut Body<'_>, count: usize) -> Result<Hello, Unfit> {
    body.skip(4)?;
    debug_assert_eq!(body.left, count);
    // The version that everybody says: TLS 1.2, or an older one.
    if body.byte()? != 3 {
        return Err(Unfit);
    }
    body.skip(1 + RANDOM_BYTES)?;
    let session = usize::from(body.byte()?);
    if session > SESSION_BYTES_MAX {
        return Err(Unfit);
    }
    body.skip(session)?;
    let suites = body.length()?;
    if suites < 2 || suites % 2 != 0 {
        return Err(Unfit);
    }
    body.skip(suites)?;
    let compressions = usize::from(body.byte()?);
    if compressions == 0 {
        return Err(Unfit);
    }
    body.skip(compressions)?;
    if body.left == 0 {
        return Ok(Hello::Other);
    }
    if body.length()? != body.left {
        return Err(Unfit);
    }
    extensions(body)
}

fn extensions(body: &mut Body<'_>) -> Result<Hello, Unfit> {
    let mut found = None;
    while body.left > 0 {
        let (kind, length) = (body.u16()?, body.length()?);
        match kind {
            SERVER_NAME if found.is_some() => return Err(Unfit),
            SERVER_NAME => {
                let behind = body.left - length;
                found = Some(server_name(body)?);
                if body.left != behind {
                    return Err(Unfit);
                }
            }
            _ => body.skip(length)?,
        }
    }
    Ok(found.unwrap_or(Hello::Other))
}

/// A list with one name, as every client writes it.
fn server_name(body: &mut Body<'_>) -> Result<Hello, Unfit> {
    let list = body.length()?;
    let kind = body.byte()?;
    let length = body.length()?;
    if kind != HOST_NAME || length == 0 || list != 3 + length {
        return Err(Unfit);
    }
    let mut name = [0; NAME_BYTES_MAX];
    let Some(name) = name.get_mut(..length) else { return Err(Unfit) };
    for place in &mut *name {
        *place = body.byte()?;
    }
    Ok(label(name).map_or(Hello::Other, Hello::Label))
}

/// The label that a host's name begins with, if it is an identity's. Which domain is behind it is
/// between the client and the server's certificate.
fn label(name: &[u8]) -> Option<HostLabel> {
    let dot = name.iter().position(|byte| *byte == b'.')?;
    let (label, domain) = name.split_at_checked(dot)?;
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_domain = domain.len() > 1 && !domain.ends_with(b".") && domain.iter().all(is_host);
    if is_domain { HostLabel::read(label) } else { None }
}

#[cfg(test)]
mod tests;
