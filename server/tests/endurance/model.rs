//! What a personal server has to be, in few words: a map of keys, who sees which of them, and who a
//! connection belongs to. It reads commands with the parser of the product, which has tests of its
//! own, and shares nothing else with the server.

use std::collections::{BTreeMap, BTreeSet};

use protocol::response::{ErrorShape, Fault};
use protocol::verb::{HashingAlgo, Notify, Projection, SigningAlgo, Target};
use protocol::{AtKey, Command, MetadataPatch, Verb};

use crate::world::{cram_digest, keys, name, secret};

pub const OWNER: &str = "@alice";
pub const PEER: &str = "@bob";

const PKAM_KEY: &str = "privatekey:at_pkam_publickey";
const CHALLENGE_MILLIS: i64 = 60_000;
const STRANGERS_LINE_BYTES_MAX: usize = 16 * 1024;
const PROTECTED: [&str; 4] =
    ["signing_publickey", "signing_privatekey", "publickey", "at_pkam_publickey"];

/// Who has proved to be at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Open,
    Owner,
    Peer,
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    pub who: Who,
    pub is_monitor: bool,
    pub shows_certificate: bool,
    /// The played peer has laid out the right signature for the challenge.
    pub is_signed: bool,
    challenge: Option<Challenge>,
    shape: ErrorShape,
}

#[derive(Debug, Clone)]
struct Challenge {
    is_own: bool,
    text: String,
    made: i64,
}

/// A stored key.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    pub value: Option<String>,
    pub version: u64,
    pub ttl: Option<i64>,
    pub ttb: Option<i64>,
    pub ttr: Option<i64>,
    pub ccd: Option<bool>,
    pub available_at: Option<i64>,
    pub expires_at: Option<i64>,
}

/// A text that not everybody may see.
#[derive(Debug)]
struct Secret {
    text: String,
    is_public: bool,
    readers: BTreeSet<String>,
}

/// What an answer has to be.
#[derive(Debug, Clone)]
pub enum Wanted {
    Data(String),
    Null,
    Error(&'static str),
    Failure,
    /// No key, or one whose time is over.
    Nothing,
    /// Just these names; only some of them where there is an expression.
    Names {
        prefix: String,
        names: Vec<String>,
        is_filtered: bool,
    },
    /// Key, value and metadata, or only these.
    Record {
        key: String,
        kept: Kept,
        is_whole: bool,
    },
    /// The id of a commit; -1 where there is none.
    Commit {
        is_committed: bool,
    },
    /// A challenge.
    Challenge {
        is_own: bool,
    },
    /// The peer's prompt alone.
    Believed,
    /// No answer at all.
    Silence,
    /// Data, whatever they are.
    Some,
    /// Data or an error.
    Any,
}

/// What a command does besides.
#[derive(Debug, Clone)]
pub enum Effect {
    None,
    Put {
        key: AtKey,
        patch: Box<MetadataPatch>,
        value: Option<String>,
    },
    Delete(AtKey),
    ForgetSecret,
    /// It is of this one if the command succeeds, and nobody's otherwise.
    Prove(Who),
    Ask(ErrorShape),
    Monitor,
    Tell(Box<Notify>),
    /// Copies of others' keys may have changed: at most so many commits.
    Copies(u64),
    /// The model does not know the command.
    Unknown,
}

/// All that a server holds, as far as clients can tell.
#[derive(Debug, Default)]
pub struct Model {
    pub keys: BTreeMap<String, Kept>,
    is_secret_gone: bool,
    secrets: Vec<Secret>,
    next_commit: Option<u64>,
    /// Commits that may have happened since the last one that was told.
    slack: u64,
    /// Commits that may happen at any time: the server makes what it signs with when it lacks it.
    lasting_slack: u64,
    /// Keys that the server writes by itself.
    wild: BTreeSet<String>,
    /// Something happened that the model knows nothing of: only who sees what still counts.
    pub is_blind: bool,
}

impl Session {
    pub fn new(shows_certificate: bool) -> Self {
        Self {
            who: Who::Open,
            is_monitor: false,
            shows_certificate,
            is_signed: false,
            challenge: None,
            shape: ErrorShape::Classic,
        }
    }

