//! What happens, read from bytes: so that the same machine plays what a fuzzer mutates and what a
//! property test draws. Every string of bytes is a script.

use std::time::Duration;

use crate::model::{OWNER, PEER};
use crate::world::keys;

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
    /// Somebody asks to be enrolled, comes with what the owner made of that, and does these.
    Enrol {
        line: usize,
        request: String,
        fate: Fate,
        commands: Vec<String>,
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

/// What becomes of a request to be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Pending,
    Approved,
    Denied,
    Revoked,
    Restored,
}

/// Stands for the passcode that was drawn last.
pub const PASSCODE: &str = "<otp>";
/// With a digit and `>` behind it, for the id of one of the last enrolments.
pub const ID: &str = "<id";

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

const FATES: [Fate; 8] = [
    Fate::Approved,
    Fate::Approved,
    Fate::Approved,
    Fate::Approved,
    Fate::Restored,
    Fate::Pending,
    Fate::Denied,
    Fate::Revoked,
];
const NAMESPACES: [&str; 10] = [
    r#""ns":"r""#,
    r#""ns":"rw""#,
    r#""ns":"rw""#,
    r#""ns":"r","*":"rw""#,
    r#""*":"r""#,
    r#""*":"rw""#,
    r#""__manage":"rw","ns":"rw""#,
    r#""__manage":"r""#,
    r#""__manage":"rw","*":"rw""#,
    "",
];

impl Fate {
    /// What the owner says.
    pub fn decisions(self) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Pending => &[],
            Self::Approved => &["approve"],
            Self::Denied => &["deny"],
            Self::Revoked => &["approve", "revoke"],
            Self::Restored => &["approve", "revoke", "unrevoke"],
        };
        words.iter().map(|word| decision(word, 0)).collect()
    }
}

