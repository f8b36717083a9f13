//! `enroll`: who asks for rights, and what the owner decides (the protocol's section 4.7).

use protocol::enrollment::{Access, EnrollmentStatus, Namespace, Namespaces};
use protocol::notification::{Kind, Notification, NotificationMetadata, Status};
use protocol::response::{Answer, Fault};
use protocol::verb::{
    Decision, DefaultKeys, EnrollRequest, MessageType, Operation, Priority, Strategy,
};
use protocol::{AtSign, EnrollmentId, ErrorCode, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::draft::Draft;
use crate::enrol::record::{self, Approval, RequestType};
use crate::enrol::state::{Next, forbidden};
use crate::enrol::{Enrolment, Kept, State, passcode};
use crate::keys::{self, DEFAULT_PRIVATE, DEFAULT_SELF, ENROLMENT};
use crate::limits::{ENROLMENTS_MAX, Limits, PENDING_MILLIS, PENDING_TOLD_MILLIS};
use crate::notify::kept;
use crate::records::Change;
use crate::refusal::Refusal;
use crate::rights::Rights;
use crate::view::View;

/// Who asks to be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Somebody with a passcode, or without.
    Anybody,
    /// The owner, or a device of hers.
    Owner,
    /// The owner with her activation secret: it is granted at once, with all rights.
    Secret,
}

/// What became of a request.
pub(crate) enum Requested {
    /// It was made; it waits for the owner, whose monitors are told of what came until now.
    Pending { id: EnrollmentId, at: Timestamp },
    /// It was made and granted.
    Approved { id: EnrollmentId, kept: Box<Kept> },
    /// It was not made. The passcode is used up all the same.
    Refused(Refusal),
    /// It was not made for want of a passcode.
    WrongPasscode,
}

/// What became of a decision.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) id: EnrollmentId,
    /// What it is now; nothing if it is forgotten.
    pub(crate) state: Option<State>,
}

/// Takes a request.
pub(crate) fn request(
    draft: &mut Draft<'_>,
    limits: &Limits,
    session: &str,
    by: By,
    request: EnrollRequest,
) -> Result<Requested, Refusal> {
    if by == By::Anybody && !passcode::spend(draft, request.otp.as_deref().unwrap_or_default())? {
        return Ok(Requested::WrongPasscode);
    }
    let default_keys = request.default_keys.clone();
    let enrolment = asked(session, by, request)?;
    if let Some(refusal) = obstacle(draft, by, &enrolment)? {
        return Ok(Requested::Refused(refusal));
    }
    let id = EnrollmentId::parse(&Uuid::new_v4().to_string()).ok_or_else(Refusal::store)?;
    if by == By::Secret {
        let kept = grant_first(draft, &id, enrolment, default_keys)?;
        return Ok(Requested::Approved { id, kept: Box::new(kept) });
    }
    let ends = Some(draft.now.plus_millis(PENDING_MILLIS));
    let at = tell(draft, limits, &id, &enrolment)?;
    record::put(draft, &id, &Kept { enrolment, ends })?;
    Ok(Requested::Pending { id, at })
}

/// The enrolment that is asked for; a first app gets all rights.
fn asked(session: &str, by: By, request: EnrollRequest) -> Result<Enrolment, Refusal> {
    let mut namespaces = request.namespaces;
    if by == By::Secret {
        for namespace in [Namespace::manage(), Namespace::all()] {
            namespaces.set(namespace, Access::Write).map_err(|error| refused(error.to_string()))?;
        }
    }
    let state = if by == By::Secret { State::Approved } else { State::Pending };
    Ok(Enrolment {
        session_id: session.to_owned(),
        app_name: request.app_name,
        device_name: request.device_name,
        namespaces,
        apkam_public_key: request.apkam_public_key,
        request_type: RequestType::NewEnrollment,
        approval: Approval { state },
        encrypted_symmetric_key: request.encrypted_symmetric_key,
        apkam_keys_expiry_in_millis: request.keys_expiry_millis,
    })
}

/// Why there cannot be one more: one app on one device waits, or acts, once.
fn obstacle(draft: &mut Draft<'_>, by: By, new: &Enrolment) -> Result<Option<Refusal>, Refusal> {
    let (owner, now) = (draft.identity, draft.now);
    let all = record::all(&mut draft.view, owner)?;
    let is_busy = |status| matches!(status, EnrollmentStatus::Pending | EnrollmentStatus::Approved);
    let same =
        all.iter().find(|(_, kept)| kept.enrolment.is_same_app(new) && is_busy(kept.status(now)));
    Ok(match same {
        Some((id, kept)) => Some(refused(format!(
            "Another enrollment with id {id} exists with the app name: {} and device name: {} in \
             {} state",
            new.app_name,
            new.device_name,
            kept.status(now).as_str()
        ))),
        None if by != By::Secret && all.len() >= ENROLMENTS_MAX => Some(refused(
            "There are too many enrollments. Delete some that are of no use".to_owned(),
        )),
        None => None,
    })
}