    /// What stands behind an answer now.
    pub fn prompt(&self, is_error: bool) -> String {
        match self.who {
            Who::Owner if self.is_monitor => String::new(),
            Who::Owner => format!("{OWNER}@"),
            Who::Peer if !is_error => format!("{PEER}@"),
            Who::Peer | Who::Open => "@".to_owned(),
        }
    }

    /// The text to answer, if one was asked of the owner (or of a peer).
    pub fn challenge(&self, is_own: bool) -> Option<&str> {
        let challenge = self.challenge.as_ref().filter(|c| c.is_own == is_own);
        challenge.map(|c| c.text.as_str())
    }

    /// The answer of a `from`.
    pub fn challenged(&mut self, is_own: bool, text: &str, now: i64) {
        self.challenge = Some(Challenge { is_own, text: text.to_owned(), made: now });
        self.is_signed = false;
        if self.who == Who::Peer {
            self.who = Who::Open;
        }
    }

    pub fn ask(&mut self, shape: ErrorShape) {
        self.shape = shape;
    }

    pub fn shape(&self) -> ErrorShape {
        self.shape
    }

    pub fn become_of(&mut self, who: Who) {
        self.who = who;
        self.is_monitor &= who == Who::Owner;
        self.challenge = None;
    }

    fn fresh(&self, is_own: bool, now: i64) -> Option<&str> {
        let challenge = self.challenge.as_ref().filter(|c| c.is_own == is_own);
        challenge.filter(|c| now <= c.made + CHALLENGE_MILLIS).map(|c| c.text.as_str())
    }
}

impl Kept {
    fn is_active(&self, now: i64) -> bool {
        self.available_at.is_none_or(|at| at <= now) && !self.is_expired(now)
    }

    pub fn is_expired(&self, now: i64) -> bool {
        self.expires_at.is_some_and(|end| end < now)
    }

    fn patched(mut self, patch: &MetadataPatch, now: i64) -> Self {
        let positive = |number: Option<i64>| number.filter(|n| *n > 0);
        self.ttl = patch.ttl.or(self.ttl);
        if patch.ttb.is_some() {
            self.ttb = patch.ttb;
            self.available_at = positive(patch.ttb).map(|ttb| now.saturating_add(ttb));
        }
        if patch.ttr.is_some_and(|ttr| ttr != 0) {
            self.ttr = patch.ttr;
            self.ccd = patch.ccd.or(self.ccd);
        }
        let birth = self.available_at.unwrap_or(now).max(now);
        self.expires_at = positive(self.ttl).map(|ttl| birth.saturating_add(ttl));
        self
    }
}

impl Model {
    /// Nobody but the owner may ever read this.
    pub fn guard(&mut self, text: &str) {
        let (text, readers) = (text.to_owned(), BTreeSet::new());
        self.secrets.push(Secret { text, is_public: false, readers });
    }

    /// Somebody has made this line up: what it contains is no secret of ours any more.
    pub fn overheard(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).to_lowercase();
        self.secrets.retain(|secret| !line.contains(&secret.text.to_lowercase()));
    }

    /// Fails if these bytes show what this connection may not see.
    pub fn check_secrets(&self, who: Who, shown: &str) {
        for secret in &self.secrets {
            let may_see = match who {
                Who::Owner => true,
                Who::Peer => secret.is_public || secret.readers.contains(PEER),
                Who::Open => secret.is_public,
            };
            assert!(may_see || !shown.contains(&secret.text), "{who:?} is shown {shown:?}");
        }
    }

    /// What this line has to come to. Nothing is changed yet.
    pub fn expect(&self, session: &Session, line: &[u8], now: i64) -> (Wanted, Effect) {
        let refused = |code| (Wanted::Error(code), Effect::None);
        if session.who == Who::Open && line.len() > STRANGERS_LINE_BYTES_MAX {
            return refused("AT0005");
        }
        let Ok(line) = std::str::from_utf8(line) else { return refused("AT0003") };
        let Some(verb) = Verb::select(line) else { return refused("AT0003") };
        if verb.needs_owner() && session.who != Who::Owner {
            return refused("AT0401");
        }
        match Command::parse(verb, line) {
            Ok(command) => self.of_command(session, command, now),
            Err(error) => refused(Fault::from(error).code.code()),
        }
    }

