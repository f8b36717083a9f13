//! An RSA public key inside a DER SubjectPublicKeyInfo, which is how clients send theirs.

/// The algorithm identifier of RSA, without its parameters.
const RSA_ENCRYPTION: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// The PKCS#1 key (modulus and exponent) that the structure wraps; `None` where it wraps none.
pub(crate) fn rsa_public_key(spki: &[u8]) -> Option<&[u8]> {
    let (body, _) = element(spki, SEQUENCE)?;
    let (algorithm, rest) = element(body, SEQUENCE)?;
    if !algorithm.starts_with(RSA_ENCRYPTION) {
        return None;
    }
    let (bits, _) = element(rest, BIT_STRING)?;
    // The first byte counts unused bits at the end.
    bits.strip_prefix(&[0])
}

/// The content of the first element, which must have this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (length, rest) = length(rest)?;
    if found != tag {
        return None;
    }
    rest.split_at_checked(length)
}

fn length(der: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = der.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    if !(1..=4).contains(&digits.len()) {
        return None;
    }
    Some((digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_only_in_a_whole_rsa_structure() {
        let inner = [0x30, 0x03, 0x02, 0x01, 0x05];
        let mut algorithm = vec![0x30, 0x0d];
        algorithm.extend_from_slice(RSA_ENCRYPTION);
        algorithm.extend_from_slice(&[0x05, 0x00]);
        let mut body = algorithm.clone();
        body.extend_from_slice(&[0x03, 0x06, 0x00]);
        body.extend_from_slice(&inner);
        let mut spki = vec![0x30, u8::try_from(body.len()).unwrap_or(0)];
        spki.extend_from_slice(&body);
        assert_eq!(rsa_public_key(&spki), Some(&inner[..]));
        for cut in 0..spki.len() {
            assert_eq!(rsa_public_key(&spki[..cut]), None, "{cut} bytes");
        }
        spki[8] ^= 1;
        assert_eq!(rsa_public_key(&spki), None, "another algorithm");
        assert_eq!(
            rsa_public_key(&[0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
            None,
            "9 length bytes"
        );
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_client_sends_for_a_key_is_read_or_refused(bytes: Vec<u8>, cut in 0_usize..40) {
            let mut der = vec![0x30, 0x80 | u8::try_from(cut % 6).unwrap_or(0)];
            der.extend_from_slice(&bytes);
            for candidate in [&bytes, &der] {
                let found = rsa_public_key(candidate);
                assert!(found.is_none_or(|key| key.len() < candidate.len()));
            }
        }
    }
}
