//! What a personal server has to be, in few words: a map of keys, who sees which of them, and who a
//! connection belongs to. It reads commands with the parser of the product, which has tests of its
//! own, and shares nothing else with the server.

use std::collections::{BTreeMap, BTreeSet};

use protocol::enrollment::{Access, EnrollmentStatus, Namespaces};
use protocol::response::{ErrorShape, Fault};
use protocol::verb::{
    Batch, BatchCommand, Config, Decision, Enroll, EnrollRequest, HashingAlgo, Keys, KeysPut,
    Message, Notify, NotifyAll, Otp, Pkam, Projection, SigningAlgo, Stats, SyncFrom, Target,
    Visibility,
};
use protocol::{AtKey, AtSign, Command, EnrollmentId, MetadataPatch, Verb};

use crate::commits::Log;
use crate::enrolled::{By, Enrolment, Enrolments, KeptKey};
use crate::grants::{Grant, is_managed, parts};
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

/// How somebody has proved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proved {
    Secret,
    Key,
    Enrolment(String),
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
    /// What an owner's connection stands on, if not on everything.
    pub enrolment: Option<String>,
    /// When it asked to be enrolled.
    pub asked: Vec<i64>,
    is_by_secret: bool,
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
    /// What it is worth is the server's secret.
    pub is_opaque: bool,
}

/// A text that not everybody may see.
#[derive(Debug)]
struct Secret {
    text: String,
    is_public: bool,
    /// Other identities, and enrolments by their ids.
    readers: BTreeSet<String>,
    /// Keys that have it, or had it; a star for what is in no namespace.
    names: BTreeSet<String>,
    /// Who may look at enrolments sees it.
    is_for_managers: bool,
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
    /// What came after a commit.
    Page(SyncFrom),
    Stats(Stats),
    /// What each of these comes to, one after the other.
    Batch(Vec<BatchCommand>),
    /// An id for each of these.
    Recipients(Vec<String>),
    Passcode,
    /// An enrolment that is so now; of this id, unless it is new.
    Enrolled(&'static str, Option<String>),
    /// What the connection sees of the enrolments.
    Enrolments(Option<Vec<EnrollmentStatus>>),
    /// Just these, in any order.
    KeyNames(Vec<String>),
    /// What an enrolment keeps under a name.
    KeptKey(String),
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
    Prove(Proved),
    Ask(ErrorShape),
    Monitor,
    Tell(Box<Notify>),
    TellAll(Box<NotifyAll>),
    /// Copies of others' keys may have changed: at most so many commits.
    Copies(u64),
    Block(Config),
    Draw(Option<i64>),
    SetPasscode(String, Option<i64>),
    /// Counts, whatever it comes to.
    Enrol(Box<EnrollRequest>, By),
    Decide(EnrollmentId, Decision),
    KeepKey(String, Box<KeysPut>),
    ForgetKey(String),
}

/// All that a server holds, as far as clients can tell.
#[derive(Debug, Default)]
pub struct Model {
    pub keys: BTreeMap<String, Kept>,
    pub log: Log,
    pub enrolments: Enrolments,
    blocked: Vec<AtSign>,
    nothing: Namespaces,
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
            enrolment: None,
            asked: Vec::new(),
            is_by_secret: false,
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

    /// Somebody has proved who they are; none: nobody has.
    pub fn become_of(&mut self, proved: Option<&Proved>) {
        self.who = match proved {
            None => Who::Open,
            Some(Proved::Peer) => Who::Peer,
            Some(_) => Who::Owner,
        };
        self.is_monitor &= self.who == Who::Owner;
        self.is_by_secret = proved == Some(&Proved::Secret);
        self.challenge = None;
        self.stand_on(match proved {
            Some(Proved::Enrolment(id)) => Some(id.clone()),
            _ => None,
        });
    }

    /// A monitor of other rights is none any more.
    fn stand_on(&mut self, enrolment: Option<String>) {
        self.is_monitor &= self.enrolment == enrolment;
        self.enrolment = enrolment;
    }

    fn by(&self) -> By {
        match self.who {
            Who::Owner if self.is_by_secret => By::Secret,
            Who::Owner => By::Owner,
            Who::Peer | Who::Open => By::Anybody,
        }
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
        self.secrets.push(Secret {
            text: text.to_owned(),
            is_public: false,
            readers: BTreeSet::new(),
            names: BTreeSet::new(),
            is_for_managers: false,
        });
    }

