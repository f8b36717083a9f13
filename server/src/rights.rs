//! What an owner's connection may do: everything, or what an enrolment grants (the protocol's
//! section 4.8).
//!
//! Two rules are stricter than the reference's, which lets every enrolment read and write all
//! reserved names. The keys with which clients share (`shared_key`) are open to all, since no app
//! could share without them. But a name such as `privatekey:at_pkam_publickey` is a way to all
//! rights, so it takes all rights to write it. And what `enroll`, `otp` and `keys` keep is not
//! reached by other verbs, whatever the namespaces.

use std::sync::Arc;

use protocol::enrollment::{Access, EnrollmentStatus, Namespace, Namespaces};
use protocol::notification::{Kind, Notification};
use protocol::response::Fault;
use protocol::verb::MessageType;
use protocol::{EnrollmentId, ErrorCode, Timestamp};

use crate::enrol::Kept;
use crate::keys;
use crate::refusal::Refusal;

/// What an owner's connection may do.
#[derive(Debug, Clone)]
pub(crate) enum Rights {
    /// It has proved itself with the activation secret or the owner's own key.
    Everything,
    /// It has proved itself with the key of an enrolment.
    Granted(Arc<Grant>),
}

/// What an enrolment may do.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) id: EnrollmentId,
    pub(crate) namespaces: Namespaces,
    /// After this time, nothing.
    pub(crate) ends: Option<Timestamp>,
}

/// What somebody is about to do with a key or a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Update,
    Delete,
    Llookup,
    Lookup,
    Notify,
    FetchNotification,
    RemoveNotification,
}

/// What a name is to an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject<'a> {
    /// A key with which clients share.
    Sharing,
    /// Kept by `enroll`, `otp` or `keys`.
    Managed,
    /// A name with a meaning of its own.
    Reserved,
    /// Anything else, by its entity.
    Plain(&'a str),
}

impl Rights {
    /// What an approved enrolment may do.
    pub(crate) fn granted(id: EnrollmentId, kept: Kept) -> Self {
        let Kept { enrolment, ends } = kept;
        Self::Granted(Arc::new(Grant { id, namespaces: enrolment.namespaces, ends }))
    }

    /// Whether lists, synchronisation and statistics show it this key.
    pub(crate) fn sees(&self, name: &str) -> bool {
        self.grant().is_none_or(|grant| grant.has_all(Access::Read)) || self.may_read(name)
    }

    /// Whether it may read this key.
    pub(crate) fn may_read(&self, name: &str) -> bool {
        self.allows(Access::Read, name)
    }

    /// Whether it may write this key.
    pub(crate) fn may_write(&self, name: &str) -> bool {
        self.allows(Access::Write, name)
    }

    /// Whether it may look at all enrolments.
    pub(crate) fn sees_enrolments(&self) -> bool {
        self.grant().is_none_or(|grant| grant.manages(Access::Read))
    }

    /// Whether it may decide about enrolments, and set passcodes.
    pub(crate) fn may_manage(&self) -> bool {
        self.grant().is_none_or(|grant| grant.manages(Access::Write))
    }

    /// Whether it may do all that these namespaces allow, so that it may give them away.
    pub(crate) fn covers(&self, namespaces: &Namespaces) -> bool {
        self.grant().is_none_or(|grant| grant.namespaces.cover(namespaces))
    }

    /// Whether a monitor, or a list, may show it this notification. Texts are in no namespace.
    pub(crate) fn sees_notification(&self, notification: &Notification) -> bool {
        let Some(grant) = self.grant() else { return true };
        match (notification.kind, notification.message_type) {
            (Kind::OwnServer, _) => grant.manages(Access::Read),
            (_, MessageType::Text) => grant.has_all(Access::Read),
            (_, MessageType::Key) => self.may_read(&notification.subject),
        }
    }

    /// Whether it may do this with a key.
    ///
    /// # Errors
    /// The refusal for the client.
    pub(crate) fn check(&self, deed: Deed, name: &str) -> Result<(), Refusal> {
        self.require(deed, name, self.allows(deed.access(), name))
    }

    /// Whether it may do this with a notification; texts are in no namespace.
    ///
    /// # Errors
    /// The refusal for the client.
    pub(crate) fn check_notification(
        &self,
        deed: Deed,
        notification: &Notification,
    ) -> Result<(), Refusal> {
        self.check_message(deed, notification.message_type, &notification.subject)
    }

    /// The same for one that is not made yet.
    ///
    /// # Errors
    /// The refusal for the client.
    pub(crate) fn check_message(
        &self,
        deed: Deed,
        message_type: MessageType,
        subject: &str,
    ) -> Result<(), Refusal> {
        let is_allowed = match message_type {
            MessageType::Key => self.allows(deed.access(), subject),
            MessageType::Text => self.grant().is_none_or(|grant| grant.has_all(deed.access())),
        };
        self.require(deed, subject, is_allowed)
    }