/// A first app: its key becomes the owner's own as well, for clients that know of no enrolments.
fn grant_first(
    draft: &mut Draft<'_>,
    id: &EnrollmentId,
    enrolment: Enrolment,
    default_keys: Option<DefaultKeys>,
) -> Result<Kept, Refusal> {
    let pkam = keys::parse(keys::PKAM_PUBLIC)?;
    draft.put_own(&pkam, enrolment.apkam_public_key.clone())?;
    grant(draft, id, enrolment, default_keys)
}

/// Writes what an approved enrolment consists of. Its time begins now.
fn grant(
    draft: &mut Draft<'_>,
    id: &EnrollmentId,
    enrolment: Enrolment,
    default_keys: Option<DefaultKeys>,
) -> Result<Kept, Refusal> {
    let life = enrolment.apkam_keys_expiry_in_millis;
    let ends = life.map(|millis| draft.now.plus_millis(millis).writable());
    let kept = Kept { enrolment, ends };
    record::put(draft, id, &kept)?;
    let Enrolment { app_name, device_name, apkam_public_key, .. } = &kept.enrolment;
    let published = keys::published(app_name, device_name, draft.identity)?;
    let metadata = record::until(draft, ends);
    draft.put(&published, Change::Value, metadata, Some(published_value(apkam_public_key)))?;
    if let Some(keys) = default_keys {
        let value = |key: String| json!({ "value": key }).to_string();
        let (private, own) = (keys.encryption_private_key, keys.self_encryption_key);
        record::put_until(draft, id, DEFAULT_PRIVATE, value(private), ends)?;
        record::put_until(draft, id, DEFAULT_SELF, value(own), ends)?;
    }
    Ok(kept)
}

fn published_value(public_key: &str) -> String {
    json!({ "apkamPublicKey": public_key }).to_string()
}

/// Has the owner's devices told that somebody asks; gives back when.
fn tell(
    draft: &mut Draft<'_>,
    limits: &Limits,
    id: &EnrollmentId,
    enrolment: &Enrolment,
) -> Result<Timestamp, Refusal> {
    let key = keys::of_enrolment(id, ENROLMENT, draft.identity)?;
    let at = draft.notification_time();
    let value = json!({
        "encryptedApkamSymmetricKey": enrolment.encrypted_symmetric_key,
        "encryptedAPKAMSymmetricKey": enrolment.encrypted_symmetric_key,
        "appName": enrolment.app_name,
        "deviceName": enrolment.device_name,
        "namespace": enrolment.namespaces,
    });
    let notification = Notification {
        id: Uuid::new_v4().to_string(),
        from: draft.identity.clone(),
        to: draft.identity.clone(),
        at,
        subject: key.as_str().to_owned(),
        value: Some(value.to_string()),
        kind: Kind::OwnServer,
        operation: Operation::Update,
        message_type: MessageType::Key,
        priority: Priority::Low,
        status: Status::Delivered,
        retry_count: 1,
        strategy: Strategy::All,
        depth: 1,
        notifier: protocol::notification::NOTIFIER_AUTOMATIC.to_owned(),
        ttln: PENDING_TOLD_MILLIS,
        expires_at: at.plus_millis(PENDING_TOLD_MILLIS).writable(),
        is_encrypted: false,
        metadata: NotificationMetadata::default(),
    };
    if kept::make_room(draft, limits)? {
        kept::put_received(draft, notification)?;
    }
    Ok(at)
}

/// Does what the owner decides, if this connection of hers may.
pub(crate) fn decide(
    draft: &mut Draft<'_>,
    rights: &Rights,
    id: EnrollmentId,
    decision: Decision,
) -> Result<Decided, Refusal> {
    if decision == (Decision::Revoke { force: false }) && rights.enrolment() == Some(&id) {
        let text = "Current client cannot revoke its own enrollment";
        return Err(Refusal::new(ErrorCode::SelfRevocation, text));
    }
    let (owner, now) = (draft.identity, draft.now);
    let kept = match (record::find(&mut draft.view, &id, owner)?, &decision) {
        (Some(kept), _) => kept,
        (None, Decision::Delete) => return Err(unknown(&id, owner)?),
        (None, _) => return Err(Fault::no_enrollment(id.as_str()).into()),
    };
    let status = kept.status(now);
    if status == EnrollmentStatus::Expired && decision != Decision::Delete {
        return Err(Fault::no_enrollment(id.as_str()).into());
    }
    check_may_decide(rights, &id, &decision, &kept.enrolment.namespaces)?;
    let next = kept.enrolment.state().after(&decision);
    let next = next.map_err(|_| refused(forbidden(&decision, &id, status)))?;
    let state = match next {
        Next::Goes => None,
        Next::Becomes(state) => Some(state),
    };
    apply(draft, &id, kept, decision, state)?;
    Ok(Decided { id, state })
}

