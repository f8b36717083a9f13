//! What `enroll` and `keys` have to come to.

use protocol::AtKey;
use protocol::enrollment::{Access, EnrollmentStatus};
use protocol::verb::{Enroll, EnrollRequest, Keys};

use super::{Effect, Model, OWNER, Session, Wanted};
use crate::grants::{Grant, parts};
use crate::world::name;

impl Model {
    pub(super) fn of_request(
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

    pub(super) fn of_enroll(
        &self,
        session: &Session,
        enroll: Enroll,
        now: i64,
    ) -> (Wanted, Effect) {
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

    pub(super) fn of_keys(
        &self,
        grant: Grant<'_>,
        id: &str,
        keys: Keys,
        now: i64,
    ) -> (Wanted, Effect) {
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
}

pub(super) fn manages(grant: Option<Grant<'_>>, access: Access) -> bool {
    grant.is_none_or(|grant| grant.has("__manage", access))
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