    /// Nobody but the owner, and who may read this key.
    pub fn guard_under(&mut self, name: &str, text: &str) {
        self.guard(text);
        self.secrets.iter_mut().for_each(|secret| {
            if secret.text == text {
                secret.names.insert(name.to_owned());
            }
        });
    }

    /// The same, unless it is known or nothing that the script has made.
    fn guard_token(&mut self, text: &str) {
        if is_token(text) && !self.secrets.iter().any(|secret| secret.text == text) {
            self.guard(text);
        }
    }

    /// Somebody has made this line up: what it contains is no secret of ours any more.
    pub fn overheard(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).to_lowercase();
        self.secrets.retain(|secret| !line.contains(&secret.text.to_lowercase()));
    }

    /// What a connection may do, unless that is everything.
    pub fn grant(&self, session: &Session) -> Option<Grant<'_>> {
        let id = session.enrolment.as_ref()?;
        Some(self.enrolments.all.get(id).map_or(Grant(&self.nothing), Enrolment::grant))
    }

    /// Fails if these bytes show what this connection may not see.
    pub fn check_secrets(&self, session: &Session, shown: &str) {
        for secret in self.secrets.iter().filter(|secret| shown.contains(&secret.text)) {
            let may_see = match (session.who, self.grant(session)) {
                (Who::Owner, None) => true,
                (Who::Owner, Some(grant)) => {
                    let is_reader =
                        secret.readers.iter().any(|id| session.enrolment.as_ref() == Some(id));
                    is_reader
                        || (secret.is_for_managers && grant.has("__manage", Access::Read))
                        || secret.names.iter().any(|name| match name.as_str() {
                            "*" => grant.has("*", Access::Read),
                            name => grant.may(Access::Read, name),
                        })
                }
                (Who::Peer, _) => secret.readers.contains(PEER),
                (Who::Open, _) => false,
            };
            assert!(secret.is_public || may_see, "{session:?} is shown {shown:?}");
        }
    }

    /// What this line has to come to. Nothing is changed yet.
    pub fn expect(&self, session: &Session, line: &[u8], now: i64) -> (Wanted, Effect) {
        let refused = |code| (Wanted::Error(code), Effect::None);
        let own = session.enrolment.as_deref();
        if let Some(code) = own.and_then(|id| self.enrolments.refusal(id, now)) {
            return refused(code);
        }
        if session.who == Who::Open && line.len() > STRANGERS_LINE_BYTES_MAX {
            return refused("AT0005");
        }
        let Ok(line) = std::str::from_utf8(line) else { return refused("AT0003") };
        let Some(verb) = Verb::select(line) else { return refused("AT0003") };
        if verb.needs_owner() && session.who != Who::Owner {
            return refused("AT0401");
        }
        if verb == Verb::Enroll
            && session.who != Who::Owner
            && let Err(error) = Enroll::check_open(line)
        {
            return refused(error.code().code());
        }
        match Command::parse(verb, line) {
            Ok(command) => self.of_command(session, command, now),
            Err(error) => refused(Fault::from(error).code.code()),
        }
    }

    /// The same for a line in a batch: what would change the connection is not done there.
    pub fn expect_in_batch(&self, session: &Session, line: &str, now: i64) -> (Wanted, Effect) {
        let (wanted, effect) = self.expect(session, line.as_bytes(), now);
        let verb = Verb::select(line);
        let is_out_of_place = matches!(
            verb.map(|verb| Command::parse(verb, line)),
            Some(Ok(Command::From(_)
                | Command::Cram { .. }
                | Command::Pkam(_)
                | Command::Pol
                | Command::Monitor(_)
                | Command::Enroll(_)
                | Command::Batch(_)
                | Command::Noop { millis: 1.. }))
        );
        if is_out_of_place { (Wanted::Error("AT0003"), Effect::None) } else { (wanted, effect) }
    }

    fn of_command(&self, session: &Session, command: Command, now: i64) -> (Wanted, Effect) {
        match command {
            Command::From(from) => {
                let is_own = from.name == name(OWNER);
                if self.blocked.contains(&from.name) {
                    return (Wanted::Error("AT0013"), Effect::Ask(from.error_shape));
                }
                let is_taken = is_own || (session.shows_certificate && from.name == name(PEER));
                let wanted = if is_taken { Wanted::Challenge { is_own } } else { Wanted::Failure };
                (wanted, Effect::Ask(from.error_shape))
            }
            Command::Cram { digest } => self.proof(session, now, Proved::Secret, |challenge| {
                !self.is_secret_gone && digest == cram_digest(OWNER, challenge)
            }),
            Command::Pkam(pkam) => self.of_pkam(session, &pkam, now),
            Command::Pol if session.who == Who::Open && session.challenge(false).is_some() => {
                match session.is_signed && session.fresh(false, now).is_some() {
                    true => (Wanted::Believed, Effect::Prove(Proved::Peer)),
                    false => (Wanted::Error("AT0401"), Effect::Prove(Proved::Peer)),
                }
            }
            Command::Pol => (Wanted::Error("AT0011"), Effect::None),
            Command::Info { .. } => (Wanted::Some, Effect::None),
            Command::Noop { .. } => (Wanted::Data("ok".to_owned()), Effect::None),
            command => match session.who {
                Who::Owner => self.of_owner(session, command, now),
                Who::Peer => self.of_peer(session, command, now),
                Who::Open => self.of_anybody(session, command, now),
            },
        }
    }

    fn of_pkam(&self, session: &Session, pkam: &Pkam, now: i64) -> (Wanted, Effect) {
        let id = pkam.enrollment_id.as_ref().map(EnrollmentId::as_str);
        let proved = id.map_or(Proved::Key, |id| Proved::Enrolment(id.to_owned()));
        let is_asked = session.who == Who::Owner || session.challenge.is_some();
        if let Some(code) = id.and_then(|id| self.enrolments.refusal(id, now))
            && is_asked
        {
            return (Wanted::Error(code), Effect::Prove(proved));
        }
        let key = match id {
            Some(id) => self.enrolments.all.get(id).map(|one| &one.key),
            None => {
                let key = self.keys.get(PKAM_KEY).filter(|key| key.is_active(now));
                key.and_then(|key| key.value.as_ref())
            }
        };
        self.proof(session, now, proved, |challenge| {
            let is_plain = pkam.signing_algo == SigningAlgo::Rsa2048
                && pkam.hashing_algo == HashingAlgo::Sha256;
            let signature = keys().sign(challenge);
            let sent = pkam.signature.trim().trim_end_matches('=');
            key == Some(&keys().public) && is_plain && sent == signature.trim_end_matches('=')
        })
    }

    /// Cram and pkam: what is not proved costs what was proved before.
    fn proof(
        &self,
        session: &Session,
        now: i64,
        proved: Proved,
        is_met: impl Fn(&str) -> bool,
    ) -> (Wanted, Effect) {
        if session.who != Who::Owner && session.challenge.is_none() {
            return (Wanted::Error("AT0015"), Effect::None);
        }
        match session.fresh(true, now).is_some_and(is_met) {
            true => (Wanted::Data("success".to_owned()), Effect::Prove(proved)),
            false => (Wanted::Failure, Effect::Prove(proved)),
        }
    }

    fn of_anybody(&self, session: &Session, command: Command, now: i64) -> (Wanted, Effect) {
        let wanted = match command {
            Command::Enroll(Enroll::Request(request)) => {
                return self.of_request(session, request, now);
            }
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
            _ => Wanted::Error("AT0401"),
        };
        (wanted, Effect::None)
    }

    fn of_peer(&self, session: &Session, command: Command, now: i64) -> (Wanted, Effect) {
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
            command => self.of_anybody(session, command, now),
        }
    }

    fn of_owner(&self, session: &Session, command: Command, now: i64) -> (Wanted, Effect) {
        let owner = name(OWNER);
        let quiet = |wanted| (wanted, Effect::None);
        let grant = self.grant(session);
        if grant.is_some_and(|grant| is_forbidden(grant, &command)) {
            return quiet(Wanted::Error("AT0009"));
        }
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
                        && grant.is_none_or(|grant| grant.sees(name))
                }))
            }
            Command::Scan(_) => (Wanted::Any, Effect::Copies(1)),
            Command::Notify(notify) if !may_tell(grant, &notify) => quiet(Wanted::Failure),
            Command::Notify(notify) => (Wanted::Any, Effect::Tell(notify)),
            Command::NotifyAll(all) => of_notify_all(grant, all),
            Command::Monitor(_) => (Wanted::Silence, Effect::Monitor),
            Command::NotifyRemove { .. } if grant.is_some() => quiet(Wanted::Any),
            Command::NotifyRemove { .. } => quiet(Wanted::Data("success".to_owned())),
            Command::NotifyStatus { .. } | Command::NotifyFetch { .. } | Command::NotifyList(_) => {
                quiet(Wanted::Any)
            }
            Command::SyncFrom(sync) => quiet(Wanted::Page(sync)),
            Command::Stats(stats) => quiet(Wanted::Stats(stats)),
            Command::Batch(Batch { commands }) => quiet(Wanted::Batch(commands)),
            Command::Config(config) => self.of_config(config),
            Command::Otp(Otp::Get { ttl }) => (Wanted::Passcode, Effect::Draw(ttl)),
            Command::Otp(Otp::Put { .. }) if !manages(grant, Access::Write) => {
                quiet(Wanted::Error("AT0011"))
            }
            Command::Otp(Otp::Put { code, ttl }) => {
                (Wanted::Data("ok".to_owned()), Effect::SetPasscode(code, ttl))
            }
            Command::Enroll(enroll) => self.of_enroll(session, enroll, now),
            Command::Keys(keys) => match (grant, &session.enrolment) {
                (Some(grant), Some(id)) => self.of_keys(grant, id, keys, now),
                _ => quiet(Wanted::Error("AT0011")),
            },
            Command::From(_)
            | Command::Cram { .. }
            | Command::Pkam(_)
            | Command::Pol
            | Command::Info { .. }
            | Command::Noop { .. } => unreachable!("they are the same for all"),
        }
    }

    fn of_config(&self, config: Config) -> (Wanted, Effect) {
        let wanted = match &config {
            Config::ShowBlocked if self.blocked.is_empty() => Wanted::Null,
            Config::ShowBlocked => {
                Wanted::Data(serde_json::to_string(&self.blocked).expect("a list of names"))
            }
            Config::Setting => Wanted::Some,
            Config::Block(_) | Config::Unblock(_) => Wanted::Data("success".to_owned()),
        };
        (wanted, Effect::Block(config))
    }

    fn of_request(
        &self,
        session: &Session,
        request: Box<EnrollRequest>,
        now: i64,
    ) -> (Wanted, Effect) {
        let by = session.by();
        let wanted = match self.enrolments.may_ask(&session.asked, by, &request, now) {
            Some(status) => Wanted::Enrolled(status.as_str(), None),
            None => Wanted::Error("AT0011"),
        };
        (wanted, Effect::Enrol(request, by))
    }

    fn of_enroll(&self, session: &Session, enroll: Enroll, now: i64) -> (Wanted, Effect) {
        let own = session.enrolment.as_deref();
        match enroll {
            Enroll::Request(request) => self.of_request(session, request, now),
            Enroll::Decide { id, decision } => {
                let wanted = match self.enrolments.after(own, &id, &decision, now) {
                    Some(Ok(status)) => Wanted::Enrolled(status, Some(id.as_str().to_owned())),
                    Some(Err(code)) => Wanted::Error(code),
                    None => Wanted::Any,
                };
                (wanted, Effect::Decide(id, decision))
            }
            Enroll::List { filter } => (Wanted::Enrolments(filter), Effect::None),
            Enroll::Fetch { id } => {
                let may = own == Some(id.as_str()) || manages(self.grant(session), Access::Read);
                let status = self.enrolments.status(id.as_str(), now);
                let wanted = match self.enrolments.all.contains_key(id.as_str()) {
                    _ if !may => Wanted::Error("AT0011"),
                    false => Wanted::Error("AT0015"),
                    true if status == EnrollmentStatus::Expired => Wanted::Any,
                    true => Wanted::Enrolled(status.as_str(), None),
                };
                (wanted, Effect::None)
            }
        }
    }

    fn of_keys(&self, grant: Grant<'_>, id: &str, keys: Keys, now: i64) -> (Wanted, Effect) {
        let quiet = |wanted| (wanted, Effect::None);
        match keys {
            Keys::List { visibility } => {
                quiet(Wanted::KeyNames(self.enrolments.names(id, visibility)))
            }
            Keys::Put(put) => {
                let Ok(key) = put.key(&name(OWNER)) else { return quiet(Wanted::Error("AT0016")) };
                let may = match put.namespace.as_str() {
                    "__global" => true,
                    "__manage" => grant.has("__manage", Access::Write),
                    space => grant.may(Access::Write, &format!("key.{space}{OWNER}")),
                };
                let old = self.enrolments.keys.get(key.as_str());
                if !may || old.is_some_and(|old| old.id != id) {
                    return quiet(Wanted::Error("AT0009"));
                }
                let name = key.as_str().to_owned();
                (Wanted::Data("-1".to_owned()), Effect::KeepKey(name, put))
            }
            Keys::Get { name } | Keys::Delete { name } if AtKey::parse(&name).is_err() => {
                quiet(Wanted::Error("AT0015"))
            }
            Keys::Get { name } => quiet(self.kept_key(id, &name, now)),
            Keys::Delete { name } => {
                let name = AtKey::parse(&name).expect("a key").as_str().to_owned();
                let is_own = self.enrolments.keys.get(&name).is_some_and(|key| key.id == id);
                let is_there = self.keys.get(&name).is_some_and(|kept| !kept.is_expired(now));
                if !is_reachable(id, &name) || (is_there && !is_own) {
                    return quiet(Wanted::Error("AT0009"));
                }
                (Wanted::Data("-1".to_owned()), Effect::ForgetKey(name))
            }
        }
    }

    fn kept_key(&self, id: &str, name: &str, now: i64) -> Wanted {
        let name = AtKey::parse(name).expect("a key").as_str().to_owned();
        if !is_reachable(id, &name) {
            return Wanted::Error("AT0009");
        }
        if self.is_wild(&name) {
            return Wanted::Any;
        }
        let kept = self.keys.get(&name).filter(|kept| kept.is_active(now));
        match (kept, self.enrolments.keys.get(&name)) {
            (None, _) => Wanted::Error("AT0015"),
            (Some(_), Some(key)) if key.id == id || name.starts_with("public:") => {
                Wanted::KeptKey(name)
            }
            (Some(_), Some(_)) => Wanted::Error("AT0009"),
            (Some(kept), None) => match &kept.value {
                _ if kept.is_opaque => Wanted::Some,
                Some(value) => Wanted::Data(value.clone()),
                None => Wanted::Null,
            },
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
            _ if kept.is_opaque => Wanted::Some,
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

    /// The command has succeeded, with this answer.
    pub fn done(&mut self, session: &Session, effect: &Effect, data: &str, now: i64) {
        match effect {
            Effect::Put { key, patch, value } => {
                self.put(key, patch, value.as_deref(), now);
                self.commit(key, data, if value.is_some() { '*' } else { '#' });
            }
            Effect::Delete(key) => {
                self.keys.remove(key.as_str());
                self.touch(key);
                self.commit(key, data, '-');
            }
            Effect::ForgetSecret => self.is_secret_gone = true,
            Effect::Tell(notify) => self.tell(notify, None),
            Effect::TellAll(all) => {
                all.recipients.iter().for_each(|reader| self.tell(&all.notify, Some(reader)));
            }
            Effect::Copies(commits) => self.slack += commits,
            Effect::Block(Config::Block(names)) => {
                let owner = name(OWNER);
                for name in names.iter().filter(|name| **name != owner) {
                    if !self.blocked.contains(name) {
                        self.blocked.push(name.clone());
                    }
                }
            }
            Effect::Block(Config::Unblock(names)) => {
                self.blocked.retain(|name| !names.contains(name));
            }
            Effect::Draw(ttl) => self.enrolments.draw(data, *ttl, now),
            Effect::SetPasscode(code, ttl) => self.enrolments.set_passcode(code, *ttl, now),
            Effect::Decide(id, decision) => self.decided(id.as_str(), decision, now),
            Effect::KeepKey(name, put) => self.keep_key(session, name, put),
            Effect::ForgetKey(name) => {
                self.keys.remove(name);
                self.enrolments.keys.remove(name);
            }
            Effect::None
            | Effect::Prove(_)
            | Effect::Ask(_)
            | Effect::Monitor
            | Effect::Enrol(..)
            | Effect::Block(_) => {}
        }
    }

    fn commit(&mut self, key: &AtKey, id: &str, operation: char) {
        if let Ok(id) = id.parse() {
            self.log.insert(key.as_str().to_owned(), (id, operation));
        }
        // A way around the verbs that keep these.
        let name = key.as_str();
        self.is_blind |= is_managed(key.entity()) || name == format!("private:blocklist{OWNER}");
    }

    /// Somebody has asked to be enrolled; `id` where that came to something.
    pub fn asked(
        &mut self,
        session: &mut Session,
        request: &EnrollRequest,
        by: By,
        id: Option<&str>,
        now: i64,
    ) {
        self.enrolments.asked(&mut session.asked, by, request, id, now);
        let Some(id) = id else { return };
        if let Some(text) = &request.encrypted_symmetric_key {
            self.guard_token(text);
            for secret in self.secrets.iter_mut().filter(|secret| secret.text == *text) {
                secret.readers.insert(id.to_owned());
                secret.is_for_managers = true;
            }
        }
        if by == By::Secret {
            let value = Some(request.apkam_public_key.clone());
            self.keys.insert(PKAM_KEY.to_owned(), Kept { value, ..Kept::default() });
            self.publish(id, now);
            session.stand_on(Some(id.to_owned()));
        }
        self.store(id);
    }

    fn decided(&mut self, id: &str, decision: &Decision, now: i64) {
        let names = self.enrolments.stored(id);
        let published =
            self.enrolments.all.get(id).map(|one| (one.published(), one.published_value()));
        self.enrolments.decided(id, decision, now);
        match (decision, published) {
            (Decision::Delete, Some((name, value))) => {
                let current = self.keys.get(&name).filter(|kept| kept.is_active(now));
                if current.is_some_and(|kept| kept.value == Some(value)) {
                    self.keys.remove(&name);
                }
                names.iter().for_each(|name| drop(self.keys.remove(name)));
            }
            (Decision::Approve(keys), _) => {
                for text in [&keys.encryption_private_key, &keys.self_encryption_key] {
                    self.guard_token(text);
                    self.show_to(id, text);
                }
                self.publish(id, now);
                self.store(id);
            }
            _ => self.store(id),
        }
    }

    /// What the server keeps of an enrolment.
    fn store(&mut self, id: &str) {
        let expires_at = self.enrolments.all.get(id).and_then(|one| one.ends);
        for name in self.enrolments.stored(id) {
            self.keys.insert(name, Kept { expires_at, is_opaque: true, ..Kept::default() });
        }
    }

    fn publish(&mut self, id: &str, now: i64) {
        let Some(one) = self.enrolments.all.get(id) else { return };
        let (value, expires_at) = (Some(one.published_value()), one.ends);
        let ttl = expires_at.map(|ends| ends - now);
        self.keys.insert(one.published(), Kept { value, ttl, expires_at, ..Kept::default() });
    }

    fn keep_key(&mut self, session: &Session, name: &str, put: &KeysPut) {
        let id = session.enrolment.clone().unwrap_or_default();
        self.guard_token(&put.value);
        self.show_to(&id, &put.value);
        if put.visibility == Visibility::Public {
            self.publish_all(&put.value);
        }
        self.keys.insert(name.to_owned(), Kept { is_opaque: true, ..Kept::default() });
        let (value, visibility) = (put.value.clone(), put.visibility);
        self.enrolments.keys.insert(name.to_owned(), KeptKey { id, value, visibility });
    }

    /// A notification is for this one, or for whom it says.
    fn tell(&mut self, notify: &Notify, to: Option<&AtSign>) {
        let reader = match (&notify.target, to) {
            (_, Some(to)) => to,
            (Target::For(reader), None) => reader,
            (Target::Public, None) => &name(OWNER),
        };
        let shown = format!("{:?}", notify.message);
        if let Message::Key { value: Some(value), .. } = &notify.message {
            self.guard_token(value);
        }
        let target = to.cloned().map_or_else(|| notify.target.clone(), Target::For);
        let one = Notify { target, ..notify.clone() };
        let subject = match one.message {
            Message::Text(_) => "*".to_owned(),
            Message::Key { .. } => one.subject(&name(OWNER)).unwrap_or_default(),
        };
        self.show_to(&reader.to_string(), &shown);
        for secret in self.secrets.iter_mut().filter(|secret| shown.contains(&secret.text)) {
            secret.names.insert(subject.clone());
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
            self.publish_all(value);
        } else {
            self.guard_token(value);
        }
        if let Some(reader) = key.shared_with() {
            self.show_to(&reader.to_string(), value);
        }
        for secret in self.secrets.iter_mut().filter(|secret| value.contains(&secret.text)) {
            secret.names.insert(key.as_str().to_owned());
        }
    }

    fn publish_all(&mut self, value: &str) {
        for secret in self.secrets.iter_mut().filter(|secret| value.contains(&secret.text)) {
            secret.is_public = true;
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
        let expired = self.expired(now);
        let first = self.next_commit.unwrap_or(id);
        self.next_commit = Some(id + 1);
        let slack = std::mem::take(&mut self.slack) + expired;
        let late = id.saturating_sub(first + slack);
        let is_next = first <= id && late <= self.lasting_slack;
        self.lasting_slack = self.lasting_slack.saturating_sub(late);
        is_next
    }

    /// Keys whose deletion the sweep may have committed.
    fn expired(&self, now: i64) -> u64 {
        let is_logged = |name: &str| self.log.contains_key(name);
        self.keys.iter().filter(|(name, kept)| is_logged(name) && kept.is_expired(now)).count()
            as u64
    }

    /// The id of the next commit, if there are no others.
    pub fn next_commit(&self) -> Option<u64> {
        self.next_commit
    }

    /// How many others there may be.
    pub fn slack(&self, now: i64) -> u64 {
        self.slack + self.expired(now) + self.lasting_slack
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
    !is_inner
        && (!name.starts_with("public:_") || name.starts_with("public:__"))
        && !is_managed(key.entity())
}

fn manages(grant: Option<Grant<'_>>, access: Access) -> bool {
    grant.is_none_or(|grant| grant.has("__manage", access))
}

/// Whether an enrolment may not do this, whatever there is.
fn is_forbidden(grant: Grant<'_>, command: &Command) -> bool {
    let (access, name) = match command {
        Command::Update(update) => (Access::Write, update.key.as_str().to_owned()),
        Command::UpdateMeta(update) => (Access::Write, update.key.as_str().to_owned()),
        Command::Delete(delete) => (Access::Write, delete.key.as_str().to_owned()),
        Command::Llookup(llookup) => (Access::Read, llookup.key.as_str().to_owned()),
        Command::Lookup(lookup) => {
            (Access::Read, format!("{OWNER}:{}{}", lookup.entity, lookup.owner))
        }
        Command::Config(Config::Block(_) | Config::Unblock(_)) => {
            return !grant.has("__manage", Access::Write);
        }
        _ => return false,
    };
    !grant.may(access, &name)
}

fn may_tell(grant: Option<Grant<'_>>, notify: &Notify) -> bool {
    let Some(grant) = grant else { return true };
    match &notify.message {
        Message::Text(_) => grant.has("*", Access::Write),
        Message::Key { .. } => {
            notify.subject(&name(OWNER)).is_ok_and(|subject| grant.may(Access::Write, &subject))
        }
    }
}

fn of_notify_all(grant: Option<Grant<'_>>, all: Box<NotifyAll>) -> (Wanted, Effect) {
    let owner = name(OWNER);
    let mut subjects = all.recipients.iter().map(|to| {
        let one = Notify { target: Target::For(to.clone()), ..all.notify.clone() };
        (one.subject(&owner), may_tell(grant, &one))
    });
    let wanted = match all.notify.check_sender(&owner) {
        Err(error) => Wanted::Error(error.code().code()),
        Ok(()) => match subjects.find(|(subject, may)| subject.is_err() || !may) {
            Some((Err(_), _)) => Wanted::Error("AT0016"),
            Some(_) => Wanted::Error("AT0009"),
            None => Wanted::Recipients(all.recipients.iter().map(ToString::to_string).collect()),
        },
    };
    (wanted, Effect::TellAll(all))
}

/// Whether an enrolment may ask `keys` for this name.
fn is_reachable(id: &str, name: &str) -> bool {
    let is_default = [".default_enc_private_key", ".default_self_enc_key"]
        .iter()
        .any(|what| name == format!("{id}{what}.__manage{OWNER}"));
    let folder = parts(name).and_then(|(_, entity)| entity.rsplit('.').nth(1));
    let is_kept = folder
        .is_some_and(|folder| ["__public_keys", "__private_keys", "__self_keys"].contains(&folder));
    is_default || is_kept || name.starts_with("public:")
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