fn check_may_decide(
    rights: &Rights,
    id: &EnrollmentId,
    decision: &Decision,
    namespaces: &Namespaces,
) -> Result<(), Refusal> {
    check_may_manage(rights.may_manage(), id, decision.word())?;
    if rights.covers(namespaces) {
        return Ok(());
    }
    let why = "Client is not authorized for namespaces in the enrollment request";
    Err(refused(format!("Failed to {} enrollment id: {id}. {why}", decision.word())))
}

fn check_may_manage(may: bool, id: &EnrollmentId, word: &str) -> Result<(), Refusal> {
    if may {
        return Ok(());
    }
    let why = "The approving enrollment does not have access to \"__manage\" namespace";
    Err(refused(format!("Failed to {word} enrollment id: {id}. {why}")))
}

fn apply(
    draft: &mut Draft<'_>,
    id: &EnrollmentId,
    kept: Kept,
    decision: Decision,
    state: Option<State>,
) -> Result<(), Refusal> {
    let Kept { mut enrolment, ends } = kept;
    let Some(state) = state else { return forget(draft, id, &enrolment) };
    enrolment.approval = Approval { state };
    match decision {
        Decision::Approve(keys) => grant(draft, id, enrolment, Some(keys)).map(|_| ()),
        _ => record::put(draft, id, &Kept { enrolment, ends }),
    }
}

/// Removes all that is kept of an enrolment; what is published may be a newer one's by now.
fn forget(draft: &mut Draft<'_>, id: &EnrollmentId, old: &Enrolment) -> Result<(), Refusal> {
    let owner = draft.identity;
    for what in [ENROLMENT, DEFAULT_PRIVATE, DEFAULT_SELF] {
        draft.delete(&keys::of_enrolment(id, what, owner)?)?;
    }
    let published = keys::published(&old.app_name, &old.device_name, owner)?;
    let now = draft.now;
    let value = draft.view.value(published.as_str(), now)?;
    if value == Some(published_value(&old.apkam_public_key)) {
        draft.delete(&published)?;
    }
    Ok(())
}

/// All enrolments by their keys, for who may manage them; for others their own.
pub(crate) fn list(
    view: &mut View<'_>,
    rights: &Rights,
    filter: Option<&[EnrollmentStatus]>,
    owner: &AtSign,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let mut shown = Map::new();
    for (id, kept) in record::all(view, owner)? {
        let is_own = rights.enrolment() == Some(&id);
        let is_wanted = filter.is_none_or(|filter| filter.contains(&kept.status(now)));
        if is_wanted && (is_own || rights.sees_enrolments()) {
            let value = serde_json::to_value(kept.shown(now)).unwrap_or_default();
            shown.insert(format!("{id}{ENROLMENT}{owner}"), value);
        }
    }
    Ok(Answer::Data(Value::Object(shown).to_string()))
}

/// One enrolment, for who may see it.
pub(crate) fn fetch(
    view: &mut View<'_>,
    rights: &Rights,
    id: &EnrollmentId,
    owner: &AtSign,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let is_own = rights.enrolment() == Some(id);
    check_may_manage(is_own || rights.sees_enrolments(), id, "fetch")?;
    match record::find(view, id, owner)? {
        Some(kept) => Ok(Answer::Data(serde_json::to_string(&kept.shown(now)).unwrap_or_default())),
        None => Err(unknown(id, owner)?),
    }
}

/// The answer to a request, or to a decision.
pub(crate) fn answer(id: &EnrollmentId, status: &str, message: Option<&str>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire<'a> {
        enrollment_id: &'a str,
        status: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
    }
    let wire = Wire { enrollment_id: id.as_str(), status, message };
    // A struct of texts always serialises.
    Answer::Data(serde_json::to_string(&wire).unwrap_or_default())
}

fn unknown(id: &EnrollmentId, owner: &AtSign) -> Result<Refusal, Refusal> {
    let key = keys::of_enrolment(id, ENROLMENT, owner)?;
    Ok(Fault::key_not_found(key.as_str()).into())
}

/// An enrolment error: the connection lives on.
fn refused(text: String) -> Refusal {
    Refusal::new(ErrorCode::InternalException, text)
}
