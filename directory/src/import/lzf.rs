//! LZF, with which Redis compresses texts of more than 20 bytes.
//!
//! A byte below 32 says that so many and one more bytes follow as they are. Any other is a copy of
//! what came before: its upper three bits are the length less two, where 7 means that a byte with more
//! follows; its lower five and the next byte are the distance less one.

/// Appends what `packed` stands for; none if that is not exactly so many bytes.
pub(super) fn unpack(mut packed: &[u8], bytes: usize, out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    let end = start.checked_add(bytes)?;
    while let Some((control, rest)) = packed.split_first() {
        packed = rest;
        let control = usize::from(*control);
        if control < 32 {
            let (literal, rest) = packed.split_at_checked(control + 1)?;
            packed = rest;
            out.extend_from_slice(literal);
        } else {
            let (length, distance) = reference(control, &mut packed)?;
            let from = out.len().checked_sub(distance).filter(|from| *from >= start)?;
            // Byte by byte: a copy may run into what it writes.
            for at in from..from + length {
                out.push(*out.get(at)?);
            }
        }
        if out.len() > end {
            return None;
        }
    }
    (out.len() == end).then_some(())
}

fn reference(control: usize, packed: &mut &[u8]) -> Option<(usize, usize)> {
    let mut next = || {
        let (byte, rest) = packed.split_first()?;
        *packed = rest;
        Some(usize::from(*byte))
    };
    let length = match control >> 5 {
        7 => 7 + next()?,
        length => length,
    };
    Some((length + 2, ((control & 0x1f) << 8 | next()?) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(packed: &[u8], bytes: usize) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        unpack(packed, bytes, &mut out).map(|()| out.split_off(6))
    }

    #[test]
    fn what_is_repeated_is_written_again() {
        assert_eq!(unpacked(b"\x01ab", 2).as_deref(), Some(&b"ab"[..]));
        assert_eq!(unpacked(b"\x01ab\x60\x01", 7).as_deref(), Some(&b"abababa"[..]));
        assert_eq!(unpacked(b"\x00a\xe0\x02\x00", 12).as_deref(), Some(&[b'a'; 12][..]));
        assert_eq!(unpacked(b"", 0).as_deref(), Some(&b""[..]));
    }

    #[test]
    fn what_does_not_come_out_even_is_refused() {
        for packed in [&b"\x02ab"[..], b"\x01ab\x20", b"\x01ab\x20\x02", b"\x01ab\xe0", b"\x20\x00"]
        {
            for bytes in 0..300 {
                assert_eq!(unpacked(packed, bytes), None, "{packed:?}");
            }
        }
        assert_eq!(unpacked(b"\x01ab\x60\x01", 6), None);
        assert_eq!(unpacked(b"\x01ab\x60\x01", 8), None);
    }
}
