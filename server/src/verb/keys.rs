//! `keys`: key material that an enrolment keeps for itself (the protocol's section 5.20).
//!
//! By its full name an enrolment reaches what it has put there itself, its own copies of the owner's
//! keys, and what is public; nothing else in the store, whatever it is called.

use protocol::response::{Answer, Fault};
use protocol::verb::{KeysPut, Visibility};
use protocol::{AtKey, AtSign, ErrorCode, Timestamp};
use serde::{Deserialize, Serialize};

use crate::draft::Draft;
use crate::keys::{self, DEFAULT_PRIVATE, DEFAULT_SELF};
use crate::records::{Change, Record, Table};
use crate::refusal::Refusal;
use crate::rights::{Grant, Rights};
use crate::view::View;

/// What the protocol answers for a key that is not committed.
const DONE: &str = "-1";

/// A key as it is kept; the members are the reference's.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptKey {
    value: String,
    key_type: Option<String>,
    enrollment_id: String,
    encryption_key_name: Option<String>,
}

/// The answer to somebody who is not enrolled, and has no keys here.
pub(crate) fn not_enrolled() -> Refusal {
    let text = "Keys verb cannot be accessed without an enrollmentId";
    Refusal::new(ErrorCode::InternalException, text)
}

/// Keeps a key, unless another enrolment keeps one under that name.
pub(crate) fn put(
    draft: &mut Draft<'_>,
    rights: &Rights,
    grant: &Grant,
    put: KeysPut,
) -> Result<Answer, Refusal> {
    let key = put.key(draft.identity)?;
    check_namespace(rights, &key, put.namespace.as_str(), draft.identity)?;
    if let Some(old) = draft.existing(&key)? {
        check_own(&old, grant, "put", key.as_str())?;
    }
    let kept = KeptKey {
        value: put.value,
        key_type: put.key_type,
        enrollment_id: grant.id.to_string(),
        encryption_key_name: put.encryption_key_name,
    };
    // A struct of texts always serialises.
    let value = serde_json::to_string(&kept).unwrap_or_default();
    let metadata = draft.next_metadata(None, &protocol::MetadataPatch::default());
    draft.put(&key, Change::Value, metadata, Some(value))?;
    Ok(Answer::from(DONE))
}

/// Forgets a key.
pub(crate) fn delete(draft: &mut Draft<'_>, grant: &Grant, name: &str) -> Result<Answer, Refusal> {
    let key = reachable(grant, name, draft.identity, "delete")?;
    if let Some(old) = draft.existing(&key)? {
        check_own(&old, grant, "delete", key.as_str())?;
        draft.delete(&key)?;
    }
    Ok(Answer::from(DONE))
}

/// What is kept under a name.
pub(crate) fn get(
    view: &mut View<'_>,
    grant: &Grant,
    name: &str,
    owner: &AtSign,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let key = reachable(grant, name, owner, "get")?;
    let record = view.record(key.as_str())?.filter(|record| record.metadata.is_active(now));
    let Some(record) = record else { return Err(missing(name)) };
    if !key.is_public() && !is_default(&key, grant, owner) {
        check_own(&record, grant, "get", key.as_str())?;
    }
    Ok(record.value.map_or(Answer::Null, Answer::Data))
}

/// The names of the enrolment's own keys of a kind.
pub(crate) fn list(
    view: &mut View<'_>,
    rights: &Rights,
    grant: &Grant,
    visibility: Option<Visibility>,
    owner: &AtSign,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let Some(visibility) = visibility else { return Ok(Answer::from("[]")) };
    let (prefix, folder) = match visibility {
        Visibility::Public => ("public:", "__public_keys"),
        Visibility::Private => ("private:", "__private_keys"),
        Visibility::SelfKey => ("", "__self_keys"),
    };
    let mut ends = vec![format!(".{folder}.__global{owner}")];
    if rights.sees_enrolments() {
        ends.push(format!(".{folder}.__manage{owner}"));
    }
    let mut names = Vec::new();
    for key in view.keys(&Table::Live.key(prefix.as_bytes())) {
        let name = key.get(1..).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        if ends.iter().any(|end| name.ends_with(end)) {
            let record = view.record(name)?.filter(|record| record.metadata.is_active(now));
            if record.is_some_and(|record| is_own(&record, grant)) {
                names.push(name.to_owned());
            }
        }
    }
    let default = match visibility {
        Visibility::Public => None,
        Visibility::Private => Some(DEFAULT_PRIVATE),
        Visibility::SelfKey => Some(DEFAULT_SELF),
    };
    if let Some(what) = default {
        let key = keys::of_enrolment(&grant.id, what, owner)?;
        if view.value(key.as_str(), now)?.is_some() {
            names.push(key.as_str().to_owned());
        }
    }
    // A list of texts always serialises.
    Ok(Answer::Data(serde_json::to_string(&names).unwrap_or_default()))
}

/// An enrolment keeps keys where it may write, and in the namespace that is everybody's.
fn check_namespace(
    rights: &Rights,
    key: &AtKey,
    namespace: &str,
    owner: &AtSign,
) -> Result<(), Refusal> {
    let may = match namespace {
        "__global" => true,
        "__manage" => rights.may_manage(),
        namespace => rights.may_write(&format!("key.{namespace}{owner}")),
    };
    if may { Ok(()) } else { Err(not_authorized(rights.grant(), "put", key.as_str())) }
}

/// A name that may be this enrolment's; what is there is looked at later. So nobody learns by
/// asking what else the store holds.
fn reachable(grant: &Grant, name: &str, owner: &AtSign, word: &str) -> Result<AtKey, Refusal> {
    let key = AtKey::parse(name).map_err(|_| missing(name))?;
    let folder = key.entity().rsplit('.').nth(1).unwrap_or_default();
    let is_kept = matches!(folder, "__public_keys" | "__private_keys" | "__self_keys");
    if is_kept || key.is_public() || is_default(&key, grant, owner) {
        Ok(key)
    } else {
        Err(not_authorized(Some(grant), word, name))
    }
}

fn is_default(key: &AtKey, grant: &Grant, owner: &AtSign) -> bool {
    [DEFAULT_PRIVATE, DEFAULT_SELF]
        .iter()
        .any(|what| keys::of_enrolment(&grant.id, what, owner).is_ok_and(|default| default == *key))
}

fn check_own(record: &Record, grant: &Grant, word: &str, name: &str) -> Result<(), Refusal> {
    if is_own(record, grant) { Ok(()) } else { Err(not_authorized(Some(grant), word, name)) }
}

fn is_own(record: &Record, grant: &Grant) -> bool {
    let kept = record.value.as_deref().map(serde_json::from_str::<KeptKey>);
    matches!(kept, Some(Ok(kept)) if kept.enrollment_id == grant.id.as_str())
}

fn not_authorized(grant: Option<&Grant>, word: &str, name: &str) -> Refusal {
    let id = grant.map_or("", |grant| grant.id.as_str());
    let name: String = name.chars().take(300).collect();
    let text =
        format!("Connection with enrollment ID {id} is not authorized to {word} key: {name}");
    Refusal::new(ErrorCode::Unauthorized, text)
}

fn missing(name: &str) -> Refusal {
    let name: String = name.chars().take(300).collect();
    Fault::new(ErrorCode::KeyNotFound, format!("key {name} not found in keystore")).into()
}
