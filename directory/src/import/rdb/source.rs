//! The bytes of a dump, and what stands in them: lengths and texts.

use std::io::{self, BufRead};

use super::RdbError;
use crate::import::{crc64, lzf};
use crate::limits::IMPORT_TEXT_BYTES_MAX;

/// A dump that is being read.
pub(super) struct Source<R> {
    inner: R,
    /// The checksum of what was read.
    crc: u64,
    /// How much was read.
    at: u64,
}

/// A length, or how a text is written instead.
enum Length {
    Bytes(u64),
    /// A number of so many bytes.
    Number(usize),
    Compressed,
}

impl<R: BufRead> Source<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, crc: 0, at: 0 }
    }

    pub(super) fn damaged(&self, what: &'static str) -> RdbError {
        RdbError::Damaged { at: self.at, what }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, RdbError> {
        self.array().map(|[byte]| byte)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RdbError> {
        self.inner.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("it ends too early"),
            _ => RdbError::Io(error),
        })?;
        self.crc = crc64::add(self.crc, bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Passes over so many bytes.
    pub(super) fn skip(&mut self, mut bytes: u64) -> Result<(), RdbError> {
        while bytes > 0 {
            let there = match self.inner.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                there => there?,
            };
            if there.is_empty() {
                return Err(self.damaged("it ends too early"));
            }
            let count = there.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            self.crc = crc64::add(self.crc, there.get(..count).unwrap_or_default());
            self.inner.consume(count);
            self.at += count as u64;
            bytes -= count as u64;
        }
        Ok(())
    }

    /// A plain length or count.
    pub(super) fn length(&mut self) -> Result<u64, RdbError> {
        match self.any_length()? {
            Length::Bytes(length) => Ok(length),
            _ => Err(self.damaged("a length is none")),
        }
    }

    fn any_length(&mut self) -> Result<Length, RdbError> {
        let first = self.byte()?;
        Ok(match (first >> 6, first) {
            (0, short) => Length::Bytes(u64::from(short)),
            (1, high) => Length::Bytes(u64::from(u16::from_be_bytes([high & 0x3f, self.byte()?]))),
            (2, 0x80) => Length::Bytes(u64::from(u32::from_be_bytes(self.array()?))),
            (2, 0x81) => Length::Bytes(u64::from_be_bytes(self.array()?)),
            (_, 0xc0) => Length::Number(1),
            (_, 0xc1) => Length::Number(2),
            (_, 0xc2) => Length::Number(4),
            (_, 0xc3) => Length::Compressed,
            _ => return Err(self.damaged("a length is written in an unknown way")),
        })
    }

    /// Reads a text; false, and it is passed over, if it is longer than anything that is of use.
    pub(super) fn text(&mut self, out: &mut Vec<u8>) -> Result<bool, RdbError> {
        out.clear();
        match self.any_length()? {
            Length::Bytes(bytes) => self.plain(bytes, out),
            Length::Number(bytes) => {
                let number = self.number(bytes)?;
                out.extend_from_slice(number.to_string().as_bytes());
                Ok(true)
            }
            Length::Compressed => self.compressed(out),
        }
    }

    fn plain(&mut self, bytes: u64, out: &mut Vec<u8>) -> Result<bool, RdbError> {
        match short(bytes) {
            Some(bytes) => {
                out.resize(bytes, 0);
                self.fill(out).map(|()| true)
            }
            None => self.skip(bytes).map(|()| false),
        }
    }

    fn number(&mut self, bytes: usize) -> Result<i32, RdbError> {
        Ok(match bytes {
            1 => i32::from(i8::from_le_bytes(self.array()?)),
            2 => i32::from(i16::from_le_bytes(self.array()?)),
            _ => i32::from_le_bytes(self.array()?),
        })
    }

    fn compressed(&mut self, out: &mut Vec<u8>) -> Result<bool, RdbError> {
        let (packed, bytes) = (self.length()?, self.length()?);
        // What is compressed is shorter than what it stands for.
        let (Some(packed), Some(bytes)) = (short(packed), short(bytes)) else {
            return self.skip(packed).map(|()| false);
        };
        let mut there = vec![0; packed];
        self.fill(&mut there)?;
        match lzf::unpack(&there, bytes, out) {
            Some(()) => Ok(true),
            None => Err(self.damaged("a compressed text is none")),
        }
    }

    /// Passes over a text.
    pub(super) fn skip_text(&mut self) -> Result<(), RdbError> {
        let bytes = match self.any_length()? {
            Length::Bytes(bytes) => bytes,
            Length::Number(bytes) => bytes as u64,
            Length::Compressed => {
                let packed = self.length()?;
                self.length()?;
                packed
            }
        };
        self.skip(bytes)
    }

    /// Checks that this was all, and, where there is a checksum, that it is right.
    pub(super) fn end(mut self, has_checksum: bool) -> Result<(), RdbError> {
        let crc = self.crc;
        if has_checksum {
            let wanted = u64::from_le_bytes(self.array()?);
            // Redis writes 0 where it was told not to make one.
            if wanted != 0 && wanted != crc {
                return Err(RdbError::Checksum);
            }
        }
        match self.inner.fill_buf()?.is_empty() {
            true => Ok(()),
            false => Err(self.damaged("something stands behind its end")),
        }
    }
}

fn short(bytes: u64) -> Option<usize> {
    usize::try_from(bytes).ok().filter(|bytes| *bytes <= IMPORT_TEXT_BYTES_MAX)
}
