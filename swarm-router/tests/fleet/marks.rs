//! Bytes that say whose they are and where in her stream they stand.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes that are written and read at once.
const PIECE: usize = 32 * 1024;

/// The sequence of one stream. Two streams are alike nowhere.
pub struct Marks {
    of: u64,
    at: u64,
}

impl Marks {
    pub fn new(of: u64) -> Self {
        Self { of, at: 0 }
    }

    /// The next bytes: eight each say the stream and the place.
    fn fill(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let (number, within) = (self.at / 8, (self.at % 8) as usize);
            let word = mix(self.of.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            let word = &word.to_be_bytes()[within..];
            let (now, later) = bytes.split_at_mut(word.len().min(bytes.len()));
            now.copy_from_slice(&word[..now.len()]);
            self.at += now.len() as u64;
            bytes = later;
        }
    }

    /// Writes the first `length` of them.
    pub async fn write(
        mut self,
        to: &mut (impl AsyncWrite + Unpin),
        length: u64,
    ) -> io::Result<()> {
        let mut bytes = vec![0; PIECE.min(length as usize)];
        while self.at < length {
            let piece = (length - self.at).min(bytes.len() as u64) as usize;
            self.fill(&mut bytes[..piece]);
            to.write_all(&bytes[..piece]).await?;
        }
        Ok(())
    }

    /// Reads the first `length` of them, and nothing of what follows.
    pub async fn read(mut self, from: &mut (impl AsyncRead + Unpin), length: u64) -> Heard {
        let piece = PIECE.min(length as usize);
        let (mut bytes, mut wanted) = (vec![0; piece], vec![0; piece]);
        while self.at < length {
            let piece = (length - self.at).min(bytes.len() as u64) as usize;
            let Ok(read @ 1..) = from.read(&mut bytes[..piece]).await else { return Heard::Part };
            self.fill(&mut wanted[..read]);
            if bytes[..read] != wanted[..read] {
                return Heard::Others;
            }
        }
        Heard::All
    }
}

/// What was heard of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    All,
    /// It ended too early, or broke.
    Part,
    /// Bytes that are none of it.
    Others,
}

/// Every bit of the word depends on every bit of the seed.
fn mix(seed: u64) -> u64 {
    let mut word = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// What a client wants: it is what she says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Nobody else has it.
    pub number: u64,
    pub server: u8,
    /// Bytes from her, and to her.
    pub up: u64,
    pub down: u64,
    /// The server ends its half before it has heard her out.
    pub half_closes: bool,
}

impl Question {
    /// Most are short, and some are long enough for whatever long ones get.
    pub fn number(number: u64, servers: u8) -> Self {
        let chance = mix(number);
        let long = |bits: u64| if bits == 0 { 400_000 } else { 3_000 };
        Self {
            number,
            server: (chance % u64::from(servers)) as u8,
            up: (chance >> 8) % long(chance >> 4 & 0x3f) + 1,
            down: (chance >> 32) % long(chance >> 26 & 0x3f) + 1,
            half_closes: chance >> 63 == 1,
        }
    }

    pub fn of_client(&self) -> u64 {
        mix(self.number.wrapping_mul(2))
    }

    pub fn of_server(&self) -> u64 {
        mix(self.number.wrapping_mul(2) + 1)
    }

    pub async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let mut bytes = Vec::new();
        bytes.extend(self.number.to_be_bytes());
        bytes.extend([self.server, u8::from(self.half_closes)]);
        bytes.extend(self.up.to_be_bytes());
        bytes.extend(self.down.to_be_bytes());
        to.write_all(&bytes).await
    }

    /// None if it does not come.
    pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let number = from.read_u64().await.ok()?;
        let (server, half_closes) = (from.read_u8().await.ok()?, from.read_u8().await.ok()? == 1);
        let (up, down) = (from.read_u64().await.ok()?, from.read_u64().await.ok()?);
        Some(Self { number, server, up, down, half_closes })
    }
}
