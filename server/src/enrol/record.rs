//! What the store knows of an enrolment.

use protocol::enrollment::{EnrollmentStatus, Namespaces};
use protocol::{AtSign, EnrollmentId, Metadata, Timestamp};
use serde::{Deserialize, Serialize};

use super::State;
use crate::draft::Draft;
use crate::keys::{self, ENROLMENT};
use crate::records::{Change, Record, Table};
use crate::refusal::Refusal;
use crate::rights::not_approved;
use crate::view::View;

/// An enrolment as it is stored; the members are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Enrolment {
    /// The connection on which it was asked for.
    pub(crate) session_id: String,
    pub(crate) app_name: String,
    pub(crate) device_name: String,
    pub(crate) namespaces: Namespaces,
    pub(crate) apkam_public_key: String,
    pub(crate) request_type: RequestType,
    pub(crate) approval: Approval,
    #[serde(rename = "encryptedAPKAMSymmetricKey")]
    pub(crate) encrypted_symmetric_key: Option<String>,
    pub(crate) apkam_keys_expiry_in_millis: Option<i64>,
}

/// The protocol knows one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RequestType {
    NewEnrollment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Approval {
    pub(crate) state: State,
}

/// An enrolment in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) enrolment: Enrolment,
    /// After this time it is nothing.
    pub(crate) ends: Option<Timestamp>,
}

/// What clients are shown of one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown<'a> {
    app_name: &'a str,
    device_name: &'a str,
    namespace: &'a Namespaces,
    #[serde(rename = "encryptedAPKAMSymmetricKey")]
    encrypted_symmetric_key: Option<&'a str>,
    status: EnrollmentStatus,
}

impl Enrolment {
    /// How far it has come.
    pub(crate) fn state(&self) -> State {
        self.approval.state
    }

    /// Whether it is the same app on the same device.
    pub(crate) fn is_same_app(&self, other: &Self) -> bool {
        self.app_name == other.app_name && self.device_name == other.device_name
    }

    pub(crate) fn to_json(&self) -> String {
        // A struct of texts and numbers always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Kept {
    /// How far it has come as of `now`.
    pub(crate) fn status(&self, now: Timestamp) -> EnrollmentStatus {
        match self.ends {
            Some(ends) if ends < now => EnrollmentStatus::Expired,
            _ => self.enrolment.state().status(),
        }
    }

    pub(crate) fn shown(&self, now: Timestamp) -> Shown<'_> {
        let Enrolment { app_name, device_name, namespaces, encrypted_symmetric_key, .. } =
            &self.enrolment;
        Shown {
            app_name,
            device_name,
            namespace: namespaces,
            encrypted_symmetric_key: encrypted_symmetric_key.as_deref(),
            status: self.status(now),
        }
    }

    /// What nobody of us wrote is no enrolment: an owner with all rights may write anything there.
    fn of(record: &Record) -> Option<Self> {
        let enrolment = serde_json::from_str(record.value.as_deref()?).ok()?;
        Some(Self { enrolment, ends: record.metadata.expires_at })
    }
}

/// The enrolment with this id, also if its time is over.
pub(crate) fn find(
    view: &mut View<'_>,
    id: &EnrollmentId,
    owner: &AtSign,
) -> Result<Option<Kept>, Refusal> {
    let key = keys::of_enrolment(id, ENROLMENT, owner)?;
    Ok(view.record(key.as_str())?.as_ref().and_then(Kept::of))
}

/// All enrolments, by id.
pub(crate) fn all(
    view: &mut View<'_>,
    owner: &AtSign,
) -> Result<Vec<(EnrollmentId, Kept)>, Refusal> {
    let end = format!("{ENROLMENT}{owner}");
    let mut found = Vec::new();
    for key in view.keys(&Table::Live.key(b"")) {
        let name = key.get(1..).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        let id = name.strip_suffix(&end).and_then(EnrollmentId::parse);
        let Some(id) = id else { continue };
        if let Some(kept) = view.record(name)?.as_ref().and_then(Kept::of) {
            found.push((id, kept));
        }
    }
    Ok(found)
}

/// The enrolment, if it may act now.
///
/// # Errors
/// What the client is told otherwise (the protocol's section 4.3).
pub(crate) fn approved(
    view: &mut View<'_>,
    id: &EnrollmentId,
    owner: &AtSign,
    now: Timestamp,
) -> Result<Kept, Refusal> {
    let kept = find(view, id, owner)?;
    let status = kept.as_ref().map_or(EnrollmentStatus::Expired, |kept| kept.status(now));
    match kept.filter(|_| status == EnrollmentStatus::Approved) {
        Some(kept) => Ok(kept),
        None => Err(not_approved(id, status).into()),
    }
}

/// Writes the enrolment as it is from now on.
pub(crate) fn put(draft: &mut Draft<'_>, id: &EnrollmentId, kept: &Kept) -> Result<(), Refusal> {
    put_until(draft, id, ENROLMENT, kept.enrolment.to_json(), kept.ends)
}

/// Writes something that belongs to an enrolment, and goes when it does.
pub(crate) fn put_until(
    draft: &mut Draft<'_>,
    id: &EnrollmentId,
    what: &str,
    value: String,
    ends: Option<Timestamp>,
) -> Result<(), Refusal> {
    let key = keys::of_enrolment(id, what, draft.identity)?;
    let metadata = until(draft, ends);
    draft.put(&key, Change::Value, metadata, Some(value)).map(|_| ())
}

/// Metadata of a key that the server makes for itself, and that goes at a time.
pub(crate) fn until(draft: &Draft<'_>, ends: Option<Timestamp>) -> Metadata {
    let expires_at = ends.map(Timestamp::writable);
    let ttl = expires_at.map(|ends| ends.0.saturating_sub(draft.now.0));
    Metadata { expires_at, ttl, ..Metadata::internal(draft.identity, draft.now) }
}