    fn of_command(&self, session: &Session, command: Command, now: i64) -> (Wanted, Effect) {
        match command {
            Command::From(from) => {
                let is_own = from.name == name(OWNER);
                let is_taken = is_own || (session.shows_certificate && from.name == name(PEER));
                let wanted = if is_taken { Wanted::Challenge { is_own } } else { Wanted::Failure };
                (wanted, Effect::Ask(from.error_shape))
            }
            Command::Cram { digest } => self.proof(session, now, |challenge| {
                !self.is_secret_gone && digest == cram_digest(OWNER, challenge)
            }),
            Command::Pkam(pkam) => self.proof(session, now, |challenge| {
                let key = self.keys.get(PKAM_KEY).filter(|key| key.is_active(now));
                let is_ours = key.is_some_and(|key| key.value.as_ref() == Some(&keys().public));
                let is_plain = pkam.enrollment_id.is_none()
                    && pkam.signing_algo == SigningAlgo::Rsa2048
                    && pkam.hashing_algo == HashingAlgo::Sha256;
                let signature = keys().sign(challenge);
                let sent = pkam.signature.trim().trim_end_matches('=');
                is_ours && is_plain && sent == signature.trim_end_matches('=')
            }),
            Command::Pol if session.who == Who::Open && session.challenge(false).is_some() => {
                match session.is_signed && session.fresh(false, now).is_some() {
                    true => (Wanted::Believed, Effect::Prove(Who::Peer)),
                    false => (Wanted::Error("AT0401"), Effect::Prove(Who::Peer)),
                }
            }
            Command::Pol => (Wanted::Error("AT0011"), Effect::None),
            Command::Info { .. } => (Wanted::Some, Effect::None),
            Command::Noop { .. } => (Wanted::Data("ok".to_owned()), Effect::None),
            command => match session.who {
                Who::Owner => self.of_owner(command, now),
                Who::Peer => self.of_peer(command, now),
                Who::Open => self.of_anybody(command, now),
            },
        }
    }

    /// Cram and pkam: what is not proved costs what was proved before.
    fn proof(
        &self,
        session: &Session,
        now: i64,
        is_met: impl Fn(&str) -> bool,
    ) -> (Wanted, Effect) {
        if session.who != Who::Owner && session.challenge.is_none() {
            return (Wanted::Error("AT0015"), Effect::None);
        }
        match session.fresh(true, now).is_some_and(is_met) {
            true => (Wanted::Data("success".to_owned()), Effect::Prove(Who::Owner)),
            false => (Wanted::Failure, Effect::Prove(Who::Owner)),
        }
    }

    fn of_anybody(&self, command: Command, now: i64) -> (Wanted, Effect) {
        let wanted = match command {
            Command::Lookup(lookup) => {
                let key = format!("public:{}{}", lookup.entity, lookup.owner);
                self.read(&key, lookup.projection, now)
            }
            Command::Scan(scan) if scan.of.is_none() => {
                self.names("public:", scan.regex.is_some(), now, |name| {
                    !name.starts_with("public:_")
                })
            }
            Command::Scan(_) | Command::Notify(_) => Wanted::Error("AT0401"),
            Command::NotifyList(_) => Wanted::Null,
            _ => Wanted::Any,
        };
        (wanted, Effect::None)
    }

    fn of_peer(&self, command: Command, now: i64) -> (Wanted, Effect) {
        match command {
            Command::Lookup(lookup) => {
                let key = format!("{PEER}:{}{}", lookup.entity, lookup.owner);
                (self.read(&key, lookup.projection, now), Effect::None)
            }
            Command::Scan(scan) if scan.of.is_none() => {
                let prefix = format!("{PEER}:");
                (self.names(&prefix, scan.regex.is_some(), now, |_| true), Effect::None)
            }
            Command::Notify(_) => (Wanted::Any, Effect::Copies(1)),
            Command::NotifyList(_) => (Wanted::Any, Effect::None),
            command => self.of_anybody(command, now),
        }
    }

