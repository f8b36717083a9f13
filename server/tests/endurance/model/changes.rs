//! What a command that has succeeded leaves behind.

use protocol::verb::{Config, Decision, EnrollRequest, KeysPut, Visibility};
use protocol::{AtKey, MetadataPatch};

use super::{Effect, Kept, Model, OWNER, PKAM_KEY, Session};
use crate::enrolled::{By, KeptKey};
use crate::grants::is_managed;
use crate::world::name;

impl Model {
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

    /// What the server needs for itself it makes anew when it is gone.
    fn touch(&mut self, key: &AtKey) {
        if key.entity().starts_with("signing_") {
            for name in ["public:signing_publickey", "@alice:signing_privatekey"] {
                self.wild.insert(format!("{name}{OWNER}"));
            }
            self.lasting_slack += 3;
        }
    }
}
