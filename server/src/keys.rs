//! The keys with a meaning of their own (the protocol's section 6.3).

use protocol::{AtKey, AtSign, EnrollmentId};

use crate::refusal::Refusal;

/// The activation secret.
pub(crate) const SECRET: &str = "privatekey:at_secret";
/// It was deleted and must not come back.
pub(crate) const SECRET_DELETED: &str = "privatekey:at_secret_deleted";
/// The public key that PKAM signatures are checked with.
pub(crate) const PKAM_PUBLIC: &str = "privatekey:at_pkam_publickey";
/// The signing pair exists.
const SIGNING_GENERATED: &str = "privatekey:signing_keypair_generated";

/// The owner's encryption key; another's is kept for ever once seen.
pub(crate) const PUBLIC_KEY: &str = "publickey";
/// The public half of the signing pair.
pub(crate) const SIGNING_PUBLIC: &str = "signing_publickey";

pub(crate) fn secret() -> Result<AtKey, Refusal> {
    parse(SECRET)
}

pub(crate) fn secret_deleted() -> Result<AtKey, Refusal> {
    parse(SECRET_DELETED)
}

pub(crate) fn signing_generated() -> Result<AtKey, Refusal> {
    parse(SIGNING_GENERATED)
}

pub(crate) fn signing_public(owner: &AtSign) -> Result<AtKey, Refusal> {
    parse(&format!("public:{SIGNING_PUBLIC}{owner}"))
}

pub(crate) fn signing_private(owner: &AtSign) -> Result<AtKey, Refusal> {
    parse(&format!("{owner}:signing_privatekey{owner}"))
}

/// The copy of the key that the owner shares with `peer`, encrypted for the owner.
pub(crate) fn shared_key(peer: &AtSign, owner: &AtSign) -> Result<AtKey, Refusal> {
    parse(&format!("shared_key.{}{owner}", peer.bare()))
}

/// Who may not connect.
pub(crate) fn block_list(owner: &AtSign) -> Result<AtKey, Refusal> {
    parse(&format!("private:blocklist{owner}"))
}

/// What is known of an enrolment is kept under `<id>` and this.
pub(crate) const ENROLMENT: &str = ".new.enrollments.__manage";
/// The owner's private key, encrypted for an enrolment, is kept under `<id>` and this.
pub(crate) const DEFAULT_PRIVATE: &str = ".default_enc_private_key.__manage";
/// The key of the owner's own data, likewise.
pub(crate) const DEFAULT_SELF: &str = ".default_self_enc_key.__manage";
/// One-time passcodes are kept under `private:<code>` and this.
pub(crate) const PASSCODE: &str = ".__otp";

/// One of the names under which something of an enrolment is kept.
pub(crate) fn of_enrolment(
    id: &EnrollmentId,
    what: &str,
    owner: &AtSign,
) -> Result<AtKey, Refusal> {
    parse(&format!("{id}{what}{owner}"))
}

/// Where the public key of an enrolment is published. What a key cannot contain becomes `_`.
pub(crate) fn published(app: &str, device: &str, owner: &AtSign) -> Result<AtKey, Refusal> {
    let word = |text: &str| -> String {
        let is_good = |c: char| c.is_ascii_alphanumeric() || c == '-';
        text.chars().take(64).map(|c| if is_good(c) { c } else { '_' }).collect()
    };
    let (app, device) = (word(app), word(device));
    parse(&format!("public:{app}.{device}.pkam.__pkams.__public_keys{owner}"))
}

/// A passcode; `spp` is the one that is good again and again.
pub(crate) fn passcode(code: &str, owner: &AtSign) -> Result<AtKey, Refusal> {
    parse(&format!("private:{code}{PASSCODE}{owner}"))
}

/// Whether `enroll`, `otp` or `keys` alone write this entity. Such keys are in no commit log.
pub(crate) fn is_managed(entity: &str) -> bool {
    let mut words = entity.rsplit('.');
    let (last, before) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match last {
        "__manage" | "__otp" => true,
        "__public_keys" => before == "__pkams",
        _ => matches!(before, "__public_keys" | "__private_keys" | "__self_keys"),
    }
}

/// A name that is right unless the owner's name cannot own keys, which the registrar rules out.
pub(crate) fn parse(name: &str) -> Result<AtKey, Refusal> {
    AtKey::parse(name)
        .map_err(|error| Refusal::new(protocol::ErrorCode::InvalidKey, error.to_string()))
}

/// The copy's name of a public or shared key.
pub(crate) fn cached(key: &AtKey) -> Result<AtKey, Refusal> {
    parse(&format!("cached:{key}"))
}