/// About one of the last enrolments; each gets the same keys.
fn decision(word: &str, back: usize) -> String {
    let keys = r#""encryptedDefaultEncryptionPrivateKey":"token9100001","encryptedDefaultSelfEncryptionKey":"token9100002""#;
    format!(r#"enroll:{word}:{{"enrollmentId":"{ID}{back}>",{keys}}}"#)
}

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
            26 | 27 => {
                let fate = self.one_of(&FATES)?;
                let (request, count) = (self.newcomer()?, self.byte()? % 8 + 2);
                let commands: Option<_> = (0..count).map(|_| self.some()).collect();
                Step::Enrol { line, request, fate, commands: commands? }
            }
            28..=31 => Step::Send { line, bytes: self.errand()?.into_bytes(), is_made_up: false },
            _ => Step::Send { line, bytes: self.command()?.into_bytes(), is_made_up: false },
        })
    }

    fn proof(&mut self) -> Option<Proof> {
        self.one_of(&[Proof::Wrong, Proof::Right, Proof::Right, Proof::Late, Proof::Right])
    }

    /// Bytes as they are.
    fn raw(&mut self, line: usize) -> Option<Step> {
        let length = usize::from(self.byte()? % 64).min(self.bytes.len());
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
            21 => self.errand()?,
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

    /// What a client asks for beside keys and notifications.
    fn errand(&mut self) -> Option<String> {
        Some(match self.byte()? % 32 {
            0..=4 => {
                let after = self.one_of(&["-1", "0", "3", "8", "12", "17", "25", "900", "x"])?;
                let limit = self.one_of(&["25", "25", "1", "3", "0", "1000", "x"])?;
                let regex = self.one_of(&["", "", "", "", ":ns", ":("])?;
                format!("sync:from:{after}:limit:{limit}{regex}")
            }
            5..=7 => self
                .one_of(&["stats:3", "stats:3", "stats:15", "stats:3:ns", "stats", "stats:99"])?
                .to_owned(),
            8..=10 => self.batch()?,
            11 | 12 => {
                let operation = self.one_of(&["add", "add", "remove", "show", "bless"])?;
                let names = self.one_of(&["@bob", "@bob @carol", "@carol", "@alice", "bob", ""])?;
                format!("config:block:{operation}:{names}")
            }
            13 => self.one_of(&["config:block:show", "config:set:a=1", "config:block"])?.to_owned(),
            14 | 15 => {
                let options = self.one_of(&["", "update:", "messageType:text:", "ttr:60:"])?;
                let names =
                    self.one_of(&["@bob,@carol", "@bob", "@alice,@bob", "@bob,@bob", ""])?;
                format!("notify:all:{options}{names}:{}:{}", self.name()?, self.value()?)
            }
            16 | 17 => {
                let code = ["get", "get:ttl:1000", "put:abc123", "put:abc123:ttl:2000", "put:a"];
                format!("otp:{}", self.one_of(&code)?)
            }
            18..=20 => self.request()?,
            21..=24 => {
                let word =
                    ["approve", "deny", "revoke", "revoke:force", "unrevoke", "delete", "fetch"];
                let back = self.byte()? % 4;
                decision(self.one_of(&word)?, usize::from(back))
            }
            25 => self
                .one_of(&[
                    "enroll:list",
                    r#"enroll:list:{"enrollmentStatusFilter":["pending","denied"]}"#,
                    "enroll:list:{",
                ])?
                .to_owned(),
            26 => format!("pkam:enrollmentId:{ID}{}>:AAAA", self.byte()? % 4),
            _ => self.keys()?,
        })
    }

    /// An errand as often as another command.
    fn some(&mut self) -> Option<String> {
        if self.byte()? % 2 == 0 { self.errand() } else { self.command() }
    }

    fn batch(&mut self) -> Option<String> {
        let count = self.byte()? % 5;
        let commands: Option<Vec<String>> = (0..count)
            .map(|id| {
                let command = self.some()?.replace('\\', "\\\\").replace('"', "\\\"");
                Some(format!(r#"{{"id":{id},"command":"{command}"}}"#))
            })
            .collect();
        Some(format!("batch:[{}]", commands?.join(",")))
    }

    fn request(&mut self) -> Option<String> {
        let app = self.one_of(&["wavi", "buzz", "a b", ""])?;
        let key = match self.byte()? % 8 {
            0 => "nothing that signs",
            _ => &keys().public,
        };
        let otp = self.one_of(&[PASSCODE, PASSCODE, PASSCODE, PASSCODE, "abc123", "WRONG1", ""])?;
        self.request_of(app, otp, key)
    }

    /// With nothing wrong, unless the same app has asked before.
    fn newcomer(&mut self) -> Option<String> {
        let app = self.one_of(&["wavi", "buzz", "notes", "mail"])?;
        self.request_of(app, PASSCODE, &keys().public)
    }

    fn request_of(&mut self, app: &str, otp: &str, key: &str) -> Option<String> {
        let device = self.one_of(&["pixel", "pixel", "ipad"])?;
        let namespaces = self.one_of(&NAMESPACES)?;
        let life = self.one_of(&["", "", "", r#","apkamKeysExpiryInMillis":90000"#])?;
        let symmetric = self.token();
        Some(format!(
            r#"enroll:request:{{"appName":"{app}","deviceName":"{device}","otp":"{otp}","namespaces":{{{namespaces}}},"apkamPublicKey":"{key}","encryptedAPKAMSymmetricKey":"{symmetric}"{life}}}"#
        ))
    }

    fn keys(&mut self) -> Option<String> {
        let kind = self.one_of(&["self", "private", "public"])?;
        let space = self.one_of(&["__global", "__global", "ns", "c", "__manage"])?;
        let folder = format!("__{kind}_keys.{space}{OWNER}");
        let name = match kind {
            "public" => format!("public:k.{folder}"),
            "private" => format!("private:wavi.pixel.k.{folder}"),
            _ => format!("wavi.pixel.k.{folder}"),
        };
        Some(match self.byte()? % 8 {
            0..=2 => format!(
                "keys:put:{kind}:namespace:{space}:appName:wavi:deviceName:pixel:keyName:k {}",
                self.token()
            ),
            3 => format!("keys:get:{kind}"),
            4 | 5 => format!("keys:get:keyName:{name}"),
            6 => format!("keys:get:keyName:{ID}0>.default_self_enc_key.__manage{OWNER}"),
            _ => match self.byte()? % 3 {
                0 => format!("keys:delete:keyName:{}", self.key()?),
                _ => format!("keys:delete:keyName:{name}"),
            },
        })
    }

    fn token(&mut self) -> String {
        self.tokens += 1;
        format!("token{:07}", self.tokens)
    }
}