    /// Whether its time is over.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.grant().and_then(|grant| grant.ends).is_some_and(|ends| ends < now)
    }

    /// The enrolment that it stands on.
    pub(crate) fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Everything => None,
            Self::Granted(grant) => Some(grant),
        }
    }

    /// The id of that enrolment.
    pub(crate) fn enrolment(&self) -> Option<&EnrollmentId> {
        self.grant().map(|grant| &grant.id)
    }

    fn allows(&self, access: Access, name: &str) -> bool {
        let Some(grant) = self.grant() else { return true };
        if access == Access::Read && is_public(name) {
            return true;
        }
        match Subject::of(name) {
            Subject::Sharing => true,
            Subject::Managed => false,
            Subject::Reserved => match access {
                Access::Read => grant.has_all(Access::Read),
                Access::Write => grant.has_all(Access::Write) && grant.manages(Access::Write),
            },
            Subject::Plain(entity) => grant.access_to(entity).is_some_and(|most| most >= access),
        }
    }

    fn require(&self, deed: Deed, name: &str, is_allowed: bool) -> Result<(), Refusal> {
        let Some(id) = self.enrolment().filter(|_| !is_allowed) else { return Ok(()) };
        let (words, name) = (deed.words(), name.chars().take(300).collect::<String>());
        let text =
            format!("Connection with enrollment ID {id} is not authorized to {words}: {name}");
        Err(Refusal::new(ErrorCode::Unauthorized, text))
    }
}

impl Grant {
    /// What is allowed with the keys of this entity (section 4.8, rule 3): the first namespace that
    /// is its last word, else the first with which it ends, else all.
    fn access_to(&self, entity: &str) -> Option<Access> {
        let by = |is_it: &dyn Fn(&Namespace) -> bool| {
            self.namespaces
                .iter()
                .find(|(namespace, _)| !namespace.is_all() && is_it(namespace))
                .map(|(_, access)| access)
        };
        let last = entity.rsplit_once('.').map(|(_, last)| last);
        by(&|namespace| last == Some(namespace.as_str()))
            .or_else(|| by(&|namespace| namespace.is_end_of(entity)))
            .or_else(|| self.namespaces.get("*"))
    }

    fn has_all(&self, access: Access) -> bool {
        self.namespaces.get("*").is_some_and(|most| most >= access)
    }

    fn manages(&self, access: Access) -> bool {
        self.namespaces.get("__manage").is_some_and(|most| most >= access)
    }
}

impl Deed {
    fn access(self) -> Access {
        match self {
            Self::Llookup | Self::Lookup | Self::FetchNotification => Access::Read,
            Self::Update | Self::Delete | Self::Notify | Self::RemoveNotification => Access::Write,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Update => "update key",
            Self::Delete => "delete key",
            Self::Llookup => "llookup key",
            Self::Lookup => "lookup key",
            Self::Notify => "notify key",
            Self::FetchNotification => "fetch notify key",
            Self::RemoveNotification => "remove notify key",
        }
    }
}

impl<'a> Subject<'a> {
    fn of(name: &'a str) -> Self {
        let Some((scoped, _)) = name.rsplit_once('@') else { return Self::Reserved };
        // An entity contains no colon.
        let (scope, entity) = scoped.rsplit_once(':').unwrap_or(("", scoped));
        if keys::is_managed(entity) {
            return Self::Managed;
        }
        if is_sharing(scope, entity) {
            return Self::Sharing;
        }
        match (scope, entity) {
            ("public", "publickey" | "signing_publickey") | ("private", _) => Self::Reserved,
            (_, "signing_privatekey") => Self::Reserved,
            _ => Self::Plain(entity),
        }
    }
}

/// `@bob:shared_key`, its cached copies, `shared_key.bob`, and what the latter was until its owner's
/// key changed.
fn is_sharing(scope: &str, entity: &str) -> bool {
    if entity == "shared_key" {
        return scope.starts_with('@') || scope.starts_with("cached:@");
    }
    let Some(peer) = entity.strip_prefix("shared_key.").filter(|_| scope.is_empty()) else {
        return false;
    };
    match peer.split_once(".until.") {
        Some((peer, time)) => !peer.contains('.') && time.bytes().all(|b| b.is_ascii_digit()),
        None => !peer.contains('.'),
    }
}

fn is_public(name: &str) -> bool {
    name.starts_with("public:") || name.starts_with("cached:public:")
}

/// The error of an enrolment that is not approved, whose connections it ends.
pub(crate) fn not_approved(id: &EnrollmentId, status: EnrollmentStatus) -> Fault {
    let code = match status {
        EnrollmentStatus::Denied => ErrorCode::ApkamDenied,
        EnrollmentStatus::Pending => ErrorCode::ApkamFailed,
        EnrollmentStatus::Revoked => ErrorCode::ApkamRevoked,
        EnrollmentStatus::Approved | EnrollmentStatus::Expired => {
            return Fault::no_enrollment(id.as_str());
        }
    };
    Fault::result(code, format!("enrollment_id: {id} is {}", status.as_str()))
}

#[cfg(test)]
mod tests;
