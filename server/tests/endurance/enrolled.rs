//! What the model knows of enrolments: passcodes, who asked for what, what became of it, and the keys
//! that they keep.

use std::collections::BTreeMap;

use protocol::enrollment::{Access, EnrollmentStatus, Namespace, Namespaces};
use protocol::verb::{Decision, EnrollRequest, Visibility};
use protocol::{AtKey, EnrollmentId};
use serde_json::{Value, json};

use crate::grants::Grant;
use crate::model::OWNER;

const HOUR_MILLIS: i64 = 3_600_000;
const PENDING_MILLIS: i64 = 48 * HOUR_MILLIS;
const PASSCODE_MILLIS: i64 = 5 * 60_000;
/// Requests that one connection makes in an hour.
const REQUESTS_MAX: usize = 5;

/// What is kept of an enrolment, and when it is approved.
const RECORD: &str = ".new.enrollments.__manage";
const DEFAULTS: [(&str, Visibility); 2] = [
    (".default_enc_private_key.__manage", Visibility::Private),
    (".default_self_enc_key.__manage", Visibility::SelfKey),
];

/// Who asks to be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Anybody,
    Owner,
    Secret,
}

#[derive(Debug)]
pub struct Enrolment {
    pub namespaces: Namespaces,
    pub key: String,
    pub ends: Option<i64>,
    app: String,
    device: String,
    life: Option<i64>,
    state: EnrollmentStatus,
    has_defaults: bool,
}

/// A key that an enrolment keeps.
#[derive(Debug)]
pub struct KeptKey {
    pub id: String,
    pub value: String,
    pub visibility: Visibility,
}

#[derive(Debug, Default)]
pub struct Enrolments {
    pub all: BTreeMap<String, Enrolment>,
    /// By their names.
    pub keys: BTreeMap<String, KeptKey>,
    /// In the order in which they were made.
    pub ids: Vec<String>,
    /// What was drawn last.
    pub drawn: String,
    passcodes: BTreeMap<String, i64>,
    permanent: Option<(String, Option<i64>)>,
}

impl Enrolment {
    pub fn grant(&self) -> Grant<'_> {
        Grant(&self.namespaces)
    }

    pub fn status(&self, now: i64) -> EnrollmentStatus {
        match self.ends {
            Some(ends) if ends < now => EnrollmentStatus::Expired,
            _ => self.state,
        }
    }

    /// Where its public key is published.
    pub fn published(&self) -> String {
        let is_good = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let word = |text: &str| -> String {
            text.chars().take(64).map(|c| if is_good(c) { c } else { '_' }).collect()
        };
        let (app, device) = (word(&self.app), word(&self.device));
        let name = format!("public:{app}.{device}.pkam.__pkams.__public_keys{OWNER}");
        AtKey::parse(&name).expect("a key").as_str().to_owned()
    }

    pub fn published_value(&self) -> String {
        json!({"apkamPublicKey": self.key}).to_string()
    }
}

impl Enrolments {
    pub fn status(&self, id: &str, now: i64) -> EnrollmentStatus {
        self.all.get(id).map_or(EnrollmentStatus::Expired, |one| one.status(now))
    }

