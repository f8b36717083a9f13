//! What happens, read from bytes: so that the same machine plays what a fuzzer mutates and what a
//! property test draws. Every string of bytes is a script.

use std::time::Duration;

use crate::model::{OWNER, PEER};

/// Connections beside the auditor's.
pub const LINES: usize = 4;

/// One thing that happens.
#[derive(Debug)]
pub enum Step {
    /// These bytes are sent, a line end behind them.
    Send {
        line: usize,
        bytes: Vec<u8>,
        is_made_up: bool,
    },
    /// The owner proves herself.
    Cram {
        line: usize,
        how: Proof,
    },
    Pkam {
        line: usize,
        how: Proof,
    },
    /// The peer's server proves itself.
    Pol {
        line: usize,
        how: Proof,
    },
    /// Time goes by.
    Wait(Duration),
    /// The client leaves, and comes back when it is needed.
    Leave(usize),
    /// The server ends and is opened anew.
    Restart,
}

/// How well somebody proves who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    Right,
    Wrong,
    /// Right, and after the challenge has lost its worth.
    Late,
}

/// The bytes of a script.
pub struct Script<'a> {
    bytes: &'a [u8],
    tokens: u32,
}

/// What stands more than once comes more often.
const SCOPES: [&str; 16] = [
    "",
    "",
    "",
    "public:",
    "public:",
    "public:",
    "@bob:",
    "@bob:",
    "@bob:",
    "@carol:",
    "@alice:",
    "private:",
    "cached:public:",
    "cached:@alice:",
    "local:",
    "privatekey:",
];
const ENTITIES: [&str; 16] = [
    "a",
    "a",
    "a",
    "a",
    "a",
    "b.ns",
    "b.ns",
    "b.ns",
    "_h",
    "__hh",
    "publickey",
    "shared_key",
    "signing_publickey",
    "c",
    "at_secret",
    "at_pkam_publickey",
];
const OWNERS: [&str; 16] = [
    OWNER, OWNER, OWNER, OWNER, OWNER, OWNER, OWNER, OWNER, OWNER, OWNER, OWNER, OWNER, OWNER,
    PEER, "@carol", "",
];
const PROJECTIONS: [&str; 4] = ["", "meta:", "all:", "bypassCache:true:all:"];
const METADATA: [&str; 12] = [
    "",
    "",
    "",
    "ttl:1000:",
    "ttl:90000:",
    "ttb:60000:",
    "ttr:60:ccd:true:",
    "ttl:0:",
    "isEncrypted:true:",
    "ttb:1000:ttl:1000:",
    "ttr:-1:",
    "dataSignature:x:",
];
const WAITS: [u64; 6] = [1, 2, 61, 200, 3_700, 7_200];

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, tokens: 0 }
    }

    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(first)
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        let byte = usize::from(self.byte()?);
        Some(choices[byte % choices.len()])
    }

    /// The next step; none at the end.
    pub fn step(&mut self) -> Option<Step> {
        let kind = self.byte()?;
        let line = usize::from(kind >> 5) % LINES;
        Some(match kind % 32 {
            0 | 1 => Step::Cram { line, how: self.proof()? },
            2 | 3 => Step::Pkam { line, how: self.proof()? },
            4 | 5 => Step::Pol { line, how: self.proof()? },
            6 => Step::Wait(Duration::from_secs(self.one_of(&WAITS)?)),
            7 => Step::Leave(line),
            8 => match self.byte()? {
                byte if byte % 4 == 0 => Step::Restart,
                byte => self.long(line, byte),
            },
            9 | 10 => self.raw(line)?,
            11 | 12 => self.bent(line)?,
            13 => self.several(line)?,
            _ => Step::Send { line, bytes: self.command()?.into_bytes(), is_made_up: false },
        })
    }

    fn proof(&mut self) -> Option<Proof> {
        self.one_of(&[Proof::Wrong, Proof::Right, Proof::Right, Proof::Late, Proof::Right])
    }

    /// Bytes as they are.
    fn raw(&mut self, line: usize) -> Option<Step> {
        let length = usize::from(self.byte()?).min(self.bytes.len());
        let (bytes, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        Some(Step::Send { line, bytes: bytes.to_vec(), is_made_up: true })
    }

    /// Longer than what a stranger may send, or almost.
    fn long(&mut self, line: usize, byte: u8) -> Step {
        let bytes = b"x".repeat(16 * 1024 - 2 + usize::from(byte));
        Step::Send { line, bytes, is_made_up: false }
    }

    /// A command with a byte changed, put in or left out.
    fn bent(&mut self, line: usize) -> Option<Step> {
        let mut bytes = self.command()?.into_bytes();
        let (how, byte) = (self.byte()?, self.byte()?);
        let at = usize::from(self.byte()?) % bytes.len().max(1);
        match how % 3 {
            0 if !bytes.is_empty() => bytes[at] = byte,
            1 if !bytes.is_empty() => drop(bytes.remove(at)),
            _ => bytes.insert(at, byte),
        }
        Some(Step::Send { line, bytes, is_made_up: true })
    }

    /// Commands in one write.
    fn several(&mut self, line: usize) -> Option<Step> {
        let count = self.byte()? % 4 + 2;
        let commands: Option<Vec<String>> = (0..count).map(|_| self.command()).collect();
        Some(Step::Send { line, bytes: commands?.join("\n").into_bytes(), is_made_up: false })
    }

    fn command(&mut self) -> Option<String> {
        Some(match self.byte()? % 24 {
            0..=4 => {
                let (metadata, key) = (self.one_of(&METADATA)?, self.key()?);
                format!("update:{metadata}{key} {}", self.value()?)
            }
            5 => {
                let (key, metadata) = (self.key()?, self.one_of(&METADATA)?);
                format!("update:meta:{key}:{}", metadata.trim_end_matches(':'))
            }
            6 | 7 => format!("delete:{}", self.key()?),
            8 | 9 => format!("llookup:{}{}", self.one_of(&PROJECTIONS)?, self.key()?),
            10 | 11 => format!("lookup:{}{}", self.one_of(&PROJECTIONS)?, self.name()?),
            12 => format!("plookup:{}{}", self.one_of(&PROJECTIONS)?, self.name()?),
            13 => self
                .one_of(&["scan", "scan:showHidden:true", "scan a", "scan:@bob", "scan ("])?
                .to_owned(),
            14 | 15 => self.notify()?,
            16 => self
                .one_of(&[
                    "notify:list",
                    "notify:list .*",
                    "notify:status:n1",
                    "notify:fetch:n1",
                    "notify:remove:n1",
                ])?
                .to_owned(),
            17 => self.one_of(&["monitor", "monitor:strict a", "monitor ("])?.to_owned(),
            18 => {
                self.one_of(&["info", "info:brief", "noop:0", "noop:1000", "noop:5001"])?.to_owned()
            }
            19 => self
                .one_of(&[
                    "from:@alice",
                    "from:@bob",
                    "from:@carol",
                    "from:@alice:clientConfig:{\"version\":\"3.0.60\"}",
                ])?
                .to_owned(),
            20 => self.one_of(&["pol", "cram:00", "pkam:AAAA", "pkam:%"])?.to_owned(),
            21 => self
                .one_of(&[
                    "",
                    "@exit",
                    "stats",
                    "config:block:show",
                    "sync:from:-1",
                    "otp:get",
                    "enroll:list",
                    "keys:get:self",
                    "batch:[]",
                    "notify:all:@bob,@carol:x",
                ])?
                .to_owned(),
            22 => "x".repeat(1 + usize::from(self.byte()?)),
            _ => "delete:privatekey:at_secret".to_owned(),
        })
    }

    fn key(&mut self) -> Option<String> {
        Some(format!("{}{}", self.one_of(&SCOPES)?, self.name()?))
    }

    fn name(&mut self) -> Option<String> {
        Some(format!("{}{}", self.one_of(&ENTITIES)?, self.one_of(&OWNERS)?))
    }

    /// Never the same twice, but for references and short ones.
    fn value(&mut self) -> Option<String> {
        self.tokens += 1;
        Some(match self.byte()? % 8 {
            0 => format!("atsign://{}", self.name()?),
            1 => "data:x".to_owned(),
            _ => format!("token{:07}", self.tokens),
        })
    }

    fn notify(&mut self) -> Option<String> {
        let options = self.one_of(&[
            "",
            "update:",
            "delete:",
            "id:n1:",
            "id:n1:update:",
            "messageType:text:",
            "update:ttr:60:ccd:true:",
            "strategy:latest:notifier:n:",
            "ttln:1000:",
        ])?;
        let target = self.one_of(&["@alice:", "@bob:", "@carol:", "public:"])?;
        let (name, value) = (self.name()?, self.value()?);
        Some(format!("notify:{options}{target}{name}:{value}"))
    }
}
