//! Sealing: a volume's key wrapped in its segments' headers, and records sealed under it.
//!
//! A record's associated data is its segment's binding and the checked part of its head. The binding
//! is a hash over the identity's name and the whole header, so it stands for identity, volume, epoch,
//! segment number and key; the head brings batch number, kind, and the chain before the record.
//! Nonces are random and 24 bytes wide: restores and several writers can't make them meet.

use std::io;
use std::ops::Range;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use protocol::{AtSign, Epoch, VolumeId};

use crate::format::{
    CHECKED_BYTES, HEAD_BYTES, Header, Kind, NONCE_BYTES, RecordHead, TAG_BYTES, WRAPPED_AT,
};
use crate::keyring::{Key, fill_random};

/// Bytes that are not what their seal says, or were sealed for another place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsealed;

/// What a record's head says beside what sealing fills in.
#[derive(Clone, Copy)]
pub(crate) struct Label {
    pub(crate) kind: Kind,
    pub(crate) settled: u32,
    pub(crate) seq: u64,
    pub(crate) previous: [u8; 16],
}

/// Seals and opens the records of one segment.
pub(crate) struct Sealer {
    cipher: XChaCha20Poly1305,
    binding: [u8; 32],
}

impl Sealer {
    pub(crate) fn new(key: &Key, header: &Header, name: &AtSign) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("warren storage segment binding v1");
        hasher.update(&header.encode()).update(name.bare().as_bytes());
        let cipher = XChaCha20Poly1305::new(key.bytes().into());
        Self { cipher, binding: hasher.finalize().into() }
    }

    /// Appends a sealed record to `out`.
    pub(crate) fn seal(&self, label: Label, body: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let too_large = |_| io::Error::other("a record beyond the format's limit");
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce)?;
        let head = RecordHead {
            body_bytes: u32::try_from(body.len()).map_err(too_large)?,
            kind: label.kind,
            settled: label.settled,
            seq: label.seq,
            previous: label.previous,
            nonce,
        };
        let encoded = head.encode();
        out.extend(encoded);
        let start = out.len();
        out.extend(body);
        let sealed = self.cipher.encrypt_inout_detached(
            &XNonce::from(nonce),
            &self.associated(&encoded),
            out.split_at_mut(start).1.into(),
        );
        out.extend(sealed.map_err(|_| io::Error::other("the cipher refused the record"))?);
        Ok(())
    }

    /// Opens a whole record in place; returns where its body stands in the clear.
    pub(crate) fn open(
        &self,
        head: &RecordHead,
        record: &mut [u8],
    ) -> Result<Range<usize>, Unsealed> {
        let (front, sealed) = record.split_at_mut_checked(HEAD_BYTES).ok_or(Unsealed)?;
        let body_bytes = sealed.len().checked_sub(TAG_BYTES).ok_or(Unsealed)?;
        let (body, tag) = sealed.split_at_mut_checked(body_bytes).ok_or(Unsealed)?;
        let tag = Tag::try_from(&*tag).map_err(|_| Unsealed)?;
        let front: &[u8; HEAD_BYTES] = (&*front).try_into().map_err(|_| Unsealed)?;
        self.cipher
            .decrypt_inout_detached(
                &XNonce::from(head.nonce),
                &self.associated(front),
                body.into(),
                &tag,
            )
            .map_err(|_| Unsealed)?;
        Ok(HEAD_BYTES..HEAD_BYTES + body_bytes)
    }

    fn associated(&self, head: &[u8; HEAD_BYTES]) -> [u8; 32 + CHECKED_BYTES] {
        let mut data = [0; 32 + CHECKED_BYTES];
        let (binding, checked) = data.split_at_mut(32);
        binding.copy_from_slice(&self.binding);
        checked.copy_from_slice(&head[..CHECKED_BYTES]);
        data
    }
}