    /// Why it may not act.
    pub fn refusal(&self, id: &str, now: i64) -> Option<&'static str> {
        match self.status(id, now) {
            EnrollmentStatus::Approved => None,
            EnrollmentStatus::Denied => Some("AT0025"),
            EnrollmentStatus::Pending => Some("AT0026"),
            EnrollmentStatus::Revoked => Some("AT0027"),
            EnrollmentStatus::Expired => Some("AT0028"),
        }
    }

    pub fn draw(&mut self, code: &str, ttl: Option<i64>, now: i64) {
        code.clone_into(&mut self.drawn);
        self.passcodes.insert(code.to_lowercase(), now + ttl.unwrap_or(PASSCODE_MILLIS));
    }

    pub fn set_passcode(&mut self, code: &str, ttl: Option<i64>, now: i64) {
        self.permanent = Some((code.to_owned(), ttl.map(|ttl| now.saturating_add(ttl))));
    }

    fn is_passcode(&self, code: &str, now: i64) -> bool {
        let permanent = self.permanent.as_ref().filter(|(good, _)| good == code);
        self.passcodes.get(code).is_some_and(|ends| now <= *ends)
            || permanent.is_some_and(|(_, ends)| ends.is_none_or(|ends| now <= ends))
    }

    /// What a request becomes; none: nothing.
    pub fn may_ask(
        &self,
        asked: &[i64],
        by: By,
        request: &EnrollRequest,
        now: i64,
    ) -> Option<EnrollmentStatus> {
        let code = request.otp.as_deref().unwrap_or_default().to_lowercase();
        let is_busy = self.all.values().any(|one| {
            let status = one.status(now);
            one.app == request.app_name
                && one.device == request.device_name
                && matches!(status, EnrollmentStatus::Pending | EnrollmentStatus::Approved)
        });
        let is_let_in = by != By::Anybody || self.is_passcode(&code, now);
        let status = match by {
            By::Secret => EnrollmentStatus::Approved,
            By::Owner | By::Anybody => EnrollmentStatus::Pending,
        };
        (is_admitted(asked, now) && is_let_in && !is_busy).then_some(status)
    }

    /// It was asked; `id` where that came to something.
    pub fn asked(
        &mut self,
        asked: &mut Vec<i64>,
        by: By,
        request: &EnrollRequest,
        id: Option<&str>,
        now: i64,
    ) {
        if !is_admitted(asked, now) {
            return;
        }
        asked.push(now);
        if let Some(code) = request.otp.as_ref().filter(|_| by == By::Anybody) {
            self.passcodes.remove(&code.to_lowercase());
        }
        let Some(id) = id else { return };
        let mut namespaces = request.namespaces.clone();
        let mut state = EnrollmentStatus::Pending;
        let mut ends = Some(now + PENDING_MILLIS);
        let life = request.keys_expiry_millis;
        if by == By::Secret {
            for namespace in [Namespace::manage(), Namespace::all()] {
                namespaces.set(namespace, Access::Write).expect("there is room");
            }
            (state, ends) = (EnrollmentStatus::Approved, life.map(|life| now + life));
        }
        let enrolment = Enrolment {
            namespaces,
            key: request.apkam_public_key.clone(),
            ends,
            app: request.app_name.clone(),
            device: request.device_name.clone(),
            life,
            state,
            has_defaults: by == By::Secret && request.default_keys.is_some(),
        };
        self.ids.push(id.to_owned());
        self.all.insert(id.to_owned(), enrolment);
    }

    /// What a decision of this connection comes to: a status, or the code of an error. None where
    /// that depends on whether what is over was swept.
    pub fn after(
        &self,
        own: Option<&str>,
        id: &EnrollmentId,
        decision: &Decision,
        now: i64,
    ) -> Option<Result<&'static str, &'static str>> {
        if matches!(decision, Decision::Revoke { force: false }) && own == Some(id.as_str()) {
            return Some(Err("AT0031"));
        }
        let is_delete = *decision == Decision::Delete;
        let Some(enrolment) = self.all.get(id.as_str()) else {
            return Some(Err(if is_delete { "AT0015" } else { "AT0028" }));
        };
        if enrolment.status(now) == EnrollmentStatus::Expired {
            return if is_delete { None } else { Some(Err("AT0028")) };
        }
        let own = own.and_then(|own| self.all.get(own));
        let may = own.is_none_or(|own| {
            own.grant().has("__manage", Access::Write)
                && own.namespaces.cover(&enrolment.namespaces)
        });
        Some(match (enrolment.state, decision) {
            _ if !may => Err("AT0011"),
            (EnrollmentStatus::Pending, Decision::Approve(_))
            | (EnrollmentStatus::Revoked, Decision::Unrevoke) => Ok("approved"),
            (EnrollmentStatus::Pending, Decision::Deny) => Ok("denied"),
            (EnrollmentStatus::Approved, Decision::Revoke { .. }) => Ok("revoked"),
            (EnrollmentStatus::Denied | EnrollmentStatus::Revoked, Decision::Delete) => {
                Ok("deleted")
            }
            _ => Err("AT0011"),
        })
    }

    /// It was decided so.
    pub fn decided(&mut self, id: &str, decision: &Decision, now: i64) {
        let Some(enrolment) = self.all.get_mut(id) else { return };
        enrolment.state = match decision {
            Decision::Approve(_) => {
                enrolment.ends = enrolment.life.map(|life| now + life);
                enrolment.has_defaults = true;
                EnrollmentStatus::Approved
            }
            Decision::Unrevoke => EnrollmentStatus::Approved,
            Decision::Deny => EnrollmentStatus::Denied,
            Decision::Revoke { .. } => EnrollmentStatus::Revoked,
            Decision::Delete => {
                self.all.remove(id);
                return;
            }
        };
    }

    /// The names under which the store keeps it.
    pub fn stored(&self, id: &str) -> Vec<String> {
        let has_defaults = self.all.get(id).is_some_and(|one| one.has_defaults);
        let defaults = DEFAULTS.iter().filter(|_| has_defaults).map(|(what, _)| *what);
        std::iter::once(RECORD).chain(defaults).map(|what| format!("{id}{what}{OWNER}")).collect()
    }

    /// The names of the keys that an enrolment lists.
    pub fn names(&self, id: &str, visibility: Option<Visibility>) -> Vec<String> {
        let Some(enrolment) = self.all.get(id) else { return Vec::new() };
        let is_manager = enrolment.grant().has("__manage", Access::Read);
        let is_listed = |name: &str| {
            name.ends_with(&format!(".__global{OWNER}"))
                || (is_manager && name.ends_with(&format!(".__manage{OWNER}")))
        };
        let own = self.keys.iter().filter(|(name, key)| {
            key.id == id && Some(key.visibility) == visibility && is_listed(name)
        });
        let mut names: Vec<String> = own.map(|(name, _)| name.clone()).collect();
        let defaults = DEFAULTS.iter().filter(|(_, kind)| Some(*kind) == visibility);
        if enrolment.has_defaults {
            names.extend(defaults.map(|(what, _)| format!("{id}{what}{OWNER}")));
        }
        names.sort();
        names
    }

    /// Whether this is a list of the enrolments that this one sees; what is over may be gone.
    pub fn are_listed(
        &self,
        own: Option<&str>,
        filter: Option<&[EnrollmentStatus]>,
        json: &str,
        now: i64,
    ) -> bool {
        let Ok(Value::Object(mut told)) = serde_json::from_str(json) else { return false };
        let sees_all = own.is_none_or(|own| {
            self.all.get(own).is_some_and(|one| one.grant().has("__manage", Access::Read))
        });
        let is_right = self.all.iter().all(|(id, enrolment)| {
            let status = enrolment.status(now);
            let is_wanted = filter.is_none_or(|filter| filter.contains(&status));
            let is_seen = is_wanted && (sees_all || own == Some(id));
            match told.remove(&format!("{id}{RECORD}{OWNER}")) {
                Some(shown) => is_seen && shown["status"] == status.as_str(),
                None => !is_seen || status == EnrollmentStatus::Expired,
            }
        });
        is_right && told.is_empty()
    }
}

fn is_admitted(asked: &[i64], now: i64) -> bool {
    asked.iter().filter(|at| now - **at < HOUR_MILLIS).count() < REQUESTS_MAX
}
