//! The first 128 bytes of a segment.

use protocol::{Epoch, VolumeId};

use super::cursor::Cursor;

/// Length of a segment's header.
pub const HEADER_BYTES: usize = 128;

/// Where the wrapped key begins: everything before it is associated data of the wrapping.
pub(crate) const WRAPPED_AT: usize = 56;

const MAGIC: [u8; 8] = *b"wrnlog\r\n";
const VERSION: u32 = 1;

/// What a segment says of itself, unproven until its key is unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Number of the segment in its log, from 1.
    pub number: u32,
    /// The epoch whose writer made it.
    pub epoch: Epoch,
    /// The volume it belongs to.
    pub volume: VolumeId,
    /// Nonce of the wrapping.
    pub nonce: [u8; 24],
    /// The volume's key, sealed under the master key.
    pub wrapped: [u8; 32],
    /// Tag of the wrapping, which proves the whole header.
    pub tag: [u8; 16],
}

/// Why bytes are not a segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Fewer than [`HEADER_BYTES`].
    #[error("the segment's header is cut short")]
    Short,
    /// It does not begin as a segment does.
    #[error("this is not a segment of a log")]
    Magic,
    /// Written by a version of the format that this program does not know.
    #[error("the segment has format version {0}, this program knows version {VERSION}")]
    Version(u32),
    /// A field holds what no writer puts there.
    #[error("the segment's header holds an impossible value")]
    Value,
}

/// Reads a header off the front of bytes.
///
/// # Errors
/// [`HeaderError`] says what is wrong with them.
pub fn parse_header(bytes: &[u8]) -> Result<Header, HeaderError> {
    let bytes = bytes.get(..HEADER_BYTES).ok_or(HeaderError::Short)?;
    let mut cursor = Cursor(bytes);
    if cursor.array() != Some(MAGIC) {
        return Err(HeaderError::Magic);
    }
    match cursor.u32() {
        Some(VERSION) => {}
        version => return Err(version.map_or(HeaderError::Short, HeaderError::Version)),
    }
    parse_fields(cursor).ok_or(HeaderError::Value)
}

fn parse_fields(mut cursor: Cursor<'_>) -> Option<Header> {
    let number = cursor.u32().filter(|number| *number > 0)?;
    let epoch = Epoch::from_number(cursor.u64()?)?;
    let volume = VolumeId::from_bytes(cursor.array()?);
    cursor.array().filter(|reserved| *reserved == [0u8; 16])?;
    let (nonce, wrapped, tag) = (cursor.array()?, cursor.array()?, cursor.array()?);
    Some(Header { number, epoch, volume, nonce, wrapped, tag })
}

impl Header {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            if let Some(place) = bytes.get_mut(at..at + field.len()) {
                place.copy_from_slice(field);
            }
            at += field.len();
        };
        put(&MAGIC);
        put(&VERSION.to_le_bytes());
        put(&self.number.to_le_bytes());
        put(&self.epoch.number().to_le_bytes());
        put(self.volume.as_bytes());
        put(&[0; 16]);
        put(&self.nonce);
        put(&self.wrapped);
        put(&self.tag);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let volume = VolumeId::from_bytes([7; 16]);
        let (nonce, wrapped, tag) = ([1; 24], [2; 32], [3; 16]);
        Header { number: 4, epoch: Epoch::FIRST, volume, nonce, wrapped, tag }
    }

    #[test]
    fn a_header_survives_its_bytes() {
        assert_eq!(parse_header(&header().encode()), Ok(header()));
    }

    #[test]
    fn what_is_not_a_header_is_refused_with_its_reason() {
        let good = header().encode();
        let with = |at: usize, byte: u8| {
            let mut bytes = good;
            bytes[at] = byte;
            parse_header(&bytes)
        };
        assert_eq!(parse_header(&good[..127]), Err(HeaderError::Short));
        assert_eq!(with(0, b'x'), Err(HeaderError::Magic));
        assert_eq!(with(8, 2), Err(HeaderError::Version(2)));
        assert_eq!(with(12, 0), Err(HeaderError::Value), "number 0");
        assert_eq!(with(16, 0), Err(HeaderError::Value), "epoch 0");
        assert_eq!(with(40, 1), Err(HeaderError::Value), "reserved bytes");
    }
}