/// Makes the header of a segment, with the volume's key wrapped in it.
pub(crate) fn wrap(
    wrapping: &Key,
    key: &Key,
    volume: VolumeId,
    name: &AtSign,
    epoch: Epoch,
    number: u32,
) -> io::Result<Header> {
    let mut nonce = [0; NONCE_BYTES];
    fill_random(&mut nonce)?;
    let mut header =
        Header { number, epoch, volume, nonce, wrapped: *key.bytes(), tag: [0; TAG_BYTES] };
    let associated = wrap_associated(&header, name);
    let tag = XChaCha20Poly1305::new(wrapping.bytes().into())
        .encrypt_inout_detached(
            &XNonce::from(nonce),
            &associated,
            header.wrapped.as_mut_slice().into(),
        )
        .map_err(|_| io::Error::other("the cipher refused the key"))?;
    header.tag = tag.into();
    Ok(header)
}

/// Takes the volume's key out of a header, which proves every byte of it.
pub(crate) fn unwrap(wrapping: &Key, header: &Header, name: &AtSign) -> Result<Key, Unsealed> {
    let mut key = zeroize::Zeroizing::new(header.wrapped);
    XChaCha20Poly1305::new(wrapping.bytes().into())
        .decrypt_inout_detached(
            &XNonce::from(header.nonce),
            &wrap_associated(header, name),
            key.as_mut_slice().into(),
            &Tag::from(header.tag),
        )
        .map_err(|_| Unsealed)?;
    Ok(Key::from_bytes(*key))
}

fn wrap_associated(header: &Header, name: &AtSign) -> Vec<u8> {
    let mut data = b"warren storage volume key v1".to_vec();
    data.extend(&header.encode()[..WRAPPED_AT]);
    data.extend(name.bare().as_bytes());
    data
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::format::{RecordParse, parse_record};

    fn alice() -> AtSign {
        AtSign::parse("@alice").unwrap()
    }

    fn header(key: &Key, name: &AtSign, epoch: u64, number: u32) -> Header {
        let wrapping = Key::from_bytes([1; 32]);
        let epoch = Epoch::from_number(epoch).unwrap();
        wrap(&wrapping, key, VolumeId::from_bytes([2; 16]), name, epoch, number).unwrap()
    }

    #[test]
    fn a_wrapped_key_opens_for_its_own_identity_and_master_only() {
        let key = Key::from_bytes([9; 32]);
        let header = header(&key, &alice(), 1, 1);
        let bob = AtSign::parse("@bob").unwrap();
        assert_eq!(unwrap(&Key::from_bytes([1; 32]), &header, &alice()).unwrap().bytes(), &[9; 32]);
        assert!(unwrap(&Key::from_bytes([1; 32]), &header, &bob).is_err());
        assert!(unwrap(&Key::from_bytes([3; 32]), &header, &alice()).is_err());
        assert!(!header.encode().windows(32).any(|window| window == [9; 32]));
    }

    #[test]
    fn a_record_opens_only_where_it_was_sealed_for() {
        let key = Key::from_bytes([9; 32]);
        let home = header(&key, &alice(), 1, 1);
        let label = Label { kind: Kind::Ops, settled: 0, seq: 1, previous: [0; 16] };
        let mut record = Vec::new();
        Sealer::new(&key, &home, &alice()).seal(label, b"body", &mut record).unwrap();
        let RecordParse::Done(head, _) = parse_record(&record) else { unreachable!() };

        let opens = |sealer: Sealer| {
            let mut copy = record.clone();
            sealer.open(&head, &mut copy).map(|range| copy[range].to_vec())
        };
        assert_eq!(opens(Sealer::new(&key, &home, &alice())), Ok(b"body".to_vec()));
        let bob = AtSign::parse("@bob").unwrap();
        for sealer in [
            Sealer::new(&key, &home, &bob),
            Sealer::new(&key, &header(&key, &alice(), 2, 1), &alice()),
            Sealer::new(&key, &header(&key, &alice(), 1, 2), &alice()),
            Sealer::new(&Key::from_bytes([8; 32]), &home, &alice()),
        ] {
            assert_eq!(opens(sealer), Err(Unsealed));
        }
    }
}
