//! What a command has to come to, by who sends it.

use protocol::enrollment::Access;
use protocol::response::Fault;
use protocol::verb::{
    Batch, Config, Enroll, HashingAlgo, Message, Notify, NotifyAll, Otp, Pkam, SigningAlgo, Target,
};
use protocol::{AtKey, Command, EnrollmentId, MetadataPatch, Verb};

use super::enrolling::manages;
use super::{Effect, Model, OWNER, PEER, PKAM_KEY, Proved, Session, Wanted, Who};
use crate::grants::{Grant, is_managed};
use crate::world::{cram_digest, keys, name};

const STRANGERS_LINE_BYTES_MAX: usize = 16 * 1024;

const PROTECTED: [&str; 4] =
    ["signing_publickey", "signing_privatekey", "publickey", "at_pkam_publickey"];

impl Model {
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
        let is_asked = session.who == Who::Owner || session.is_challenged();
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
        if session.who != Who::Owner && !session.is_challenged() {
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

fn is_seen_by_owner(name: &str, show_hidden: bool) -> bool {
    if name.starts_with("private:") || name.starts_with("privatekey:") {
        return false;
    }
    let is_hidden = name.starts_with("public:_") || name.starts_with('_');
    !is_hidden || (show_hidden && (name.starts_with("public:__") || name.starts_with('_')))
}