    fn of_owner(&self, command: Command, now: i64) -> (Wanted, Effect) {
        let owner = name(OWNER);
        let quiet = |wanted| (wanted, Effect::None);
        match command {
            Command::Update(update) => match update.check_owner(&owner) {
                Ok(()) => put(update.key, update.patch, Some(update.value)),
                Err(_) => quiet(Wanted::Error("AT0016")),
            },
            Command::UpdateMeta(update) => match update.check_owner(&owner) {
                Ok(()) => put(update.key, update.patch, None),
                Err(_) => quiet(Wanted::Error("AT0016")),
            },
            Command::Delete(delete) if delete.is_activation_secret() => {
                (Wanted::Data("-1".to_owned()), Effect::ForgetSecret)
            }
            Command::Delete(delete) if delete.check_owner(&owner).is_err() => {
                quiet(Wanted::Error("AT0016"))
            }
            Command::Delete(delete) => {
                let key = delete.key;
                if !key.is_cached() && PROTECTED.contains(&key.entity()) {
                    return quiet(Wanted::Error("AT0009"));
                }
                (Wanted::Commit { is_committed: is_committed(&key) }, Effect::Delete(key))
            }
            Command::Llookup(llookup) => {
                quiet(self.exactly(llookup.key.as_str(), llookup.projection, now))
            }
            Command::Lookup(lookup) if lookup.owner == owner => {
                let key = format!("{OWNER}:{}{OWNER}", lookup.entity);
                quiet(self.read(&key, lookup.projection, now))
            }
            Command::Plookup(plookup) if plookup.owner == owner => {
                let key = format!("public:{}{OWNER}", plookup.entity);
                quiet(self.read(&key, plookup.projection, now))
            }
            Command::Lookup(_) | Command::Plookup(_) => (Wanted::Any, Effect::Copies(3)),
            Command::Scan(scan) if scan.of.as_ref().is_none_or(|of| *of == owner) => {
                quiet(self.names("", scan.regex.is_some(), now, |name| {
                    is_seen_by_owner(name, scan.show_hidden)
                }))
            }
            Command::Scan(_) => (Wanted::Any, Effect::Copies(1)),
            Command::Notify(notify) => (Wanted::Any, Effect::Tell(notify)),
            Command::Monitor(_) => (Wanted::Silence, Effect::Monitor),
            Command::NotifyRemove { .. } => quiet(Wanted::Data("success".to_owned())),
            Command::NotifyStatus { .. } | Command::NotifyFetch { .. } | Command::NotifyList(_) => {
                quiet(Wanted::Any)
            }
            _ => (Wanted::Any, Effect::Unknown),
        }
    }

    /// A key for somebody who asks by name; references are followed.
    fn read(&self, key: &str, projection: Projection, now: i64) -> Wanted {
        let kept = self.keys.get(key);
        if kept.and_then(|kept| kept.value.as_ref()).is_some_and(|v| v.starts_with("atsign://")) {
            return Wanted::Any;
        }
        self.exactly(key, projection, now)
    }

    fn exactly(&self, key: &str, projection: Projection, now: i64) -> Wanted {
        if self.is_wild(key) {
            return Wanted::Any;
        }
        let Some(kept) = self.keys.get(key) else { return Wanted::Error("AT0015") };
        if kept.is_expired(now) {
            return Wanted::Nothing;
        }
        let key = key.to_owned();
        match (projection, &kept.value) {
            _ if !kept.is_active(now) => Wanted::Null,
            (Projection::Value, Some(value)) => Wanted::Data(value.clone()),
            (Projection::Value, None) => Wanted::Null,
            (Projection::Meta, _) => Wanted::Record { key, kept: kept.clone(), is_whole: false },
            (Projection::All, _) => Wanted::Record { key, kept: kept.clone(), is_whole: true },
        }
    }

    fn names(
        &self,
        prefix: &str,
        is_filtered: bool,
        now: i64,
        is_seen: impl Fn(&str) -> bool,
    ) -> Wanted {
        let seen = self.keys.iter().filter(|(name, kept)| {
            name.starts_with(prefix) && kept.is_active(now) && is_seen(name) && !self.is_wild(name)
        });
        let names = seen.map(|(name, _)| name[prefix.len()..].to_owned()).collect();
        Wanted::Names { prefix: prefix.to_owned(), names, is_filtered }
    }

    /// Whether the server may write it by itself: copies, and what it signs with once that was lost.
    pub fn is_wild(&self, name: &str) -> bool {
        name.starts_with("cached:") || self.wild.contains(name)
    }

