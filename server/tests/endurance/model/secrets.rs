//! Who may be shown what: each text that the script has made is followed wherever it goes.

use std::collections::BTreeSet;

use protocol::enrollment::Access;
use protocol::verb::{Message, Notify, Target};
use protocol::{AtKey, AtSign};

use super::{Model, OWNER, PEER, Session, Who};
use crate::world::{name, secret};

/// A text that not everybody may see.
#[derive(Debug)]
pub(super) struct Secret {
    pub(super) text: String,
    is_public: bool,
    /// Other identities, and enrolments by their ids.
    pub(super) readers: BTreeSet<String>,
    /// Keys that have it, or had it; a star for what is in no namespace.
    names: BTreeSet<String>,
    /// Who may look at enrolments sees it.
    pub(super) is_for_managers: bool,
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
    pub(super) fn guard_token(&mut self, text: &str) {
        if is_token(text) && !self.secrets.iter().any(|secret| secret.text == text) {
            self.guard(text);
        }
    }

    /// Somebody has made this line up: what it contains is no secret of ours any more.
    pub fn overheard(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).to_lowercase();
        self.secrets.retain(|secret| !line.contains(&secret.text.to_lowercase()));
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

    /// Who may read a value from now on.
    pub(super) fn classify(&mut self, key: &AtKey, value: &str) {
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

    /// A notification is for this one, or for whom it says.
    pub(super) fn tell(&mut self, notify: &Notify, to: Option<&AtSign>) {
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

    pub(super) fn publish_all(&mut self, value: &str) {
        for secret in self.secrets.iter_mut().filter(|secret| value.contains(&secret.text)) {
            secret.is_public = true;
        }
    }

    pub(super) fn show_to(&mut self, reader: &str, shown: &str) {
        for secret in self.secrets.iter_mut().filter(|secret| shown.contains(&secret.text)) {
            secret.readers.insert(reader.to_owned());
        }
    }
}

/// Whether the script made this value, so that nobody else can have said it by chance.
fn is_token(value: &str) -> bool {
    value.len() == 12 && value.starts_with("token")
}

/// What no connection but the owner's may show.
pub fn guarded(model: &mut Model) {
    model.guard(&secret(OWNER));
}