    /// The command has succeeded.
    pub fn done(&mut self, effect: &Effect, now: i64) {
        match effect {
            Effect::Put { key, patch, value } => self.put(key, patch, value.as_deref(), now),
            Effect::Delete(key) => {
                self.keys.remove(key.as_str());
                self.touch(key);
            }
            Effect::ForgetSecret => self.is_secret_gone = true,
            Effect::Tell(notify) => {
                if let Target::For(reader) = &notify.target {
                    self.show_to(&reader.to_string(), &format!("{:?}", notify.message));
                }
            }
            Effect::Copies(commits) => self.slack += commits,
            Effect::None | Effect::Prove(_) | Effect::Ask(_) | Effect::Monitor => {}
            Effect::Unknown => self.is_blind = true,
        }
    }

    fn put(&mut self, key: &AtKey, patch: &MetadataPatch, value: Option<&str>, now: i64) {
        let old = self.keys.get(key.as_str()).filter(|old| !old.is_expired(now)).cloned();
        let version = old.as_ref().map_or(0, |old| old.version + 1);
        let mut kept = Kept { version, ..old.unwrap_or_default() }.patched(patch, now);
        if let Some(value) = value {
            kept.value = Some(value.to_owned());
            self.classify(key, value);
        }
        self.keys.insert(key.as_str().to_owned(), kept);
        self.touch(key);
    }

    /// Who may read a value from now on.
    fn classify(&mut self, key: &AtKey, value: &str) {
        if key.is_public() {
            for secret in self.secrets.iter_mut().filter(|s| value.contains(&s.text)) {
                secret.is_public = true;
            }
        } else if let Some(reader) = key.shared_with() {
            if is_token(value) && !self.secrets.iter().any(|s| s.text == value) {
                self.guard(value);
            }
            self.show_to(&reader.to_string(), value);
        } else if is_token(value) && !self.secrets.iter().any(|s| s.text == value) {
            self.guard(value);
        }
    }

    fn show_to(&mut self, reader: &str, shown: &str) {
        for secret in self.secrets.iter_mut().filter(|secret| shown.contains(&secret.text)) {
            secret.readers.insert(reader.to_owned());
        }
    }

    /// What the server needs for itself it makes anew when it is gone.
    fn touch(&mut self, key: &AtKey) {
        if key.entity().starts_with("signing_") {
            for name in ["public:signing_publickey", "@alice:signing_privatekey"] {
                self.wild.insert(format!("{name}{OWNER}"));
            }
            self.lasting_slack += 3;
        }
    }

    /// Whether this commit follows the last one; expired keys that were swept meanwhile count too.
    pub fn is_next(&mut self, told: &str, is_committed: bool, now: i64) -> bool {
        if !is_committed {
            return told == "-1";
        }
        let Ok(id) = told.parse::<u64>() else { return false };
        let expired = self.keys.values().filter(|kept| kept.is_expired(now)).count() as u64;
        let first = self.next_commit.unwrap_or(id);
        self.next_commit = Some(id + 1);
        let slack = std::mem::take(&mut self.slack) + expired;
        let late = id.saturating_sub(first + slack);
        let is_next = first <= id && late <= self.lasting_slack;
        self.lasting_slack = self.lasting_slack.saturating_sub(late);
        is_next
    }

    /// The server has started anew: what is uncertain may have been settled meanwhile.
    pub fn restarted(&mut self) {
        self.slack += 3;
    }
}

fn put(key: AtKey, patch: MetadataPatch, value: Option<String>) -> (Wanted, Effect) {
    let is_committed = is_committed(&key);
    (Wanted::Commit { is_committed }, Effect::Put { key, patch: Box::new(patch), value })
}

fn is_committed(key: &AtKey) -> bool {
    let name = key.as_str();
    let is_inner = ["private:", "privatekey:", "local:"].iter().any(|p| name.starts_with(p));
    !is_inner && (!name.starts_with("public:_") || name.starts_with("public:__"))
}

fn is_seen_by_owner(name: &str, show_hidden: bool) -> bool {
    if name.starts_with("private:") || name.starts_with("privatekey:") {
        return false;
    }
    let is_hidden = name.starts_with("public:_") || name.starts_with('_');
    !is_hidden || (show_hidden && (name.starts_with("public:__") || name.starts_with('_')))
}

/// Whether the script made this value, so that nobody else can have said it by chance.
fn is_token(value: &str) -> bool {
    value.len() == 12 && value.starts_with("token")
}

/// What no connection but the owner's may show.
pub fn guarded(model: &mut Model) {
    model.guard(&secret(OWNER));
}
